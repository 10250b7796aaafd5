"""MATCH to SQL: a chain of common table expressions, one for each relationship of the pattern.

Each ``w`` holds the paths found so far: the twin at every node reached, its id (``n0``, ...) and
its key (``p0``, ...), and the key of the edge of every segment of one hop (``e0``, ...). A segment
of several hops walks in a recursive expression ``h`` of its own and notes the keys of its edges as
text (``used``: ``/3/17/``). No path uses an edge twice, so each new edge is compared with those
before it, unless their names say that they differ. The walk starts at the node whose ``$dtId`` is
fixed to the fewest, wherever it stands in the pattern, and goes right from there, then left; CROSS
JOIN keeps SQLite to that order, and rows come in it, so that a page ends the walk as soon as it is
full. Work grows with the number of paths, as the pattern asks; whoever runs the statement bounds
its time.
"""

# ruff: noqa: S608 - only marks, numbers and this module's own words are put into SQL

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sync_agent.query.tree import Direction, Match, Segment

_FLIPPED = {Direction.OUT: Direction.IN, Direction.IN: Direction.OUT}


@dataclass(frozen=True, slots=True)
class From:
    """What a statement reads from.

    ``head`` is its WITH clause or '', ``text`` stands behind FROM, ``parameters`` are those of both
    in order. ``tables`` maps a name of the query to its table's name in SQL. ``order`` are the
    columns that put the rows in a fixed order, where they do not come in one. ``keys`` are the keys
    of tables' rows and ``ids`` the ids of twins, by table, where they are known without it, and
    ``joins`` what brings such a table in when it is needed. ``width`` counts the tables ``text``
    comes down to.
    """

    head: str
    text: str
    parameters: tuple[Any, ...]
    tables: Mapping[str, str]
    order: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    joins: Mapping[str, str] = field(default_factory=dict)
    width: int = 1


@dataclass(frozen=True, slots=True)
class _Step:
    """A segment as it is walked: ``number`` is its own, ``start`` and ``end`` are nodes'."""

    start: int
    end: int
    number: int
    segment: Segment


@dataclass(slots=True)
class _Walk:
    """What is known of a path so far: its columns, and which edges it has used."""

    columns: list[str]
    singles: list[tuple[int, frozenset[str]]] = field(default_factory=list)
    walked: bool = False

    def take(self, step: _Step) -> None:
        """Go on over a segment."""
        self.columns += [f"n{step.end}", f"p{step.end}"]
        if step.segment.hops_max == 1:
            self.columns.append(f"e{step.number}")
            self.singles.append((step.number, frozenset(step.segment.names)))
        else:
            self.walked = True

    def fresh(self, segment: Segment, *, walks: bool = False) -> str:
        """Return the conditions that the edge ``r`` is on no path ``w`` already."""
        names = frozenset(segment.names)
        alike = [n for n, other in self.singles if not (names and other and not names & other)]
        conditions = "".join(f" AND r.pk <> w.e{number}" for number in alike)
        return conditions + (_UNUSED if walks or self.walked else "")


def from_match(match: Match, anchors: Mapping[str, frozenset[str]]) -> From:
    """Return what a MATCH reads from; ``anchors`` are the ids that fixed twins can have."""
    fixed = (i for i, node in enumerate(match.nodes) if node in anchors)
    first = min(fixed, key=lambda i: len(anchors[match.nodes[i]]), default=0)
    starts = anchors.get(match.nodes[first])
    parameters: list[Any] = sorted(starts) if starts is not None else []
    among = f" WHERE t.id IN ({_marks(len(parameters))})" if starts is not None else ""
    parts = [f"w0(n{first}, p{first}) AS (SELECT t.id, t.pk FROM twins AS t{among})"]
    walk = _Walk([f"n{first}", f"p{first}"])
    for number, step in enumerate(_steps(match, first)):
        parts += _expressions(number, step, walk, _met_before(match, step, walk.columns))
        parameters += step.segment.names
        walk.take(step)
    tables: dict[str, str] = {}
    keys: dict[str, str] = {}
    ids: dict[str, str] = {}
    joins: dict[str, str] = {}
    for i, node in enumerate(match.nodes):
        if node and node not in tables:
            tables[node] = f"t{i}"
            keys[f"t{i}"] = f"w.p{i}"
            ids[f"t{i}"] = f"w.n{i}"
            joins[f"t{i}"] = f" CROSS JOIN twins AS t{i} ON t{i}.pk = w.p{i}"
    for i, segment in enumerate(match.segments):
        if segment.alias:
            tables[segment.alias] = f"r{i}"
            keys[f"r{i}"] = f"w.e{i}"
            joins[f"r{i}"] = f" CROSS JOIN relationships AS r{i} ON r{i}.pk = w.e{i}"
    head = f"WITH RECURSIVE {', '.join(parts)} "
    text = f"w{len(match.segments)} AS w"
    width = 1 + 2 * len(match.segments)
    return From(head, text, tuple(parameters), tables, (), keys, ids, joins, width)


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


def _expressions(number: int, step: _Step, walk: _Walk, met: str | None) -> Iterator[str]:
    """Yield the expressions that lead from ``w<number>`` to the next."""
    segment = step.segment
    names = ", ".join(walk.columns)
    kept = "".join(f"w.{column}, " for column in walk.columns)
    if segment.hops_max == 1:
        near, far = _ends(segment.direction, f"w.n{step.start}")
        again = f" AND {far} = w.{met}" if met else ""
        used, used_name = (", w.used", ", used") if walk.walked else ("", "")
        yield (
            f"w{number + 1}({names}, n{step.end}, p{step.end}, e{step.number}{used_name}) AS ("
            f"SELECT {kept}t.id, t.pk, r.pk{used} FROM w{number} AS w"
            f" CROSS JOIN {_edge(segment, near)}{walk.fresh(segment)}{again}"
            f" CROSS JOIN twins AS t ON t.id = {far})"
        )
        return
    near, far = _ends(segment.direction, "w.here")
    before = "w.used" if walk.walked else "'/'"
    yield (
        f"h{number}({names}, here, at, hop, used) AS ("
        f"SELECT {kept}w.n{step.start}, w.p{step.start}, 0, {before} FROM w{number} AS w UNION ALL"
        f" SELECT {kept}t.id, t.pk, w.hop + 1, w.used || r.pk || '/' FROM h{number} AS w"
        f" CROSS JOIN {_edge(segment, near)}{walk.fresh(segment, walks=True)}"
        f" CROSS JOIN twins AS t ON t.id = {far} WHERE w.hop < {segment.hops_max})"
    )
    again = f" AND w.here = w.{met}" if met else ""
    yield (
        f"w{number + 1}({names}, n{step.end}, p{step.end}, used) AS ("
        f"SELECT {kept}w.here, w.at, w.used FROM h{number} AS w"
        f" WHERE w.hop >= {segment.hops_min}{again})"
    )


_UNUSED = " AND instr(w.used, '/' || r.pk || '/') = 0"


def _edge(segment: Segment, near: str) -> str:
    names = f" AND r.name IN ({_marks(len(segment.names))})" if segment.names else ""
    return f"relationships AS r ON {near}{names}"


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
