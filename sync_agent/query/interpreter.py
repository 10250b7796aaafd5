"""The reference executor: a query run over a graph in memory, written to be read.

It says what a query means. The SQLite lowering of the stub is held against it, and what-if asks its
questions of an overlay through it.

Conditions have three values, as in Cosmos DB below the service: True, False, and undefined (None).
A comparison with a property that is not there, or of values of different types, is undefined; AND,
OR and NOT carry it on as SQL carries NULL; a row stands only where the condition is True. The
``IS_`` functions are never undefined.

Cost: one pass over the collection; with JOIN one over the edges of what it starts from. A MATCH
walks from the twins its first node can be, or its last where only that one is fixed by ``$dtId``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.query.checks import anchors, predicates
from sync_agent.query.tree import (
    INTEGER_MAX,
    INTEGER_MIN,
    And,
    ArrayContains,
    Collection,
    Comparator,
    Comparison,
    Condition,
    Count,
    Direction,
    Join,
    Match,
    Membership,
    Not,
    OfModel,
    Or,
    Path,
    Query,
    Scalar,
    Segment,
    TextCheck,
    TextTest,
    TypeCheck,
    TypeTest,
)
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document, Key, key_of

Binding: TypeAlias = Mapping[str, Document]
"""What each name stands for in one row; the only collection is there as its alias, or ''."""

_ABSENT: Final[Any] = object()


def run(query: Query, graph: TwinGraph, models: ModelRegistry) -> Iterator[Document]:
    """Yield the rows of a checked query; those of one collection in the collection's order.

    Rows have the service's shapes: raw documents for ``*``, one key per item of a projection
    otherwise. They share their values with the graph.
    """
    reader = _Reader(query, models)
    standing = (b for b in _bindings(query, graph) if reader.holds(b))
    if isinstance(query.projection, Count):
        yield {"COUNT": sum(1 for _ in standing)}
        return
    yield from islice(map(reader.row, standing), query.top)


# -- what the names stand for ----------------------------------------------------------------------


def _bindings(query: Query, graph: TwinGraph) -> Iterator[Binding]:
    """Yield every combination of documents the query's names can stand for, before WHERE."""
    allowed = anchors(query)
    if query.match is not None:
        yield from _matches(query.match, graph, allowed)
        return
    bindings: Iterator[Binding]
    if query.collection is Collection.RELATIONSHIPS:
        bindings = ({query.alias: edge} for edge in graph.relationships())
    else:
        bindings = ({query.alias: t} for t in graph.twins() if _may_be(t, query.alias, allowed))
    for join in query.joins:
        bindings = _joined(bindings, join, graph, allowed)
    yield from bindings


def _joined(
    bindings: Iterator[Binding],
    join: Join,
    graph: TwinGraph,
    allowed: Mapping[str, frozenset[str]],
) -> Iterator[Binding]:
    for binding in bindings:
        for edge in graph.outgoing(binding[join.source]["$dtId"]):
            twin = graph.twin(edge["$targetId"])
            if edge["$relationshipName"] != join.relationship or twin is None:
                continue
            if _may_be(twin, join.target, allowed):
                more = {join.target: twin, join.alias: edge} if join.alias else {join.target: twin}
                yield {**binding, **more}


def _matches(
    match: Match, graph: TwinGraph, allowed: Mapping[str, frozenset[str]]
) -> Iterator[Binding]:
    if match.nodes[0] not in allowed and match.nodes[-1] in allowed:
        match = _reversed(match)
    start = match.nodes[0]
    for twin in graph.twins():
        if _may_be(twin, start, allowed):
            binding = {start: twin} if start else {}
            yield from _paths(match, 0, twin, binding, frozenset(), graph)


def _reversed(match: Match) -> Match:
    """Return the same pattern read from right to left."""
    flipped = {Direction.OUT: Direction.IN, Direction.IN: Direction.OUT}
    segments = tuple(
        Segment(flipped.get(s.direction, s.direction), s.alias, s.names, s.hops_min, s.hops_max)
        for s in reversed(match.segments)
    )
    return Match(match.nodes[::-1], segments)


