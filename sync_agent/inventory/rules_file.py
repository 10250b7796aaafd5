"""Reading a mapping from TOML; ``docs/inventory.md`` shows the form.

Strict: a key that is not known is an error that names the file, the key and the nearest known one,
because a misspelt key that is ignored becomes a network that is silently wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Any

from sync_agent.dtdl.dtmi import is_dtmi
from sync_agent.errors import InputError
from sync_agent.inventory.desired import Ownership
from sync_agent.inventory.owner import MARKER, NAME, Owner
from sync_agent.inventory.paths import DEPTH_MAX, Path
from sync_agent.inventory.rules import (
    CONTAINMENT,
    Condition,
    Mapping,
    PropertyRule,
    RelationshipRule,
    TwinRule,
)
from sync_agent.inventory.template import Template
from sync_agent.toml_file.key_lines import KeyLines, key_lines
from sync_agent.toml_file.reader import parse_toml

RULES_MAX = 1_000
OWNER_DEFAULT = "inventory"
REMEDY = "docs/inventory.md shows the form of a mapping"


def parse_mapping(text: str, *, place: str) -> Mapping:
    """Read a mapping; ``place`` names its file in messages.

    Raises:
        InputError: it is no TOML, or a key is unknown, missing or of the wrong kind.
    """
    document = parse_toml(text, place=place, remedy=REMEDY)
    lines = key_lines(text)
    table = _Table(document, place, "", lines)
    name = table.text("owner", OWNER_DEFAULT)
    if NAME.fullmatch(name) is None:
        raise table.fault("owner", "must be 1 to 32 of a-z, 0-9 and - (not at an end)")
    marker = _path(table, "marker", table.text("marker", ".".join(MARKER)))
    placeholders = table.boolean("placeholders", default=True)
    mapping = Mapping(
        owner=Owner(name, marker),
        twins=tuple(_twin_rule(t, marker) for t in table.tables("twin")),
        relationships=tuple(
            _relationship_rule(t, placeholders) for t in table.tables("relationship")
        ),
        place=place,
        lines=lines,
    )
    table.close()
    if not mapping.twins:
        raise InputError("has no [[twin]]", place=place, remedy=REMEDY)
    _refuse_repeated(mapping)
    return mapping


def _refuse_repeated(mapping: Mapping) -> None:
    """Refuse a rule that says again what another says: every record would contradict itself."""
    said: dict[tuple[object, ...], str] = {}
    rules: tuple[TwinRule | RelationshipRule, ...] = (*mapping.twins, *mapping.relationships)
    for rule in rules:
        what: tuple[object, ...] = (rule.scope, frozenset(rule.when))
        if isinstance(rule, RelationshipRule):
            what += (rule.source, rule.name, rule.target, rule.id)
        elif rule.merge:
            continue
        else:
            what += (rule.id,)
        first = said.setdefault(what, rule.key)
        if first != rule.key:
            raise InputError(
                f"{rule.key}: makes the same as {first} ({mapping.where(first)})",
                place=mapping.where(rule.key),
                remedy="drop one, tell them apart with when, or set merge = true for twins",
            )


def nearest(name: str, known: Collection[str]) -> str:
    """Return ``, did you mean X?`` where something known resembles a name, else nothing."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {found[0]}?" if found else ""


def _twin_rule(table: _Table, marker: Path) -> TwinRule:
    model = _model(table, "model", table.text("model"))
    precedence = table.whole("precedence")
    rule = TwinRule(
        scope=_scope(table),
        id=table.template("id"),
        model=model,
        key=table.key,
        properties=(
            *_named_columns(table, precedence),
            *_properties(table.table("properties"), precedence),
        ),
        when=_conditions(table),
        merge=table.boolean("merge"),
        aliases=tuple(table.parsed("aliases", text) for text in table.texts("aliases")),
        hints=tuple(table.parsed("hints", text) for text in table.texts("hints")),
    )
    table.close()
    paths = [prop.path for prop in rule.properties]
    for path in paths:
        if paths.count(path) > 1:
            raise table.fault("columns", f"has {path[0]}, which properties has too")
        if path == marker:
            raise table.fault("properties", f"{'.'.join(path)} bears the owner; leave it out")
        if path[:1] in paths and len(path) > 1:
            raise table.fault("properties", f"has {path[0]} and a part of it, {'.'.join(path)}")
    return rule


