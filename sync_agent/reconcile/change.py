"""One change to the twins, as a value: what is created, edited or deleted.

Edits are by property and remember what stood there before, so that a plan can be read, checked
against a twin that moved on meanwhile, and undone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import msgspec
from msgspec import structs

from sync_agent.inventory.paths import Path, put_at, value_at
from sync_agent.twins.twin import Document, JsonValue, Relationship, Twin, model_of

Thing: TypeAlias = Twin | Relationship

MODEL_PATH: Path = ("$metadata", "$model")
_SCALARS = frozenset((str, float, int, bool, type(None)))


class Action(StrEnum):
    """What a change does; the values are what a plan shows."""

    CREATE = "+"
    UPDATE = "~"
    DELETE = "-"


@dataclass(frozen=True, slots=True)
class Edit:
    """A value at a path, before and after; None is no value. The model is an edit, too."""

    path: Path
    before: JsonValue
    after: JsonValue

    @property
    def name(self) -> str:
        """Return the path as people write it."""
        return "model" if self.path == MODEL_PATH else ".".join(self.path)


class Change(msgspec.Struct, frozen=True, gc=False):
    """One write: of ``twin`` or of ``relationship``, never both; a first plan has millions.

    To create, the value is the whole thing, to delete, the whole thing as it was when the plan was
    made. To update, it says which one by id and model or ends. What exists bears its ETag.
    """

    action: Action
    twin: Twin | None = None
    relationship: Relationship | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def element(self) -> str:
        """Return the name of what is changed."""
        return element_of(self.thing)

    @property
    def thing(self) -> Thing:
        """Return the twin or the relationship."""
        return self.edge if self.twin is None else self.twin

    @property
    def edge(self) -> Relationship:
        """Return the relationship of a change of one.

        Raises:
            ValueError: it changes a twin.
        """
        if self.relationship is None:
            raise ValueError("the change is of a twin")
        return self.relationship

    @property
    def kind(self) -> str:
        """Return the model of the twin, or the name of the relationship."""
        return self.twin.model if self.twin is not None else self.edge.name

    @property
    def twins(self) -> tuple[str, ...]:
        """Return the ids of the twins it counts against: the twin itself, or both ends."""
        if self.twin is not None:
            return (self.twin.id,)
        return (self.edge.source, self.edge.target)


def element_of(thing: Thing) -> str:
    """Return how an element is named: a twin's id, or ``source/relationship id``."""
    return thing.id if isinstance(thing, Twin) else "/".join(thing.key)


def same(one: JsonValue, other: JsonValue) -> bool:
    """Tell whether two JSON values are the same: 5 is 5.0, but True is not 1."""
    if type(one) is type(other) and type(one) in _SCALARS:
        return bool(one == other)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def patch_of(edits: Sequence[Edit]) -> list[Document]:
    """Return the JSON Patch that makes the edits.

    ``add`` replaces what is there and does not fail on a property that was never set; only the
    model is replaced, because the service wants that. Each operation may be repeated safely.
    """
    return [_operation(edit) for edit in edits]


def moves(changes: Sequence[Change]) -> frozenset[str]:
    """Return the deletions that only make room: the relationship gets another end.

    The service cannot move an end, so the old relationship goes and a new one of that name comes at
    the same source. Where more go than come, those whose id comes again are the ones that move,
    then the first by id.
    """
    going: dict[tuple[str, str], list[str]] = defaultdict(list)
    for change in changes:
        if change.action is Action.DELETE and change.relationship is not None:
            going[change.edge.source, change.edge.name].append(change.element)
    if not going:
        return frozenset()
    coming: dict[tuple[str, str], set[str]] = defaultdict(set)
    for change in changes:
        if change.action is Action.CREATE and change.relationship is not None:
            coming[change.edge.source, change.edge.name].add(change.element)
    moving: set[str] = set()
    for place, elements in going.items():
        made = coming.get(place, set())
        again_first = sorted(elements, key=lambda element: (element not in made, element))
        moving.update(again_first[: len(made)])
    return frozenset(moving)


def leaves(bag: Mapping[str, JsonValue], parent: Path = ()) -> Iterator[tuple[Path, JsonValue]]:
    """Yield the values of a property bag that are no maps, with their paths; no ``$metadata``."""
    for name, value in bag.items():
        if name.startswith("$"):
            continue
        if isinstance(value, Mapping):
            yield from leaves(value, (*parent, name))
        else:
            yield (*parent, name), value


def edited(thing: Thing, edits: Sequence[Edit]) -> Thing:
    """Return a twin or relationship as it is after edits."""
    bag: Document = deepcopy(dict(thing.properties))
    model = ""
    for edit in edits:
        if edit.path == MODEL_PATH:
            model = edit.after
        elif edit.after is not None:
            put_at(bag, edit.path, edit.after)
        else:
            holder = value_at(bag, edit.path[:-1])
            if isinstance(holder, dict):
                holder.pop(edit.path[-1], None)
    if isinstance(thing, Twin):
        return structs.replace(thing, model=model or thing.model, properties=bag)
    return structs.replace(thing, properties=bag)


def rebase(edits: Sequence[Edit], document: Mapping[str, JsonValue]) -> tuple[Edit, ...] | None:
    """Return what is left to do of edits on a twin that changed since they were planned.

    What somebody else changed beside them does not matter; what already is as wanted is left out.
    None means that a value to be changed is neither as it was nor as wanted: the plan is stale.
    """
    left = []
    for edit in edits:
        now = value_at(document, edit.path)
        if same(now, edit.after):
            continue
        if not same(now, edit.before):
            return None
        if len(edit.path) > 1 and value_at(document, edit.path[:-1]) is None:
            return None
        left.append(edit)
    return tuple(left)


def moved(edits: Iterable[Edit], document: Mapping[str, JsonValue]) -> Iterator[Edit]:
    """Yield the edits in whose place there is neither what was nor what is wanted."""
    for edit in edits:
        now = value_at(document, edit.path)
        if not same(now, edit.before) and not same(now, edit.after):
            yield edit


def same_kind(document: Document, wanted: Thing) -> bool:
    """Tell whether a twin is of the wanted model, a relationship of the name and to the target."""
    if isinstance(wanted, Twin):
        return model_of(document) == wanted.model
    ends = (document["$relationshipName"], document["$targetId"])
    return ends == (wanted.name, wanted.target)


def same_edge(document: Document, wanted: Relationship) -> bool:
    """Tell whether a relationship is as another, its properties included."""
    there = Relationship.from_document(document)
    return same_kind(document, wanted) and same(dict(there.properties), dict(wanted.properties))


def _operation(edit: Edit) -> Document:
    path = "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in edit.path)
    if edit.after is None:
        return {"op": "remove", "path": path}
    op = "replace" if edit.path == MODEL_PATH else "add"
    return {"op": op, "path": path, "value": edit.after}
