"""An event log in memory, for tests and for a stub that should forget everything at its end.

Each partition is three parallel lists with a moving head, so that dropping the oldest event costs
nothing and positions are found by bisection. Bounds: retention, per partition.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sync_agent.stub.amqp.partition_log import (
    Append,
    PartitionInfo,
    PartitionKey,
    Retention,
    Slice,
    count_to_drop,
    known_sequence,
    number_events,
)
from sync_agent.stub.amqp.selector import Position, PositionKind

_COMPACT_AT = 4_096
"""Dropped entries at a list's head before the lists are shortened."""


@dataclass(slots=True)
class _Partition:
    info: PartitionInfo = field(default_factory=PartitionInfo)
    head: int = 0
    offsets: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)

    def drop(self, count: int, dropped_bytes: int) -> None:
        for index in range(self.head, self.head + count):
            self.payloads[index] = b""
        self.head += count
        self.info = replace(
            self.info,
            first_sequence=self.info.first_sequence + count,
            bytes=self.info.bytes - dropped_bytes,
        )
        if self.head > _COMPACT_AT and self.head * 2 > len(self.payloads):
            for column in (self.offsets, self.times, self.payloads):
                del column[: self.head]
            self.head = 0


class MemoryEventLog:
    """An ``EventLog`` that lives as long as the process."""

    def __init__(self, retention: Retention | None = None) -> None:
        self._retention = retention or Retention()
        self._created_ms: dict[str, int] = {}
        self._partitions: dict[PartitionKey, _Partition] = {}

    def open_hub(self, hub: str, partitions: int, now_ms: int) -> int:
        """Make a hub's partitions known; return when the hub was first opened, in epoch ms."""
        for number in range(partitions):
            self._partitions.setdefault((hub, number), _Partition())
        return self._created_ms.setdefault(hub, now_ms)

    def append(self, appends: Sequence[Append], now_ms: int) -> None:
        """Number, stamp and keep the events of all appends."""
        for append in appends:
            partition = self._partitions[append.key]
            partition.info, stored = number_events(partition.info, append.events, now_ms)
            partition.offsets.extend(event.offset for event in stored)
            partition.times.extend(event.enqueued_ms for event in stored)
            partition.payloads.extend(event.payload for event in stored)
            sizes = (
                len(partition.payloads[index])
                for index in range(partition.head, len(partition.payloads))
            )
            count, dropped_bytes = count_to_drop(partition.info, self._retention, sizes)
            if count:
                partition.drop(count, dropped_bytes)

    def read(self, key: PartitionKey, sequence: int, events_max: int, bytes_max: int) -> Slice:
        """Read on from a sequence number, or from the first retained event if that was dropped."""
        partition = self._partitions[key]
        first = max(sequence, partition.info.first_sequence)
        start = partition.head + first - partition.info.first_sequence
        payloads: list[bytes] = []
        size = 0
        for payload in partition.payloads[start : start + events_max]:
            payloads.append(payload)
            size += len(payload)
            if size >= bytes_max:
                break
        return Slice(first, payloads)

    def info(self, key: PartitionKey) -> PartitionInfo:
        """Return where a partition stands."""
        return self._partitions[key].info

    def locate(self, key: PartitionKey, position: Position) -> int:
        """Return the sequence number of the first event at or behind a position."""
        partition = self._partitions[key]
        known = known_sequence(partition.info, position)
        if known is not None:
            return known
        by_offset = position.kind is PositionKind.OFFSET
        column = partition.offsets if by_offset else partition.times
        bisect = bisect_left if position.inclusive else bisect_right
        index = bisect(column, position.value, lo=partition.head)
        return partition.info.first_sequence + index - partition.head

    def close(self) -> None:
        """Forget everything."""
        self._partitions.clear()
