"""Receives every partition of an event hub from a known position, through azure-eventhub.

The receiver keeps no checkpoint: its caller says where to start and stores positions itself. What
the SDK does by itself is bounded here: a consumer that breaks is made anew just behind the last
event that was handled, an error that lasts longer than ``retry_for_s`` ends the run, refused
credentials end it at once. While a handler works, its partition's events wait in the SDK's buffer
(at most ``prefetch``), then in the hub: that is the back-pressure.

Measured facts the settings rest on: with a prefetch of 300 the SDK's loop reads 5,000 events/s,
with 3,000 five times that; after an error the SDK starts a partition at the position it was first
given.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.amqp import AmqpMessageBodyType

from sync_agent.azure.hub_address import HubAddress, build_client, service_error
from sync_agent.errors import UnavailableError
from sync_agent.ports.events import BatchHandler, Event, Extent
from sync_agent.ports.watch import Unwatched, Watch

CLAIM_EVERY_S = 2.0  # how soon a partition whose consumer broke is taken up again
CLOSE_MAX_S = 30.0
HAND_OVER_S = 0.1  # how long the SDK gathers before it hands events over
PROBE_AFTER_S = 10.0
PROBE_MAX_S = 20.0
EARLIEST = "-1"

_log = structlog.get_logger("sync_agent")


class _Inbox:
    """A partition's events that wait for the handler: bounded, in order, none twice."""

    def __init__(self, events_max: int, after: int) -> None:
        self.closed = False
        self._events_max = events_max
        self._last = after
        self._events: deque[EventData] = deque()
        self._changed = asyncio.Condition()

    async def put(self, events: Sequence[EventData]) -> int:
        """Add events, waiting while there is no room; return the last number taken in."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._events) < self._events_max)
            # After an error the SDK may begin a partition where it once was told to.
            fresh = [event for event in events if (event.sequence_number or 0) > self._last]
            self._events.extend(fresh)
            if fresh:
                self._last = fresh[-1].sequence_number or 0
            self._changed.notify_all()
            return self._last

    async def take(self, events_max: int, wait_s: float) -> list[EventData]:
        """Return the next events: as many as asked for, or what gathered in ``wait_s``."""
        async with self._changed:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait_for(
                        lambda: self.closed or len(self._events) >= events_max
                    )
            count = min(events_max, len(self._events))
            taken = [self._events.popleft() for _ in range(count)]
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        """Let nobody take any more; a waiting ``take`` ends at its own time."""
        self.closed = True


class HubReceiver:
    """Receives all partitions of a hub for one consumer group (port ``EventReceiver``).

    The SDK's consumer may go silent after its connection broke, without an error
    (azure-sdk-for-python #42332). So a partition that delivered nothing for ``PROBE_AFTER_S`` is
    asked about: when the hub has newer events, or was out of reach meanwhile, the client is made
    anew. When the hub's last event is older than the one handled last, the hub itself was made anew
    and is read from its beginning. A partition that other readers hold is said once, and taken up
    when they leave it.
    """

    def __init__(
        self,
        address: HubAddress,
        *,
        consumer_group: str,
        prefetch: int,
        batch_max_events: int,
        batch_max_wait_s: float,
        retry_for_s: float,
        watch: Watch | None = None,
    ) -> None:
        self._address = address
        self._presence = watch or Unwatched()
        self._consumer_group = consumer_group
        self._prefetch = prefetch
        self._batch_max_events = batch_max_events
        self._batch_max_wait_s = batch_max_wait_s
        self._retry_for_s = retry_for_s
        self._client = self._new_client()
        self._ended = asyncio.Event()
        self._failure: Exception | None = None
        self._has_run = False
        self._handled: dict[str, int] = {}
        self._delivered_s: dict[str, float] = {}
        self._busy: set[str] = set()
        self._taken: set[str] = set()

    async def partitions(self) -> Sequence[str]:
        """Return the hub's partition ids.

        Raises:
            ServiceError: the hub cannot be reached, does not exist, or refuses the credentials.
        """
        try:
            async with asyncio.timeout(PROBE_MAX_S):
                return [str(p) for p in await self._client.get_partition_ids()]
        except Exception as error:
            raise service_error(error, self._address) from error

    async def extents(self) -> Mapping[str, Extent]:
        """Return what each partition holds at the moment.

        Raises:
            ServiceError: the hub cannot be reached, does not exist, or refuses the credentials.
        """
        extents = {}
        for partition in await self.partitions():
            try:
                properties = await self._client.get_partition_properties(partition)
            except Exception as error:
                raise service_error(error, self._address) from error
            last = int(properties["last_enqueued_sequence_number"])
            first = int(properties["beginning_sequence_number"])
            extents[partition] = Extent(last + 1 if properties["is_empty"] else first, last)
        return extents

    async def run(self, on_batch: BatchHandler, *, after: Mapping[str, int]) -> None:
        """Deliver batches until ``close``; may be run again when it has ended with an error.

        See ``ports.events.EventReceiver``.

        Raises:
            ServiceError: the hub stayed out of reach for ``retry_for_s`` or refuses the
            credentials.
            Exception: whatever a handler raised.
        """
        if self._failure is not None:
            self._failure = None
            self._ended.clear()
        if self._has_run:
            self._client = self._new_client()
        self._has_run = True
        asking = asyncio.create_task(self.partitions())
        try:
            await self._ended_or(asking)
            partitions = await asking if asking.done() else ()
            self._handled = {p: after.get(p, -1) for p in partitions}
            while not self._ended.is_set():
                await self._session(on_batch)
                if not self._ended.is_set():
                    self._client = self._new_client()
        finally:
            asking.cancel()
            await self._close_client()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Stop receiving; the batches under way are finished first."""
        self._ended.set()

    def _new_client(self) -> EventHubConsumerClient:
        client: EventHubConsumerClient = build_client(
            EventHubConsumerClient,
            self._address,
            consumer_group=self._consumer_group,
            load_balancing_interval=CLAIM_EVERY_S,
        )
        return client

    async def _session(self, on_batch: BatchHandler) -> None:
        """Receive with one client until the end, or until it must be made anew."""
        # The SDK looks a partition's start up here each time it makes a consumer for it.
        positions: dict[str, str | int] = {
            p: number if number >= 0 else EARLIEST for p, number in self._handled.items()
        }
        self._delivered_s = dict.fromkeys(self._handled, time.monotonic())
        inboxes = {p: _Inbox(2 * self._batch_max_events, n) for p, n in self._handled.items()}

        async def deliver(context: Any, events: list[EventData]) -> None:
            partition = str(context.partition_id)
            if events and not self._ended.is_set():
                now = self._delivered_s[partition] = time.monotonic()
                self._presence.ended(now)
                if partition in self._taken:
                    self._taken.discard(partition)
                    _log.info("partition is received again", partition=partition)
                positions[partition] = await inboxes[partition].put(events)

        receiving = asyncio.create_task(
            self._client.receive_batch(
                on_event_batch=deliver,
                on_error=self._on_error,
                starting_position=positions,
                max_batch_size=self._batch_max_events,
                max_wait_time=HAND_OVER_S,
                prefetch=self._prefetch,
            )
        )
        watching = asyncio.create_task(self._watch())
        workers = [asyncio.create_task(self._work(on_batch, *inbox)) for inbox in inboxes.items()]
        try:
            await self._ended_or(receiving, watching)
        finally:
            for inbox in inboxes.values():
                inbox.close()  # what waits there was not handled and is read again
            await asyncio.wait(workers, timeout=CLOSE_MAX_S)
            await self._close_client()
            tasks = (receiving, watching, *workers)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                self._fail(service_error(result, self._address))

    async def _ended_or(self, *tasks: asyncio.Task[Any]) -> None:
        """Wait for the end, or until one of some tasks is done."""
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({ended, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()

    async def _work(self, on_batch: BatchHandler, partition: str, inbox: _Inbox) -> None:
        """Hand a partition's events over in batches; while one is worked on, the next gathers."""
        while True:
            events = await inbox.take(self._batch_max_events, self._batch_max_wait_s)
            if inbox.closed:
                return
            self._busy.add(partition)
            try:
                await on_batch(partition, [_received(partition, event) for event in events])
            except Exception as error:  # noqa: BLE001 - whatever it is ends the run and is raised by it
                self._fail(error)
                return
            finally:
                self._busy.discard(partition)
            if events:
                self._handled[partition] = events[-1].sequence_number or 0

    async def _watch(self) -> None:
        """Return when the client must be made anew; end the run when the hub stays out of reach."""
        lost_since: float | None = None
        while True:
            await asyncio.sleep(min(PROBE_AFTER_S, self._retry_for_s) / 2)
            now = time.monotonic()
            silent = [
                p
                for p, at in self._delivered_s.items()
                if now - at > PROBE_AFTER_S and p not in self._busy
            ]
            if not silent and lost_since is None:
                continue
            try:
                async with asyncio.timeout(PROBE_MAX_S):
                    stalled = [p for p in silent if await self._has_newer(p)]
            except Exception as error:  # noqa: BLE001 - the SDK raises of every kind
                translated = service_error(error, self._address)
                self._presence.ended(now, translated)
                lost_since = now if lost_since is None else lost_since
                if not translated.retryable or now - lost_since > self._retry_for_s:
                    self._fail(translated)
                    return
                continue
            self._presence.ended(now)
            if stalled or lost_since is not None:
                return

    async def _has_newer(self, partition: str) -> bool:
        before = self._handled[partition]  # more may be handled while the hub is asked
        properties = await self._client.get_partition_properties(partition)
        last = int(properties["last_enqueued_sequence_number"])
        if last < before:
            _log.warning(
                "event hub was made anew, it is read from its beginning", partition=partition
            )
            self._handled[partition] = -1
            return True
        return not properties["is_empty"] and last > self._handled[partition]

    async def _on_error(self, context: Any, error: Exception) -> None:
        """Take an error the SDK gives up on; a passing one is the watch's matter."""
        translated = service_error(error, self._address)
        if isinstance(translated, UnavailableError):
            self._note_taken(str(context.partition_id), translated)
            return
        self._presence.ended(time.monotonic(), translated)
        if not translated.retryable:
            self._fail(translated)

    def _note_taken(self, partition: str, error: UnavailableError) -> None:
        if partition not in self._taken:
            self._taken.add(partition)
            _log.warning(
                "partition is not received",
                partition=partition,
                reason=error.message,
                remedy=error.remedy,
            )

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._ended.set()

    async def _close_client(self) -> None:
        with suppress(Exception):
            await asyncio.wait_for(self._client.close(), CLOSE_MAX_S)


def _received(partition: str, event: EventData) -> Event:
    return Event(
        partition=partition,
        sequence_number=event.sequence_number or 0,
        body=_body(event),
        properties={
            _text(name): _text(value) if isinstance(value, bytes) else value
            for name, value in (event.properties or {}).items()
        },
    )


def _body(event: EventData) -> bytes:
    """Return what an event carries; what is no bytes or text is shown, to be refused as no JSON."""
    body: Any = event.body
    if event.body_type is AmqpMessageBodyType.DATA:
        return b"".join(section or b"" for section in body)
    return body if isinstance(body, bytes) else repr(body).encode()


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
