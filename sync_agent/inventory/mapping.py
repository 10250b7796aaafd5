"""Records to the graph that should be, by mappings and against the models.

Each source's records become drafts, drafts of all sources become elements, elements become twins,
and then the relationships between them. What is wrong with a record is a diagnostic with its
place, and its element is held: neither written nor deleted. The result does not depend on the order
of records, only on that of the sources. Time and memory are linear in the number of records.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

from sync_agent.dtdl.elements import Relationship as RelationshipElement
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.values import check_twin
from sync_agent.inventory.columns import ScopeRecords
from sync_agent.inventory.desired import DesiredGraph, Ownership
from sync_agent.inventory.drafts import Batch, Draft, DraftMaker
from sync_agent.inventory.edges import ADVISED_PATH, EdgeMaker, Elements, bears_advised
from sync_agent.inventory.gone import gone_elements, gone_relationships
from sync_agent.inventory.merging import Element, Merged, merge
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import Path, put_at
from sync_agent.inventory.record import (
    Coverage,
    Record,
    RecordDiagnostic,
    Records,
    Table,
    complete_scopes,
)
from sync_agent.inventory.rule_check import check_columns, placeholder_faults
from sync_agent.inventory.rules import Mapping, one_owner
from sync_agent.inventory.rules_file import parse_mapping
from sync_agent.twins.twin import Document, JsonValue, Twin

__all__ = [
    "MappedGraph",
    "Mapping",
    "Reading",
    "check_columns",
    "map_records",
    "map_sources",
    "parse_mapping",
]

TWIN_BYTES_MAX = 32_768
_SURELY_SMALL = 4_000
"""Characters of text in a twin that cannot make it too large, whatever has to be escaped."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One source's records and how they are mapped.

    ``name`` tells its scopes from those of other sources ("" for the only one). Without a
    ``coverage`` all its scopes count as read whole. ``gone``, ``gone_records`` and
    ``partial_kinds`` are those of the ``SourceRead``.
    """

    mapping: Mapping
    records: Iterable[Record]
    name: str = ""
    coverage: tuple[Coverage, ...] | None = None
    gone: frozenset[str] = frozenset()
    partial_kinds: frozenset[str] = frozenset()
    gone_records: tuple[Record, ...] = ()

    def scope(self, kind: str) -> str:
        """Return the name a scope has among those of all sources."""
        return f"{self.name}/{kind}" if self.name else kind


@dataclass(frozen=True, slots=True)
class MappedGraph:
    """The desired graph, what could not be used, and the gaps that leaves in the coverage."""

    desired: DesiredGraph
    diagnostics: tuple[RecordDiagnostic, ...] = ()
    gaps: tuple[Coverage, ...] = ()


def map_records(
    mapping: Mapping, records: Iterable[Record], registry: ModelRegistry
) -> MappedGraph:
    """Return what the records of one source that was read whole mean.

    A column that a record lacks counts as empty; ``check_columns`` finds misspelt ones beforehand.
    """
    return map_sources([Reading(mapping, records)], registry)


def map_sources(readings: Sequence[Reading], registry: ModelRegistry) -> MappedGraph:
    """Return what the records of all sources mean; of two that differ the earlier has the say.

    Raises:
        InputError: the mappings name different owners.
    """
    owner = one_owner([reading.mapping for reading in readings])
    by_scope = [_by_scope(reading) for reading in readings]
    makers = [DraftMaker(reading.mapping, registry) for reading in readings]
    for maker, records in zip(makers, by_scope, strict=True):
        for rule in maker.rules:
            maker.add(rule, records[rule.rule.scope])
        maker.settle()
    unread = _Unread(readings, makers, registry)
    merged = merge(makers, registry, unread.of_source)
    diagnostics = [fault for maker in makers for fault in maker.diagnostics]
    for reading in readings:
        diagnostics += placeholder_faults(reading.mapping, registry)
    diagnostics += merged.diagnostics
    twins = _TwinMaker(owner, registry, merged)
    twins.make()
    edges = EdgeMaker(owner, registry, twins.as_elements(unread))
    for reading, records in zip(readings, by_scope, strict=True):
        for edge_rule in reading.mapping.relationships:
            edges.add(edge_rule, reading.mapping, records[edge_rule.scope])
    edges.finish()
    gaps = [
        (reading.scope(scope), why)
        for reading, maker in zip(readings, makers, strict=True)
        for scope, why in (maker.gaps | edges.gaps).items()
        if scope in reading.mapping.scopes
    ]
    desired = _described(readings, registry, unread)
    held = frozenset(edges.held_twins)
    return MappedGraph(
        replace(
            desired,
            twins=_without(twins.twins, held) | edges.placeholders,
            relationships=edges.relationships,
            relationship_scopes={
                name: scopes | unread.scopes if name in edges.unsure else scopes
                for name, scopes in desired.relationship_scopes.items()
            },
            held=held - frozenset(edges.placeholders),
            held_relationships=frozenset(edges.held),
            observed=twins.observed,
            placeholders=frozenset(edges.placeholders),
            gone=frozenset(_gone(readings, merged, owner)) - frozenset(twins.twins),
        ),
        (*diagnostics, *twins.diagnostics, *edges.diagnostics),
        tuple(Coverage(scope, False, why) for scope, why in gaps),
    )


class _Unread:
    """Which scopes were not read whole, and what that leaves unknown.

    ``scopes`` are those of twins, ``names`` tells whether they may have the ids behind other names.
    """

    def __init__(
        self, readings: Sequence[Reading], makers: Sequence[DraftMaker], registry: ModelRegistry
    ) -> None:
        self._registry = registry
        self._models: list[set[str]] = []
        self.rules: list[set[str]] = []
        self.scopes: set[str] = set()
        self.names = False
        self._cached: dict[tuple[int, str], bool] = {}
        named = any(r.aliases or r.hints for reading in readings for r in reading.mapping.twins)
        for reading, maker in zip(readings, makers, strict=True):
            scopes = set(maker.gaps)
            if reading.coverage is not None:
                scopes |= set(reading.mapping.scopes) - complete_scopes(reading.coverage)
            rules = [r for r in reading.mapping.twins if r.scope in scopes]
            self._models.append({rule.model for rule in rules})
            self.rules.append({rule.key for rule in rules})
            self.scopes.update(reading.scope(rule.scope) for rule in rules)
            self.names |= any(r.aliases or r.hints for r in rules)
            self.names |= named and bool(rules) and len(readings) > 1

    def of_source(self, number: int, model: str) -> bool:
        """Tell whether a source might have more elements like those of a model."""
        known = self._cached.get((number, model))
        if known is None:
            known = any(self._related(model, other) for other in self._models[number])
            self._cached[number, model] = known
        return known

    def of_any(self, model: str) -> bool:
        """Tell whether any source might have more elements like those of a model ("" for all)."""
        return any(self.of_source(number, model) for number in range(len(self._models)))

    def _related(self, one: str, other: str) -> bool:
        if not one or one not in self._registry or other not in self._registry:
            return True
        return other in self._registry.ancestors(one) or one in self._registry.ancestors(other)


class _TwinMaker:
    """Elements to twins, checked against their models; the held ones are left out."""

    def __init__(self, owner: Owner, registry: ModelRegistry, merged: Merged) -> None:
        self._owner = owner
        self._registry = registry
        self._merged = merged
        self._checked: set[tuple[str, tuple[str, ...]]] = set()
        self._components: dict[str, Document] = {}
        self._common: dict[str, Document] = {}
        self.held = set(merged.held)
        self.twins: dict[str, Twin] = {}
        self.observed: dict[str, dict[Path, JsonValue]] = {}
        self.diagnostics: list[RecordDiagnostic] = []

    def make(self) -> None:
        """Make all twins."""
        for batch in self._merged.batches:
            self._make_batch(batch)
        for element in self._merged.elements.values():
            self._make(element)

    def _make_batch(self, batch: Batch) -> None:
        """Make the twins of elements that are alike: if the first is sound, so are the others."""
        first = next(batch.drafts())
        self._make(first)
        if (
            first.id in self.held
            or not self._is_simple(first)
            or batch.rows.chars_max > _SURELY_SMALL
        ):
            for draft in batch.drafts():
                self._make(draft)
            return
        model, names = first.model, batch.rows.names
        common, twins = self._common[model] | dict.fromkeys(names), self.twins
        nothing: Document = {}
        bags: list[Document] = []
        for row in batch.rows:
            bag = common.copy()
            bag.update(zip(names, row))  # noqa: B905 - a row has all, to ask costs a third
            bags.append(bag)
        made = map(Twin, batch.ids, repeat(model), bags, repeat(""), repeat(nothing))
        twins.update(zip(batch.ids, made, strict=True))
        for id_ in self.held:
            twins.pop(id_, None)

    def _make(self, element: Draft | Element) -> None:
        id_ = element.id
        if id_ in self.held or id_ in self.twins:
            return
        twin = self._twin(element)
        if id_ in self.held:
            return
        self.twins[id_] = twin
        if observed := element.observed:
            self.observed[id_] = {tuple(n.split(".")): v for n, v in observed.items()}

    def as_elements(self, unread: _Unread) -> Elements:
        """Return what relationships need to know."""
        return Elements(
            twins=self.twins,
            ids=self._merged.ids,
            held=frozenset(self.held),
            places=self._merged.places,
            unread=unread.of_any,
            names_unread=unread.names,
        )

    def _twin(self, element: Draft | Element) -> Twin:
        values = element.values
        components = self._components.get(element.model)
        if components is None:
            components = {name: {"$metadata": {}} for name in element.components}
            self._components[element.model] = components
            self._common[element.model] = common = dict(components)
            put_at(common, self._owner.marker, self._owner.name)
        if self._is_simple(element):  # the same parts in every twin: a million of them are cheap
            properties = {**self._common[element.model], **values}
        else:
            properties = _copied(components)
            for name, value in values.items():
                put_at(properties, tuple(name.split(".")), _copied(value))
            put_at(properties, self._owner.marker, self._owner.name)
        twin = Twin(element.id, element.model, properties)
        self._check(element, twin, values)
        return twin

    def _is_simple(self, element: Draft | Element) -> bool:
        """Tell whether none of its values is inside another, nor inside what bears the mark."""
        return element.flat and self._owner.marker[0] not in element.values

    def _check(self, element: Draft | Element, twin: Twin, values: Document) -> None:
        """Check a twin as a whole; every value was checked, so the names need it once."""
        kind = (twin.model, tuple(values))
        if kind not in self._checked:
            self._checked.add(kind)
            for violation in check_twin(self._registry, twin.to_document()):
                self._checked.discard(kind)
                self._fault(element, violation.message, "correct it in the source or the mapping")
        size = 0
        for value in values.values():
            if type(value) is str:
                size += len(value)
            elif type(value) is dict or type(value) is list:
                size += len(str(value))
        if size > _SURELY_SMALL:
            text = json.dumps(twin.to_document(), ensure_ascii=False)
            if len(text.encode()) > TWIN_BYTES_MAX:
                message = f"the twin is larger than {TWIN_BYTES_MAX} bytes"
                self._fault(element, message, "map fewer or shorter properties")

    def _fault(self, element: Draft | Element, message: str, remedy: str) -> None:
        self.held.add(element.id)
        place = element.places[0]
        self.diagnostics.append(RecordDiagnostic(place, message, remedy, element=element.id))


def _by_scope(reading: Reading) -> dict[str, ScopeRecords]:
    """Return the records of each scope of a mapping."""
    found: dict[str, list[Record | Table]] = {scope: [] for scope in reading.mapping.scopes}
    records = reading.records
    for part in records.parts if isinstance(records, Records) else records:
        if part.kind in found:
            found[part.kind].append(part)
    return {scope: ScopeRecords(parts) for scope, parts in found.items()}


def _without(twins: dict[str, Twin], held: frozenset[str]) -> dict[str, Twin]:
    return {id_: twin for id_, twin in twins.items() if id_ not in held} if held else twins


def _copied(part: JsonValue) -> JsonValue:
    """Return a value whose maps can be changed without changing those of others."""
    return {name: _copied(value) for name, value in part.items()} if type(part) is dict else part


def _gone(readings: Sequence[Reading], merged: Merged, owner: Owner) -> Iterator[str]:
    for reading in readings:
        rules, records = reading.mapping.relationships, reading.gone_records
        yield from gone_elements(reading.gone, merged.ids)
        yield from gone_relationships(rules, records, merged.ids, owner)


def _described(
    readings: Sequence[Reading], registry: ModelRegistry, unread: _Unread
) -> DesiredGraph:
    """Return a graph without elements: whose properties are whose, and what comes from where."""
    owner = readings[0].mapping.owner
    ownership: dict[str, dict[Path, Ownership]] = {}
    missing: dict[str, set[Path]] = defaultdict(set)
    twin_scopes: dict[str, set[str]] = defaultdict(set)
    edge_scopes: dict[str, set[str]] = defaultdict(set)
    edge_properties: dict[str, set[str]] = defaultdict(set)
    for number, reading in enumerate(readings):
        for rule in reading.mapping.twins:
            for model in _models_like(rule.model, readings, registry):
                twin_scopes[model].add(reading.scope(rule.scope))
                of_model = ownership.setdefault(model, {owner.marker: Ownership.MANAGED})
                for prop in rule.properties:
                    of_model.setdefault(prop.path, prop.ownership)
                several = rule.merge or len(readings) > 1 or rule.scope in reading.partial_kinds
                if several and rule.key in unread.rules[number]:
                    missing[model].update(prop.path for prop in rule.properties)
        for edge in reading.mapping.relationships:
            edge_scopes[edge.name].add(reading.scope(edge.scope))
            edge_properties[edge.name].update(prop.path[0] for prop in edge.properties)
        for model, scope in _placeholder_models(reading.mapping, registry):
            twin_scopes[model].add(reading.scope(scope))
            ownership.setdefault(model, {owner.marker: Ownership.MANAGED})
    for model, of_model in ownership.items():
        if bears_advised(registry, model):
            of_model.setdefault(ADVISED_PATH, Ownership.MANAGED)
    return DesiredGraph(
        owner=owner,
        ownership=ownership,
        relationship_properties=_frozen(edge_properties),
        twin_scopes=_frozen(twin_scopes),
        relationship_scopes=_frozen(edge_scopes),
        unread=_frozen(missing),
    )


def _placeholder_models(mapping: Mapping, registry: ModelRegistry) -> Iterator[tuple[str, str]]:
    """Yield the models placeholders may have, each with the scope whose links make them."""
    models = {rule.model for rule in mapping.twins if rule.model in registry}
    for edge in mapping.relationships:
        named = {edge.source_placeholder, edge.target_placeholder}
        if edge.target_placeholder == "":
            contents = (registry.contents(model).get(edge.name) for model in sorted(models))
            named |= {c.target for c in contents if isinstance(c, RelationshipElement)}
        for model in sorted(name for name in named if name):
            if model in registry and bears_advised(registry, model):
                yield model, edge.scope


def _models_like(model: str, readings: Sequence[Reading], registry: ModelRegistry) -> Iterator[str]:
    """Yield a model, and those of other sources its elements may turn out to be."""
    yield model
    if len(readings) == 1 or model not in registry:
        return
    others = {rule.model for reading in readings for rule in reading.mapping.twins}
    for other in sorted(others - {model}):
        if other in registry and model in registry.ancestors(other):
            yield other


def _frozen(sets: dict[str, set[str]] | dict[str, set[Path]]) -> dict[str, frozenset]:  # type: ignore[type-arg]
    return {name: frozenset(values) for name, values in sets.items()}
