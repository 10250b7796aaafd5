"""A mapping: which records become which twins and relationships. Values only.

One ``TwinRule`` makes at most one twin of each record of its scope, one ``RelationshipRule`` at
most one relationship. ``key`` is where a rule stands in its file (``twin[3]``), for messages. How a
mapping is written down is ``rules_file``'s matter, what it makes of records ``mapping``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Attributes
from dataclasses import dataclass

from sync_agent.inventory.desired import Ownership
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import Path
from sync_agent.inventory.template import Template
from sync_agent.twins.twin import JsonValue


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds for records whose ``column`` has one of ``values``."""

    column: str
    values: frozenset[str]

    def holds(self, attributes: Attributes[str, JsonValue]) -> bool:
        """Tell whether a record fulfils it; values are compared as text."""
        value = attributes.get(self.column)
        return value is not None and str(value) in self.values


@dataclass(frozen=True, slots=True)
class PropertyRule:
    """Where a property's value comes from: a template, or a constant that is no text."""

    path: Path
    value: Template | JsonValue
    key: str
    when: tuple[Condition, ...] = ()
    ownership: Ownership = Ownership.MANAGED

    @property
    def name(self) -> str:
        """Return the path as it is written."""
        return ".".join(self.path)

    def value_for(self, attributes: Attributes[str, JsonValue]) -> JsonValue:
        """Return the cell, text or constant for a record; None when there is none."""
        for condition in self.when:
            if not condition.holds(attributes):
                return None
        value = self.value
        if not isinstance(value, Template):
            return value
        if value.texts == ("", ""):  # a column and nothing else keeps its type
            cell = attributes.get(value.columns[0])
            return None if cell == "" else cell
        return value.fill(attributes)


@dataclass(frozen=True, slots=True)
class TwinRule:
    """Records of ``scope`` become twins of ``model``; ``merge`` lets several make one twin."""

    scope: str
    id: Template
    model: str
    key: str
    properties: tuple[PropertyRule, ...] = ()
    when: tuple[Condition, ...] = ()
    merge: bool = False


@dataclass(frozen=True, slots=True)
class RelationshipRule:
    """Records of ``scope`` become relationships; a record without a target makes none.

    ``id`` distinguishes relationships of one name from one source; by default it is the target, so
    that the same edge has the same id whatever order records come in.
    """

    scope: str
    source: Template
    name: str
    target: Template
    key: str
    id: Template | None = None
    properties: tuple[PropertyRule, ...] = ()
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapping:
    """All rules of one inventory; ``place`` is the file they stand in."""

    owner: Owner
    twins: tuple[TwinRule, ...] = ()
    relationships: tuple[RelationshipRule, ...] = ()
    place: str = "mapping"

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes the rules read, each once, in order of first mention."""
        scopes = [rule.scope for rule in self.twins]
        return tuple(dict.fromkeys(scopes + [rule.scope for rule in self.relationships]))

    def columns(self) -> Iterator[tuple[str, str, str]]:
        """Yield every ``(scope, column, key)`` the rules name."""
        for twin in self.twins:
            yield from ((twin.scope, c, f"{twin.key}.id") for c in twin.id.columns)
            yield from _columns(twin)
        for edge in self.relationships:
            ends = (("source", edge.source), ("target", edge.target), ("id", edge.id))
            for name, template in ends:
                for column in template.columns if template else ():
                    yield edge.scope, column, f"{edge.key}.{name}"
            yield from _columns(edge)


def _columns(rule: TwinRule | RelationshipRule) -> Iterator[tuple[str, str, str]]:
    for condition in rule.when:
        yield rule.scope, condition.column, f"{rule.key}.when"
    for prop in rule.properties:
        for condition in prop.when:
            yield rule.scope, condition.column, f"{prop.key}.when"
        if isinstance(prop.value, Template):
            for column in prop.value.columns:
                yield rule.scope, column, prop.key
