"""What a query that parses may still not do: limits, names, and where ``$dtId`` must be fixed.

Source: Azure Digital Twins, "Query language: limits" and the reference pages of JOIN and MATCH. The length of
an IN list is not enforced: the service's pages disagree, and Explorer sends a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator

from sync_agent.errors import QueryError
from sync_agent.query.tree import (
    And,
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
    TextCheck,
)

JOINS_MAX = 5
OPERATORS_MAX = 50


def check(query: Query) -> None:
    """Refuse a query the service would refuse.

    Raises:
        QueryError: it exceeds a limit, uses a name it does not introduce, or leaves a graph search open.
    """
    _check_limits(query)
    _check_names(query)
    if query.joins or query.match is not None:
        if isinstance(query.projection, Everything):
            raise QueryError("SELECT * is not allowed with JOIN or MATCH; name what to select")
        if not _fixes_twin(query):
            raise QueryError(
                "a query with JOIN or MATCH must name a twin in its WHERE clause, by $dtId = or IN"
            )


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


def _check_limits(query: Query) -> None:
    if len(query.joins) > JOINS_MAX:
        raise QueryError(f"{len(query.joins)} JOINs, the most is {JOINS_MAX}")
    operators = len(list(predicates(query.where))) - 1
    if operators > OPERATORS_MAX:
        raise QueryError(f"{operators} AND and OR, the most is {OPERATORS_MAX}")
    if query.match is not None:
        for segment in query.match.segments:
            if segment.alias and segment.hops_max > 1:
                raise QueryError(
                    f"the variable {segment.alias!r} stands for one relationship; "
                    "it cannot be used with several hops"
                )


def _check_names(query: Query) -> None:
    known: list[str] = [query.alias] if query.alias and query.match is None else []
    for join in query.joins:
        if join.source not in known:
            raise QueryError(f"JOIN starts at {join.source!r}, which is not introduced before it")
        for name in (join.target, join.alias):
            if name and name in known:
                raise QueryError(f"the name {name!r} is introduced twice")
            if name == join.target or name:
                known.append(name)
    needs_alias = bool(query.joins) or query.match is not None
    aliases = query.aliases
    if not isinstance(query.projection, Everything) and isinstance(query.projection, tuple):
        for item in query.projection:
            _check_path(item.path, aliases, needs_alias=needs_alias)
    for predicate in predicates(query.where):
        if isinstance(predicate, OfModel):
            if predicate.alias and predicate.alias not in query.twin_aliases:
                raise QueryError(f"IS_OF_MODEL names {predicate.alias!r}, which is no twin here")
            if not predicate.alias and needs_alias and len(query.twin_aliases) != 1:
                raise QueryError("IS_OF_MODEL must name the twin it means")
        else:
            _check_path(predicate.path, aliases, needs_alias=needs_alias)


def _check_path(path: Path, aliases: tuple[str, ...], *, needs_alias: bool) -> None:
    if needs_alias and path.segments[0] not in aliases:
        raise QueryError(
            f"{'.'.join(path.segments)!r} must start with a name the query introduces"
            f" ({', '.join(aliases) or 'it introduces none'})"
        )


def _fixes_twin(query: Query) -> bool:
    for predicate in predicates(query.where):
        fixed = (
            isinstance(predicate, Membership)
            and not predicate.negated
            or isinstance(predicate, Comparison)
            and predicate.op is Comparator.EQ
        )
        if fixed and not isinstance(predicate, (OfModel, TextCheck)):
            segments = predicate.path.segments
            if len(segments) == 2 and segments[0] in query.twin_aliases and segments[1] == "$dtId":
                return True
    return False
