"""A mapping: which records become which twins and relationships. Values only.

One ``TwinRule`` makes at most one twin of each record of its scope, one ``RelationshipRule`` at
most one relationship. ``key`` is where a rule stands in its file (``twin[3]``), for messages. How a
mapping is written down is ``rules_file``'s matter, what it makes of records ``mapping``'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Attributes
from dataclasses import dataclass, field

from sync_agent.errors import InputError
from sync_agent.inventory.desired import Ownership
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import Path
from sync_agent.inventory.template import Template
from sync_agent.toml_file.key_lines import KeyLines
from sync_agent.twins.twin import JsonValue

ANYTHING = "*"
"""In a condition or a map: every value; in a map every one that has no entry of its own."""

_COMMA_NUMBER = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?([eE][+-]?\d+)?", re.ASCII)

CONTAINMENT = frozenset({"partOf", "locatedIn"})
"""Relationships of the shipped ontology that put one element inside another."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds for records whose ``column`` has one of ``values``, or none of them (``negated``).

    The value ``*`` stands for any that is not empty.
    """

    column: str
    values: frozenset[str]
    negated: bool = False

    def holds(self, attributes: Attributes[str, JsonValue]) -> bool:
        """Tell whether a record fulfils it; values are compared as text, booleans as JSON's."""
        value = attributes.get(self.column)
        if isinstance(value, bool):
            value = "true" if value else "false"
        text = "" if value is None else str(value)
        found = text in self.values or (text != "" and ANYTHING in self.values)
        return (found and value is not None) is not self.negated


@dataclass(frozen=True, slots=True)
class PropertyRule:
    """Where a property's value comes from: a template, or a constant that is no text.

    ``translation`` says what a text of the source means here (``*`` stands for every other one),
    ``decimal_comma`` that its numbers are written like 1.234,5, ``scale`` is what a number is
    multiplied with; the higher ``precedence`` wins where several
    sources describe one element, then the source that is named first.
    """

    path: Path
    value: Template | JsonValue
    key: str
    when: tuple[Condition, ...] = ()
    ownership: Ownership = Ownership.MANAGED
    translation: Attributes[str, JsonValue] | None = None
    decimal_comma: bool = False
    scale: float = 1
    precedence: int = 0

    @property
    def name(self) -> str:
        """Return the path as it is written."""
        return ".".join(self.path)

    def value_for(self, attributes: Attributes[str, JsonValue]) -> JsonValue:
        """Return the cell, text or constant for a record; None when there is none.

        Raises:
            ValueError: the text has no translation, or is no number to scale.
        """
        for condition in self.when:
            if not condition.holds(attributes):
                return None
        value = self._raw(attributes)
        if value is None:
            return None
        if self.translation is not None:
            value = translated(self.translation, value)
        if self.decimal_comma:
            value = with_decimal_point(value)
        return value if self.scale == 1 else scaled(value, self.scale)

    def _raw(self, attributes: Attributes[str, JsonValue]) -> JsonValue:
        value = self.value
        if not isinstance(value, Template):
            return value
        if value.texts == ("", ""):  # a column and nothing else keeps its type
            cell = attributes.get(value.columns[0])
            return None if cell == "" else cell
        return value.fill(attributes)


@dataclass(frozen=True, slots=True)
class TwinRule:
    """Records of ``scope`` become twins of ``model``; ``merge`` lets several make one twin.

    ``aliases`` are other names of the element; elements of several sources that share a name are
    one. ``hints`` are names as well, but for those that several elements of the source share.
    """

    scope: str
    id: Template
    model: str
    key: str
    properties: tuple[PropertyRule, ...] = ()
    when: tuple[Condition, ...] = ()
    merge: bool = False
    aliases: tuple[Template, ...] = ()
    hints: tuple[Template, ...] = ()


@dataclass(frozen=True, slots=True)
class RelationshipRule:
    """Records of ``scope`` become relationships; a record without a target makes none.

    ``id`` distinguishes relationships of one name from one source; by default it is the target, so
    that the same edge has the same id whatever order records come in. The placeholders are the
    models of ends that no record describes ("" for the relationship's own target, None for none);
    ``drops`` says that without an end and a placeholder for it there is no relationship, where it
    is otherwise left as it is and told; ``containment`` that a circle of them is a mistake.
    """

    scope: str
    source: Template
    name: str
    target: Template
    key: str
    id: Template | None = None
    properties: tuple[PropertyRule, ...] = ()
    when: tuple[Condition, ...] = ()
    source_placeholder: str | None = None
    target_placeholder: str | None = ""
    drops: bool = False
    containment: bool = False


