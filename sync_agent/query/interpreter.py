"""The reference executor: a query run over a graph in memory, written to be read.

It says what a query means; the SQLite lowering of the stub is compared with it. What-if asks its questions of an
overlay through it. Conditions have three values, as in the service's database: a predicate on a
property that is not there is undefined (None), NOT undefined is undefined, and a row stands only where the
condition is true. Cost: one pass over the collection, or over paths from the twins named by ``$dtId``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.query.tree import (
    And,
    ArrayContains,
    Collection,
    Comparator,
    Comparison,
    Condition,
    Count,
    Direction,
    Everything,
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
from sync_agent.twins.twin import Document

Binding: TypeAlias = Mapping[str, Document]
ABSENT: Any = object()


def run(query: Query, graph: TwinGraph, models: ModelRegistry) -> Iterator[Document]:
    """Yield the rows of a checked query, in the collection's order.

    Rows have the service's shapes: raw documents for ``*``, one key per projected item otherwise.
    """
    holds = (
        binding
        for binding in _bindings(query, graph)
        if query.where is None or _truth(query.where, binding, query, models) is True
    )
    if isinstance(query.projection, Count):
        yield {"COUNT": sum(1 for _ in holds)}
        return
    yield from islice((_row(query, binding) for binding in holds), query.top)


def _bindings(query: Query, graph: TwinGraph) -> Iterator[Binding]:
    """Yield what the names of the query stand for, one combination a row before WHERE."""
    if query.match is not None:
        yield from _matches(query, graph)
        return
    source = graph.twins() if query.collection is Collection.TWINS else graph.relationships()
    bindings: Iterator[Binding] = ({query.alias: document} for document in source)
    for join in query.joins:
        bindings = _joined(bindings, join.source, join.target, join.relationship, join.alias, graph)
    yield from bindings


def _joined(
    bindings: Iterator[Binding], source: str, target: str, name: str, alias: str, graph: TwinGraph
) -> Iterator[Binding]:
    for binding in bindings:
        for edge in graph.outgoing(binding[source]["$dtId"]):
            twin = graph.twin(edge["$targetId"])
            if edge["$relationshipName"] == name and twin is not None:
                more = {target: twin, alias: edge} if alias else {target: twin}
                yield {**binding, **more}


def _matches(query: Query, graph: TwinGraph) -> Iterator[Binding]:
    match = query.match
    if match is None:
        return

    def extend(position: int, twin: Document, binding: Binding, used: frozenset[Any]) -> Iterator[Binding]:
        if position == len(match.segments):
            yield binding
            return
        segment, node = match.segments[position], match.nodes[position + 1]
        for reached, edge, now_used in _hops(segment, twin, graph, used):
            if node and node in binding and binding[node]["$dtId"] != reached["$dtId"]:
                continue
            more: dict[str, Document] = {node: reached} if node else {}
            if segment.alias:
                more[segment.alias] = edge
            yield from extend(position + 1, reached, {**binding, **more}, now_used)

    for twin in graph.twins():
        first = {match.nodes[0]: twin} if match.nodes[0] else {}
        yield from extend(0, twin, first, frozenset())


def _hops(
    segment: Segment, start: Document, graph: TwinGraph, used: frozenset[Any]
) -> Iterator[tuple[Document, Document, frozenset[Any]]]:
    """Yield where a segment can lead: twin, last edge, edges used. No edge is used twice in a path."""
    frontier: list[tuple[Document, Document, frozenset[Any]]] = [(start, {}, used)]
    for hop in range(1, segment.hops_max + 1):
        frontier = [
            (twin, edge, spent | {_key(edge)})
            for at, _, spent in frontier
            for twin, edge in _neighbours(segment, at, graph)
            if _key(edge) not in spent
        ]
        if hop >= segment.hops_min:
            yield from frontier


def _neighbours(
    segment: Segment, twin: Document, graph: TwinGraph
) -> Iterator[tuple[Document, Document]]:
    edges: list[tuple[Document, str]] = []
    if segment.direction is not Direction.IN:
        edges += [(edge, edge["$targetId"]) for edge in graph.outgoing(twin["$dtId"])]
    if segment.direction is not Direction.OUT:
        edges += [
            (edge, edge["$sourceId"])
            for edge in graph.incoming(twin["$dtId"])
            if segment.direction is Direction.IN or edge["$sourceId"] != edge["$targetId"]
        ]
    for edge, far_id in edges:
        far = graph.twin(far_id)
        if far is not None and (not segment.names or edge["$relationshipName"] in segment.names):
            yield far, edge


def _key(edge: Document) -> tuple[str, str]:
    return (edge["$sourceId"], edge["$relationshipId"])


# -- conditions ------------------------------------------------------------------------------------


def _truth(
    condition: Condition, binding: Binding, query: Query, models: ModelRegistry
) -> bool | None:
    match condition:
        case And(operands=operands):
            truths = [_truth(operand, binding, query, models) for operand in operands]
            return False if False in truths else None if None in truths else True
        case Or(operands=operands):
            truths = [_truth(operand, binding, query, models) for operand in operands]
            return True if True in truths else None if None in truths else False
        case Not(operand=operand):
            truth = _truth(operand, binding, query, models)
            return None if truth is None else not truth
        case OfModel(model=model, alias=alias, exact=exact):
            name = alias or next(iter(query.twin_aliases), query.alias)
            of = binding[name].get("$metadata", {}).get("$model", "")
            return models.is_of_model(of, model, exact=exact)
        case TypeCheck(test=test, path=path):
            return _TYPE_TESTS[test](_value(path, binding, query))
    value = _value(condition.path, binding, query)
    if value is ABSENT:
        return None
    match condition:
        case Comparison(op=op, value=literal):
            return _compare(value, op, literal)
        case Membership(values=literals, negated=negated):
            found = any(_equal(value, literal) for literal in literals)
            return found is not negated
        case TextCheck(test=test, text=text):
            return _TEXT_TESTS[test](value, text) if isinstance(value, str) else None
        case ArrayContains(value=literal):
            return (
                any(_equal(item, literal) for item in value) if isinstance(value, list) else None
            )


def _value(path: Path, binding: Binding, query: Query) -> Any:
    """Return what a path leads to, ABSENT where it leads nowhere."""
    first, *rest = path.segments
    if first in binding and (first != "" and first in query.aliases):
        value: Any = binding[first]
        segments = rest
    else:
        value = next(iter(binding.values()))
        segments = list(path.segments)
    for segment in segments:
        if not isinstance(value, dict) or segment not in value:
            return ABSENT
        value = value[segment]
    return value


def _compare(value: Any, op: Comparator, literal: Scalar) -> bool | None:
    if op is Comparator.EQ:
        return _equal(value, literal)
    if op is Comparator.NE:
        return not _equal(value, literal)
    if _kind(value) != _kind(literal) or _kind(value) not in ("number", "string"):
        return None  # values of different types have no order
    order = _ORDERS[op]
    return order(value, literal)


def _equal(value: Any, literal: Scalar) -> bool:
    return _kind(value) == _kind(literal) and value == literal


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
        case _:
            return "object" if isinstance(value, dict) else "array"


_ORDERS: Mapping[Comparator, Callable[[Any, Any], bool]] = {
    Comparator.LT: lambda a, b: a < b,
    Comparator.LE: lambda a, b: a <= b,
    Comparator.GT: lambda a, b: a > b,
    Comparator.GE: lambda a, b: a >= b,
}
_TEXT_TESTS: Mapping[TextTest, Callable[[str, str], bool]] = {
    TextTest.STARTSWITH: str.startswith,
    TextTest.ENDSWITH: str.endswith,
    TextTest.CONTAINS: str.__contains__,
}
_TYPE_TESTS: Mapping[TypeTest, Callable[[Any], bool]] = {
    TypeTest.IS_DEFINED: lambda value: value is not ABSENT,
    TypeTest.IS_NULL: lambda value: value is None,
    TypeTest.IS_BOOL: lambda value: isinstance(value, bool),
    TypeTest.IS_NUMBER: lambda value: value is not ABSENT and _kind(value) == "number",
    TypeTest.IS_STRING: lambda value: isinstance(value, str),
    TypeTest.IS_OBJECT: lambda value: isinstance(value, dict),
    TypeTest.IS_PRIMITIVE: lambda value: (
        value is not ABSENT and _kind(value) in ("null", "boolean", "number", "string")
    ),
}


# -- rows ------------------------------------------------------------------------------------------


def _row(query: Query, binding: Binding) -> Document:
    if isinstance(query.projection, Everything):
        return next(iter(binding.values()))
    row: Document = {}
    if isinstance(query.projection, tuple):
        for item in query.projection:
            value = _value(item.path, binding, query)
            if value is not ABSENT:
                row[item.name or item.path.segments[-1]] = value
    return row
