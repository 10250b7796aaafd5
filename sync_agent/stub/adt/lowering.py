"""Queries to SQL: the stub's fast executor, over documents kept as JSONB.

It must agree with ``query.interpreter``, which says what a query means; property tests compare the
two. A query becomes one statement. What stands behind FROM is written here and, for MATCH, in
``lowering_match``; what stands behind WHERE in ``lowering_conditions``. Rows come back as the whole
documents a projection reads from, and are cut to the service's shapes in Python.

Rows of one collection are in the order of its keys, so a page goes on behind the key of the last
row and costs what it returns. Rows of a JOIN or MATCH have a fixed order too, but no key of their
own: a page is found by counting, and repeats the work of those before it.

Tables: ``twins(pk, id, model, document)`` and
``relationships(pk, source, id, name, target, document)``.
"""

# ruff: noqa: S608 - only marks and this module's own words are put into SQL, never a value

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sync_agent.query.checks import anchors
from sync_agent.query.tree import Collection, Count, Query
from sync_agent.stub.adt.lowering_conditions import ConditionWriter, ModelsOf
from sync_agent.stub.adt.lowering_match import From, from_match
from sync_agent.twins.twin import Document

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Lowered:
    """One statement: ``row`` makes the service's row of each of its rows.

    With ``keyset`` the last column is the row's key, and the first parameter the key to go on
    behind. ``page`` gives the statement that reads one page.
    """

    sql: str
    parameters: tuple[Any, ...]
    row: Callable[[Row], Document]
    is_count: bool = False
    keyset: bool = False

    def page(self, limit: int, after: int = 0) -> tuple[str, tuple[Any, ...]]:
        """Return statement and parameters of at most ``limit`` rows.

        ``after`` is the key of the last row before them with ``keyset``, else how many were before.
        """
        if self.keyset:
            return f"{self.sql} LIMIT ?", (after, *self.parameters[1:], limit)
        return f"{self.sql} LIMIT ? OFFSET ?", (*self.parameters, limit, after)


def lower(query: Query, models_of: ModelsOf) -> Lowered:
    """Return the statement of a checked query; TOP is left to whoever pages.

    ``models_of(id, exact)`` gives the ids of all models that are of a model, those of twins whose
    model was deleted included.
    """
    source = _from(query)
    writer = ConditionWriter(query, source.tables, models_of)
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
    parameters += writer.parameters
    if is_count:
        sql = f"{source.head}SELECT count(*) FROM {source.text}{where}"
        return Lowered(sql, tuple(parameters), lambda row: {"COUNT": row[0]}, is_count=True)
    names = _read_from(query)
    columns = [f"json({source.tables[name]}.document)" for name in names]
    columns += ["t0.pk"] if keyset else []
    sql = (
        f"{source.head}SELECT {', '.join(columns)} FROM {source.text}{where}"
        f" ORDER BY {', '.join(source.order)}"
    )
    return Lowered(sql, tuple(parameters), _shaper(query, names), keyset=keyset)


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


def _shaper(query: Query, names: tuple[str, ...]) -> Callable[[Row], Document]:
    if not isinstance(query.projection, tuple):
        return _raw
    items = []
    for item in query.projection:
        name, segments = query.resolve(item.path)
        items.append((item.name or item.path.segments[-1], names.index(name), segments))

    def shape(row: Row) -> Document:
        documents = [json.loads(text) for text in row[: len(names)]]
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


def _raw(row: Row) -> Document:
    document: Document = json.loads(row[0])
    return document
