"""Event Hubs through azure-eventhub: receive every partition from a known position, and send.

The receiver keeps no checkpoint: its caller says where to start and stores positions itself. What
the SDK does by itself is bounded here: a consumer that breaks is made anew just behind the last
event that was handled, an error that lasts longer than ``retry_for_s`` ends the run, refused
credentials end it at once. While a handler works, its partition's events wait in the SDK's buffer
(at most
``prefetch``), then in the hub: that is the back-pressure.

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
from dataclasses import dataclass
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.eventhub import EventData, TransportType
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import (
    AuthenticationError,
    EventDataError,
    EventDataSendError,
    EventHubError,
)
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from sync_agent.errors import (
    InputError,
    NotFoundError,
    ServiceError,
    SettingsError,
    UnauthorizedError,
    UnreachableError,
)
from sync_agent.ports.events import BatchHandler, Event, Extent, OutgoingEvent

CLAIM_EVERY_S = 2.0  # how soon a partition whose consumer broke is taken up again
AUTH_TIMEOUT_S = 10
CLOSE_MAX_S = 30.0
HAND_OVER_S = 0.1  # how long the SDK gathers before it hands events over
PROBE_AFTER_S = 10.0
PROBE_MAX_S = 20.0
EARLIEST = "-1"


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where a hub is and how to sign in: a connection string, or a namespace with a credential."""

    connection_string: str = ""
    namespace: str = ""
    name: str | None = None
    credential: AsyncTokenCredential | None = None

    @property
    def place(self) -> str:
        """Return host and hub name, without any secret."""
        parts = dict(
            part.split("=", 1) for part in self.connection_string.split(";") if "=" in part
        )
        host = self.namespace or parts.get("Endpoint", "").removeprefix("sb://").rstrip("/")
        return f"{host}/{self.name or parts.get('EntityPath', '')}"

    def arguments(self) -> dict[str, Any]:
        """Return what both SDK clients are built with."""
        shared = {
            "transport_type": TransportType.Amqp,
            "retry_total": 1,
            "retry_backoff_factor": 0.3,
            "auth_timeout": AUTH_TIMEOUT_S,
        }
        if self.connection_string:
            return {**shared, "conn_str": self.connection_string, "eventhub_name": self.name}
        return {
            **shared,
            "fully_qualified_namespace": self.namespace,
            "eventhub_name": self.name or "",
            "credential": self.credential,
        }


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
    (azure-sdk-for-python
    #42332). So a partition that delivered nothing for ``PROBE_AFTER_S`` is asked about: when the
    hub has newer events, or was out of reach meanwhile, the client is made anew.
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
    ) -> None:
        self._address = address
        self._consumer_group = consumer_group
        self._prefetch = prefetch
        self._batch_max_events = batch_max_events
        self._batch_max_wait_s = batch_max_wait_s
        self._retry_for_s = retry_for_s
        self._client = self._new_client()
        self._ended = asyncio.Event()
        self._failure: Exception | None = None
        self._handled: dict[str, int] = {}
        self._delivered_s: dict[str, float] = {}
        self._busy: set[str] = set()

    async def partitions(self) -> Sequence[str]:
        """Return the hub's partition ids.

        Raises:
            ServiceError: the hub cannot be reached, does not exist, or refuses the credentials.
        """
        try:
            return [str(p) for p in await self._client.get_partition_ids()]
        except Exception as error:
            raise _translated(error, self._address) from error

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
                raise _translated(error, self._address) from error
            last = int(properties["last_enqueued_sequence_number"])
            first = int(properties["beginning_sequence_number"])
            extents[partition] = Extent(last + 1 if properties["is_empty"] else first, last)
        return extents

    async def run(self, on_batch: BatchHandler, *, after: Mapping[str, int]) -> None:
        """Deliver batches until ``close``; see ``ports.events.EventReceiver``.

        Raises:
            ServiceError: the hub stayed out of reach for ``retry_for_s`` or refuses the
            credentials.
            Exception: whatever a handler raised.
        """
        try:
            partitions = await self.partitions()
            self._handled = {p: after.get(p, -1) for p in partitions}
            while not self._ended.is_set():
                await self._session(on_batch)
                if not self._ended.is_set():
                    self._client = self._new_client()
        finally:
            await self._close_client()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Stop receiving; the batches under way are finished first."""
        self._ended.set()

    def _new_client(self) -> EventHubConsumerClient:
        arguments = self._address.arguments()
        arguments["consumer_group"] = self._consumer_group
        arguments["load_balancing_interval"] = CLAIM_EVERY_S
        client: EventHubConsumerClient = _build(EventHubConsumerClient, arguments)
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
                self._delivered_s[partition] = time.monotonic()
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
        ended = asyncio.create_task(self._ended.wait())
        workers = [asyncio.create_task(self._work(on_batch, *inbox)) for inbox in inboxes.items()]
        try:
            await asyncio.wait({receiving, watching, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for inbox in inboxes.values():
                inbox.close()  # what waits there was not handled and is read again
            await asyncio.wait(workers, timeout=CLOSE_MAX_S)
            await self._close_client()
            tasks = (receiving, watching, ended, *workers)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                self._fail(_translated(result, self._address))

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
                translated = _translated(error, self._address)
                lost_since = now if lost_since is None else lost_since
                if not translated.retryable or now - lost_since > self._retry_for_s:
                    self._fail(translated)
                    return
                continue
            if stalled or lost_since is not None:
                return

    async def _has_newer(self, partition: str) -> bool:
        properties = await self._client.get_partition_properties(partition)
        last = int(properties["last_enqueued_sequence_number"])
        return not properties["is_empty"] and last > self._handled[partition]

    async def _on_error(self, _context: Any, error: Exception) -> None:
        """Take an error the SDK gives up on; a passing one is the watch's matter."""
        translated = _translated(error, self._address)
        if not translated.retryable:
            self._fail(translated)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._ended.set()

    async def _close_client(self) -> None:
        with suppress(Exception):
            await asyncio.wait_for(self._client.close(), CLOSE_MAX_S)


