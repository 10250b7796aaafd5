"""Records to relationships: both ends known, the name declared by the model, the target allowed.

An end is named by an id or an alias. One that no record describes becomes a placeholder, marked
ADVISED as O-RAN TEIV does, where a model for it is known, that model can bear the mark, and every
scope that might describe it was read whole. Otherwise the edge is not made. Where its rule says
that it drops, that is all: it goes, and the end may go. If not, what it names is held, so that
nothing is deleted from under it; where the same record also makes the twin the edge
starts at, that twin is held too: a link with one end is no link. Edges of held twins are left as
they are without a word; the diagnostic of the twin is the one that matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter, eq

import msgspec

from sync_agent.dtdl.elements import Component, EnumSchema, Primitive
from sync_agent.dtdl.elements import Relationship as RelationshipElement
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.columns import ScopeRecords
from sync_agent.inventory.containment import circles
from sync_agent.inventory.conversion import convert
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import put_at
from sync_agent.inventory.record import Record, RecordDiagnostic
from sync_agent.inventory.rule_check import relationship_of, schema_at
from sync_agent.inventory.rules import Mapping as Rules
from sync_agent.inventory.rules import RelationshipRule
from sync_agent.twins.twin import Document, Key, Relationship, Twin

ID_CHARS_MAX = 128
NAMES_SHOWN = 6
ADVISED_PATH = ("reliabilityIndicator",)
ADVISED = "ADVISED"


@dataclass(frozen=True, slots=True)
class Elements:
    """What edges may lead to: sound twins, the ids behind names, and what is held.

    ``places`` tells where the records of a twin stand, ``unread`` of a model whether scopes that
    make twins like it were not read whole, ``names_unread`` whether ids behind names may be there.
    """

    twins: Mapping[str, Twin]
    ids: Mapping[str, str]
    held: frozenset[str]
    places: Callable[[str], Sequence[str]]
    unread: Callable[[str], bool]
    names_unread: bool


class _Asked(msgspec.Struct, gc=False):
    """An edge a record asks for, its ends resolved."""

    rule: RelationshipRule
    rules: Rules
    record: Record
    key: Key
    target: str


class EdgeMaker:
    """All relationships while records are gathered, and what was wrong on the way.

    After ``finish``, ``relationships`` are the sound ones between twins that are not held. Of the
    names in ``unsure`` some edge may be any: the id of its end may be in what was not read.
    """

    def __init__(self, owner: Owner, registry: ModelRegistry, elements: Elements) -> None:
        """Begin without any edge."""
        self._owner = owner
        self._registry = registry
        self._elements = elements
        self._places: dict[Key, str] = {}
        self._batches: list[tuple[list[Key], Sequence[Record]]] = []
        self._inside: list[tuple[Key, str]] = []
        self._declared: dict[tuple[str, str, str], RelationshipElement | None] = {}
        self._allowed: dict[tuple[str, str], bool] = {}
        self._waiting: list[_Asked] = []
        self.placeholders: dict[str, Twin] = {}
        self.relationships: dict[Key, Relationship] = {}
        self.held_twins = set(elements.held)
        self.held: set[Key] = set()
        self.unsure: set[str] = set()
        self.diagnostics: list[RecordDiagnostic] = []
        self.gaps: dict[str, str] = {}

    def add(self, rule: RelationshipRule, rules: Rules, records: ScopeRecords) -> None:
        """Make the edges the records of a rule's scope stand for."""
        if not self._add_columns(rule, rules, records):
            self._add_records(rule, rules, records.records)

    def _add_columns(self, rule: RelationshipRule, rules: Rules, records: ScopeRecords) -> bool:
        """Make all edges of a rule at once, or none where its records may be unusual."""
        templates = (rule.source, rule.target, rule.id or rule.target)
        if rule.when or rule.properties or self._elements.ids:
            return False
        texts = records.texts(templates)
        if texts is None:
            return False
        sources, targets, names = texts
        start = self._owner.relationship_id(f"{rule.name}.")
        ids = [start + name for name in names]
        known = self._elements.twins
        if any(map(eq, sources, targets)) or max(map(len, ids)) > ID_CHARS_MAX:
            return False
        try:
            ends = map(known.__getitem__, sources), map(known.__getitem__, targets)
            if not self._let_be(rule, rules, *ends):
                return False
        except KeyError:
            return False
        keys = list(zip(sources, ids, strict=True))
        made = map(Relationship, ids, sources, repeat(rule.name), targets, repeat({}))
        edges = dict(zip(keys, made, strict=True))
        if len(edges) < len(keys) or not self.relationships.keys().isdisjoint(edges):
            return False
        self.relationships.update(edges)
        self._batches.append((keys, records.records))
        if rule.containment:
            self._inside += zip(keys, targets, strict=True)
        return True

    def _let_be(
        self,
        rule: RelationshipRule,
        rules: Rules,
        sources: Iterable[Twin],
        targets: Iterable[Twin],
    ) -> bool:
        """Tell whether the models of all these twins have a relationship lead to each other."""
        model = attrgetter("model")
        for source, target in set(zip(map(model, sources), map(model, targets), strict=True)):
            definition = self._declaration(rule, rules, source)
            if definition is None:
                return False
            if definition.target and not self._may_lead_to(definition.target, target):
                return False
        return True

    def _add_records(self, rule: RelationshipRule, rules: Rules, records: Sequence[Record]) -> None:
        source_of, target_of = rule.source.filler(), rule.target.filler()
        id_of = rule.id.filler() if rule.id else None
        ids, twins = self._elements.ids, self._elements.twins
        conditions, start = rule.when, self._owner.relationship_id(f"{rule.name}.")
        for record in records:
            attributes = record.attributes
            if conditions and not all(c.holds(attributes) for c in conditions):
                continue
            target = target_of(attributes)
            if target is None:
                continue
            source = source_of(attributes)
            target = ids.get(target, target)
            text = id_of(attributes) if id_of else target
            if source is None or text is None:
                self._incomplete(rule, record, target, "source" if source is None else "id")
                continue
            source = ids.get(source, source)
            asked = _Asked(rule, rules, record, (source, start + text), target)
            at_source, at_target = twins.get(source), twins.get(target)
            if self._elements.names_unread and not self._are_known(source, target):
                self.unsure.add(rule.name)
            if at_source is None or at_target is None:
                self._waiting.append(asked)
            else:
                self._make(asked, at_source.model, at_target.model)

    def _are_known(self, *ends: str) -> bool:
        held = self._elements.held
        return all(end in self._elements.twins and end not in held for end in ends)

    def finish(self) -> None:
        """Decide on edges with unknown ends, once all records are known; then look for circles."""
        needed: dict[str, set[str]] = defaultdict(set)
        for asked in self._waiting:
            for end, model in self._unknown_ends(asked):
                if model is not None:
                    needed[end].add(model)
        for end, models in needed.items():
            if (twin := self._placeholder(end, models)) is not None:
                self.placeholders[end] = twin
        for asked in self._waiting:
            source = self._twin(asked.key[0])
            target = self._twin(asked.target)
            if source is not None and target is not None:
                self._make(asked, source.model, target.model)
            else:
                self._leave(asked)
        self._waiting.clear()
        self._refuse_circles()
        unsound, held = self.held, self.held_twins
        if unsound or held:
            self.relationships = {
                key: edge
                for key, edge in self.relationships.items()
                if key not in unsound and edge.source not in held and edge.target not in held
            }
        if self.placeholders:
            ends = {
                end for edge in self.relationships.values() for end in (edge.source, edge.target)
            }
            self.placeholders = {id_: t for id_, t in self.placeholders.items() if id_ in ends}

    def _twin(self, id_: str) -> Twin | None:
        return self._elements.twins.get(id_) or self.placeholders.get(id_)

    def _unknown_ends(self, asked: _Asked) -> Iterable[tuple[str, str | None]]:
        """Yield the ends no record describes, each with the model a placeholder would have."""
        rule, (source, _) = asked.rule, asked.key
        known = self._elements.twins
        source_model = known[source].model if source in known else rule.source_placeholder
        if source not in known and source not in self._elements.held:
            yield source, rule.source_placeholder
        if asked.target not in known and asked.target not in self._elements.held:
            model = rule.target_placeholder
            if model == "" and source_model is not None and source_model in self._registry:
                content = self._registry.contents(source_model).get(rule.name)
                declared = isinstance(content, RelationshipElement) and content.target
                model = declared or None
            yield asked.target, model or None

    def _placeholder(self, id_: str, models: set[str]) -> Twin | None:
        """Return a twin that stands for an element nobody describes, None if there can be none."""
        able = [m for m in models if m in self._registry and self._registry.complete(m)]
        model = next(
            (m for m in sorted(able) if all(o in self._registry.ancestors(m) for o in models)),
            None,
        )
        if model is None or self._elements.unread(model) or len(id_) > ID_CHARS_MAX:
            return None
        if not bears_advised(self._registry, model) or not self._bears_owner(model):
            return None
        contents = self._registry.contents(model).items()
        properties: Document = {n: {"$metadata": {}} for n, c in contents if _is_component(c)}
        put_at(properties, ADVISED_PATH, ADVISED)
        put_at(properties, self._owner.marker, self._owner.name)
        return Twin(id_, model, properties)

    def _bears_owner(self, model: str) -> bool:
        try:
            return schema_at(self._registry, model, self._owner.marker) is Primitive.STRING
        except ValueError:
            return False

    def _make(self, asked: _Asked, source_model: str, target_model: str) -> None:
        """Make one edge between twins there are."""
        rule, record, key = asked.rule, asked.record, asked.key
        definition = self._declaration(rule, asked.rules, source_model)
        if definition is None:
            self.held.add(key)
            return
        properties = self._properties(asked, definition) if rule.properties else {}
        edge = Relationship(key[1], key[0], rule.name, asked.target, properties)
        if fault := self._fault_of(edge, definition, target_model):
            self._fault(record.place, key, *fault)
        known = self.relationships.setdefault(key, edge)
        if known is edge:
            self._places[key] = record.place
            if rule.containment:
                self._inside.append((key, edge.target))
        elif known != edge:
            place = self._place_of(key)
            message = f"{rule.name} from {key[0]} ({key[1]}) is different at {place}"
            self._fault(record.place, key, message, "keep one of them, or give the rule an id")

    def _leave(self, asked: _Asked) -> None:
        """Hold an edge with an unknown end, and say so unless the reason was said before."""
        source = asked.key[0]
        unknown = [(e, m) for e, m in self._unknown_ends(asked) if e not in self.placeholders]
        unread = [e for e, m in unknown if self._unread(asked, m)]
        faulty = not self._elements.held.isdisjoint((source, asked.target))
        if asked.rule.drops and not unread and not faulty:
            return
        self.held.add(asked.key)
        twin = self._elements.twins.get(source)
        said = source in self._elements.held or (
            twin is not None and self._declaration(asked.rule, asked.rules, twin.model) is None
        )
        for end, _ in unknown:
            if said or end in unread:
                self.held_twins.add(end)
                continue
            name = asked.rule.name
            message = f"{name} from {source} to {asked.target}: there is no {end} in the inventory"
            remedy = f"add {end}, or correct the id (ids are case-sensitive)"
            place = asked.record.place
            self.diagnostics.append(RecordDiagnostic(place, message, remedy, element=source))
            self.held_twins.add(end)
            if place in self._elements.places(source):
                self.held_twins.add(source)

    def _unread(self, asked: _Asked, model: str | None) -> bool:
        return self._elements.unread(model or self._declared_target(asked) or "")

    def _declared_target(self, asked: _Asked) -> str:
        twin = self._elements.twins.get(asked.key[0])
        content = self._registry.contents(twin.model).get(asked.rule.name) if twin else None
        return content.target if isinstance(content, RelationshipElement) else ""

    def _refuse_circles(self) -> None:
        for keys in circles(self._inside):
            names = " in ".join(key[0] for key in keys[:NAMES_SHOWN])
            more = " in ..." if len(keys) > NAMES_SHOWN else f" in {keys[0][0]}"
            for key in keys:
                edge = self.relationships[key]
                message = (
                    f"{edge.name} from {edge.source} to {edge.target} is part of a circle:"
                    f" {names}{more}"
                )
                remedy = "correct one of them: nothing is inside itself"
                self._fault(self._place_of(key), key, message, remedy)

    def _place_of(self, key: Key) -> str:
        """Return where the record of an edge stands."""
        for keys, records in self._batches:
            self._places.update(zip(keys, (record.place for record in records), strict=True))
        self._batches.clear()
        return self._places[key]

    def _declaration(
        self, rule: RelationshipRule, rules: Rules, model: str
    ) -> RelationshipElement | None:
        cached = (rules.place, rule.key, model)
        try:
            return self._declared[cached]
        except KeyError:
            try:
                self._declared[cached] = relationship_of(self._registry, model, rule.name)
            except ValueError as error:
                self._declared[cached] = None
                key = f"{rule.key}.name"
                place = f"{rules.where(key)}: {key}"
                remedy = "name a relationship of the model"
                self.diagnostics.append(RecordDiagnostic(place, str(error), remedy))
        return self._declared[cached]

    def _properties(self, asked: _Asked, definition: RelationshipElement) -> Document:
        rule, record, key = asked.rule, asked.record, asked.key
        properties: Document = {}
        for prop in rule.properties:
            declared = definition.properties.get(prop.name)
            try:
                raw = prop.value_for(record.attributes)
                if raw is None:
                    continue
                if declared is not None:
                    properties[prop.name] = convert(declared.schema, raw)
                    continue
            except ValueError as error:
                message = f"{rule.name}: {prop.name} {error}"
                self._fault(record.place, key, message, "correct it in the source")
                continue
            message = f"{prop.name} is no property of relationship {rule.name}"
            remedy = f"correct {prop.key} in {asked.rules.where(prop.key)}"
            self._fault(record.place, key, message, remedy)
        return properties

    def _fault_of(
        self, edge: Relationship, definition: RelationshipElement, target: str
    ) -> tuple[str, str] | None:
        if edge.source == edge.target:
            return f"{edge.source} has {edge.name} to itself", "correct one of its ends"
        if definition.target and not self._may_lead_to(definition.target, target):
            return (
                f"{edge.name} leads to a {definition.target}, but {edge.target} is a {target}",
                "correct the target",
            )
        if len(edge.id) > ID_CHARS_MAX:
            return (
                f"the id {edge.id[:60]}... is longer than {ID_CHARS_MAX} characters",
                "give the rule a shorter id",
            )
        return None

    def _may_lead_to(self, declared: str, model: str) -> bool:
        pair = (declared, model)
        allowed = self._allowed.get(pair)
        if allowed is None:
            allowed = self._allowed[pair] = self._registry.is_of_model(model, declared)
        return allowed

    def _incomplete(self, rule: RelationshipRule, record: Record, target: str, what: str) -> None:
        message = f"{rule.name} to {target} has no {what}"
        remedy = "fill in the empty column"
        self.diagnostics.append(RecordDiagnostic(record.place, message, remedy))
        self.gaps.setdefault(record.kind, f"{record.place} has no {what}")

    def _fault(self, place: str, key: Key, message: str, remedy: str) -> None:
        self.held.add(key)
        self.diagnostics.append(RecordDiagnostic(place, message, remedy, element=key[0]))


def bears_advised(registry: ModelRegistry, model: str) -> bool:
    """Tell whether twins of a model can say that nothing but a link speaks of them."""
    if model not in registry:
        return False
    try:
        schema = schema_at(registry, model, ADVISED_PATH)
    except ValueError:
        return False
    return schema is Primitive.STRING or (
        isinstance(schema, EnumSchema) and ADVISED in schema.values
    )


def _is_component(content: object) -> bool:
    return isinstance(content, Component)
