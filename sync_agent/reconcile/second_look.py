"""What is left of a change once its element was looked at again: nothing, a part, or a conflict.

A write that was refused because the ETag moved, or whose answer got lost, leaves open what is true
now; so the element is read, and here is decided what follows. If what the change rests on still
stands (telemetry moves a twin's ETag all the time), it is made under the new ETag. If somebody
changed just that, it is a conflict: the change is stale, or, where that is asked for, planned anew
for this one element, whose managed values are the inventory's. What is not ours any more is never
touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import structs

from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import value_at
from sync_agent.reconcile.change import Action, Change, Edit, Thing, moved, rebase, same, same_kind
from sync_agent.reconcile.stale import lacks, staleness
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document, Twin


class StaleError(Exception):
    """Somebody changed the very thing a change is about since it was planned."""

    def __init__(self, what: str, details: str = "") -> None:
        reason = f"it was {what} someone else since the plan"
        super().__init__(f"{reason}: {details}; plan again" if details else f"{reason}; plan again")


@dataclass(frozen=True, slots=True)
class Left:
    """What is still to be written of ``change``: of one that edits, the ``edits`` not there yet.

    ``etag`` is the condition of the write; a creation's is that nothing is there.
    """

    change: Change
    edits: tuple[Edit, ...]
    etag: str

    @classmethod
    def whole(cls, change: Change) -> Left:
        """Return all of a change, under the ETag it was planned with."""
        return cls(change, change.edits, change.thing.etag)


def second_look(change: Change, there: Thing | None, owner: Owner, *, replans: bool) -> Left | None:
    """Return what is left to write on what is ``there`` now, None when all is as wanted.

    Where a conflict was planned anew, it is left of another change.

    Raises:
        StaleError: somebody changed what the change rests on.
    """
    if there is None:
        if change.action is Action.UPDATE:
            raise StaleError("deleted by")
        return Left.whole(change) if change.action is Action.CREATE else None
    if change.action is Action.CREATE:
        return _left_to_create(change, there, owner, replans=replans)
    if not _ours(there, owner):
        raise StaleError("handed to")
    if change.action is Action.UPDATE:
        return _left_to_update(change, there, replans=replans)
    return _left_to_delete(change, there, owner, replans=replans)


def _left_to_create(change: Change, there: Thing, owner: Owner, *, replans: bool) -> Left | None:
    """Deal with something that is there although it was to be created."""
    document = _document(there)
    edits = tuple(lacks(document, change.thing))
    alike = same_kind(document, change.thing)
    if not alike or (edits and not (replans and _ours(there, owner))):
        raise StaleError("made by")
    if not edits:
        return None
    if isinstance(there, Twin):
        named = Twin(there.id, there.model, etag=there.etag)
        return Left.whole(Change(Action.UPDATE, twin=named, edits=edits))
    return Left.whole(Change(Action.UPDATE, relationship=there, edits=edits))


def _left_to_update(change: Change, there: Thing, *, replans: bool) -> Left | None:
    document = _document(there)
    edits = rebase(change.edits, document)
    if edits is None:
        if not replans:
            raise StaleError(
                "changed by", ", ".join(edit.name for edit in moved(change.edits, document))
            )
        edits = tuple(
            replace(edit, before=value_at(document, edit.path))
            for edit in change.edits
            if not same(value_at(document, edit.path), edit.after)
        )
        if any(len(e.path) > 1 and value_at(document, e.path[:-1]) is None for e in edits):
            raise StaleError("changed by")
        change = structs.replace(change, edits=edits)
    return Left(change, edits, there.etag) if edits else None


def _left_to_delete(change: Change, there: Thing, owner: Owner, *, replans: bool) -> Left:
    if not replans:
        if isinstance(there, Twin):
            details = staleness(change, TwinGraph([there.as_stored()]), owner)
            if details:
                raise StaleError("changed by", details)
        elif there.etag != change.edge.etag:  # nothing but a change moves a relationship's ETag
            raise StaleError("changed by")
    return Left(change, (), there.etag)


def _ours(there: Thing, owner: Owner) -> bool:
    """Tell whose something is; a relationship bears it in its id, which cannot change."""
    return not isinstance(there, Twin) or owner.owns_twin(there.properties)


def _document(there: Thing) -> Document:
    return there.as_stored() if isinstance(there, Twin) else there.to_document()