class HubSender:
    """Sends to a hub (port ``EventSender``)."""

    def __init__(self, address: HubAddress, *, retry_for_s: float) -> None:
        self._address = address
        self._retry_for_s = retry_for_s
        self._client = _build(EventHubProducerClient, address.arguments())

    async def partitions(self) -> Sequence[str]:
        """Return the hub's partition ids.

        Raises:
            ServiceError: the hub cannot be reached, does not exist, or refuses the credentials.
        """
        try:
            return [str(p) for p in await self._retrying(self._client.get_partition_ids)]
        except (EventHubError, OSError, TimeoutError) as error:
            raise _translated(error, self._address) from error

    async def send(self, events: Sequence[OutgoingEvent]) -> None:
        """Send events in order per partition or key; returns when the hub accepted all.

        Raises:
            ServiceError: the hub stayed out of reach for ``retry_for_s``, is not there, or refuses
            the
                credentials; events before the failure may have been accepted.
            InputError: one event alone is larger than the hub takes.
        """
        lanes: dict[tuple[str | None, str | None], list[OutgoingEvent]] = {}
        for event in events:
            lanes.setdefault((event.partition, event.partition_key), []).append(event)
        try:
            await asyncio.gather(*(self._send_lane(*lane) for lane in lanes.items()))
        except (EventHubError, OSError, TimeoutError) as error:
            raise _translated(error, self._address) from error

    async def close(self) -> None:
        """Release the connection."""
        await self._client.close()

    async def _send_lane(
        self, lane: tuple[str | None, str | None], events: Sequence[OutgoingEvent]
    ) -> None:
        partition, key = lane
        position = 0
        while position < len(events):
            batch = await self._retrying(
                lambda: self._client.create_batch(partition_id=partition, partition_key=key)
            )
            added = 0
            for event in events[position:]:
                data = EventData(event.body)
                data.properties = {str(name): value for name, value in event.properties.items()}
                data.content_type = "application/json"
                try:
                    batch.add(data)
                except ValueError:
                    break
                added += 1
            if not added:
                raise InputError(
                    f"an event of {len(events[position].body)} bytes is larger than the hub takes",
                    remedy="put fewer rows into one event",
                )
            full = batch
            await self._retrying(lambda full=full: self._client.send_batch(full))
            position += added

    async def _retrying(self, work: Any) -> Any:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((EventDataSendError, EventHubError, OSError)),
            stop=stop_after_delay(self._retry_for_s),
            wait=wait_random_exponential(0.2, max=10),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                try:
                    return await work()
                except EventHubError as error:
                    translated = _translated(error, self._address)
                    if not translated.retryable:
                        raise translated from error
                    raise
        return None


_NOT_FOUND = ("not-found", "NotFound", "could not be found", "Status code: 404")


def _build(client: Any, arguments: dict[str, Any]) -> Any:
    make = client.from_connection_string if "conn_str" in arguments else client
    try:
        return make(**arguments)
    except ValueError as error:
        # The SDK's message may repeat the string it was given, which holds a key.
        raise SettingsError(
            "the Event Hubs connection string cannot be used",
            remedy="it looks like Endpoint=sb://HOST/;SharedAccessKeyName=..;SharedAccessKey=.."
            ";EntityPath=HUB; without EntityPath set event_hub.name",
        ) from error


def _received(partition: str, event: EventData) -> Event:
    enqueued = event.enqueued_time
    return Event(
        partition=partition,
        sequence_number=event.sequence_number or 0,
        offset=str(event.offset or ""),
        enqueued_ms=0 if enqueued is None else int(enqueued.timestamp() * 1000),
        body=_body(event),
        properties={
            _text(name): _text(value) if isinstance(value, bytes) else value
            for name, value in (event.properties or {}).items()
        },
        content_type=event.content_type or "",
    )


def _body(event: EventData) -> bytes:
    body: Any = event.body
    return body if isinstance(body, bytes) else b"".join(body)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _translated(error: BaseException, address: HubAddress) -> ServiceError:
    """Say what an SDK error means and what to do; messages name host and hub, never a key."""
    if isinstance(error, ServiceError):
        return error
    condition = str(error)
    if isinstance(error, AuthenticationError) or "unauthorized" in condition.lower():
        return UnauthorizedError(
            f"event hub {address.place} refuses the credentials",
            status=401,
            remedy="check the key, or give the identity the role Azure Event Hubs Data Receiver",
        )
    if any(sign in condition for sign in _NOT_FOUND):
        return NotFoundError(
            f"there is no event hub or consumer group at {address.place}",
            status=404,
            remedy="check event_hub.name and event_hub.consumer_group",
        )
    if isinstance(error, EventDataError) and not isinstance(error, EventDataSendError):
        return ServiceError(f"event hub {address.place} refused an event: {type(error).__name__}")
    return UnreachableError(
        f"event hub {address.place} cannot be reached ({type(error).__name__})",
        remedy="check the address, the network and that the hub is up",
    )
