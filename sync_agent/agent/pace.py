"""Keeps writes and queries inside the service's quotas: a twin service that waits its turn.

A lane lets so many operations pass a second: one lane for creating and deleting, one for patches,
one for queries, and one per twin, because the service counts a twin's own writes and those of its
relationships, in either direction, together. Whoever comes too early sleeps until its turn; turns
are given in order of asking. A lane that was idle lets a tenth of a second's worth (at least one)
pass at once, so that a start is no burst the service would refuse. Lanes of twins are made when
needed and dropped when idle, at ``TWIN_LANES_MAX``.

First cut: it does not adapt to 429 (the adapter waits and tries again) and a waiting operation
keeps its caller waiting; callers run many at once and mix their twins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sync_agent.ports.twin_store import TwinReader, TwinWriter
from sync_agent.twins.twin import Document, Relationship, Twin

TWIN_LANES_MAX = 100_000
BURST_S = 0.1


class ReadsAndWrites(TwinReader, TwinWriter, Protocol):
    """A twin service as far as it is paced."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Operations a second: to one twin, patches, creations with deletions, and queries."""

    twin_ops_per_s: float
    patches_per_s: float
    create_delete_per_s: float
    queries_per_s: float


class Lane:
    """Gives turns at a rate (the virtual scheduling form of a leaky bucket)."""

    def __init__(self, per_s: float) -> None:
        """Begin idle."""
        self._interval_s = 1.0 / per_s
        self._slack_s = max(BURST_S - self._interval_s, 0.0)
        self._next_s = 0.0

    def turn(self, now_s: float) -> float:
        """Take the next turn and return when it is; not before ``now_s``."""
        base = max(self._next_s, now_s)
        self._next_s = base + self._interval_s
        return max(base - self._slack_s, now_s)

    def idle(self, now_s: float) -> bool:
        """Tell whether a new lane would give the same turns."""
        return self._next_s <= now_s


class PacedTwins:
    """A twin service (ports ``TwinReader`` and ``TwinWriter``) whose operations wait their turn."""

    def __init__(
        self,
        twins: ReadsAndWrites,
        quotas: Quotas,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Pace ``twins``; ``clock`` is monotonic seconds."""
        self._twins = twins
        self._quotas = quotas
        self._clock = clock
        self._sleep = sleep
        self._create_delete = Lane(quotas.create_delete_per_s)
        self._patches = Lane(quotas.patches_per_s)
        self._queries = Lane(quotas.queries_per_s)
        self._of_twin: dict[str, Lane] = {}

    async def get_twin(self, twin_id: str) -> Twin | None:
        """Return the twin; reads are not paced, their quota is far away."""
        return await self._twins.get_twin(twin_id)

    async def query(self, text: str) -> AsyncIterator[Document]:
        """Yield the rows of an ADT query; the first page waits its turn."""
        await self._wait(self._queries)
        async for row in self._twins.query(text):
            yield row

    async def relationships_of(self, twin_id: str) -> AsyncIterator[Relationship]:
        """Yield the twin's outgoing relationships."""
        async for edge in self._twins.relationships_of(twin_id):
            yield edge

    async def put_twin(self, twin: Twin, *, only_if_absent: bool = False) -> Twin:
        """Create or replace a twin."""
        await self._wait(self._create_delete, twin.id)
        return await self._twins.put_twin(twin, only_if_absent=only_if_absent)

    async def patch_twin(
        self, twin_id: str, patch: Sequence[Document], *, etag: str | None = None
    ) -> None:
        """Patch a twin."""
        await self._wait(self._patches, twin_id)
        await self._twins.patch_twin(twin_id, patch, etag=etag)

    async def delete_twin(self, twin_id: str, *, etag: str | None = None) -> None:
        """Delete a twin."""
        await self._wait(self._create_delete, twin_id)
        await self._twins.delete_twin(twin_id, etag=etag)

    async def put_relationship(
        self, relationship: Relationship, *, only_if_absent: bool = False
    ) -> Relationship:
        """Create or replace a relationship; it counts against both of its ends."""
        await self._wait(self._create_delete, relationship.source, relationship.target)
        return await self._twins.put_relationship(relationship, only_if_absent=only_if_absent)

    async def patch_relationship(
        self,
        source: str,
        relationship_id: str,
        patch: Sequence[Document],
        *,
        etag: str | None = None,
    ) -> None:
        """Patch a relationship; its target is not known here, so its source stands for both."""
        await self._wait(self._patches, source)
        await self._twins.patch_relationship(source, relationship_id, patch, etag=etag)

    async def delete_relationship(
        self, source: str, relationship_id: str, *, etag: str | None = None
    ) -> None:
        """Delete a relationship; its target is not known here, so its source stands for both."""
        await self._wait(self._create_delete, source)
        await self._twins.delete_relationship(source, relationship_id, etag=etag)

    async def _wait(self, lane: Lane, *twins: str) -> None:
        """Wait for the turns of the twins, then for that of the class of operation.

        In this order, because a turn of the class that is taken for later would be lost to others.
        """
        now = self._clock()
        turns = [self._lane_of(twin, now).turn(now) for twin in dict.fromkeys(twins)]
        await self._until(max(turns, default=now))
        await self._until(lane.turn(self._clock()))

    async def _until(self, moment_s: float) -> None:
        wait_s = moment_s - self._clock()
        if wait_s > 0:
            await self._sleep(wait_s)

    def _lane_of(self, twin: str, now: float) -> Lane:
        lane = self._of_twin.get(twin)
        if lane is None:
            if len(self._of_twin) >= TWIN_LANES_MAX:
                self._of_twin = {t: ln for t, ln in self._of_twin.items() if not ln.idle(now)}
            lane = self._of_twin[twin] = Lane(self._quotas.twin_ops_per_s)
        return lane
