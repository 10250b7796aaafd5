"""Sends samples to an event hub in event-time order, as fast as told.

An element always goes to the same partition, so its samples keep their order, and each partition
gets its samples in event-time order throughout: no element of a partition runs ahead of another.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec

from sync_agent.ports.events import EventSender, OutgoingEvent
from sync_agent.telemetry.sample import Sample

MINUTE_MS = 60_000
ROWS_PER_SEND = 5_000  # how much is gathered before it is sent, when no speed holds it back


@dataclass(frozen=True, slots=True)
class Sent:
    """How much was sent."""

    rows: int
    events: int


async def replay(
    samples: Iterable[Sample],
    sender: EventSender,
    *,
    speed: float | None,
    rows_per_event: int,
    clock: Callable[[], float],
    on_rows: Callable[[int], None],
) -> Sent:
    """Send samples, which must be in event-time order; ``speed`` is times real time, None: at once.

    ``on_rows`` is told the rows sent so far.

    Raises:
        ServiceError: the hub cannot be reached or refuses; what was sent before stands.
    """
    partitions = await sender.partitions()
    rows = events = 0
    pending: list[Sample] = []

    async def send() -> None:
        nonlocal rows, events, pending
        outgoing = list(events_of(pending, partitions, rows_per_event))
        await sender.send(outgoing)
        rows, events, pending = rows + len(pending), events + len(outgoing), []
        on_rows(rows)

    began, first_minute = clock(), None
    for minute, group in groupby(samples, key=lambda sample: sample.time_ms // MINUTE_MS):
        first_minute = minute if first_minute is None else first_minute
        if speed is not None:
            due = began + (minute - first_minute) * MINUTE_MS / 1000 / speed
            await asyncio.sleep(max(0.0, due - clock()))
        pending += group
        if speed is not None or len(pending) >= ROWS_PER_SEND:
            await send()
    if pending:
        await send()
    return Sent(rows, events)


def events_of(
    samples: Sequence[Sample], partitions: Sequence[str], rows_per_event: int
) -> Iterator[OutgoingEvent]:
    """Yield events of at most ``rows_per_event`` samples, in order for each partition."""
    lanes: dict[str, list[Sample]] = {}
    for sample in samples:
        lane = partitions[zlib.crc32(sample.element.encode()) % len(partitions)]
        lanes.setdefault(lane, []).append(sample)
    for partition, held in lanes.items():
        for first in range(0, len(held), rows_per_event):
            body = encode(held[first : first + rows_per_event])
            yield OutgoingEvent(body, partition=partition)


def encode(samples: Sequence[Sample]) -> bytes:
    """Return samples in the agent's own JSON form (``telemetry.decode``)."""
    return msgspec.json.encode(
        [
            {"element": s.element, "time": s.time_ms, "values": s.values}
            | ({"labels": s.labels} if s.labels else {})
            for s in samples
        ]
    )