def _relationship_rule(table: _Table, placeholders: bool) -> RelationshipRule:
    drops = _drops(table)
    source_placeholder, target_placeholder = _placeholders(table, placeholders and not drops)
    name = table.text("name")
    rule = RelationshipRule(
        scope=_scope(table),
        source=table.template("source"),
        name=name,
        target=table.template("target"),
        key=table.key,
        id=table.template("id") if table.has("id") else None,
        properties=(*_named_columns(table), *_properties(table.table("properties"))),
        when=_conditions(table),
        source_placeholder=source_placeholder,
        target_placeholder=target_placeholder,
        drops=drops,
        containment=table.boolean("containment", default=name in CONTAINMENT),
    )
    table.close()
    for prop in rule.properties:
        if len(prop.path) > 1 or prop.ownership is not Ownership.MANAGED:
            raise table.fault("properties", f"{prop.name}: parts and ownership are for twins only")
    return rule


def _drops(table: _Table) -> bool:
    """Tell whether a relationship goes with its end, where it would be held."""
    vanished = table.text("vanished", "hold")
    if vanished not in ("hold", "drop"):
        raise table.fault("vanished", f"must be hold or drop, not {vanished!r}")
    return vanished == "drop"


def _placeholders(table: _Table, allowed: bool) -> tuple[str | None, str | None]:
    """Return the models of unknown ends: the source's, the target's ("" for its declared one)."""
    given = table.take("placeholder")
    if given is None or isinstance(given, bool):
        return None, "" if (allowed if given is None else given) else None
    if isinstance(given, str):
        return None, _model(table, "placeholder", given)
    if not isinstance(given, dict):
        raise table.fault("placeholder", "must be true, false, a model id, or one for each end")
    inner = table.table("placeholder")
    source = _model(inner, "source", inner.text("source")) if inner.has("source") else None
    target = _model(inner, "target", inner.text("target")) if inner.has("target") else ""
    inner.close()
    return source, target


def _model(table: _Table, name: str, model: str) -> str:
    if not is_dtmi(model):
        raise table.fault(name, f"{model!r} is not a model id such as dtmi:telecom:place:Site;1")
    return model


def _scope(table: _Table) -> str:
    scope = table.text("from")
    if scope.startswith((".", "/")) or "\\" in scope or ("/" in scope and "." in scope):
        raise table.fault("from", f"{scope!r} is not the name of a file in the source's folder")
    return scope


def _named_columns(table: _Table, precedence: int = 0) -> Iterator[PropertyRule]:
    for name in table.texts("columns"):
        value = Template.of_column(name)
        yield PropertyRule((name,), value, f"{table.key}.columns", precedence=precedence)


def _properties(table: _Table, precedence: int = 0) -> Iterator[PropertyRule]:
    for name in table.names():
        path = _path(table, name, name)
        key = f"{table.key}.{name}"
        value = table.take(name)
        if not isinstance(value, dict):
            yield PropertyRule(path, _constant(table, name, value), key, precedence=precedence)
            continue
        inner = _Table(value, table.place, key, table.lines)
        yield PropertyRule(
            path,
            _value(inner),
            key,
            when=_conditions(inner),
            ownership=_ownership(inner),
            translation=_translation(inner),
            decimal_comma=inner.boolean("decimal_comma"),
            scale=inner.number("scale", 1),
            precedence=inner.whole("precedence", precedence),
        )
        inner.close()


def _value(table: _Table) -> Any:
    if table.has("column") == table.has("value"):
        raise table.fault("", "needs either column or value (quote a dotted property name)")
    if table.has("column"):
        return Template.of_column(table.text("column"))
    return _constant(table, "value", table.take("value"))


def _translation(table: _Table) -> dict[str, Any] | None:
    if not table.has("map"):
        return None
    inner = table.table("map")
    words = {name: inner.take(name) for name in inner.names()}
    for name, value in words.items():
        if not isinstance(value, (str, bool, int, float)):
            raise inner.fault(name, "must be text, a number, true or false")
    return words


