"""MATCH to SQL: a chain of common table expressions, one for each relationship of the pattern.

Each ``w`` holds the paths found so far: the twin at every node reached (``n0``, ``n1``, ...), the
edge of every segment that has a name (``e0``, ...), and ``used``, the keys of all edges on the path
as text (``/3/17/``), since no path uses an edge twice. A segment of several hops walks in a
recursive expression ``h`` of its own. The walk starts at a node whose ``$dtId`` is fixed, wherever
it stands in the pattern, and goes right from there, then left; CROSS JOIN keeps SQLite to that
order. Work grows with the number of paths, as the pattern asks; whoever runs the statement bounds
its time.
"""

# ruff: noqa: S608 - only marks, numbers and this module's own words are put into SQL

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sync_agent.query.tree import Direction, Match, Segment

_FLIPPED = {Direction.OUT: Direction.IN, Direction.IN: Direction.OUT}


@dataclass(frozen=True, slots=True)
class From:
    """What a statement reads from.

    ``head`` is its WITH clause or '', ``text`` stands behind FROM, ``parameters`` are those of both
    in order. ``tables`` maps a name of the query to its table's name in SQL. ``order`` are the
    columns that put the rows in a fixed order.
    """

    head: str
    text: str
    parameters: tuple[Any, ...]
    tables: Mapping[str, str]
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """A segment as it is walked: ``number`` is its own, ``start`` and ``end`` are nodes'."""

    start: int
    end: int
    number: int
    segment: Segment


def from_match(match: Match, anchors: Mapping[str, frozenset[str]]) -> From:
    """Return what a MATCH reads from; ``anchors`` are the ids that fixed twins can have."""
    fixed = (i for i, node in enumerate(match.nodes) if node in anchors)
    first = next(fixed, 0)
    ids = anchors.get(match.nodes[first])
    parameters: list[Any] = sorted(ids) if ids is not None else []
    among = f" WHERE t.id IN ({_marks(len(parameters))})" if ids is not None else ""
    parts = [f"w0(n{first}, used) AS (SELECT t.id, '/' FROM twins AS t{among})"]
    columns = [f"n{first}"]
    for number, step in enumerate(_steps(match, first)):
        parts += _expressions(number, step, tuple(columns), _met_before(match, step, columns))
        parameters += step.segment.names
        columns.append(f"n{step.end}")
        if step.segment.alias:
            columns.append(f"e{step.number}")
    text, tables, order = f"w{len(match.segments)} AS w", {}, []
    for i, node in enumerate(match.nodes):
        if node and node not in tables:
            tables[node] = f"t{i}"
            text += f" CROSS JOIN twins AS t{i} ON t{i}.id = w.n{i}"
            order.append(f"t{i}.pk")
    for i, segment in enumerate(match.segments):
        if segment.alias:
            tables[segment.alias] = f"r{i}"
            text += f" CROSS JOIN relationships AS r{i} ON r{i}.pk = w.e{i}"
    head = f"WITH RECURSIVE {', '.join(parts)} "
    return From(head, text, tuple(parameters), tables, (*order, "w.used"))


def _steps(match: Match, first: int) -> Iterator[_Step]:
    for i in range(first, len(match.segments)):
        yield _Step(i, i + 1, i, match.segments[i])
    for i in reversed(range(first)):
        segment = match.segments[i]
        flipped = _FLIPPED.get(segment.direction, segment.direction)
        yield _Step(i + 1, i, i, replace(segment, direction=flipped))


def _met_before(match: Match, step: _Step, columns: list[str]) -> str | None:
    """Return the column of a node of the same name that the walk has reached already."""
    name = match.nodes[step.end]
    same = (f"n{i}" for i, node in enumerate(match.nodes) if node and node == name)
    return next((column for column in same if column in columns), None)


def _expressions(
    number: int, step: _Step, columns: tuple[str, ...], met: str | None
) -> Iterator[str]:
    """Yield the expressions that lead from ``w<number>`` to the next."""
    segment = step.segment
    kept = "".join(f"w.{column}, " for column in columns)
    if segment.hops_max == 1:
        edge, edge_column = ("r.pk, ", f"e{step.number}, ") if segment.alias else ("", "")
        near, far = _ends(segment.direction, f"w.n{step.start}")
        again = f" AND {far} = w.{met}" if met else ""
        yield (
            f"w{number + 1}({', '.join(columns)}, n{step.end}, {edge_column}used) AS ("
            f"SELECT {kept}t.id, {edge}{_USED} FROM w{number} AS w"
            f" CROSS JOIN {_edge(segment, near)}{again} CROSS JOIN twins AS t ON t.id = {far})"
        )
        return
    near, far = _ends(segment.direction, "w.here")
    yield (
        f"h{number}({', '.join(columns)}, here, hop, used) AS ("
        f"SELECT {kept}w.n{step.start}, 0, w.used FROM w{number} AS w UNION ALL"
        f" SELECT {kept}t.id, w.hop + 1, {_USED} FROM h{number} AS w"
        f" CROSS JOIN {_edge(segment, near)} CROSS JOIN twins AS t ON t.id = {far}"
        f" WHERE w.hop < {segment.hops_max})"
    )
    again = f" AND w.here = w.{met}" if met else ""
    yield (
        f"w{number + 1}({', '.join(columns)}, n{step.end}, used) AS ("
        f"SELECT {kept}w.here, w.used FROM h{number} AS w"
        f" WHERE w.hop >= {segment.hops_min}{again})"
    )


_USED = "w.used || r.pk || '/'"


def _edge(segment: Segment, near: str) -> str:
    names = f" AND r.name IN ({_marks(len(segment.names))})" if segment.names else ""
    return f"relationships AS r ON {near}{names} AND instr(w.used, '/' || r.pk || '/') = 0"


def _ends(direction: Direction, here: str) -> tuple[str, str]:
    """Return the condition of an edge at ``here`` and the expression of its far end."""
    match direction:
        case Direction.OUT:
            return f"r.source = {here}", "r.target"
        case Direction.IN:
            return f"r.target = {here}", "r.source"
        case Direction.EITHER:
            far = f"CASE WHEN r.source = {here} THEN r.target ELSE r.source END"
            return f"(r.source = {here} OR r.target = {here})", far


def _marks(count: int) -> str:
    return ", ".join("?" * count)
