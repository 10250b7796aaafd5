"""Queries to SQL: the stub's fast executor, over documents kept as JSONB.

It must agree with ``query.interpreter``, which says what a query means; property tests compare the two. A
predicate becomes an expression that is 1, 0 or NULL (undefined), and SQL's three-valued AND, OR and NOT are
just those of the language. Paths to ids, names and models use the indexed columns. A MATCH with a range
of hops becomes one chain of joins for each number of hops, since no path uses an edge twice and ten
hops is the most.

Tables: ``twins(pk, id, model, document)``, ``relationships(pk, source, id, name, target, document)``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sync_agent.errors import QueryError
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
    Match,
    Membership,
    Not,
    OfModel,
    Or,
    Path,
    Query,
    Scalar,
    TextCheck,
    TextTest,
    TypeCheck,
    TypeTest,
)
from sync_agent.twins.twin import Document

CHAINS_MAX = 1_000
TABLES_MAX = 60  # SQLite joins at most 64

ModelsOf: TypeAlias = Callable[[str, bool], Sequence[str]]
"""Gives the ids of all models that are of a model (second argument: exactly)."""

_TWIN_COLUMNS = {("$dtId",): "id", ("$metadata", "$model"): "model"}
_EDGE_COLUMNS = {
    ("$relationshipId",): "id",
    ("$sourceId",): "source",
    ("$targetId",): "target",
    ("$relationshipName",): "name",
}


@dataclass(frozen=True, slots=True)
class Lowered:
    """SQL for one query: rows of JSON texts, one for each name in ``names``; a count for COUNT.

    ``row`` makes the service's row of one result row. With ``keyset`` the last column is the row's key and
    the first parameter the key to go on behind (0: from the start); append `` LIMIT ?`` to page.
    Otherwise append `` LIMIT ? OFFSET ?``.
    """

    sql: str
    parameters: tuple[Any, ...]
    row: Callable[[Sequence[Any]], Document]
    is_count: bool = False
    keyset: bool = False


def lower(query: Query, models_of: ModelsOf) -> Lowered:
    """Return the SQL of a checked query.

    Raises:
        QueryError: its MATCH has more chains or joins than SQLite can take.
    """
    chains = _chains(query)
    selects = [_select(query, chain, models_of) for chain in chains]
    sql = " UNION ALL ".join(text for text, _ in selects)
    parameters = tuple(itertools.chain.from_iterable(given for _, given in selects))
    if isinstance(query.projection, Count):
        total = f"SELECT sum(n) FROM ({sql})" if len(selects) > 1 else sql
        return Lowered(total, parameters, lambda row: {"COUNT": int(row[0])}, is_count=True)
    if len(selects) == 1:
        sql += " ORDER BY " + ", ".join(chains[0].order)
    names = _selected(query)
    return Lowered(sql, parameters, _shaper(query, names), keyset=_is_single(query))


@dataclass(frozen=True, slots=True)
class _Chain:
    """A FROM clause without ranges: what each name stands for, and the tables joined.

    ``tables`` maps a name of the query to its table's alias in SQL.
    """

    source: str
    parameters: tuple[Any, ...]
    tables: Mapping[str, str]
    conditions: tuple[str, ...]
    order: tuple[str, ...]


def _chains(query: Query) -> list[_Chain]:
    if query.match is not None:
        return _match_chains(query.match)
    table = "twins" if query.collection is Collection.TWINS else "relationships"
    source, order, parameters = f"{table} AS t0", ["t0.pk"], []
    tables = {query.alias: "t0"}
    for number, join in enumerate(query.joins, 1):
        edge, twin = f"r{number}", f"t{number}"
        source += (
            f" JOIN relationships AS {edge} ON {edge}.source = {tables[join.source]}.id"
            f" AND {edge}.name = ? JOIN twins AS {twin} ON {twin}.id = {edge}.target"
        )
        parameters.append(join.relationship)
        tables[join.target] = twin
        if join.alias:
            tables[join.alias] = edge
        order.append(f"{edge}.pk")
    return [_Chain(source, tuple(parameters), tables, (), tuple(order))]


def _match_chains(match: Match) -> list[_Chain]:
    ranges = [range(s.hops_min, s.hops_max + 1) for s in match.segments]
    counts = list(itertools.islice(itertools.product(*ranges), CHAINS_MAX + 1))
    if len(counts) > CHAINS_MAX or any(
        sum(hops) + len(match.nodes) > TABLES_MAX for hops in counts
    ):
        raise QueryError("this MATCH has too many combinations of hops for the stub")
    return [_match_chain(match, hops) for hops in counts]


def _match_chain(match: Match, hops: tuple[int, ...]) -> _Chain:
    source, parameters, conditions = "twins AS t0", [], []
    tables = {match.nodes[0]: "t0"} if match.nodes[0] else {}
    order, edges, here = ["t0.pk"], [], "t0.id"
    for number, (segment, count) in enumerate(zip(match.segments, hops, strict=True)):
        for hop in range(count):
            edge = f"r{number}_{hop}"
            start, far = _ends(segment.direction, edge, here)
            names = f" AND {edge}.name IN ({_marks(segment.names)})" if segment.names else ""
            apart = "".join(f" AND {edge}.pk <> {other}.pk" for other in edges)
            source += f" JOIN relationships AS {edge} ON {start}{names}{apart}"
            parameters += segment.names
            edges.append(edge)
            order.append(f"{edge}.pk")
            here = far
        twin, node = f"t{number + 1}", match.nodes[number + 1]
        source += f" JOIN twins AS {twin} ON {twin}.id = {here}"
        here = f"{twin}.id"
        if node and node in tables:
            conditions.append(f"{twin}.id = {tables[node]}.id")
        elif node:
            tables[node] = twin
        if segment.alias:
            tables[segment.alias] = f"r{number}_0"
    return _Chain(source, tuple(parameters), tables, tuple(conditions), tuple(order))


def _ends(direction: Direction, edge: str, here: str) -> tuple[str, str]:
    """Return the join condition of an edge at ``here`` and the expression of its far end."""
    if direction is Direction.OUT:
        return f"{edge}.source = {here}", f"{edge}.target"
    if direction is Direction.IN:
        return f"{edge}.target = {here}", f"{edge}.source"
    far = f"CASE WHEN {edge}.source = {here} THEN {edge}.target ELSE {edge}.source END"
    return f"({edge}.source = {here} OR {edge}.target = {here})", far


def _select(query: Query, chain: _Chain, models_of: ModelsOf) -> tuple[str, tuple[Any, ...]]:
    names = () if isinstance(query.projection, Count) else _selected(query)
    columns = ", ".join(f"json({chain.tables[name]}.document)" for name in names) or "count(*) AS n"
    writer = _Writer(query, chain, models_of)
    conditions = list(chain.conditions)
    if _is_single(query):
        columns += ", t0.pk"
        conditions.append("t0.pk > ?")
        writer.parameters.append(0)
    if query.where is not None:
        conditions.append(writer.condition(query.where))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {columns} FROM {chain.source}{where}",
        (*chain.parameters, *writer.parameters),
    )


def _is_single(query: Query) -> bool:
    """Tell whether each row is one document of one table, so that its key can mark a page."""
    return not query.joins and query.match is None and not isinstance(query.projection, Count)


def _selected(query: Query) -> tuple[str, ...]:
    """Return the names whose documents a row is made of."""
    if not isinstance(query.projection, tuple):
        return (query.alias,)
    first = [item.path.segments[0] for item in query.projection]
    names = [name if name in query.aliases else query.alias for name in first]
    return tuple(dict.fromkeys(names))


def _shaper(query: Query, names: tuple[str, ...]) -> Callable[[Sequence[Any]], Document]:
    projection = query.projection
    if isinstance(projection, Everything) or not isinstance(projection, tuple):
        return lambda row: json.loads(row[0])
    aliases = query.aliases

    def shape(row: Sequence[Any]) -> Document:
        documents = {name: json.loads(text) for name, text in zip(names, row, strict=False)}
        result: Document = {}
        for item in projection:
            first, *rest = item.path.segments
            value: Any = documents[first if first in aliases else query.alias]
            for segment in rest if first in aliases else item.path.segments:
                if not isinstance(value, dict) or segment not in value:
                    break
                value = value[segment]
            else:
                result[item.name or item.path.segments[-1]] = value
        return result

    return shape


class _Writer:
    """Writes conditions; ``parameters`` gather in the order their marks stand in the text."""

    def __init__(self, query: Query, chain: _Chain, models_of: ModelsOf) -> None:
        self._query = query
        self._tables = chain.tables
        self._models_of = models_of
        self.parameters: list[Any] = []

    def condition(self, condition: Condition) -> str:
        match condition:
            case And(operands=operands):
                return f"({' AND '.join(map(self.condition, operands))})"
            case Or(operands=operands):
                return f"({' OR '.join(map(self.condition, operands))})"
            case Not(operand=operand):
                return f"(NOT {self.condition(operand)})"
            case OfModel():
                return self._of_model(condition)
            case TypeCheck():
                return self._type_check(condition)
            case Comparison():
                return self._comparison(condition)
            case Membership():
                return self._membership(condition)
            case TextCheck():
                return self._text_check(condition)
            case ArrayContains():
                return self._array_contains(condition)

    def _of_model(self, test: OfModel) -> str:
        name = test.alias or next(iter(self._query.twin_aliases), self._query.alias)
        if self._query.collection is Collection.RELATIONSHIPS:
            return "0"
        ids = self._models_of(test.model, test.exact)
        self.parameters += ids
        return f"({self._tables[name]}.model IN ({_marks(ids)}))"

    def _place(self, path: Path) -> tuple[str, tuple[str, ...]]:
        """Return the table a path is in and the segments inside its document."""
        first, *rest = path.segments
        if first in self._query.aliases:
            return self._tables[first], tuple(rest)
        return self._tables[self._query.alias], path.segments

    def _column(self, path: Path) -> str | None:
        """Return the column a path stands in, None when it is only in the document."""
        table, segments = self._place(path)
        columns = _TWIN_COLUMNS if table.startswith("t") else _EDGE_COLUMNS
        if table == "t0" and self._query.collection is Collection.RELATIONSHIPS:
            columns = _EDGE_COLUMNS
        column = columns.get(segments)
        return f"{table}.{column}" if column else None

    def _type(self, path: Path) -> str:
        return f"json_type({self._arguments(path)})"

    def _value(self, path: Path) -> str:
        return f"json_extract({self._arguments(path)})"

    def _arguments(self, path: Path) -> str:
        table, segments = self._place(path)
        self.parameters.append(
            "$" + "".join(f".{json.dumps(s, ensure_ascii=False)}" for s in segments)
        )
        return f"{table}.document, ?"

    def _comparison(self, test: Comparison) -> str:
        if test.op is Comparator.EQ:
            return self._among(test.path, (test.value,))
        if test.op is Comparator.NE:
            return f"(NOT {self._among(test.path, (test.value,))})"
        types = _ORDERED.get(type(test.value))
        if types is None:
            return "NULL"
        kind = self._type(test.path)
        value = self._value(test.path)
        self.parameters.append(test.value)
        return f"(CASE WHEN {kind} IN ({types}) THEN {value} {test.op} ? END)"

    def _membership(self, test: Membership) -> str:
        among = self._among(test.path, test.values)
        return f"(NOT {among})" if test.negated else among

    def _among(self, path: Path, values: Sequence[Scalar]) -> str:
        """Return whether a value equals one of several, by type; NULL where there is no value."""
        column = self._column(path)
        if column is not None:
            texts = [value for value in values if isinstance(value, str)]
            self.parameters += texts
            return f"({column} IN ({_marks(texts)}))"
        checks = [f"WHEN {self._type(path)} IS NULL THEN NULL"]
        for types, alike in _by_type(values):
            checks.append(f"WHEN {self._type(path)} IN ({types}) THEN {self._value(path)}")
            checks[-1] += f" IN ({_marks(alike)})"
            self.parameters += alike
        kinds = [_CONSTANT_TYPES[v] for v in values if v is None or isinstance(v, bool)]
        otherwise = f"{self._type(path)} IN ({_marks(kinds)})" if kinds else "0"
        self.parameters += kinds
        return f"(CASE {' '.join(checks)} ELSE {otherwise} END)"

    def _type_check(self, test: TypeCheck) -> str:
        if test.test is TypeTest.IS_DEFINED:
            return f"({self._type(test.path)} IS NOT NULL)"
        return f"(ifnull({self._type(test.path)} IN ({_TYPES[test.test]}), 0))"

    def _text_check(self, test: TextCheck) -> str:
        kind = self._type(test.path)
        value = self._value(test.path)
        if test.test is TextTest.CONTAINS:
            check = f"instr({value}, ?) > 0"
            self.parameters.append(test.text)
        elif not test.text:
            check = f"{value} IS NOT NULL"
        else:
            start = "1, " if test.test is TextTest.STARTSWITH else "-"
            check = f"substr({value}, {start}{len(test.text)}) = ?"
            self.parameters.append(test.text)
        return f"(CASE WHEN {kind} = 'text' THEN {check} END)"

    def _array_contains(self, test: ArrayContains) -> str:
        kind = self._type(test.path)
        items = f"json_each({self._arguments(test.path)})"
        if test.value is None or isinstance(test.value, bool):
            check = "type = ?"
            self.parameters.append(_CONSTANT_TYPES[test.value])
        else:
            check = f"type IN ({_ORDERED[type(test.value)]}) AND atom = ?"
            self.parameters.append(test.value)
        return f"(CASE WHEN {kind} = 'array' THEN EXISTS(SELECT 1 FROM {items} WHERE {check}) END)"


_NUMBER = "'integer', 'real'"
_ORDERED: Mapping[type, str] = {str: "'text'", int: _NUMBER, float: _NUMBER}
_CONSTANT_TYPES: Mapping[bool | None, str] = {None: "null", True: "true", False: "false"}
_TYPES: Mapping[TypeTest, str] = {
    TypeTest.IS_NULL: "'null'",
    TypeTest.IS_BOOL: "'true', 'false'",
    TypeTest.IS_NUMBER: _NUMBER,
    TypeTest.IS_STRING: "'text'",
    TypeTest.IS_OBJECT: "'object'",
    TypeTest.IS_PRIMITIVE: f"'null', 'true', 'false', 'text', {_NUMBER}",
}


def _by_type(values: Sequence[Scalar]) -> list[tuple[str, list[Any]]]:
    texts = [value for value in values if isinstance(value, str)]
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    return [(types, alike) for types, alike in (("'text'", texts), (_NUMBER, numbers)) if alike]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
