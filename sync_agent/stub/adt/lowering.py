"""Queries to SQL: the stub's fast executor, over documents kept as JSONB.

It must agree with ``query.interpreter``, which says what a query means; property tests compare the
two. A query becomes one statement. What stands behind FROM is written here and, for MATCH, in
``lowering_match``; what stands behind WHERE in ``lowering_conditions``. Rows come back as the texts
of the documents a projection reads from, and are put into the service's shapes in Python: a whole
document as the text it is, without reading it.

Rows of one collection are in the order of its keys, so a page goes on behind the key of the last
row and costs what it returns. Rows of a JOIN or MATCH have a fixed order too, but no key of their
own: a page is found by counting, and repeats the work of those before it. Documents are read for
the page alone.

Tables: ``twins(pk, id, model, document)`` and
``relationships(pk, source, id, name, target, document)``.
"""

# ruff: noqa: S608 - only marks and this module's own words are put into SQL, never a value

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from sync_agent.query.checks import anchors
from sync_agent.query.tree import Collection, Count, Query
from sync_agent.stub.adt.lowering_conditions import ConditionWriter, ModelsOf
from sync_agent.stub.adt.lowering_match import From, from_match
from sync_agent.twins.twin import Document

Row = Sequence[Any]
JOINED_MAX = 64
"""Tables SQLite takes in one join; a pattern and what its conditions read are kept apart beyond."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """One statement: ``encoded`` makes the service's row of each of its rows, ready to be sent.

    Whole documents in it are JSON text (``msgspec.Raw``); ``row`` gives the same as values. With
    ``keyset`` the last column is the row's key, and the first parameter the key to go on behind.
    ``page`` gives the statement that reads one page; ``tail`` stands behind its LIMIT.
    """

    sql: str
    parameters: tuple[Any, ...]
    encoded: Callable[[Row], Any]
    is_count: bool = False
    keyset: bool = False
    tail: str = ""

    def row(self, row: Row) -> Document:
        """Return the service's row as values."""
        document: Document = msgspec.json.decode(msgspec.json.encode(self.encoded(row)))
        return document

    def page(self, limit: int, after: int = 0, *, skip: int = 0) -> tuple[str, tuple[Any, ...]]:
        """Return statement and parameters of at most ``limit`` rows.

        ``after`` is the key of the last row before them with ``keyset``, else how many were before;
        ``skip`` rows behind it are left out.
        """
        if self.keyset:
            return f"{self.sql} LIMIT ? OFFSET ?", (after, *self.parameters[1:], limit, skip)
        return f"{self.sql} LIMIT ? OFFSET ?{self.tail}", (*self.parameters, limit, after + skip)


def lower(query: Query, models_of: ModelsOf) -> Lowered:
    """Return the statement of a checked query; TOP is left to whoever pages.

    ``models_of(id, exact)`` gives the ids of all models that are of a model, those of twins whose
    model was deleted included.
    """
    source = _from(query)
    writer = ConditionWriter(query, source.tables, source.ids, models_of)
    is_count = isinstance(query.projection, Count)
    keyset = not is_count and not query.joins and query.match is None
    conditions: list[str] = []
    parameters = list(source.parameters)
    if keyset:
        conditions.append("t0.pk > ?")
        parameters.append(0)
    if query.where is not None:
        conditions.append(writer.write(query.where))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    joins = [join for table, join in source.joins.items() if f"{table}." in where]
    where = "".join(joins) + where
    if source.width + len(joins) > JOINED_MAX:
        found = f"{source.head.rstrip()}, found AS MATERIALIZED (SELECT * FROM {source.text}) "
        source = replace(source, head=found, text="found AS w")
    parameters += writer.parameters
    if is_count:
        sql = f"{source.head}SELECT count(*) FROM {source.text}{where}"
        return Lowered(sql, tuple(parameters), lambda row: {"COUNT": row[0]}, is_count=True)
    names = _read_from(query)
    tables = [source.tables[name] for name in names]
    order = f" ORDER BY {', '.join(source.order)}" if source.order else ""
    shaper = _shaper(query, names)
    if keyset:
        documents = ", ".join(map(_document, tables))
        sql = f"SELECT {documents}, t0.pk FROM {source.text}{where}{order}"
        return Lowered(sql, tuple(parameters), shaper, keyset=True)
    head, tail = _deferred(tables)
    named = [source.keys.get(table, f"{table}.pk") for table in tables]
    keys = ", ".join(f"{key} AS k{number}" for number, key in enumerate(named))
    sql = f"{source.head}{head} FROM (SELECT {keys} FROM {source.text}{where}{order}"
    return Lowered(sql, tuple(parameters), shaper, tail=tail)


def _deferred(tables: Sequence[str]) -> tuple[str, str]:
    """Return what stands before and behind a query for keys, so that documents are read last."""
    columns, joins = [], ""
    for number, table in enumerate(tables):
        columns.append(_document(f"d{number}"))
        name = "twins" if table.startswith("t") else "relationships"
        joins += f" CROSS JOIN {name} AS d{number} ON d{number}.pk = p.k{number}"
    return f"SELECT {', '.join(columns)}", f") AS p{joins}"


def _document(table: str) -> str:
    """Return the expression of a table's document as JSON text, in bytes, as it is sent."""
    return f"CAST(json({table}.document) AS BLOB)"


def _from(query: Query) -> From:
    if query.match is not None:
        return from_match(query.match, anchors(query))
    table = "twins" if query.collection is Collection.TWINS else "relationships"
    text, order, tables = f"{table} AS t0", ["t0.pk"], {query.alias: "t0"}
    for number, join in enumerate(query.joins, 1):
        edge, twin = f"r{number}", f"t{number}"
        text += (
            f" JOIN relationships AS {edge} ON {edge}.source = {tables[join.source]}.id"
            f" AND {edge}.name = ? JOIN twins AS {twin} ON {twin}.id = {edge}.target"
        )
        tables[join.target] = twin
        if join.alias:
            tables[join.alias] = edge
        order.append(f"{edge}.pk")
    return From("", text, tuple(join.relationship for join in query.joins), tables, tuple(order))


def _read_from(query: Query) -> tuple[str, ...]:
    """Return the names whose documents a row is made of."""
    if not isinstance(query.projection, tuple):
        return (query.alias,)
    return tuple(dict.fromkeys(query.resolve(item.path)[0] for item in query.projection))


def _shaper(query: Query, names: tuple[str, ...]) -> Callable[[Row], Any]:
    if not isinstance(query.projection, tuple):
        return _raw
    items = []
    for item in query.projection:
        name, segments = query.resolve(item.path)
        items.append((item.name or item.path.segments[-1], names.index(name), segments))
    if not any(segments for _, _, segments in items):
        return lambda row: {key: msgspec.Raw(row[column]) for key, column, _ in items}

    def shape(row: Row) -> Document:
        documents = [msgspec.json.decode(text) for text in row[: len(names)]]
        shaped: Document = {}
        for key, column, segments in items:
            value = documents[column]
            for segment in segments:
                if not isinstance(value, dict) or segment not in value:
                    break
                value = value[segment]
            else:
                shaped[key] = value
        return shaped

    return shape


def _raw(row: Row) -> msgspec.Raw:
    return msgspec.Raw(row[0])
