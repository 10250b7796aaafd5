"""A link that carries a partition's events out, from a position on.

It holds no events: while there is credit, window and a socket that takes data, it reads the next
slice of the log and sends it, one slice per turn of the event loop so that many receivers share it
fairly. A slow peer simply stops being read for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sync_agent.errors import StoreError
from sync_agent.stub.amqp.codec import Timestamp
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.link import Channel, OutgoingLink
from sync_agent.stub.amqp.message import (
    DELIVERY_ANNOTATIONS,
    annotations_section,
    with_delivery_annotations,
)
from sync_agent.stub.amqp.namespace import Namespace, Partition
from sync_agent.stub.amqp.performatives import Attach
from sync_agent.stub.amqp.selector import Position
from sync_agent.stub.amqp.token import Right


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a receiver asked for."""

    partition: Partition
    group: str
    position: Position
    epoch: int | None
    wants_metrics: bool


class ConsumerLink(OutgoingLink):
    """Sends a partition's events to one receiver of a consumer group.

    Raises (constructor):
        AmqpError: the position is invalid, or the partition's owner is stronger.
    """

    right = Right.LISTEN

    def __init__(
        self,
        channel: Channel,
        attach: Attach,
        path: tuple[str, ...],
        *,
        namespace: Namespace,
        subscription: Subscription,
    ) -> None:
        super().__init__(channel, attach, path)
        self._namespace = namespace
        self._partition = subscription.partition
        self._group = subscription.group
        self._epoch = subscription.epoch
        self._wants_metrics = subscription.wants_metrics
        self._is_scheduled = False
        self._next = self._partition.locate(subscription.position)
        self._partition.admit(self._group, self, namespace.limits.receivers_max)

    @property
    def epoch(self) -> int | None:
        """The owner level, None for a receiver that shares."""
        return self._epoch

    def wake(self) -> None:
        """Look for new events."""
        self.pump()

    def lose(self, reason: AmqpError) -> None:
        """Give the partition up: another receiver took it."""
        self.detach(reason)

    def release(self) -> None:
        """Leave the partition to others."""
        self._partition.leave(self._group, self)

    def pump(self) -> None:
        """Send one slice, and come back in the next turn if there may be more."""
        if not self.is_open or self._is_scheduled or not self.channel.is_ready:
            return
        if self.credit > 0 and not self._send_slice():
            return
        if self.credit > 0 and self._next < self._partition.info().next_sequence:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump_again)
        else:
            self.finish_drain()

    def _pump_again(self) -> None:
        self._is_scheduled = False
        self.pump()

    def _send_slice(self) -> bool:
        try:
            events = self._partition.read(self._next, self.credit)
        except StoreError as error:
            self.detach(AmqpError(Condition.INTERNAL_ERROR, f"events cannot be read: {error}"))
            return False
        metrics = self._metrics() if self._wants_metrics and events.payloads else None
        for payload in events.payloads:
            self.deliver(
                payload if metrics is None else with_delivery_annotations(payload, metrics)
            )
        self._next = events.first_sequence + len(events.payloads)
        return True

    def _metrics(self) -> bytes:
        info = self._partition.info()
        return annotations_section(
            DELIVERY_ANNOTATIONS,
            {
                "last_enqueued_sequence_number": info.last_sequence,
                "last_enqueued_offset": str(info.last_offset),
                "last_enqueued_time_utc": Timestamp(info.last_enqueued_ms),
                "runtime_info_retrieval_time_utc": Timestamp(self._namespace.now_ms()),
            },
        )
