"""A link that brings events in, to a hub or to one of its partitions.

A delivery is settled only after the group commit that kept it; whatever is wrong with it becomes
its rejection, and the link lives on.
"""

from __future__ import annotations

from functools import partial

from sync_agent.stub.amqp.condition import AmqpError
from sync_agent.stub.amqp.link import Channel, IncomingLink
from sync_agent.stub.amqp.message import read_delivery
from sync_agent.stub.amqp.namespace import Hub, Namespace, Partition, Reset
from sync_agent.stub.amqp.performatives import Attach
from sync_agent.stub.amqp.token import Right


class PublisherLink(IncomingLink):
    """Takes events; without a partition of its own each delivery is routed by key or in turn."""

    right = Right.SEND

    def __init__(
        self,
        channel: Channel,
        attach: Attach,
        path: tuple[str, ...],
        *,
        namespace: Namespace,
        hub: Hub,
        partition: Partition | None,
    ) -> None:
        super().__init__(
            channel,
            attach,
            path,
            bytes_max=namespace.limits.message_bytes_max,
            room=namespace.room,
        )
        self._namespace = namespace
        self._hub = hub
        self._partition = partition

    def receive(self, delivery_id: int, is_settled: bool, message_format: int, body: bytes) -> None:
        """Hand the events of a delivery in, all for one partition."""
        try:
            delivery = read_delivery(body, message_format)
        except AmqpError as error:
            self.answer(delivery_id, is_settled, error)
            return
        if (busy := self._namespace.busy) is not None:
            self.answer(delivery_id, is_settled, busy)
            return
        reset = self._namespace.next_reset()
        if reset is Reset.BEFORE:
            self.channel.abort()
            return
        partition = self._partition or self._hub.route(delivery.partition_key)
        outcome = self._break_off if reset else partial(self.answer, delivery_id, is_settled)
        self._namespace.publish(partition, delivery.events, outcome)

    def _break_off(self, _: AmqpError | None) -> None:
        self.channel.abort()
