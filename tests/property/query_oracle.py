"""A third reading of the query language, written from its documentation and from nothing else.

Nothing is walked here. A MATCH is every sequence of distinct relationships, each taken from either
end, that fits the pattern; a JOIN is every choice of one relationship for each JOIN; a condition is
looked up in truth tables. That is far too slow for use and has no design in common with the
executors, so what all three agree on is hardly one misunderstanding made three times.

A condition is a tuple: ``("=", path, literal)`` and the other comparators, ``("IN", path,
literals)``, ``("NIN", ...)``, ``(function, path)``, ``(function, path, literal)``,
``("IS_OF_MODEL", name, model, exact)``, ``("NOT", c)``, ``("AND", c, c)``, ``("OR", c, c)``. A path
starts with a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, permutations, product
from typing import Any

Document = dict[str, Any]
Binding = dict[str, Document]
Condition = tuple[Any, ...]

# What a twin of a model (first) is of, versions and inheritance told by hand.
OF_MODEL = {
    "dtmi:a:Base;1": {"dtmi:a:Base;1"},
    "dtmi:a:Base;2": {"dtmi:a:Base;1", "dtmi:a:Base;2"},
    "dtmi:a:Leaf;1": {"dtmi:a:Base;1", "dtmi:a:Base;2", "dtmi:a:Leaf;1"},
}
TYPES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}
KINDS = {
    "IS_BOOL": "boolean",
    "IS_NULL": "null",
    "IS_NUMBER": "number",
    "IS_OBJECT": "object",
    "IS_STRING": "string",
}
PRIMITIVE = ("string", "boolean", "number", "null")
TRUE, FALSE, UNDEFINED = "true", "false", "undefined"
NOT = {TRUE: FALSE, FALSE: TRUE, UNDEFINED: UNDEFINED}
# The table of Cosmos DB, which works below the service.
AND = {
    (TRUE, TRUE): TRUE,
    (TRUE, FALSE): FALSE,
    (TRUE, UNDEFINED): UNDEFINED,
    (FALSE, TRUE): FALSE,
    (FALSE, FALSE): FALSE,
    (FALSE, UNDEFINED): FALSE,
    (UNDEFINED, TRUE): UNDEFINED,
    (UNDEFINED, FALSE): FALSE,
    (UNDEFINED, UNDEFINED): UNDEFINED,
}
ORDERS = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
RELATIONS = ("n", "m")


@dataclass(frozen=True)
class Part:
    """A relationship of a pattern: ``->``, ``<-`` or ``-``, and the hops it may have."""

    direction: str
    variable: str = ""
    names: tuple[str, ...] = ()
    hops: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Pattern:
    """Node, part, node, part, ..., node; an anonymous node is ''."""

    nodes: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Related:
    """``JOIN target RELATED source.name variable``."""

    target: str
    source: str
    name: str
    variable: str = ""


def matched(
    pattern: Pattern, twins: Sequence[Document], edges: Sequence[Document]
) -> Iterator[Binding]:
    """Yield what each path that fits a pattern binds its names to."""
    by_id = {twin["$dtId"]: twin for twin in twins}
    for lengths in product(*(part.hops for part in pattern.parts)):
        hops = [part for part, n in zip(pattern.parts, lengths, strict=True) for _ in range(n)]
        for path in permutations(edges, len(hops)):
            for stops in _stops(path, hops, by_id):
                places = [0, *accumulate(lengths)]
                bound = _bound(pattern, [by_id[stops[place]] for place in places])
                if bound is not None:
                    for part, place in zip(pattern.parts, places[1:], strict=True):
                        if part.variable:
                            bound[part.variable] = path[place - 1]
                    yield bound


def _stops(
    path: Sequence[Document], hops: Sequence[Part], by_id: dict[str, Document]
) -> Iterator[tuple[str, ...]]:
    """Yield the twins a sequence of relationships leads over, for each way to hold it together."""
    if not path:
        yield from ((twin_id,) for twin_id in by_id)
        return
    ways = []
    for edge, part in zip(path, hops, strict=True):
        out, back = (edge["$sourceId"], edge["$targetId"]), (edge["$targetId"], edge["$sourceId"])
        allowed = {"->": {out}, "<-": {back}, "-": {out, back}}[part.direction]
        ways.append(allowed if edge["$relationshipName"] in (part.names or RELATIONS) else set())
    for steps in product(*ways):
        stops = (steps[0][0], *(end for _, end in steps))
        if all(one[1] == next_[0] for one, next_ in pairwise(steps)) and by_id.keys() >= {*stops}:
            yield stops


def _bound(pattern: Pattern, twins: Sequence[Document]) -> Binding | None:
    bound: Binding = {}
    for name, twin in zip(pattern.nodes, twins, strict=True):
        if name and bound.setdefault(name, twin) != twin:
            return None
    return bound


def joined(
    first: str, joins: Sequence[Related], twins: Sequence[Document], edges: Sequence[Document]
) -> Iterator[Binding]:
    """Yield what FROM and its JOINs bind names to."""
    by_id = {twin["$dtId"]: twin for twin in twins}
    for twin in twins:
        for choice in product(edges, repeat=len(joins)):
            bound: Binding = {first: twin}
            for join, edge in zip(joins, choice, strict=True):
                fits = (edge["$sourceId"], edge["$relationshipName"]) == (
                    bound[join.source]["$dtId"],
                    join.name,
                )
                if not fits or edge["$targetId"] not in by_id:
                    break
                bound[join.target] = by_id[edge["$targetId"]]
                if join.variable:
                    bound[join.variable] = edge
            else:
                yield bound


def truth(condition: Condition, bound: Binding) -> str:
    """Return whether a condition is true, false or undefined."""
    match condition:
        case ("NOT", inner):
            return NOT[truth(inner, bound)]
        case ("AND", left, right):
            return AND[truth(left, bound), truth(right, bound)]
        case ("OR", left, right):  # De Morgan
            return NOT[AND[NOT[truth(left, bound)], NOT[truth(right, bound)]]]
        case ("IN", path, literals):
            answers = [truth(("=", path, literal), bound) for literal in literals]
            return TRUE if TRUE in answers else UNDEFINED if UNDEFINED in answers else FALSE
        case ("NIN", path, literals):
            return NOT[truth(("IN", path, literals), bound)]
        case ("IS_OF_MODEL", name, model, exact):
            own = bound[name]["$metadata"]["$model"]
            return said(model == own if exact else model in OF_MODEL.get(own, {own}))
        case (function, path):
            return said(_is(function, kind_at(path, bound)))
        case (function, path, argument):
            kind = kind_at(path, bound)
            if kind != ("array" if function == "ARRAY_CONTAINS" else TYPES[type(argument)]):
                return UNDEFINED
            return said(_holds(function, value_at(path, bound), argument))
    raise AssertionError(condition)


def _is(function: str, kind: str) -> bool:
    if function == "IS_DEFINED":
        return kind != UNDEFINED
    return kind in PRIMITIVE if function == "IS_PRIMITIVE" else kind == KINDS[function]


def _holds(function: str, value: Any, argument: Any) -> bool:
    """Tell what a comparator or function says of a value that is of the type it asks for."""
    if function == "ARRAY_CONTAINS":
        return any(TYPES[type(i)] == TYPES[type(argument)] and i == argument for i in value)
    if function in ORDERS:
        order = "=" if value == argument else "<" if value < argument else ">"
        return order in ORDERS[function]
    size = len(argument)
    places = [i for i in range(len(value) + 1) if value[i : i + size] == argument]
    sought = {"STARTSWITH": [0], "ENDSWITH": [len(value) - size]}.get(function, places)
    return any(place in places for place in sought)


def value_at(path: Sequence[str], bound: Binding) -> Any:
    value: Any = bound[path[0]]
    for segment in path[1:]:
        value = value[segment]
    return value


def kind_at(path: Sequence[str], bound: Binding) -> str:
    try:
        return TYPES[type(value_at(path, bound))]
    except (KeyError, TypeError, IndexError):
        return UNDEFINED


def said(holds: bool) -> str:
    return TRUE if holds else FALSE