def _constant(table: _Table, name: str, value: Any) -> Any:
    """Return a template for text, and everything that JSON has as it is."""
    if isinstance(value, str):
        return table.parsed(name, value)
    if isinstance(value, (bool, int, float, list, dict)):
        return value
    raise table.fault(name, "is a TOML time; write it in quotes")


def _conditions(table: _Table) -> tuple[Condition, ...]:
    conditions = []
    for key in ("when", "unless"):
        inner = table.table(key)
        for column in inner.names():
            value = inner.take(column)
            allowed = value if isinstance(value, list) else [value]
            if not allowed or not all(isinstance(v, str) for v in allowed):
                raise inner.fault(column, "must be text or a list of texts")
            conditions.append(Condition(column, frozenset(allowed), negated=key == "unless"))
    return tuple(conditions)


def _ownership(table: _Table) -> Ownership:
    word = table.text("own", Ownership.MANAGED.value)
    try:
        return Ownership(word)
    except ValueError:
        raise table.fault("own", f"must be one of {', '.join(Ownership)}, not {word!r}") from None


def _path(table: _Table, name: str, text: str) -> Path:
    path = tuple(text.split("."))
    if not all(path) or len(path) > DEPTH_MAX:
        raise table.fault(name, f"must be 1 to {DEPTH_MAX} names with dots between")
    return path


class _Table:
    """A TOML table that is read key by key; what is left over at ``close`` is an error."""

    def __init__(self, data: dict[str, Any], place: str, key: str, lines: KeyLines) -> None:
        self._data = data
        self.lines = lines
        self._asked: set[str] = set()
        self.place = place
        self.key = key

    def has(self, name: str) -> bool:
        return name in self._data

    def names(self) -> tuple[str, ...]:
        return tuple(self._data)

    def take(self, name: str) -> Any:
        self._asked.add(name)
        return self._data.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        value = self.take(name)
        if value is None and default is not None:
            return default
        if value is None:
            raise self.fault("", f"has no {name}")
        if not isinstance(value, str) or not value:
            raise self.fault(name, "must be text")
        return value

    def template(self, name: str) -> Template:
        return self.parsed(name, self.text(name))

    def parsed(self, name: str, text: str) -> Template:
        try:
            return Template.parse(text)
        except ValueError as error:
            raise self.fault(name, str(error)) from error

    def boolean(self, name: str, *, default: bool = False) -> bool:
        value = self.take(name)
        if not isinstance(value, bool | None):
            raise self.fault(name, "must be true or false")
        return default if value is None else value

    def whole(self, name: str, default: int = 0) -> int:
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fault(name, "must be a whole number")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
            raise self.fault(name, "must be a number above 0")
        return value

    def texts(self, name: str) -> list[str]:
        value = self.take(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise self.fault(name, "must be a list of texts")
        return value

    def table(self, name: str) -> _Table:
        value = self.take(name)
        if not isinstance(value, dict | None):
            raise self.fault(name, "must be a table")
        key = f"{self.key}.{name}" if self.key else name
        return _Table(value or {}, self.place, key, self.lines)

    def tables(self, name: str) -> Iterator[_Table]:
        value = self.take(name) or []
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.fault(name, f"is written [[{name}]]")
        if len(value) > RULES_MAX:
            raise self.fault(name, f"is there {len(value)} times, the most is {RULES_MAX}")
        for number, item in enumerate(value, 1):
            yield _Table(item, self.place, f"{name}[{number}]", self.lines)

    def close(self) -> None:
        for name in self._data:
            if name not in self._asked:
                hint = nearest(name, self._asked)
                raise self.fault(name, f"is not a key there is{hint}")

    def fault(self, name: str, message: str) -> InputError:
        key = ".".join(part for part in (self.key, name) if part)
        line = self.lines.line_of(key)
        place = f"{self.place}:{line}" if line else self.place
        return InputError(f"{key}: {message}", place=place, remedy=REMEDY)
