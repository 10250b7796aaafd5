"""The plan that takes a run back: what was there before, where nobody changed it since.

Made from the changes a run really made, or may have made when it was killed in between; what the
next run still had to do was not made. What was undone already needs nothing. What somebody changed
since is named and left: an edited value that is no longer what the run set, a created twin that has
other values or relationships by now, a deleted one whose id was taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sync_agent.inventory.owner import Owner
from sync_agent.reconcile.change import (
    Action,
    Change,
    Edit,
    leaves,
    moved,
    rebase,
    same_edge,
)
from sync_agent.reconcile.diff import deletion_of_edge, deletion_of_twin
from sync_agent.reconcile.plan import Plan, in_order
from sync_agent.reconcile.stale import Stale, lacks
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document, Key, Relationship, Twin, key_of, model_of


@dataclass(frozen=True, slots=True)
class Undo:
    """The plan that takes a run back, and what is left because others changed it since."""

    plan: Plan
    left: tuple[Stale, ...] = ()


def undo_plan(owner: Owner, made: Sequence[Change], now: TwinGraph) -> Undo:
    """Return what takes changes back; ``now`` holds all they are about and its relationships.

    ``made`` are the changes in the order they were made.
    """
    changes: list[Change] = []
    left: list[Stale] = []
    for change in reversed(made):
        try:
            changes += _back(change, now)
        except _ChangedError as reason:
            left.append(Stale(change.element, str(reason)))
    going = {c.edge.key for c in changes if c.relationship and c.action is Action.DELETE}
    kept: list[Change] = []
    for change in changes:
        holding = _holding(change, now, going)
        if holding:
            left.append(Stale(change.element, f"{holding} leads from or to it by now"))
        else:
            kept.append(change)
    plan = Plan(owner, in_order(_linked(kept, left, now, going)), records=len(made))
    return Undo(plan, tuple(left))


def was_made_later(change: Change, later: Iterable[Change]) -> bool:
    """Tell whether a change cannot have been made yet, because it was still to be made later.

    ``later`` is what was done next to its element.
    """
    return any(
        one.action is change.action and all(edit in one.edits for edit in change.edits)
        for one in later
    )


class _ChangedError(Exception):
    """Somebody changed since what a run had changed."""


def _back(change: Change, now: TwinGraph) -> Iterable[Change]:
    if change.twin is not None:
        return _twin_back(change, change.twin, now.twin(change.twin.id))
    return _edge_back(change, change.edge, now.relationship(*change.edge.key))


def _twin_back(change: Change, twin: Twin, document: Document | None) -> Iterable[Change]:
    if change.action is Action.CREATE:
        if document is None:
            return ()
        if lacks(document, twin):
            raise _ChangedError("its values are not those of the run any more")
        own = {path for path, _ in leaves(twin.properties)}
        if more := sorted(".".join(p) for p, _ in leaves(document) if p not in own):
            raise _ChangedError(f"it has got {', '.join(more[:3])} since")
        return (deletion_of_twin(document),)
    if change.action is Action.DELETE:
        if document is None:
            return (Change(Action.CREATE, twin=Twin(twin.id, twin.model, twin.properties)),)
        if lacks(document, twin):
            raise _ChangedError("somebody made a twin of that id since")
        return ()
    if document is None:
        raise _ChangedError("it is gone")
    return _edits_back(change, document)


def _edge_back(change: Change, edge: Relationship, document: Document | None) -> Iterable[Change]:
    if change.action is Action.UPDATE:
        if document is None:
            raise _ChangedError("it is gone")
        return _edits_back(change, document)
    alike = document is not None and same_edge(document, edge)
    if change.action is Action.CREATE:
        if document is None:
            return ()
        if not alike:
            raise _ChangedError("it was changed")
        return (deletion_of_edge(document),)
    fresh = Relationship(edge.id, edge.source, edge.name, edge.target, edge.properties)
    return () if alike else (Change(Action.CREATE, relationship=fresh),)


def _edits_back(change: Change, document: Document) -> Iterable[Change]:
    edits = tuple(Edit(e.path, e.after, e.before) for e in reversed(change.edits))
    left = rebase(edits, document)
    if left is None:
        names = ", ".join(edit.name for edit in moved(edits, document))
        raise _ChangedError(f"{names} was changed")
    if not left:
        return ()
    etag = document.get("$etag") or ""
    if change.twin is not None:
        twin = Twin(change.twin.id, model_of(document), etag=etag)
        return (Change(Action.UPDATE, twin=twin, edits=left),)
    edge = change.edge
    named = Relationship(edge.id, edge.source, edge.name, edge.target, etag=etag)
    return (Change(Action.UPDATE, relationship=named, edits=left),)


def _holding(change: Change, now: TwinGraph, going: set[Key]) -> str:
    """Return a relationship that keeps a twin from being deleted, "" when there is none."""
    if change.twin is None or change.action is not Action.DELETE:
        return ""
    for edge in (*now.outgoing(change.twin.id), *now.incoming(change.twin.id)):
        if key_of(edge) not in going:
            return f"{edge['$sourceId']}/{edge['$relationshipId']}"
    return ""


def _linked(
    changes: list[Change], left: list[Stale], now: TwinGraph, going: set[Key]
) -> Iterator[Change]:
    """Yield the changes without relationships whose ends or whose id will not be free."""
    coming = {c.twin.id for c in changes if c.twin and c.action is Action.CREATE}
    for change in changes:
        if change.relationship is not None and change.action is Action.CREATE:
            missing = [t for t in change.twins if t not in coming and now.twin(t) is None]
            if missing:
                left.append(Stale(change.element, f"there is no {missing[0]} any more"))
                continue
            if now.relationship(*change.edge.key) is not None and change.edge.key not in going:
                left.append(Stale(change.element, "somebody made one of that id since"))
                continue
        yield change
