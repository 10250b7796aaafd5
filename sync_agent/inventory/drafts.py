"""Elements of one source while its records are gathered.

A draft is what the records of one source say about one element so far. What is wrong with a record
is a diagnostic with its place, and its element is held: neither written nor deleted. A record
without an id leaves a gap in its scope's coverage instead, because nobody knows whose it is.

This is where most of the time of a pass goes, so rules are compiled first: a column that becomes
a property as it stands needs one lookup and one conversion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.columns import Convert, Rows, ScopeRecords, values_by_column
from sync_agent.inventory.conversion import converter
from sync_agent.inventory.desired import Ownership
from sync_agent.inventory.record import Record, RecordDiagnostic
from sync_agent.inventory.rule_check import TypedRule, typed
from sync_agent.inventory.rules import Mapping, PropertyRule, TwinRule
from sync_agent.inventory.template import Template
from sync_agent.twins.twin import JsonValue

ID_CHARS_MAX = 128


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A twin rule ready for many records.

    ``plain`` are columns that become a property as they stand: ``(column, name, convert)``;
    ``others`` need more: ``(rule, name, convert)``. ``by_name`` has all of them; they are ``flat``
    where none is inside another.
    """

    rule: TwinRule
    components: tuple[str, ...]
    plain: tuple[tuple[str, str, Convert], ...]
    others: tuple[tuple[PropertyRule, str, Convert], ...]
    by_name: dict[str, tuple[PropertyRule, Convert]]
    flat: bool
    faults: tuple[RecordDiagnostic, ...]