@dataclass(frozen=True, slots=True)
class Mapping:
    """All rules of one source; ``place`` is the file they stand in, ``lines`` where in it."""

    owner: Owner
    twins: tuple[TwinRule, ...] = ()
    relationships: tuple[RelationshipRule, ...] = ()
    place: str = "mapping"
    lines: KeyLines = field(default_factory=KeyLines)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes the rules read, each once, in order of first mention."""
        scopes = [rule.scope for rule in self.twins]
        return tuple(dict.fromkeys(scopes + [rule.scope for rule in self.relationships]))

    def where(self, key: str) -> str:
        """Return the file and line of a key: ``mapping.toml:12``."""
        line = self.lines.line_of(key)
        return f"{self.place}:{line}" if line else self.place

    def columns(self) -> Iterator[tuple[str, str, str]]:
        """Yield every ``(scope, column, key)`` the rules name."""
        for twin in self.twins:
            yield from ((twin.scope, c, f"{twin.key}.id") for c in twin.id.columns)
            for key, names in (("aliases", twin.aliases), ("hints", twin.hints)):
                for other in names:
                    yield from ((twin.scope, c, f"{twin.key}.{key}") for c in other.columns)
            yield from _columns(twin)
        for edge in self.relationships:
            ends = (("source", edge.source), ("target", edge.target), ("id", edge.id))
            for name, template in ends:
                for column in template.columns if template else ():
                    yield edge.scope, column, f"{edge.key}.{name}"
            yield from _columns(edge)


def one_owner(mappings: Sequence[Mapping]) -> Owner:
    """Return the owner that the mappings of one inventory name.

    Raises:
        InputError: they name different ones.
    """
    first = mappings[0]
    owner = first.owner
    for mapping in mappings[1:]:
        if mapping.owner != owner:
            marker = ".".join(owner.marker)
            raise InputError(
                f"its owner and marker are not those of {first.place}",
                place=mapping.place,
                remedy=f'set owner = "{owner.name}" and marker = "{marker}" there, or'
                " inventory.owner for all: the sources of one inventory have one owner",
            )
    return owner


def translated(table: Attributes[str, JsonValue], value: JsonValue) -> JsonValue:
    """Return what a value of the source means.

    Raises:
        ValueError: the table has no entry for it, nor one for every other.
    """
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text in table:
        return table[text]
    if ANYTHING in table:
        return table[ANYTHING]
    raise ValueError(f"{text[:60]!r} has no entry in its map")


def with_decimal_point(value: JsonValue) -> JsonValue:
    """Return a number that is written with a comma as it is written elsewhere.

    >>> with_decimal_point("1.234,5")
    '1234.5'

    Raises:
        ValueError: it is not written so.
    """
    if not isinstance(value, str):
        return value
    if _COMMA_NUMBER.fullmatch(value) is None:
        raise ValueError(f"must be a number with a decimal comma, not {value[:60]!r}")
    return value.replace(".", "").replace(",", ".")


def scaled(value: JsonValue, scale: float) -> JsonValue:
    """Return a number times ``scale``, whole where both are.

    Raises:
        ValueError: it is no number.
    """
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    try:
        number = value if isinstance(value, int | float) else float(value)
    except (TypeError, ValueError):
        raise ValueError(f"must be a number, not {str(value)[:60]!r}") from None
    product = number * scale
    # 0.1 GHz are 100000000 Hz and not 100000000.00000001
    return product if isinstance(product, int) else float(f"{product:.15g}")


def _columns(rule: TwinRule | RelationshipRule) -> Iterator[tuple[str, str, str]]:
    for condition in rule.when:
        yield rule.scope, condition.column, f"{rule.key}.when"
    for prop in rule.properties:
        for condition in prop.when:
            yield rule.scope, condition.column, f"{prop.key}.when"
        if isinstance(prop.value, Template):
            for column in prop.value.columns:
                yield rule.scope, column, prop.key
