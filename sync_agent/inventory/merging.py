"""Which elements of several sources are one, and what it looks like then.

Elements that share a name (an id or an alias) are one element. It has the id that the first-named
of its sources gives it, the most special of its models, and of each property the value with the
highest precedence, then of the source that is named first. Two elements of one source that get
joined so - by an alias that both claim, or by another source that takes them for one - are a
contradiction: it is reported with all places, and none of them is written or deleted.

Under which id an element goes is known only if every source named before was read: until then an
element that may have a name there is held. That a hint names one element is known only if its
source was read: until then what it joins is held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.drafts import Batch, Draft, DraftMaker
from sync_agent.inventory.record import RecordDiagnostic
from sync_agent.twins.twin import JsonValue

NAMES_SHOWN = 4


class Element(msgspec.Struct, gc=False):
    """An element that several drafts describe together, that of the first source first.

    It tells what a draft tells of an element of its own.
    """

    id: str
    model: str
    drafts: Sequence[Draft]

    @property
    def places(self) -> tuple[str, ...]:
        """Return where its records stand."""
        return tuple(place for draft in self.drafts for place in draft.places)

    @property
    def components(self) -> tuple[str, ...]:
        """Return the names of the components of its model."""
        return next(draft.components for draft in self.drafts if draft.model == self.model)

    @property
    def values(self) -> dict[str, JsonValue]:
        """Return its values by name, each from who has the say."""
        values: dict[str, JsonValue] = {}
        said: dict[str, int] = {}
        for draft in self.drafts:
            for name, value in draft.values.items():
                rank = draft.precedence(name)
                if name not in values or rank > said[name]:
                    values[name], said[name] = value, rank
        return values

    @property
    def flat(self) -> bool:
        """Tell whether none of its values is inside another, by its rules."""
        return all(draft.flat for draft in self.drafts)

    @property
    def observed(self) -> dict[str, JsonValue]:
        """Return what is only compared."""
        merged: dict[str, JsonValue] = {}
        for draft in self.drafts:
            for name, value in (draft.observed or {}).items():
                merged.setdefault(name, value)
        return merged


@dataclass(slots=True)
class Merged:
    """All elements, the id behind every name, and what could not be joined.

    Those in ``batches`` are on their own and alike; ``elements`` has the others.
    """

    batches: Sequence[Batch] = ()
    elements: dict[str, Draft | Element] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    diagnostics: list[RecordDiagnostic] = field(default_factory=list)

    def places(self, id_: str) -> Sequence[str]:
        """Return where the records of an element stand, nothing if there is no such element."""
        for batch in self.batches:
            self.elements.update((draft.id, draft) for draft in batch.drafts())
        self.batches = ()
        return self.elements[id_].places if id_ in self.elements else ()


def merge(
    makers: Sequence[DraftMaker],
    registry: ModelRegistry,
    unread: Callable[[int, str], bool],
) -> Merged:
    """Join the drafts of all sources, in their order.

    ``unread`` tells of a source and a model ("" for all) whether scopes that make twins like it
    were not read whole.
    """
    merged = Merged(held={id_ for maker in makers for id_ in maker.held})
    named = any(
        draft.aliases or draft.hints for maker in makers for draft in maker.singles.values()
    )
    if len(makers) == 1 and not named:
        merged.batches = tuple(makers[0].batches)
        merged.elements.update(makers[0].singles)
        return merged
    aliased = any(rule.rule.aliases or rule.rule.hints for maker in makers for rule in maker.rules)
    for group in _groups(makers):
        _name(merged, group, unread)
        _take(merged, group, registry)
        first = group[0][0]
        if aliased and any(unread(n, group[0][1].model) for n in range(first)):
            merged.held.add(group[0][1].id)
        if len(group) > 1 and _may_part(group, unread):
            merged.held.update(draft.id for _, draft in group)
    return merged


def _may_part(group: Sequence[tuple[int, Draft]], unread: Callable[[int, str], bool]) -> bool:
    """Tell whether drafts are joined by a hint that the unread rest of its source may share."""
    for number, draft in group:
        if draft.hints and unread(number, ""):
            others = {name for _, other in group if other is not draft for name in other.names}
            if not others.isdisjoint(draft.hints):
                return True
    return False


def _name(
    merged: Merged, group: Sequence[tuple[int, Draft]], unread: Callable[[int, str], bool]
) -> None:
    """Note what links may call an element; a hint only when all of its source was read."""
    for number, draft in group:
        sure = not draft.hints or not unread(number, "")
        for name in draft.names if sure else (draft.id, *draft.aliases):
            merged.ids[name] = group[0][1].id


def _take(merged: Merged, group: list[tuple[int, Draft]], registry: ModelRegistry) -> None:
    """Make one element of drafts that share names, or say why they cannot be one."""
    drafts = [draft for _, draft in group]
    id_ = drafts[0].id
    if len({number for number, _ in group}) < len(group):
        _contradiction(merged, group)
        return
    model = _most_special([draft.model for draft in drafts], registry)
    if model is None:
        listed = " and ".join(f"{d.model} at {d.places[0]}" for d in drafts)
        for draft in drafts:
            merged.held.add(draft.id)
        message = f"{id_} cannot be all of these: {listed}"
        remedy = "correct a model in the mappings, or an alias in the sources"
        merged.diagnostics.append(RecordDiagnostic(drafts[0].places[0], message, remedy, id_))
        return
    if not merged.held.isdisjoint(draft.id for draft in drafts):
        merged.held.add(id_)
    merged.elements[id_] = Element(id_, model, tuple(drafts)) if len(drafts) > 1 else drafts[0]


def _contradiction(merged: Merged, group: list[tuple[int, Draft]]) -> None:
    """Report elements of one source that other names make one; each keeps its own id."""
    claims: dict[str, list[Draft]] = defaultdict(list)
    for _, draft in group:
        for name in draft.names:
            claims[name].append(draft)
    for _, draft in group:
        merged.held.add(draft.id)
        merged.ids[draft.id] = draft.id
        merged.elements[draft.id] = draft
    for name, drafts in claims.items():
        if len(drafts) < 2:
            continue
        listed = ", ".join(f"{d.id} ({d.places[0]})" for d in drafts[:NAMES_SHOWN])
        message = f"the name {name} is claimed by {listed}, which are not one element"
        remedy = "correct the alias in one of the sources, or take it out of aliases"
        for draft in drafts[:NAMES_SHOWN]:
            merged.diagnostics.append(
                RecordDiagnostic(draft.places[0], message, remedy, element=draft.id)
            )


def _groups(makers: Sequence[DraftMaker]) -> Iterator[list[tuple[int, Draft]]]:
    """Yield drafts that share names, each group in the order of sources."""
    drafts = [
        (number, draft)
        for number, maker in enumerate(makers)
        for draft in maker.one_by_one().values()
    ]
    parents = list(range(len(drafts)))

    def root(at: int) -> int:
        while parents[at] != at:
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at

    owners: dict[str, int] = {}
    for at, (_, draft) in enumerate(drafts):
        for name in draft.names:
            other = owners.setdefault(name, at)
            if other != at:
                one, two = sorted((root(other), root(at)))
                parents[two] = one
    groups: dict[int, list[tuple[int, Draft]]] = defaultdict(list)
    for at, pair in enumerate(drafts):
        groups[root(at)].append(pair)
    for group in groups.values():
        yield sorted(group, key=lambda pair: (pair[0], pair[1].id)) if len(group) > 1 else group


def _most_special(models: Sequence[str], registry: ModelRegistry) -> str | None:
    """Return the model that is all of the others, None when there is none."""
    if len(set(models)) == 1:
        return models[0]
    for model in models:
        if all(other in registry.ancestors(model) for other in models):
            return model
    return None