class Draft(msgspec.Struct, gc=False):
    """An element of one source; ``places`` are its records, ``said`` where later values are from.

    ``values`` are by dotted name; those that ``said`` does not list are from the first place.
    ``rules`` are those whose records describe it, the first of them first. ``hints`` are those that
    no other element of the source shares, once all were gathered.
    """

    id: str
    rules: tuple[CompiledRule, ...]
    places: list[str]
    values: dict[str, JsonValue] = msgspec.field(default_factory=dict)
    said: dict[str, str] | None = None
    observed: dict[str, JsonValue] | None = None
    aliases: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return what it is called, its id first, each name once."""
        if not (self.aliases or self.hints):
            return (self.id,)
        return tuple(dict.fromkeys((self.id, *self.aliases, *self.hints)))

    @property
    def model(self) -> str:
        """Return the model its records make it."""
        return self.rules[0].rule.model

    @property
    def components(self) -> tuple[str, ...]:
        """Return the names of the components of its model."""
        return self.rules[0].components

    @property
    def flat(self) -> bool:
        """Tell whether none of its values is inside another, by its rules."""
        return all(rule.flat for rule in self.rules)

    def precedence(self, name: str) -> int:
        """Return how much say its source has in a property."""
        return next(rule.by_name[name][0].precedence for rule in self.rules if name in rule.by_name)


@dataclass(frozen=True, slots=True)
class Batch:
    """Elements of one rule, each described by one record that has all values.

    What holds for one of them holds for all, so they are drafts of their own only where need be.
    """

    rule: CompiledRule
    ids: Sequence[str]
    records: Sequence[Record]
    rows: Rows

    def drafts(self) -> Iterator[Draft]:
        """Yield them one by one."""
        rules = (self.rule,)
        for id_, record, row in zip(self.ids, self.records, self.rows, strict=True):
            values = dict(zip(self.rows.names, row, strict=True))
            yield Draft(id_, rules, [record.place], values)


def compile_rule(rule: TwinRule, mapping: Mapping, registry: ModelRegistry) -> CompiledRule:
    """Return a rule with converters for the schemas of its model, or with what is wrong with it."""
    known = typed(rule, mapping, registry)
    plain: list[tuple[str, str, Convert]] = []
    others: list[tuple[PropertyRule, str, Convert]] = []
    by_name: dict[str, tuple[PropertyRule, Convert]] = {}
    for prop in known.properties:
        convert = converter(prop.schema)
        by_name[prop.rule.name] = (prop.rule, convert)
        if _is_plain(prop):
            value: Template = prop.rule.value
            plain.append((value.columns[0], prop.rule.name, convert))
        else:
            others.append((prop.rule, prop.rule.name, convert))
    return CompiledRule(
        rule,
        known.components,
        tuple(plain),
        tuple(others),
        by_name,
        not any("." in name for name in by_name),
        tuple(known.faults),
    )


class DraftMaker:
    """All drafts of one source, what was wrong with its records, and the gaps that leaves."""

    def __init__(self, mapping: Mapping, registry: ModelRegistry) -> None:
        """Begin without any record."""
        self.rules = tuple(compile_rule(rule, mapping, registry) for rule in mapping.twins)
        self.batches: list[Batch] = []
        self.singles: dict[str, Draft] = {}
        self._in_batches: set[str] = set()
        self.held: set[str] = set()
        self.diagnostics = [fault for rule in self.rules for fault in rule.faults]
        self.gaps: dict[str, str] = {}

    def one_by_one(self) -> dict[str, Draft]:
        """Take the batches apart, and return all drafts."""
        for batch in self.batches:
            self.singles.update((draft.id, draft) for draft in batch.drafts())
        self.batches.clear()
        self._in_batches = set()
        return self.singles

    def settle(self) -> None:
        """Leave of the hints what names one element, now that all are there that might share it."""
        if not any(compiled.rule.hints for compiled in self.rules):
            return
        drafts = self.one_by_one().values()
        claims = Counter(name for draft in drafts for name in draft.names)
        for draft in drafts:
            draft.hints = tuple(name for name in draft.hints if claims[name] == 1)

    def add(self, compiled: CompiledRule, records: ScopeRecords) -> None:
        """Gather what the records of a rule's scope say."""
        if not self._add_columns(compiled, records):
            self._add_records(compiled, records.records)

    def _add_columns(self, compiled: CompiledRule, records: ScopeRecords) -> bool:
        """Make all drafts of a rule at once, or none where its records may be unusual."""
        rule = compiled.rule
        if rule.when or rule.aliases or rule.hints or compiled.others:
            return False
        if compiled.faults or not compiled.plain:
            return False
        texts = records.texts([rule.id])
        if texts is None:
            return False
        (ids,) = texts
        known = set(ids)
        if len(known) < len(ids) or not self._in_batches.isdisjoint(known):
            return False
        if not self.singles.keys().isdisjoint(known):
            return False
        if not all(map(str.isprintable, ids)) or max(map(len, ids), default=0) > ID_CHARS_MAX:
            return False
        found = values_by_column(records, compiled.plain)
        if found is None:
            return False
        if isinstance(found, Rows):
            self.batches.append(Batch(compiled, ids, records.records, found))
            self._in_batches = self._in_batches | known if self._in_batches else known
        else:
            for id_, record, values in zip(ids, records.records, found, strict=True):
                self.singles[id_] = Draft(id_, (compiled,), [record.place], values)
        return True

    def _add_records(self, compiled: CompiledRule, records: Iterable[Record]) -> None:
        rule = compiled.rule
        conditions = rule.when
        id_of = rule.id.filler()
        drafts = self.singles
        for record in records:
            attributes = record.attributes
            if conditions and not all(c.holds(attributes) for c in conditions):
                continue
            id_ = id_of(attributes)
            if id_ is None:
                self._without_id(rule, record)
            elif compiled.faults:
                self.held.add(id_)
            elif id_ in drafts or id_ in self._in_batches:
                self._join(self.one_by_one()[id_], compiled, record)
            else:
                draft = drafts[id_] = Draft(id_, (compiled,), [record.place])
                if len(id_) > ID_CHARS_MAX or not id_.isprintable():
                    self.fault(record.place, id_, _id_fault(id_), "shorten or correct the id")
                self._fill(draft, compiled, record)

    def fault(self, place: str, id_: str, message: str, remedy: str) -> None:
        """Hold an element and say why."""
        self.held.add(id_)
        self.diagnostics.append(RecordDiagnostic(place, message, remedy, element=id_))

    def _fill(self, draft: Draft, compiled: CompiledRule, record: Record) -> None:
        """Take the values of an element's first record."""
        attributes = record.attributes
        values = draft.values
        for column, name, convert in compiled.plain:
            raw = attributes.get(column)
            if raw is None or raw == "":
                continue
            try:
                values[name] = convert(raw)
            except ValueError as error:
                self._value_fault(record, draft.id, compiled.by_name[name][0], error)
        for prop, name, convert in compiled.others:
            value = self._value(record, draft.id, prop, convert)
            if value is not None:
                _note(draft, prop, name, value)
        self._name(draft, compiled.rule, record)

    def _join(self, draft: Draft, compiled: CompiledRule, record: Record) -> None:
        """Add a further record to an element that is there, if it may be."""
        rule, first = compiled.rule, draft.rules[0].rule
        if first.model != rule.model:
            message = f"{draft.id} is a {rule.model} here and a {first.model} there"
        elif not (rule.merge and first.merge):
            message = f"the id {draft.id} is used twice"
        else:
            message = ""
        draft.places.append(record.place)
        if message:
            remedy = (
                "keep one of them, or set merge = true where several records describe one element"
            )
            see = f"{message}: see also {draft.places[0]}"
            self.fault(record.place, draft.id, see, remedy)
            return
        if compiled not in draft.rules:
            draft.rules = (*draft.rules, compiled)
        for name, (prop, convert) in compiled.by_name.items():
            value = self._value(record, draft.id, prop, convert)
            if value is None:
                continue
            before = draft.values.get(name)
            if prop.ownership is Ownership.OBSERVED or before is None:
                _note(draft, prop, name, value)
                draft.said = {**(draft.said or {}), name: record.place}
            elif before != value:
                place = (draft.said or {}).get(name, draft.places[0])
                message = f"{name} is {value!r}, but {before!r} at {place}"
                remedy = "correct the source, or say with when which record has the say"
                self.fault(record.place, draft.id, message, remedy)
        self._name(draft, rule, record)

    def _name(self, draft: Draft, rule: TwinRule, record: Record) -> None:
        """Note what else a record calls its element."""
        if rule.aliases:
            draft.aliases = (*draft.aliases, *_names(rule.aliases, record))
        if rule.hints:
            draft.hints = (*draft.hints, *_names(rule.hints, record))

    def _value(
        self, record: Record, id_: str, prop: PropertyRule, convert: Convert
    ) -> JsonValue | None:
        try:
            raw = prop.value_for(record.attributes)
            return None if raw is None else convert(raw)
        except ValueError as error:
            self._value_fault(record, id_, prop, error)
            return None

    def _value_fault(self, record: Record, id_: str, prop: PropertyRule, error: ValueError) -> None:
        remedy = f"correct it in the source, or its rule {prop.key}"
        self.fault(record.place, id_, f"{prop.name} {error}", remedy)

    def _without_id(self, rule: TwinRule, record: Record) -> None:
        empty = " or ".join(rule.id.columns)
        message = f"has no id: {empty} is empty"
        self.diagnostics.append(RecordDiagnostic(record.place, message, "give it its id"))
        self.gaps.setdefault(record.kind, f"{record.place} has no id")


