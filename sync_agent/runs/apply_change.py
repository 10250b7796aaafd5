"""Makes one change of a plan on a live graph, on the condition it was planned under.

Nothing is created over something that exists; an edit or deletion carries the ETag the plan saw.
When the service says that the ETag moved (412), the element is read again. If what the change rests
on still stands (telemetry moves a twin's ETag all the time), it is made with the new ETag.
If somebody changed just that, it is a conflict: the change is refused as stale, or, where that was
asked for, planned anew for this one element, whose managed values are the inventory's. What is not
ours any more is never touched.

Two delays of the service are waited out, ``CONSISTENCY_S`` at most: a new twin that cannot yet be
linked to, and a twin whose relationships are gone but still counted. A write whose answer got lost
may have happened; it is looked at again, never assumed. If things are as wanted then, the change
counts as made by this run, so that undo takes it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from sync_agent.errors import NotFoundError, PreconditionError, ServiceError, UnreachableError
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import value_at
from sync_agent.ports.twin_store import TwinStore
from sync_agent.reconcile.change import Action, Change, Edit, patch_of, rebase, same
from sync_agent.reconcile.stale import lacks, staleness
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document, Relationship, Twin

CONSISTENCY_S = 12.0
WAIT_MIN_S = 0.1
WAIT_MAX_S = 2.0
ATTEMPTS_MAX = 5

Thing = TypeVar("Thing", Twin, Relationship)


class OnConflict(StrEnum):
    """What to do about an element somebody changed since the plan."""

    STOP = "stop"
    SKIP = "skip"
    REPLAN = "replan"


class StaleError(Exception):
    """Somebody changed the very thing a change is about since it was planned."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; plan again")


