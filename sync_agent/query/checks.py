"""What a query that parses may still not do: limits, names, and searches nobody can bound.

A query that follows relationships must be anchored: every way of making its WHERE true has to name
some twin by ``$dtId``, with ``=`` or IN. The service only says that such a condition must be there;
this reading is the one that keeps a search bounded, and a query that passes it passes there too.
The length of an IN list is not limited: the service's pages disagree about the number, and Azure
Digital Twins Explorer sends a hundred ids and more. Source: Azure Digital Twins, service limits,
and the reference pages of JOIN and MATCH.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sync_agent.errors import QueryError
from sync_agent.query.tree import (
    And,
    ArrayContains,
    Collection,
    Comparator,
    Comparison,
    Condition,
    Everything,
    Membership,
    Not,
    OfModel,
    Or,
    Path,
    Predicate,
    Query,
    Scalar,
)

JOINS_MAX = 5
OPERATORS_MAX = 50
PATTERN_MAX = 30
"""Relationships of a pattern; the service documents no bound, and none is needed that long."""


def check(query: Query) -> None:
    """Refuse a query the service would refuse.

    Raises:
        QueryError: it exceeds a limit, uses a name wrongly, or leaves a graph search open.
    """
    follows = bool(query.joins) or query.match is not None
    if follows and query.collection is Collection.RELATIONSHIPS:
        raise QueryError("JOIN and MATCH start from DIGITALTWINS, not from RELATIONSHIPS")
    if follows and isinstance(query.projection, Everything):
        raise QueryError(
            "SELECT * is not allowed with JOIN or MATCH",
            remedy="name the twins or properties to select, such as SELECT A, B.name",
        )
    _check_limits(query)
    _check_introductions(query)
    _check_uses(query, qualified=follows)
    if follows and not _is_anchored(query.where, query):
        raise QueryError(
            "a query with JOIN or MATCH must name a twin in its WHERE clause by $dtId, with = or"
            " IN, whatever else the clause allows",
            remedy=f"add a condition such as AND {query.twin_aliases[0]}.$dtId = 'id'"
            if query.twin_aliases
            else "give one of the twins a name, and fix its $dtId",
        )


def anchors(query: Query) -> dict[str, frozenset[str]]:
    """Return, by twin name, the only ids its ``$dtId`` can have in a row.

    A twin that not every way of meeting WHERE fixes is not there; the only collection stands under
    its alias, or ''.
    """
    return _allowed(query.where, query)


def predicates(condition: Condition | None) -> Iterator[Predicate]:
    """Yield every predicate of a condition, from left to right."""
    match condition:
        case None:
            return
        case Not(operand=operand):
            yield from predicates(operand)
        case And(operands=operands) | Or(operands=operands):
            for operand in operands:
                yield from predicates(operand)
        case _:
            yield condition


def _is_anchored(condition: Condition | None, query: Query) -> bool:
    match condition:
        case And(operands=operands):
            return any(_is_anchored(operand, query) for operand in operands)
        case Or(operands=operands):
            return all(_is_anchored(operand, query) for operand in operands)
        case _:
            return _fixed(condition, query) is not None


def _allowed(condition: Condition | None, query: Query) -> dict[str, frozenset[str]]:
    match condition:
        case And(operands=operands):
            both: dict[str, frozenset[str]] = {}
            for operand in operands:
                for alias, ids in _allowed(operand, query).items():
                    both[alias] = both.get(alias, ids) & ids
            return both
        case Or(operands=operands):
            each = [_allowed(operand, query) for operand in operands]
            shared = set(each[0]).intersection(*each)
            return {alias: frozenset().union(*(a[alias] for a in each)) for alias in shared}
        case _:
            fixed = _fixed(condition, query)
            return {} if fixed is None else dict([fixed])


def _fixed(condition: Condition | None, query: Query) -> tuple[str, frozenset[str]] | None:
    """Return the twin a predicate fixes and the ids it allows, None when it fixes none."""
    values: tuple[Scalar, ...]
    match condition:
        case Comparison(path=path, op=Comparator.EQ, value=value):
            values = (value,)
        case Membership(path=path, values=values, negated=False):
            pass
        case _:
            return None
    alias, segments = query.resolve(path)
    if query.is_edge(alias) or segments != ("$dtId",):
        return None
    return alias, frozenset(value for value in values if isinstance(value, str))


def _check_limits(query: Query) -> None:
    if len(query.joins) > JOINS_MAX:
        raise QueryError(f"{len(query.joins)} JOINs, the most is {JOINS_MAX}")
    operators = sum(1 for _ in predicates(query.where)) - 1
    if operators > OPERATORS_MAX:
        raise QueryError(
            f"{operators} AND and OR, the most is {OPERATORS_MAX}",
            remedy="use IN for several values of one property, or several queries",
        )
    segments = query.match.segments if query.match else ()
    if len(segments) > PATTERN_MAX:
        raise QueryError(
            f"{len(segments)} relationships in a pattern, the most is {PATTERN_MAX}",
            remedy="ask for several hops at once, such as -[:name*..5]->",
        )
    for segment in segments:
        if segment.alias and segment.hops_max > 1:
            raise QueryError(
                f"{segment.alias!r} stands for one relationship and cannot be used with several"
                " hops"
            )


def _check_introductions(query: Query) -> None:
    """Check that each name is introduced once, and before JOIN starts from it."""
    known = {query.alias} - {""}
    for join in query.joins:
        if join.source not in known:
            raise QueryError(f"JOIN starts from {join.source!r}, which is no twin named before it")
        known.add(join.target)
    names = Counter(query.aliases)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise QueryError(f"the name {twice!r} is introduced twice")


def _check_uses(query: Query, *, qualified: bool) -> None:
    """Check the paths of a query; ``qualified`` ones must start with a name it introduces."""
    if isinstance(query.projection, tuple) and qualified:
        for item in query.projection:
            _check_qualified(item.path, query)
    for predicate in predicates(query.where):
        if isinstance(predicate, OfModel):
            _check_of_model(predicate, query)
            continue
        if qualified:
            _check_qualified(predicate.path, query)
        if isinstance(predicate, ArrayContains) and query.is_edge(query.resolve(predicate.path)[0]):
            raise QueryError("ARRAY_CONTAINS cannot be used on properties of relationships")


def _check_of_model(predicate: OfModel, query: Query) -> None:
    if query.collection is Collection.RELATIONSHIPS:
        raise QueryError("IS_OF_MODEL is a question about twins, not about RELATIONSHIPS")
    if predicate.alias and predicate.alias not in query.twin_aliases:
        raise QueryError(f"IS_OF_MODEL names {predicate.alias!r}, which is no twin of this query")
    if not predicate.alias and len(query.twin_aliases) > 1:
        raise QueryError(
            "IS_OF_MODEL must name the twin it means",
            remedy=f"write IS_OF_MODEL({query.twin_aliases[0]}, {predicate.model!r})",
        )


def _check_qualified(path: Path, query: Query) -> None:
    if path.segments[0] not in query.aliases:
        raise QueryError(
            f"{'.'.join(path.segments)!r} must start with a name this query introduces:"
            f" {', '.join(query.aliases)}"
        )