def _paths(
    match: Match,
    position: int,
    at: Document,
    binding: Binding,
    used: frozenset[Key],
    graph: TwinGraph,
) -> Iterator[Binding]:
    """Yield the bindings of all paths that go on from a node; ``used`` are the edges behind it."""
    if position == len(match.segments):
        yield binding
        return
    segment, node = match.segments[position], match.nodes[position + 1]
    for twin, edge, spent in _hops(segment, at, graph, used):
        if node in binding and binding[node]["$dtId"] != twin["$dtId"]:
            continue  # the pattern names this node twice
        more = {node: twin} if node else {}
        if segment.alias:
            more[segment.alias] = edge
        yield from _paths(match, position + 1, twin, {**binding, **more}, spent, graph)


def _hops(
    segment: Segment, start: Document, graph: TwinGraph, used: frozenset[Key]
) -> Iterator[tuple[Document, Document, frozenset[Key]]]:
    """Yield where a segment leads: twin, last edge, edges used; no path uses an edge twice."""
    frontier: list[tuple[Document, Document, frozenset[Key]]] = [(start, {}, used)]
    for hop in range(1, segment.hops_max + 1):
        frontier = [
            (twin, edge, spent | {key})
            for at, _, spent in frontier
            for twin, edge, key in _neighbours(segment, at, graph)
            if key not in spent
        ]
        if hop >= segment.hops_min:
            yield from frontier


def _neighbours(
    segment: Segment, twin: Document, graph: TwinGraph
) -> Iterator[tuple[Document, Document, Key]]:
    ends: list[tuple[Document, str]] = []
    if segment.direction is not Direction.IN:
        ends += [(edge, edge["$targetId"]) for edge in graph.outgoing(twin["$dtId"])]
    if segment.direction is not Direction.OUT:
        ends += [
            (edge, edge["$sourceId"])
            for edge in graph.incoming(twin["$dtId"])
            # undirected, an edge from a twin to itself is met once, as an outgoing one
            if segment.direction is Direction.IN or edge["$sourceId"] != edge["$targetId"]
        ]
    for edge, far_id in ends:
        far = graph.twin(far_id)
        if far is not None and (not segment.names or edge["$relationshipName"] in segment.names):
            yield far, edge, key_of(edge)


def _may_be(twin: Document, name: str, allowed: Mapping[str, frozenset[str]]) -> bool:
    return name not in allowed or twin["$dtId"] in allowed[name]


# -- what a binding says ---------------------------------------------------------------------------


class _Reader:
    """Reads bindings for one query: whether its condition holds, and the row they make."""

    def __init__(self, query: Query, models: ModelRegistry) -> None:
        self._query = query
        self._models = models
        self._places: dict[Path, tuple[str, tuple[str, ...]]] = {}
        # by identity, since IN [1] and IN [true] are equal as values
        self._lists = {
            id(predicate): _by_kind(predicate.values)
            for predicate in predicates(query.where)
            if isinstance(predicate, Membership)
        }

    def holds(self, binding: Binding) -> bool:
        where = self._query.where
        return where is None or self._truth(where, binding) is True

    def row(self, binding: Binding) -> Document:
        projection = self._query.projection
        if isinstance(projection, tuple):
            values = (
                (item.name or item.path.segments[-1], self._value(item.path, binding))
                for item in projection
            )
            return {name: value for name, value in values if value is not _ABSENT}
        return binding[self._query.alias]

    def _truth(self, condition: Condition, binding: Binding) -> bool | None:
        match condition:
            case And(operands=operands):
                return _all(self._truth(operand, binding) for operand in operands)
            case Or(operands=operands):
                return _not(_all(_not(self._truth(operand, binding)) for operand in operands))
            case Not(operand=operand):
                return _not(self._truth(operand, binding))
            case OfModel(model=model, alias=alias, exact=exact):
                name = alias or next(iter(self._query.twin_aliases), "")
                own = binding[name]["$metadata"]["$model"]
                return self._models.is_of_model(own, model, exact=exact)
            case Membership(path=path, negated=negated):
                among = _is_among(self._value(path, binding), self._lists[id(condition)])
                return _not(among) if negated else among
            case predicate:
                return _answer(predicate, self._value(predicate.path, binding))

    def _value(self, path: Path, binding: Binding) -> Any:
        """Return what a path leads to, _ABSENT where it leads nowhere."""
        place = self._places.get(path)
        if place is None:
            place = self._places[path] = self._query.resolve(path)
        name, segments = place
        value: Any = binding[name]
        for segment in segments:
            if not isinstance(value, dict) or segment not in value:
                return _ABSENT
            value = value[segment]
        return value