class ChangeMaker:
    """Makes changes of one owner; ``on_replan`` hears of a change planned anew before it is made.

    ``make`` returns the change as it was made, or None when things were as wanted before.
    """

    def __init__(
        self,
        twins: TwinStore,
        owner: Owner,
        on_conflict: OnConflict,
        on_replan: Callable[[Change, Change], None],
    ) -> None:
        self._twins = twins
        self._owner = owner
        self._replans = on_conflict is OnConflict.REPLAN
        self._on_replan = on_replan

    async def make(self, change: Change) -> Change | None:
        """Make a change.

        Raises:
            StaleError: somebody changed since what it rests on.
            ServiceError: the service refused it, or could not be reached.
        """
        match change:
            case Change(action=Action.CREATE, twin=Twin() as twin):
                return await self._create_twin(change, twin)
            case Change(action=Action.UPDATE, twin=Twin() as twin):
                return await self._update_twin(change, twin)
            case Change(action=Action.DELETE, twin=Twin() as twin):
                return await _when_consistent(lambda: self._delete_twin(change, twin), _counts)
            case Change(action=Action.CREATE):
                return await self._create_edge(change, change.edge)
            case Change(action=Action.UPDATE):
                return await self._update_edge(change, change.edge)
            case _:
                return await self._delete_edge(change, change.edge)

    async def _create(
        self, put: Callable[[], Awaitable[Thing]], look: Callable[[], Awaitable[Thing | None]]
    ) -> tuple[Thing, bool] | None:
        """Create something; return what is there instead, and whether that may be our doing."""
        lost = False
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await put()
            except UnreachableError:
                if attempt == ATTEMPTS_MAX:
                    raise
                lost = True
            except PreconditionError:
                pass
            else:
                return None
            there = await look()
            if there is not None:
                return there, lost
            if not lost:
                raise StaleError("it was made by someone else since the plan")
        raise AssertionError("the last attempt returns or raises")

    # -- twins ----------------------------------------------------------------------------------

    async def _create_twin(self, change: Change, twin: Twin) -> Change | None:
        there = await self._create(
            lambda: self._twins.put_twin(twin, only_if_absent=True),
            lambda: self._twins.get_twin(twin.id),
        )
        return change if there is None else await self._found_twin(change, twin, *there)

    async def _found_twin(
        self, change: Change, twin: Twin, there: Twin, lost: bool
    ) -> Change | None:
        """Deal with a twin that is there although it was to be created."""
        edits = tuple(lacks(there.as_stored(), twin))
        ours = self._owner.owns_twin(there.properties)
        if there.model != twin.model or (edits and not ours):
            raise StaleError("it was made by someone else since the plan")
        if not edits:
            return change if lost else None
        if not self._replans:
            raise StaleError("it was made by someone else since the plan")
        named = Twin(twin.id, twin.model, etag=there.etag)
        anew = Change(Action.UPDATE, twin=named, edits=edits)
        self._on_replan(change, anew)
        return await self._update_twin(anew, named)

    async def _update_twin(self, change: Change, twin: Twin) -> Change | None:
        edits, etag, lost = change.edits, twin.etag, False
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await self._twins.patch_twin(twin.id, patch_of(edits), etag=etag)
            except (PreconditionError, UnreachableError) as error:
                if attempt == ATTEMPTS_MAX:
                    raise
                lost = lost or isinstance(error, UnreachableError)
            else:
                return change
            there = await self._twins.get_twin(twin.id)
            if there is None:
                raise StaleError("it was deleted by someone else since the plan")
            if not self._owner.owns_twin(there.properties):
                raise StaleError("it was handed to someone else since the plan")
            change, edits = self._rebased(change, there.as_stored())
            if not edits:
                return change if lost else None
            etag = there.etag
        raise AssertionError("the last attempt returns or raises")

    async def _delete_twin(self, change: Change, twin: Twin) -> Change | None:
        etag, lost = twin.etag, False
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await self._twins.delete_twin(twin.id, etag=etag)
            except NotFoundError:
                return change if lost else None
            except (PreconditionError, UnreachableError) as error:
                if attempt == ATTEMPTS_MAX:
                    raise
                lost = lost or isinstance(error, UnreachableError)
            else:
                return change
            there = await self._twins.get_twin(twin.id)
            if there is None:
                return change if lost else None
            if not self._owner.owns_twin(there.properties):
                raise StaleError("it was handed to someone else since the plan")
            reason = staleness(change, TwinGraph([there.as_stored()]), self._owner)
            if reason and not self._replans:
                raise StaleError(f"it was changed by someone else since the plan: {reason}")
            etag = there.etag
        raise AssertionError("the last attempt returns or raises")

    # -- relationships --------------------------------------------------------------------------

    async def _create_edge(self, change: Change, edge: Relationship) -> Change | None:
        async def lags(error: ServiceError) -> bool:
            if not isinstance(error, NotFoundError):
                return False
            # Reads by id are current, so a twin that can be read is one that cannot yet be linked.
            ends = [await self._twins.get_twin(end) for end in (edge.source, edge.target)]
            return None not in ends

        async def create() -> Change | None:
            there = await self._create(
                lambda: self._twins.put_relationship(edge, only_if_absent=True),
                lambda: self._edge(edge),
            )
            return change if there is None else await self._found_edge(change, edge, *there)

        return await _when_consistent(create, lags)

    async def _found_edge(
        self, change: Change, edge: Relationship, there: Relationship, lost: bool
    ) -> Change | None:
        """Deal with a relationship that is there although it was to be created."""
        if (there.name, there.target) != (edge.name, edge.target):
            raise StaleError("it was made by someone else since the plan")
        edits = tuple(
            Edit((name,), there.properties.get(name), value)
            for name, value in edge.properties.items()
            if not same(there.properties.get(name), value)
        )
        if not edits:
            return change if lost else None
        if not self._replans:
            raise StaleError("it was made by someone else since the plan")
        anew = Change(Action.UPDATE, relationship=there, edits=edits)
        self._on_replan(change, anew)
        return await self._update_edge(anew, there)

    async def _update_edge(self, change: Change, edge: Relationship) -> Change | None:
        edits, etag, lost = change.edits, edge.etag, False
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await self._twins.patch_relationship(
                    *edge.key, patch_of(edits), etag=etag, target=edge.target
                )
            except (PreconditionError, UnreachableError) as error:
                if attempt == ATTEMPTS_MAX:
                    raise
                lost = lost or isinstance(error, UnreachableError)
            else:
                return change
            there = await self._edge(edge)
            if there is None:
                raise StaleError("it was deleted by someone else since the plan")
            change, edits = self._rebased(change, dict(there.properties))
            if not edits:
                return change if lost else None
            etag = there.etag
        raise AssertionError("the last attempt returns or raises")

    async def _delete_edge(self, change: Change, edge: Relationship) -> Change | None:
        etag, lost = edge.etag, False
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await self._twins.delete_relationship(*edge.key, etag=etag, target=edge.target)
            except NotFoundError:
                return change if lost else None
            except (PreconditionError, UnreachableError) as error:
                if attempt == ATTEMPTS_MAX:
                    raise
                lost = lost or isinstance(error, UnreachableError)
            else:
                return change
            there = await self._edge(edge)
            if there is None:
                return change if lost else None
            if there.etag != etag and not self._replans:
                raise StaleError("it was changed by someone else since the plan")
            etag = there.etag
        raise AssertionError("the last attempt returns or raises")

    async def _edge(self, edge: Relationship) -> Relationship | None:
        try:
            async for there in self._twins.relationships_of(edge.source):
                if there.id == edge.id:
                    return there
        except NotFoundError:
            return None
        return None

    def _rebased(self, change: Change, document: Document) -> tuple[Change, tuple[Edit, ...]]:
        """Return the change and what is left of its edits on an element that moved on."""
        left = rebase(change.edits, document)
        if left is not None:
            return change, left
        if not self._replans:
            names = ", ".join(_moved(change.edits, document))
            raise StaleError(f"it was changed by someone else since the plan: {names}")
        edits = tuple(
            Edit(e.path, value_at(document, e.path), e.after)
            for e in change.edits
            if not same(value_at(document, e.path), e.after)
        )
        if any(len(e.path) > 1 and value_at(document, e.path[:-1]) is None for e in edits):
            raise StaleError("it was changed by someone else since the plan")
        anew = replace(change, edits=edits)
        self._on_replan(change, anew)
        return anew, edits


def _moved(edits: Sequence[Edit], document: Document) -> list[str]:
    return [
        edit.name
        for edit in edits
        if not same(value_at(document, edit.path), edit.before)
        and not same(value_at(document, edit.path), edit.after)
    ]


async def _counts(error: ServiceError) -> bool:
    return error.code == "RelationshipsNotDeleted"


async def _when_consistent(
    work: Callable[[], Awaitable[Change | None]], lags: Callable[[ServiceError], Awaitable[bool]]
) -> Change | None:
    """Do work that the service may refuse for a while because it lags behind its own writes."""
    loop = asyncio.get_running_loop()
    until, wait_s = loop.time() + CONSISTENCY_S, WAIT_MIN_S
    while True:
        try:
            return await work()
        except ServiceError as error:
            if loop.time() + wait_s > until or not await lags(error):
                raise
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, WAIT_MAX_S)
