"""Conditions to SQL expressions that are 1, 0 or NULL.

NULL is the language's undefined, and SQL's AND, OR and NOT treat it as the language does. A
comparison reads a value as the type of the literal it is compared with, NULL where the value is of
another type or not there: so a text is never a number, and true is never 1. Texts compare by their
bytes in UTF-8, which is by code point; integers and doubles compare exactly. Paths to ids, ends,
names and models read the columns of that name, which have indexes.

Prefixes and suffixes are compared as bytes because SQLite's substr() of a text stops at U+0000,
behind or before a byte that is cut off again because its substr() of no bytes is NULL.
"""

# ruff: noqa: S608 - only marks and this module's own words are put into SQL, never a value

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from sync_agent.query.tree import (
    And,
    ArrayContains,
    Comparison,
    Condition,
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

ModelsOf: TypeAlias = Callable[[str, bool], Sequence[str]]
"""Gives the ids of all models that are of a model (second argument: exactly)."""

MARKED_MODELS_MAX = 100
"""Beyond it the models of an IS_OF_MODEL are one value: SQLite bounds the values of a statement."""

_TWIN_COLUMNS: Final[Mapping[tuple[str, ...], str]] = {
    ("$dtId",): "id",
    ("$metadata", "$model"): "model",
}
_EDGE_COLUMNS: Final[Mapping[tuple[str, ...], str]] = {
    ("$relationshipId",): "id",
    ("$sourceId",): "source",
    ("$targetId",): "target",
    ("$relationshipName",): "name",
}
_NUMBER = "'integer', 'real'"
_TYPES: Final[Mapping[TypeTest, str]] = {
    TypeTest.IS_NULL: "'null'",
    TypeTest.IS_BOOL: "'true', 'false'",
    TypeTest.IS_NUMBER: _NUMBER,
    TypeTest.IS_STRING: "'text'",
    TypeTest.IS_OBJECT: "'object'",
    TypeTest.IS_PRIMITIVE: f"'null', 'true', 'false', 'text', {_NUMBER}",
}


class ConditionWriter:
    """Writes conditions; ``parameters`` gather in the order their marks stand in the text.

    ``tables`` are the tables of the query's names, ``ids`` what gives a twin's id instead of its
    table's column.
    """

    def __init__(
        self,
        query: Query,
        tables: Mapping[str, str],
        ids: Mapping[str, str],
        models_of: ModelsOf,
    ) -> None:
        self._query = query
        self._tables = tables
        self._ids = ids
        self._models_of = models_of
        self.parameters: list[Any] = []

    def write(self, condition: Condition) -> str:
        """Return the expression of a condition, in parentheses of its own."""
        match condition:
            case And(operands=operands):
                return f"({' AND '.join(map(self.write, operands))})"
            case Or(operands=operands):
                return f"({' OR '.join(map(self.write, operands))})"
            case Not(operand=operand):
                return f"(NOT {self.write(operand)})"
            case OfModel():
                return self._of_model(condition)
            case TypeCheck():
                return self._type_check(condition)
            case Comparison(path=path, op=op, value=value):
                return f"({self._as_type_of(path, value)} {op} {self._mark(_plain(value))})"
            case Membership():
                return self._membership(condition)
            case TextCheck():
                return self._text_check(condition)
            case ArrayContains():
                return self._array_contains(condition)

    # -- predicates ---------------------------------------------------------------------------

    def _of_model(self, test: OfModel) -> str:
        name = test.alias or next(iter(self._query.twin_aliases), "")
        models = self._models_of(test.model, test.exact)
        if len(models) <= MARKED_MODELS_MAX:
            ids = ", ".join(map(self._mark, models))
        else:
            ids = f"SELECT value FROM json_each({self._mark(json.dumps(models))})"
        return f"({self._tables[name]}.model IN ({ids}))"

    def _type_check(self, test: TypeCheck) -> str:
        kind = f"json_type({self._place(test.path)})"
        if test.test is TypeTest.IS_DEFINED:
            return f"({kind} IS NOT NULL)"
        return f"(ifnull({kind} IN ({_TYPES[test.test]}), 0))"

    def _membership(self, test: Membership) -> str:
        by_type: dict[type, list[Scalar]] = {}
        for value in test.values:
            by_type.setdefault(float if type(value) is int else type(value), []).append(value)
        checks = []
        for alike in by_type.values():
            typed = self._as_type_of(test.path, alike[0])
            marks = ", ".join(self._mark(_plain(value)) for value in alike)
            checks.append(f"{typed} IN ({marks})")
        return f"({'NOT ' if test.negated else ''}({' OR '.join(checks)}))"

    def _text_check(self, test: TextCheck) -> str:
        value = self._as_type_of(test.path, test.text)
        if not test.text:
            return f"(length({value}) >= 0)"
        if test.test is TextTest.CONTAINS:
            return f"(instr({value}, {self._mark(test.text)}) > 0)"
        sought = test.text.encode()
        size = len(sought)
        if test.test is TextTest.STARTSWITH:
            cut = f"substr(CAST('.' || {value} AS BLOB), 2, {size})"
        else:
            cut = f"substr(CAST({value} || '.' AS BLOB), {-size - 1}, {size})"
        return f"({cut} = {self._mark(sought)})"

    def _array_contains(self, test: ArrayContains) -> str:
        kind = f"json_type({self._place(test.path)})"
        items = f"json_each({self._place(test.path)})"
        match test.value:
            case None | bool():
                check = f"item.type = {self._mark(json.dumps(test.value))}"
            case str():
                check = f"item.type = 'text' AND item.atom = {self._mark(test.value)}"
            case _:
                check = f"item.type IN ({_NUMBER}) AND item.atom = {self._mark(test.value)}"
        found = f"EXISTS(SELECT 1 FROM {items} AS item WHERE {check})"
        return f"(CASE WHEN {kind} = 'array' THEN {found} END)"

    # -- values -------------------------------------------------------------------------------

    def _as_type_of(self, path: Path, literal: Scalar) -> str:
        """Return a path's value where it is of the literal's type, else NULL."""
        column = self._column(path)
        if column is not None:
            return column if isinstance(literal, str) else "NULL"
        kind = f"json_type({self._place(path)})"
        match literal:
            case None:
                return f"CASE WHEN {kind} = 'null' THEN 0 END"
            case bool():
                return f"CASE {kind} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
            case _:
                types = "'text'" if isinstance(literal, str) else _NUMBER
                return f"CASE WHEN {kind} IN ({types}) THEN json_extract({self._place(path)}) END"

    def _column(self, path: Path) -> str | None:
        """Return the column a path stands in, None when it is only in the document."""
        name, segments = self._query.resolve(path)
        columns = _EDGE_COLUMNS if self._query.is_edge(name) else _TWIN_COLUMNS
        column, table = columns.get(segments), self._tables[name]
        if segments == ("$dtId",) and table in self._ids:
            return self._ids[table]
        return f"{table}.{column}" if column else None

    def _place(self, path: Path) -> str:
        """Return document and JSON path as two arguments of a JSON function."""
        name, segments = self._query.resolve(path)
        steps = "".join(f".{json.dumps(segment, ensure_ascii=False)}" for segment in segments)
        return f"{self._tables[name]}.document, {self._mark('$' + steps)}"

    def _mark(self, value: Any) -> str:
        self.parameters.append(value)
        return "?"


def _plain(value: Scalar) -> Scalar:
    """Return what a literal is compared as: true and null as the numbers ``_as_type_of`` gives."""
    return 0 if value is None else int(value) if isinstance(value, bool) else value
