"""What changed under a plan since it was made: exactly which elements, and what about them.

A plan rests on values, not on time: a twin that telemetry moved on meanwhile still is as the plan
saw it where the plan changes it. A deletion rests on everything the twin had, since all of it would
go. What is already as wanted is not stale; a second application of a plan finds it done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import Path, value_at
from sync_agent.reconcile.change import (
    Action,
    Change,
    Edit,
    Thing,
    leaves,
    moved,
    rebase,
    same,
    same_edge,
    same_kind,
)
from sync_agent.reconcile.plan import Plan
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document, JsonValue, Relationship, Twin, model_of

VALUE_CHARS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Stale:
    """An element that changed since the plan, and how."""

    element: str
    reason: str


def stale_elements(plan: Plan, now: TwinGraph) -> tuple[Stale, ...]:
    """Return what changed since the plan, in its order; ``now`` holds all that it changes."""
    found: list[Stale] = []
    going = {c.element for c in plan.changes if c.action is Action.DELETE}
    for change in plan.changes:
        if change.action is Action.CREATE and change.element in going:
            continue  # a relationship whose end moves: the deletion before it is what can be stale
        reason = staleness(change, now, plan.owner)
        if reason:
            found.append(Stale(change.element, reason))
    return tuple(found)


def staleness(change: Change, now: TwinGraph, owner: Owner) -> str:
    """Return what changed about the element of one change, "" when nothing that matters."""
    if change.twin is not None:
        document = now.twin(change.twin.id)
        if document is not None and change.action is not Action.CREATE:
            if not owner.owns_twin(document):
                return "it was handed to someone else"
            if document.get("$etag") == change.twin.etag:
                return ""
        return _twin_staleness(change, change.twin, document)
    document = now.relationship(*change.edge.key)
    if document is not None and document.get("$etag") == change.edge.etag:
        return ""
    return _edge_staleness(change, change.edge, document)


def _twin_staleness(change: Change, twin: Twin, document: Document | None) -> str:
    if change.action is Action.CREATE:
        if document is None or as_wanted(document, twin):
            return ""
        return "somebody made it"
    if document is None:
        return "" if change.action is Action.DELETE else "it is gone"
    if change.action is Action.UPDATE:
        return "; ".join(_moved(change.edits, document))
    return "; ".join(_differences(twin, document))


def _edge_staleness(change: Change, edge: Relationship, document: Document | None) -> str:
    if document is None:
        return "it is gone" if change.action is Action.UPDATE else ""
    if change.action is Action.CREATE:
        return "" if same_kind(document, edge) else _elsewhere(document)
    if change.action is Action.UPDATE:
        return "; ".join(_moved(change.edits, document))
    if not same_kind(document, edge):
        return _elsewhere(document)
    return "" if same_edge(document, edge) else "its properties were changed"


def as_wanted(document: Document, wanted: Thing) -> bool:
    """Tell whether something that exists is what was to be created; it may have more values."""
    return same_kind(document, wanted) and not lacks(document, wanted)


def lacks(document: Document, wanted: Thing) -> list[Edit]:
    """Return the edits by which something that exists gets every value of another.

    A twin's are by leaf; a property of a relationship is edited whole.
    """
    values: Iterable[tuple[Path, JsonValue]]
    if isinstance(wanted, Twin):
        values = leaves(wanted.properties)
    else:
        values = (((name,), value) for name, value in wanted.properties.items())
    return [
        Edit(path, value_at(document, path), value)
        for path, value in values
        if not same(value_at(document, path), value)
    ]


def _moved(edits: tuple[Edit, ...], document: Document) -> Iterator[str]:
    if rebase(edits, document) is not None:
        return
    for edit in moved(edits, document):
        now = _shown(value_at(document, edit.path))
        yield f"{edit.name} is {now}, the plan saw {_shown(edit.before)}"


def _differences(twin: Twin, document: Document) -> Iterator[str]:
    if not same_kind(document, twin):
        yield f"its model is {model_of(document)}"
    before, now = dict(leaves(twin.properties)), dict(leaves(document))
    for path in sorted(before.keys() | now.keys()):
        if not same(before.get(path), now.get(path)):
            name = ".".join(path)
            yield f"{name} is {_shown(now.get(path))}, the plan saw {_shown(before.get(path))}"


def _elsewhere(document: Document) -> str:
    return f"it is {document['$relationshipName']} to {document['$targetId']} now"


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= VALUE_CHARS_SHOWN else f"{text[:VALUE_CHARS_SHOWN]}..."
