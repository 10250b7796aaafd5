"""The port behind the broker that keeps events, and the rules both its implementations share.

A partition is a run of events without gaps: sequence numbers and offsets only rise, also across
restarts and when everything retained has been dropped. Appends of several partitions arrive as one
group and are kept all or none; a sender hears "accepted" only after ``append`` returned. Calls come
from one thread.

Retention is bounded per partition by number and by bytes of the stored encoding; the oldest events
go first, and the newest always stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sync_agent.stub.amqp.message import IncomingEvent, stamp
from sync_agent.stub.amqp.selector import Position, PositionKind

NEVER_MS = -62_135_596_800_000
"""Enqueued time of a partition that never held an event: the first instant of year 1."""

PartitionKey = tuple[str, int]
"""A hub's name in lower case, and the partition's number in it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much a partition keeps: whichever bound is reached first drops the oldest events."""

    events_max: int = 1_000_000
    bytes_max: int = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """Where a partition stands; sequence numbers from ``first`` up to before ``next`` are kept."""

    first_sequence: int = 0
    next_sequence: int = 0
    next_offset: int = 0
    last_offset: int = -1
    last_enqueued_ms: int = NEVER_MS
    bytes: int = 0

    @property
    def last_sequence(self) -> int:
        """The sequence number given last, -1 when none was."""
        return self.next_sequence - 1

    @property
    def is_empty(self) -> bool:
        """Whether nothing is retained."""
        return self.first_sequence == self.next_sequence


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in its place; ``payload`` is what receivers are sent."""

    sequence_number: int
    offset: int
    enqueued_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """Events to put at the end of one partition, in order."""

    key: PartitionKey
    events: Sequence[IncomingEvent]


@dataclass(frozen=True, slots=True)
class Slice:
    """A run of stored events: the first one's sequence number and all payloads."""

    first_sequence: int
    payloads: Sequence[bytes]


class EventLog(Protocol):
    """Keeps the events of all partitions. Implementations: memory, SQLite."""

    def open_hub(self, hub: str, partitions: int, now_ms: int) -> int:
        """Make a hub's partitions known; return when the hub was first opened, in epoch ms."""
        ...

    def append(self, appends: Sequence[Append], now_ms: int) -> None:
        """Number, stamp and keep the events of all appends, or none of them.

        Raises:
            StoreError: nothing was kept, for instance because the disk is full.
        """
        ...

    def read(self, key: PartitionKey, sequence: int, events_max: int, bytes_max: int) -> Slice:
        """Read on from a sequence number, or from the first retained event if that was dropped.

        Stops after ``events_max`` events, or with the event that reaches ``bytes_max``.
        """
        ...

    def info(self, key: PartitionKey) -> PartitionInfo:
        """Return where a partition stands."""
        ...

    def locate(self, key: PartitionKey, position: Position) -> int:
        """Return the sequence number of the first event at or behind a position."""
        ...

    def close(self) -> None:
        """Release what is held; the log is not used afterwards."""
        ...


def number_events(
    info: PartitionInfo, events: Iterable[IncomingEvent], now_ms: int
) -> tuple[PartitionInfo, list[StoredEvent]]:
    """Give events their places behind ``info``; return the partition's new standing with them.

    Enqueued times never fall, even when the clock does, so that a time can be searched for.
    """
    sequence, offset, kept_bytes = info.next_sequence, info.next_offset, info.bytes
    last_offset = info.last_offset
    enqueued_ms = max(now_ms, info.last_enqueued_ms)
    stored: list[StoredEvent] = []
    for event in events:
        payload = stamp(event, sequence, offset, enqueued_ms)
        stored.append(StoredEvent(sequence, offset, enqueued_ms, payload))
        last_offset = offset
        sequence += 1
        offset += len(payload)
        kept_bytes += len(payload)
    if not stored:
        return info, stored
    after = replace(
        info,
        next_sequence=sequence,
        next_offset=offset,
        last_offset=last_offset,
        last_enqueued_ms=enqueued_ms,
        bytes=kept_bytes,
    )
    return after, stored


def count_to_drop(
    info: PartitionInfo, retention: Retention, sizes: Iterable[int]
) -> tuple[int, int]:
    """Return how many of the oldest events exceed retention, and their bytes.

    ``sizes`` yields the stored sizes from the oldest event on and is read only as far as needed.
    """
    kept, kept_bytes, dropped = info.next_sequence - info.first_sequence, info.bytes, 0
    for size in sizes:
        over = kept > retention.events_max or kept_bytes > retention.bytes_max
        if not over or kept <= 1:
            break
        kept, kept_bytes, dropped = kept - 1, kept_bytes - size, dropped + 1
    return dropped, info.bytes - kept_bytes


def known_sequence(info: PartitionInfo, position: Position) -> int | None:
    """Return the sequence number of a position that needs no search, else None."""
    match position.kind:
        case PositionKind.LATEST:
            return info.next_sequence
        case PositionKind.SEQUENCE_NUMBER:
            wanted = position.value if position.inclusive else position.value + 1
            return min(max(wanted, info.first_sequence), info.next_sequence)
        case _ if position.value < 0:
            return info.first_sequence
        case _:
            return None
