"""Records to the graph that should be, by a mapping and against the models.

Records of one twin are gathered in a draft. What is wrong with a record is a diagnostic with its
place, and its element is held: neither written nor deleted. An element nobody can identify (a
record without an id) leaves a gap in its scope's coverage instead. The result does not depend on
the order of records. Time and memory are linear in the number of records.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.values import check_twin
from sync_agent.inventory.conversion import convert
from sync_agent.inventory.desired import DesiredGraph, Ownership
from sync_agent.inventory.edges import EdgeMaker
from sync_agent.inventory.paths import Path, put_at
from sync_agent.inventory.record import Coverage, Record, RecordDiagnostic
from sync_agent.inventory.rule_check import TypedTwinRule, check_columns, typed
from sync_agent.inventory.rules import Mapping
from sync_agent.inventory.rules_file import parse_mapping
from sync_agent.twins.twin import Document, JsonValue, Twin

__all__ = ["MappedGraph", "Mapping", "check_columns", "map_records", "parse_mapping"]

ID_CHARS_MAX = 128
TWIN_BYTES_MAX = 32_768


@dataclass(frozen=True, slots=True)
class MappedGraph:
    """The desired graph, what could not be used, and the gaps that leaves in the coverage."""

    desired: DesiredGraph
    diagnostics: tuple[RecordDiagnostic, ...] = ()
    gaps: tuple[Coverage, ...] = ()


def map_records(
    mapping: Mapping, records: Iterable[Record], registry: ModelRegistry
) -> MappedGraph:
    """Return what the records mean.

    A column that a record lacks counts as empty; ``check_columns`` finds misspelt ones beforehand.
    """
    rules = [typed(rule, mapping, registry) for rule in mapping.twins]
    drafts = _Drafts(mapping, registry)
    drafts.diagnostics += [fault for rule in rules for fault in rule.faults]
    by_scope: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_scope[record.kind].append(record)
    for rule in rules:
        for record in by_scope[rule.rule.scope]:
            drafts.add(rule, record)
    twins = drafts.finish()
    edges = EdgeMaker(mapping.owner, mapping.place, registry, twins, drafts.held, drafts.places)
    for edge_rule in mapping.relationships:
        for record in by_scope[edge_rule.scope]:
            edges.add(edge_rule, record)
    held = edges.held_twins
    desired = DesiredGraph(
        owner=mapping.owner,
        twins={id_: twin for id_, twin in twins.items() if id_ not in held},
        relationships=edges.relationships(),
        held=frozenset(held),
        held_relationships=frozenset(edges.held),
        observed=drafts.observed,
        ownership=_ownership(mapping),
        relationship_properties=_relationship_properties(mapping),
        twin_scopes=_scopes((rule.model, rule.scope) for rule in mapping.twins),
        relationship_scopes=_scopes((rule.name, rule.scope) for rule in mapping.relationships),
    )
    return MappedGraph(
        desired,
        (*drafts.diagnostics, *edges.diagnostics),
        tuple(Coverage(s, False, why) for s, why in (drafts.gaps | edges.gaps).items()),
    )


@dataclass(slots=True)
class _Draft:
    """A twin while its records are gathered."""

    id: str
    typed: TypedTwinRule
    values: dict[Path, tuple[JsonValue, str]] = field(default_factory=dict)
    observed: dict[Path, JsonValue] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)


class _Drafts:
    """All twins while records are gathered, and what was wrong on the way."""

    def __init__(self, mapping: Mapping, registry: ModelRegistry) -> None:
        self._owner = mapping.owner
        self._registry = registry
        self._drafts: dict[str, _Draft] = {}
        self.held: set[str] = set()
        self.diagnostics: list[RecordDiagnostic] = []
        self.gaps: dict[str, str] = {}
        self.observed: dict[str, dict[Path, JsonValue]] = {}

    def add(self, rule: TypedTwinRule, record: Record) -> None:
        """Gather what one record says about its twin."""
        for condition in rule.rule.when:
            if not condition.holds(record.attributes):
                return
        id_ = rule.rule.id.fill(record.attributes)
        if id_ is None:
            empty = " or ".join(rule.rule.id.columns)
            self.diagnostics.append(
                RecordDiagnostic(record.place, f"has no id: {empty} is empty", "give it its id")
            )
            self.gaps.setdefault(record.kind, f"{record.place} has no id")
            return
        if rule.faults:
            self.held.add(id_)
            return
        draft = self._drafts.get(id_)
        if draft is None:
            draft = self._drafts[id_] = _Draft(id_, rule)
            if fault := _id_fault(id_):
                self._fault(record.place, id_, fault, "shorten or correct the id")
        elif not self._may_join(draft, rule, record):
            return
        draft.places.append(record.place)
        self._take_values(draft, rule, record)

    def finish(self) -> dict[str, Twin]:
        """Return the sound twins, checked against their models; the held ones are left out."""
        twins: dict[str, Twin] = {}
        for draft in self._drafts.values():
            twin = self._twin(draft)
            if draft.id not in self.held:
                twins[draft.id] = twin
                if draft.observed:
                    self.observed[draft.id] = draft.observed
        return twins

    def places(self, id_: str) -> Sequence[str]:
        """Return where the records of a twin stand."""
        draft = self._drafts.get(id_)
        return draft.places if draft else ()

    def _may_join(self, draft: _Draft, rule: TypedTwinRule, record: Record) -> bool:
        first = draft.places[0]
        if draft.typed.rule.model != rule.rule.model:
            message = f"{draft.id} is a {rule.rule.model} here and a {draft.typed.rule.model} there"
        elif not (rule.rule.merge and draft.typed.rule.merge):
            message = f"the id {draft.id} is used twice"
        else:
            return True
        remedy = "keep one of them, or set merge = true where several records describe one element"
        self._fault(record.place, draft.id, f"{message}: see also {first}", remedy)
        draft.places.append(record.place)
        return False

    def _take_values(self, draft: _Draft, rule: TypedTwinRule, record: Record) -> None:
        for prop in rule.properties:
            raw = prop.rule.value_for(record.attributes)
            if raw is None:
                continue
            try:
                value = convert(prop.schema, raw)
            except ValueError as error:
                remedy = f"correct it in the source, or its rule {prop.rule.key}"
                self._fault(record.place, draft.id, f"{prop.rule.name} {error}", remedy)
                continue
            if prop.rule.ownership is Ownership.OBSERVED:
                draft.observed[prop.rule.path] = value
                continue
            before, place = draft.values.setdefault(prop.rule.path, (value, record.place))
            if before != value:
                message = f"{prop.rule.name} is {value!r}, but {before!r} at {place}"
                remedy = "correct the source, or say with when which record has the say"
                self._fault(record.place, draft.id, message, remedy)

    def _twin(self, draft: _Draft) -> Twin:
        properties: Document = {n: {"$metadata": {}} for n in draft.typed.components}
        for path, (value, _) in draft.values.items():
            put_at(properties, path, value)
        put_at(properties, self._owner.marker, self._owner.name)
        twin = Twin(draft.id, draft.typed.rule.model, properties)
        document = twin.to_document()
        for violation in check_twin(self._registry, document):
            self._fault(draft.places[0], draft.id, violation.message, "correct it in the source")
        if len(json.dumps(document, ensure_ascii=False).encode()) > TWIN_BYTES_MAX:
            message = f"the twin is larger than {TWIN_BYTES_MAX} bytes"
            self._fault(draft.places[0], draft.id, message, "map fewer or shorter properties")
        return twin

    def _fault(self, place: str, id_: str, message: str, remedy: str) -> None:
        self.held.add(id_)
        self.diagnostics.append(RecordDiagnostic(place, message, remedy, element=id_))


def _id_fault(id_: str) -> str:
    if len(id_) > ID_CHARS_MAX:
        return f"the id {id_[:40]}... is longer than {ID_CHARS_MAX} characters"
    if not id_.isprintable():
        return f"the id {id_!r} has characters that cannot be seen"
    return ""


def _ownership(mapping: Mapping) -> dict[str, dict[Path, Ownership]]:
    owned: dict[str, dict[Path, Ownership]] = {}
    for rule in mapping.twins:
        of_model = owned.setdefault(rule.model, {mapping.owner.marker: Ownership.MANAGED})
        of_model.update({prop.path: prop.ownership for prop in rule.properties})
    return owned


def _relationship_properties(mapping: Mapping) -> dict[str, frozenset[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for rule in mapping.relationships:
        names[rule.name].update(prop.path[0] for prop in rule.properties)
    return {name: frozenset(properties) for name, properties in names.items()}


def _scopes(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    scopes: dict[str, set[str]] = defaultdict(set)
    for thing, scope in pairs:
        scopes[thing].add(scope)
    return {thing: frozenset(of) for thing, of in scopes.items()}
