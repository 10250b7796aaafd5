"""From typed relationships to the ``dependsOn`` they imply.

What one rule derives for one element is a group. A group of one is ``series``: an only feed is not
redundant. Where two rules lead to the same element, ``series`` counts before the others and an
earlier rule before a later one; a redundant group that loses a member so needs one fewer of the
rest, and if it then needs none, it is gone. An element that has a ``dependsOn`` of its own to any
member of a group speaks for itself: nothing is derived for that group.

The result does not depend on the order of twins or relationships.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sync_agent.dependency.rules import DependencyRules, Protection, Rule
from sync_agent.dtdl.elements import Relationship as RelationshipElement
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.desired import DesiredGraph
from sync_agent.twins.twin import JsonValue, Relationship, Twin

DEPENDS_ON = "dependsOn"
PROPERTIES = frozenset({"protection", "groupId", "minRequired"})
ID_CHARS_MAX = 128


@dataclass(frozen=True, slots=True)
class _Group:
    """What rules of one name say of one element: it depends on these members."""

    rule: Rule
    members: frozenset[str]

    @property
    def protection(self) -> Protection:
        """Return how the members stand in for each other: a group of one cannot."""
        return Protection.SERIES if len(self.members) == 1 else self.rule.protection

    def required(self, twin: Twin) -> int | None:
        """Return how many members must work; None: the rule does not say."""
        count, number = len(self.members), self.rule.min_required
        if self.rule.tolerates is not None:
            number = count - self.rule.tolerates
        elif self.rule.min_required_property:
            stated = twin.properties.get(self.rule.min_required_property)
            number = stated if isinstance(stated, int) else 1
        elif number is None and self.rule.protection is Protection.REDUNDANT:
            number = 1
        return None if number is None else min(max(number, 1), count)


def derive(
    rules: DependencyRules,
    twins: Mapping[str, Twin],
    relationships: Iterable[Relationship],
    registry: ModelRegistry,
    relationship_id: Callable[[str], str] = str,
) -> tuple[Relationship, ...]:
    """Return the ``dependsOn`` relationships that the others imply, by dependent and target.

    Relationships whose ends are not among ``twins``, and those between twins whose models allow no
    ``dependsOn``, imply nothing. ``relationship_id`` makes an id from its own part, which is
    ``derived.`` and the target, shortened by a hash where it would be too long.
    """
    reader = _Reader(rules, twins, registry)
    stated: defaultdict[str, set[str]] = defaultdict(set)
    for edge in relationships:
        if edge.name == DEPENDS_ON:
            stated[edge.source].add(edge.target)
        else:
            reader.read(edge)
    derived = []
    for dependent, groups in sorted(reader.groups.items()):
        own = [
            _Group(rule, frozenset(names))
            for rule, names in sorted(groups.items(), key=lambda group: reader.rank[group[0].name])
            if not names & stated[dependent]
        ]
        for target, properties in sorted(_settled(own, twins[dependent]).items()):
            name = _id(target, relationship_id)
            derived.append(Relationship(name, dependent, DEPENDS_ON, target, properties))
    return tuple(derived)


def with_derived(
    desired: DesiredGraph, rules: DependencyRules, registry: ModelRegistry
) -> DesiredGraph:
    """Return the desired graph with what its relationships imply.

    Nothing is derived for an element that has a held relationship: its groups are not known whole.
    ``dependsOn`` has from then on the scopes of all relationships that may imply it, so that it is
    deleted only when all of those were read whole.
    """
    held = {source for source, _ in desired.held_relationships}
    twins = {i: t for i, t in desired.twins.items() if i not in desired.held}
    found = derive(
        rules, twins, desired.relationships.values(), registry, desired.owner.relationship_id
    )
    derived = {edge.key: edge for edge in found if edge.source not in held}
    names = {rule.relationship for rule in rules.rules if rule.protection is not Protection.NONE}
    scopes = frozenset[str]().union(
        *(desired.relationship_scopes.get(name, frozenset()) for name in {DEPENDS_ON, *names})
    )
    managed = desired.relationship_properties.get(DEPENDS_ON, frozenset()) | PROPERTIES
    return replace(
        desired,
        relationships={**desired.relationships, **derived},
        relationship_properties={**desired.relationship_properties, DEPENDS_ON: managed},
        relationship_scopes={**desired.relationship_scopes, DEPENDS_ON: scopes},
    )


class _Reader:
    """Sorts relationships into the groups that the rules make of them."""

    def __init__(
        self, rules: DependencyRules, twins: Mapping[str, Twin], registry: ModelRegistry
    ) -> None:
        self._rules, self._twins, self._registry = rules, twins, registry
        self._fitting: dict[tuple[str, str, str], Rule | None] = {}
        self._named: dict[str, Rule] = {}
        for rule in rules.rules:
            self._named.setdefault(rule.name, rule)
        self.rank = {name: number for number, name in enumerate(self._named)}
        self.groups: defaultdict[str, dict[Rule, set[str]]] = defaultdict(dict)

    def read(self, edge: Relationship) -> None:
        """Note what a relationship implies, if anything."""
        source, target = self._twins.get(edge.source), self._twins.get(edge.target)
        if source is None or target is None or edge.source == edge.target:
            return
        kind = (edge.name, source.model, target.model)
        if kind not in self._fitting:
            self._fitting[kind] = self._fit(*kind)
        rule = self._fitting[kind]
        if rule is not None:
            ends = (edge.source, edge.target)
            dependent, member = ends if rule.dependent == "source" else ends[::-1]
            self.groups[dependent].setdefault(self._named[rule.name], set()).add(member)

    def _fit(self, name: str, source_model: str, target_model: str) -> Rule | None:
        if source_model not in self._registry or target_model not in self._registry:
            return None
        rule = self._rules.rule_for(self._registry, name, source_model, target_model)
        if rule is None or rule.protection is Protection.NONE:
            return None
        models = (source_model, target_model)
        dependent, member = models if rule.dependent == "source" else models[::-1]
        declared = self._registry.contents(dependent).get(DEPENDS_ON)
        if not isinstance(declared, RelationshipElement):
            return None
        allowed = not declared.target or self._registry.is_of_model(member, declared.target)
        return rule if allowed else None


def _settled(groups: Sequence[_Group], twin: Twin) -> dict[str, dict[str, JsonValue]]:
    """Return the properties of each dependency; each target once."""
    settled: dict[str, dict[str, JsonValue]] = {}
    for group in sorted(groups, key=lambda group: group.protection is not Protection.SERIES):
        members = group.members - settled.keys()
        required = group.required(twin)
        if required is not None:
            required -= len(group.members) - len(members)
        if group.protection is Protection.REDUNDANT and required is not None and required <= 0:
            continue
        properties: dict[str, JsonValue] = {"protection": group.protection.value}
        if group.protection is not Protection.SERIES:
            properties["groupId"] = group.rule.name
            if required is not None and required > 0:
                properties["minRequired"] = required
        settled |= {member: dict(properties) for member in members}
    return settled


def _id(target: str, relationship_id: Callable[[str], str]) -> str:
    name = relationship_id(f"derived.{target}")
    if len(name) <= ID_CHARS_MAX:
        return name
    mark = hashlib.sha256(target.encode()).hexdigest()[:16]
    kept = len(target) - (len(name) - ID_CHARS_MAX) - len(mark) - 1
    return relationship_id(f"derived.{target[: max(kept, 0)]}.{mark}")
