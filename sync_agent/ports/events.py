"""What the agent needs of an event hub: batches per partition in order, and a way to send.

Delivery is at least once, in order within a partition. The receiver never moves a checkpoint: the
consumer of a batch stores its position itself, after the batch is safe.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """One event as received: where it stood and what it carried.

    ``properties`` are the application properties with text keys.
    """

    partition: str
    sequence_number: int
    body: bytes
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extent:
    """The sequence numbers a partition holds: ``last`` was sent last, ``first`` is still kept.

    Of an empty partition ``first`` is one more than ``last``, which is -1 when nothing was ever
    sent.
    """

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """One event to send: to a partition, or by a partition key, or wherever the hub likes.

    Events of one partition, or of one key, keep their order.
    """

    body: bytes
    partition_key: str | None = None
    partition: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


BatchHandler = Callable[[str, Sequence[Event]], Awaitable[None]]
"""Called with a partition id and its next events in order, or with none after an idle wait."""


class EventReceiver(Protocol):
    """Receives every partition of a hub for one consumer group until it is closed."""

    async def partitions(self) -> Sequence[str]:
        """Return the hub's partition ids."""
        ...

    async def extents(self) -> Mapping[str, Extent]:
        """Return what each partition holds at the moment."""
        ...

    async def run(self, on_batch: BatchHandler, *, after: Mapping[str, int]) -> None:
        """Deliver batches, each partition from just behind its sequence number in ``after``.

        A partition missing from ``after`` starts at its first retained event. Runs until ``close``
        or until a handler raises, which ends the run with that error; then it may be run again.
        """
        ...

    async def close(self) -> None:
        """Stop receiving and release the connection."""
        ...


class EventSender(Protocol):
    """Sends to a hub."""

    async def partitions(self) -> Sequence[str]:
        """Return the hub's partition ids."""
        ...

    async def send(self, events: Sequence[OutgoingEvent]) -> None:
        """Send events in order, batched per partition or key; returns when the hub accepted all."""
        ...

    async def close(self) -> None:
        """Flush and release the connection."""
        ...