def _all(truths: Iterator[bool | None]) -> bool | None:
    undefined = False
    for truth in truths:
        if truth is False:
            return False
        undefined = undefined or truth is None
    return None if undefined else True


def _not(truth: bool | None) -> bool | None:
    return None if truth is None else not truth


def _answer(
    predicate: Comparison | TypeCheck | TextCheck | ArrayContains, value: Any
) -> bool | None:
    match predicate:
        case TypeCheck(test=type_test):
            return _kind(value) in _KINDS[type_test]
        case Comparison(op=op, value=literal):
            return _compare(value, op, literal)
        case TextCheck(test=text_test, text=text):
            return _TEXT_TESTS[text_test](value, text) if isinstance(value, str) else None
        case ArrayContains(value=literal):
            if not isinstance(value, list):
                return None
            return any(_compare(item, Comparator.EQ, literal) is True for item in value)


def _by_kind(literals: tuple[Scalar, ...]) -> dict[str, frozenset[Any]]:
    kinds = {_kind(literal) for literal in literals}
    return {k: frozenset(_ordered(v) for v in literals if _kind(v) == k) for k in kinds}


def _is_among(value: Any, literals: Mapping[str, frozenset[Any]]) -> bool | None:
    """Return what the OR of comparing a value with each literal would be."""
    alike = literals.get(_kind(value), frozenset())
    if alike and _ordered(value) in alike:
        return True
    return False if alike and len(literals) == 1 else None


def _compare(value: Any, op: Comparator, literal: Scalar) -> bool | None:
    """Compare values of one type; None for values of different types, which have no order."""
    if _kind(value) != _kind(literal):
        return None
    return _OPERATORS[op](_ordered(value), _ordered(literal))


def _ordered(value: Any) -> Any:
    if isinstance(value, int):  # false < true; an integer beyond 64 bits is a double
        return value if INTEGER_MIN <= value <= INTEGER_MAX else float(str(value))
    return 0 if value is None else value


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return "absent"


_OPERATORS: Final[Mapping[Comparator, Callable[[Any, Any], bool]]] = {
    Comparator.EQ: operator.eq,
    Comparator.NE: operator.ne,
    Comparator.LT: operator.lt,
    Comparator.LE: operator.le,
    Comparator.GT: operator.gt,
    Comparator.GE: operator.ge,
}
_TEXT_TESTS: Final[Mapping[TextTest, Callable[[str, str], bool]]] = {
    TextTest.STARTSWITH: str.startswith,
    TextTest.ENDSWITH: str.endswith,
    TextTest.CONTAINS: str.__contains__,
}
_PRIMITIVES = frozenset(("null", "boolean", "number", "string"))
_KINDS: Final[Mapping[TypeTest, frozenset[str]]] = {
    TypeTest.IS_DEFINED: _PRIMITIVES | {"object", "array"},
    TypeTest.IS_NULL: frozenset(("null",)),
    TypeTest.IS_BOOL: frozenset(("boolean",)),
    TypeTest.IS_NUMBER: frozenset(("number",)),
    TypeTest.IS_STRING: frozenset(("string",)),
    TypeTest.IS_OBJECT: frozenset(("object",)),
    TypeTest.IS_PRIMITIVE: _PRIMITIVES,
}
