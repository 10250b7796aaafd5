"""What an event hub holds that was not read yet, as one list: for inventories that come as events.

Where reading stops is known beforehand: the last event each partition held when it was asked. What
was never read and is no longer kept is a gap, and says so. Events that somebody said are no loss
are passed over.

Bounds: ``EVENTS_MAX`` a reading, ``wait_max_s`` for all of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

from sync_agent.errors import ServiceError, UnreachableError
from sync_agent.ports.events import Event, EventReceiver
from sync_agent.ports.watch import Unwatched, Watch

EVENTS_MAX = 1_000_000


class EventLog:
    """The events of one hub in order of partitions, each event once."""

    def __init__(
        self,
        connect: Callable[[], EventReceiver],
        *,
        wait_max_s: float,
        passed_over: Collection[str] = (),
        watch: Watch | None = None,
    ) -> None:
        """Prepare; ``connect`` makes a receiver, ``passed_over`` has events by ``name_of``.

        The watch hears of every reading.
        """
        self._connect = connect
        self._wait_max_s = wait_max_s
        self._passed_over = frozenset(passed_over)
        self._watch = watch or Unwatched()
        self._after: dict[str, int] = {}
        self.gap = ""

    async def check(self) -> str:
        """Return what the hub holds.

        Raises:
            ServiceError: it cannot be reached.
        """
        receiver = self._connect()
        try:
            extents = await receiver.extents()
        finally:
            await _release(receiver)
        held = sum(extent.last - extent.first + 1 for extent in extents.values())
        return f"{held:,} events in {len(extents)} partitions"

    async def read(self) -> list[Event]:
        """Return the events since the last reading; ``gap`` says what is missing before them.

        Raises:
            ServiceError: the hub cannot be read, or not in time.
        """
        began_s = time.monotonic()
        try:
            fresh = await self._fresh()
        except ServiceError as error:
            self._watch.ended(began_s, error)
            raise
        self._watch.ended(began_s)
        return [event for event in fresh if name_of(event) not in self._passed_over]

    async def _fresh(self) -> list[Event]:
        receiver = self._connect()
        fresh: list[Event] = []
        try:
            waiting = await self._waiting(receiver)
            if not waiting:
                return []

            async def take(partition: str, events: Sequence[Event]) -> None:
                fresh.extend(events)
                if len(fresh) > EVENTS_MAX:
                    raise ServiceError(
                        f"the hub holds more than {EVENTS_MAX:,} events that were not read yet",
                        remedy="give the inventory a hub of its own, or shorten its retention",
                    )
                if events and events[-1].sequence_number >= waiting.get(partition, -1):
                    waiting.pop(partition, None)
                if not waiting:
                    await receiver.close()

            async with asyncio.timeout(self._wait_max_s):
                await receiver.run(take, after=self._after)
        except TimeoutError:
            raise UnreachableError(
                f"the hub's events did not come within {self._wait_max_s:g} s",
                remedy="try again, or raise timeout_s",
            ) from None
        finally:
            await _release(receiver)
        for event in fresh:
            self._after[event.partition] = event.sequence_number
        return fresh

    async def _waiting(self, receiver: EventReceiver) -> dict[str, int]:
        """Return the last number to read of each partition that has more, and note gaps."""
        waiting = {}
        for partition, extent in sorted((await receiver.extents()).items()):
            expected = self._after.get(partition, -1) + 1
            if extent.first > expected and extent.last >= expected:
                lost = f"events {expected:,} to {extent.first - 1:,} of partition {partition}"
                self.gap = f"{lost} are no longer kept"
            if extent.last >= expected and extent.first <= extent.last:
                waiting[partition] = extent.last
        return waiting


def name_of(event: Event) -> str:
    """Return what tells an event from all others of its hub, as the settings write it."""
    return f"{event.partition}:{event.sequence_number}"


def place_of(event: Event) -> str:
    """Return where an event stands, for people."""
    return f"partition {event.partition} event {event.sequence_number}"


def remedy_for(event: Event, *, mends: bool) -> str:
    """Return what to do about an event that cannot be used; ``mends`` where later ones help."""
    again, listed = "have it sent again, corrected", f'"{name_of(event)}" to passed_over_events'
    if mends:
        return f"{again}; or add {listed} if nothing of it is missing"
    return f"{again}, and add {listed}: it does not say which elements it is about"


async def _release(receiver: EventReceiver) -> None:
    """End a receiver; a run that never began is what closes its connection."""

    async def nothing(_partition: str, _events: Sequence[Event]) -> None:
        return

    await receiver.close()
    try:
        await receiver.run(nothing, after={})
    except ServiceError:
        return
