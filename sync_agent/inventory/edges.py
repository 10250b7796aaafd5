"""Records to relationships: both ends known, the name declared by the model, the target allowed.

An edge whose end is not in the inventory is not made, and what it names is held, so that nothing
is deleted from under it. Where the same record also makes the twin the edge starts at, that twin is
held too: a link with one end is no link. Edges of held twins are left as they are without a word;
the diagnostic of the twin is the one that matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sync_agent.dtdl.elements import Relationship as RelationshipElement
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.conversion import convert
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.record import Record, RecordDiagnostic
from sync_agent.inventory.rule_check import relationship_of
from sync_agent.inventory.rules import RelationshipRule
from sync_agent.twins.twin import Document, Relationship, Twin

ID_CHARS_MAX = 128

Key = tuple[str, str]


class EdgeMaker:
    """All relationships while records are gathered, and what was wrong on the way.

    ``twins`` are the sound twins, ``held`` the ids of the others, ``places`` tells where the
    records of a twin stand.
    """

    def __init__(
        self,
        owner: Owner,
        place: str,
        registry: ModelRegistry,
        twins: Mapping[str, Twin],
        held: set[str],
        places: Callable[[str], Sequence[str]],
    ) -> None:
        """Begin without any edge."""
        self._owner = owner
        self._place = place
        self._registry = registry
        self._twins = twins
        self._places = places
        self._edges: dict[Key, tuple[Relationship, str]] = {}
        self._declared: dict[tuple[str, str], RelationshipElement | None] = {}
        self._allowed: dict[tuple[str, str], bool] = {}
        self._faulty = frozenset(held)
        self.held_twins = set(held)
        self.held: set[Key] = set()
        self.diagnostics: list[RecordDiagnostic] = []
        self.gaps: dict[str, str] = {}

    def add(self, rule: RelationshipRule, record: Record) -> None:
        """Make the edge one record stands for, if it stands for one."""
        for condition in rule.when:
            if not condition.holds(record.attributes):
                return
        target = rule.target.fill(record.attributes)
        if target is None:
            return
        source = rule.source.fill(record.attributes)
        text = rule.id.fill(record.attributes) if rule.id else target
        if source is None or text is None:
            what = "source" if source is None else "id"
            message = f"{rule.name} to {target} has no {what}"
            remedy = "fill in the empty column"
            self.diagnostics.append(RecordDiagnostic(record.place, message, remedy))
            self.gaps.setdefault(record.kind, f"{record.place} has no {what}")
            return
        key = (source, self._owner.relationship_id(f"{rule.name}.{text}"))
        if not self._ends_stand(rule, record, key, target):
            return
        definition = self._declaration(rule, source)
        if definition is None:
            self.held.add(key)
            return
        properties = self._properties(rule, definition, record, key)
        edge = Relationship(key[1], source, rule.name, target, properties)
        if fault := self._fault_of(edge, definition):
            self._fault(record.place, key, *fault)
        known, place = self._edges.setdefault(key, (edge, record.place))
        if known != edge:
            message = f"{rule.name} from {source} ({key[1]}) is different at {place}"
            self._fault(record.place, key, message, "keep one of them, or give the rule an id")

    def relationships(self) -> dict[Key, Relationship]:
        """Return the sound edges between twins that are not held."""
        return {
            key: edge
            for key, (edge, _) in self._edges.items()
            if key not in self.held
            and edge.source not in self.held_twins
            and edge.target not in self.held_twins
        }

    def _ends_stand(self, rule: RelationshipRule, record: Record, key: Key, target: str) -> bool:
        """Tell whether both ends are sound twins; say so where an end is not in the inventory."""
        missing = [end for end in (key[0], target) if end not in self._twins]
        if not missing:
            return True
        self.held.add(key)
        for end in missing:
            if end in self._faulty:
                continue
            message = f"{rule.name} from {key[0]} to {target}: there is no {end} in the inventory"
            remedy = f"add {end}, or correct the id (ids are case-sensitive)"
            self.diagnostics.append(RecordDiagnostic(record.place, message, remedy, element=key[0]))
            self.held_twins.add(end)
            if record.place in self._places(key[0]):
                self.held_twins.add(key[0])
        return False

    def _declaration(self, rule: RelationshipRule, source: str) -> RelationshipElement | None:
        model = self._twins[source].model
        cached = (rule.key, model)
        if cached not in self._declared:
            try:
                self._declared[cached] = relationship_of(self._registry, model, rule.name)
            except ValueError as error:
                self._declared[cached] = None
                place = f"{self._place}: {rule.key}.name"
                remedy = "name a relationship of the model"
                self.diagnostics.append(RecordDiagnostic(place, str(error), remedy))
        return self._declared[cached]

    def _properties(
        self, rule: RelationshipRule, definition: RelationshipElement, record: Record, key: Key
    ) -> Document:
        properties: Document = {}
        for prop in rule.properties:
            raw = prop.value_for(record.attributes)
            if raw is None:
                continue
            declared = definition.properties.get(prop.name)
            if declared is None:
                message = f"{prop.name} is no property of relationship {rule.name}"
                self._fault(record.place, key, message, f"correct {prop.key} in {self._place}")
                continue
            try:
                properties[prop.name] = convert(declared.schema, raw)
            except ValueError as error:
                message = f"{rule.name}: {prop.name} {error}"
                self._fault(record.place, key, message, "correct it in the source")
        return properties

    def _fault_of(
        self, edge: Relationship, definition: RelationshipElement
    ) -> tuple[str, str] | None:
        target = self._twins[edge.target].model
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
        if pair not in self._allowed:
            self._allowed[pair] = self._registry.is_of_model(model, declared)
        return self._allowed[pair]

    def _fault(self, place: str, key: Key, message: str, remedy: str) -> None:
        self.held.add(key)
        self.diagnostics.append(RecordDiagnostic(place, message, remedy, element=key[0]))
