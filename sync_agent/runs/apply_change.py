"""Makes one change of a plan on a live graph, on the condition it was planned under.

Nothing is created over something that exists; an edit or deletion carries the ETag the plan saw.
When the service says that something else is true now (412), the element is read again, and
``reconcile.second_look`` says what is left to do, if anything, or that it is a conflict.

Two delays of the service are waited out, ``CONSISTENCY_S`` at most: a new twin that cannot yet be
linked to, and a twin whose relationships are gone but still counted. A write whose answer got lost
may have happened; it is looked at again, never assumed. If things are as wanted then, the change
counts as made by this run, so that undo takes it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum

from sync_agent.errors import NotFoundError, PreconditionError, ServiceError, UnreachableError
from sync_agent.inventory.owner import Owner
from sync_agent.ports.twin_store import TwinStore
from sync_agent.reconcile.change import Action, Change, Thing, patch_of
from sync_agent.reconcile.second_look import Left, second_look
from sync_agent.twins.twin import Twin

CONSISTENCY_S = 12.0
WAIT_MIN_S = 0.1
WAIT_MAX_S = 2.0
ATTEMPTS_MAX = 5


class OnConflict(StrEnum):
    """What to do about an element somebody changed since the plan."""

    STOP = "stop"
    SKIP = "skip"
    REPLAN = "replan"


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
        """Make a change, waiting while the service lags behind its own writes.

        Raises:
            StaleError: somebody changed since what it rests on.
            ServiceError: the service refused it, or could not be reached.
        """
        loop = asyncio.get_running_loop()
        until, wait_s = loop.time() + CONSISTENCY_S, WAIT_MIN_S
        while True:
            try:
                return await self._make(change)
            except ServiceError as error:
                if loop.time() + wait_s > until or not await self._passes(change, error):
                    raise
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, WAIT_MAX_S)

    async def _passes(self, change: Change, error: ServiceError) -> bool:
        """Tell whether what refused a change passes by itself."""
        if error.code == "RelationshipsNotDeleted":
            return True
        if change.twin is not None or change.action is not Action.CREATE:
            return False
        if not isinstance(error, NotFoundError):
            return False
        # Reads by id are current, so a twin that can be read is one that cannot yet be linked.
        ends = [await self._twins.get_twin(end) for end in change.twins]
        return None not in ends

    async def _make(self, change: Change) -> Change | None:
        """Write until the service takes it, or a look at the element shows nothing left to do."""
        left, lost, attempts = Left.whole(change), False, 0
        while True:
            attempts += 1
            try:
                await self._write(left)
            except NotFoundError:
                if left.change.action is not Action.DELETE:
                    raise
                return left.change if lost else None
            except (PreconditionError, UnreachableError) as error:
                doubt = error
            else:
                return left.change
            lost = lost or isinstance(doubt, UnreachableError)
            there = await self._look(left.change)
            now = second_look(left.change, there, self._owner, replans=self._replans)
            if now is None:
                return left.change if lost else None
            if attempts == ATTEMPTS_MAX:
                raise doubt
            if now.change is not left.change:
                self._on_replan(left.change, now.change)
                lost = False  # nothing of the new one was sent yet
            left = now

    async def _write(self, left: Left) -> None:
        twins, etag = self._twins, left.etag
        match left.change:
            case Change(action=Action.CREATE, twin=Twin() as twin):
                await twins.put_twin(twin, only_if_absent=True)
            case Change(action=Action.UPDATE, twin=Twin() as twin):
                await twins.patch_twin(twin.id, patch_of(left.edits), etag=etag)
            case Change(action=Action.DELETE, twin=Twin() as twin):
                await twins.delete_twin(twin.id, etag=etag)
            case Change(action=Action.CREATE, edge=edge):
                await twins.put_relationship(edge, only_if_absent=True)
            case Change(action=Action.UPDATE, edge=edge):
                patch = patch_of(left.edits)
                await twins.patch_relationship(*edge.key, patch, etag=etag, target=edge.target)
            case Change(edge=edge):
                await twins.delete_relationship(*edge.key, etag=etag, target=edge.target)

    async def _look(self, change: Change) -> Thing | None:
        if change.twin is not None:
            return await self._twins.get_twin(change.twin.id)
        try:
            async for there in self._twins.relationships_of(change.edge.source):
                if there.id == change.edge.id:
                    return there
        except NotFoundError:
            return None
        return None