def _note(draft: Draft, prop: PropertyRule, name: str, value: JsonValue) -> None:
    if prop.ownership is Ownership.OBSERVED:
        draft.observed = {**(draft.observed or {}), name: value}
    else:
        draft.values[name] = value


def _is_plain(prop: TypedRule) -> bool:
    rule = prop.rule
    return (
        isinstance(rule.value, Template)
        and rule.value.texts == ("", "")
        and not rule.when
        and rule.translation is None
        and rule.scale == 1
        and not rule.decimal_comma
        and rule.ownership is not Ownership.OBSERVED
    )


def _names(templates: Iterable[Template], record: Record) -> list[str]:
    """Return other names of an element; a template on a list gives one for each of its items."""
    names: list[str] = []
    for template in templates:
        column = template.columns[0] if template.columns else ""
        cell = record.attributes.get(column)
        if isinstance(cell, Sequence) and not isinstance(cell, str):
            filled = [template.fill({**record.attributes, column: item}) for item in cell]
        else:
            filled = [template.fill(record.attributes)]
        names += [name for name in filled if name]
    return names


def _id_fault(id_: str) -> str:
    if len(id_) > ID_CHARS_MAX:
        return f"the id {id_[:40]}... is longer than {ID_CHARS_MAX} characters"
    return f"the id {id_!r} has characters that cannot be seen"
