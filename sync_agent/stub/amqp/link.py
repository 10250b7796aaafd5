"""The two directions of a link: deliveries assembled from frames, and credit (part 2.6).

Subclasses say what a link is for. A link ends in one of three ways, all of which call ``release``
once: the peer detaches, the server detaches it with a reason, or its session goes away. Frames that
were under way when the server detached are discarded.
"""

from __future__ import annotations

from typing import Protocol

from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.namespace import Room
from sync_agent.stub.amqp.performatives import (
    SETTLED_BY_SENDER,
    Attach,
    Flow,
    Transfer,
    TransferEncoder,
    detach,
)
from sync_agent.stub.amqp.token import Grant, Right

CREDIT = 1_000
"""Deliveries a peer may send ahead on one link; renewed when half is used."""

_SERIAL = 1 << 32


class Channel(Protocol):
    """What a link needs of its session."""

    @property
    def number(self) -> int:
        """The channel the session's frames carry."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether more may be delivered: the peer's window is open and its socket takes data."""
        ...

    def send(self, performative: bytes) -> None:
        """Send a performative."""
        ...

    def send_flow(self, handle: int, delivery_count: int, credit: int, *, drain: bool) -> None:
        """Send the state of a link's credit."""
        ...

    def settle(self, delivery_id: int, problem: AmqpError | None) -> None:
        """Tell the peer the outcome of its delivery."""
        ...

    def deliver(self, encoder: TransferEncoder, payload: bytes) -> None:
        """Send a delivery, in as many frames as it takes."""
        ...

    def reply_link(self, node: str, address: str) -> ReplySink | None:
        """Return the link on which a node's answers go to the peer."""
        ...

    def add_grant(self, grant: Grant) -> None:
        """Widen what the connection has access to."""
        ...

    def is_authorized(self, path: tuple[str, ...], right: Right | None = None) -> bool:
        """Tell whether the connection has a right to an entity now, or any right to it."""
        ...

    def abort(self) -> None:
        """End the connection without a word."""
        ...


class ReplySink(Protocol):
    """Takes answers for the peer."""

    def put(self, payload: bytes) -> bool:
        """Queue an answer; False when the peer leaves too many unread."""
        ...


class Link:
    """What both directions share; ``right`` to the entity at ``path`` keeps the link alive."""

    right: Right | None = None

    def __init__(self, channel: Channel, attach: Attach, path: tuple[str, ...] | None) -> None:
        self.channel = channel
        self.name = attach.name
        self.handle = attach.handle
        self.path = path
        self.is_open = True

    def start(self) -> None:
        """Begin work; the attach has been answered."""

    def on_flow(self, flow: Flow) -> None:
        """Take note of the peer's flow for this link."""

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        """Take one frame of a delivery from the peer."""
        raise AmqpError(
            Condition.NOT_ALLOWED,
            f"a transfer of {len(payload)} bytes on handle {transfer.handle}, which the peer"
            " receives on",
        )

    def pump(self) -> None:
        """Send what can be sent now."""

    def release(self) -> None:
        """Give up what the link holds."""

    def shut(self) -> bool:
        """End the link without a word to the peer; return whether it was open."""
        was_open, self.is_open = self.is_open, False
        if was_open:
            self.release()
        return was_open

    def detach(self, problem: AmqpError) -> None:
        """End the link and tell the peer why."""
        if self.shut():
            self.channel.send(detach(self.handle, problem))


class IncomingLink(Link):
    """A link the peer sends on."""

    def __init__(
        self,
        channel: Channel,
        attach: Attach,
        path: tuple[str, ...] | None,
        *,
        bytes_max: int,
        room: Room,
    ) -> None:
        super().__init__(channel, attach, path)
        self._bytes_max = bytes_max
        self._room = room
        self._count = attach.initial_delivery_count
        self._credit = 0
        self._first: Transfer | None = None
        self._partial = bytearray()
        self._size = 0

    def start(self) -> None:
        """Grant the first credit."""
        self._grant()

    def on_flow(self, flow: Flow) -> None:
        """Answer a peer that asks how much credit it has."""
        if flow.echo:
            self.channel.send_flow(self.handle, self._count, self._credit, drain=False)

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        """Take one frame; pass the delivery on with its last one."""
        if not self.is_open:
            return
        first = self._first or transfer
        if transfer.aborted:
            self._end_delivery()
            return
        if first.delivery_id is None:
            raise AmqpError(Condition.INVALID_FIELD, "a delivery has no delivery-id")
        self._size += len(payload)
        is_too_large = self._size > self._bytes_max
        if transfer.more:
            self._first = first
            if is_too_large:
                self._forget()
            elif self._room.take(len(payload)):
                self._partial += payload
            else:
                text = "too many bytes of unfinished messages wait in the stub"
                self.detach(AmqpError(Condition.LIMIT_EXCEEDED, text))
            return
        body = bytes(self._partial) + payload if self._partial else payload
        size = self._size
        self._end_delivery()
        is_settled = first.settled or transfer.settled
        if is_too_large:  # the words are the service's: clients look for them
            text = (
                f"The received message (delivery-id:{first.delivery_id}, size:{size} bytes)"
                f" exceeds the limit ({self._bytes_max} bytes) currently allowed on the link."
            )
            problem = AmqpError(Condition.MESSAGE_TOO_LARGE, text)
            self.answer(first.delivery_id, is_settled, problem)
        else:
            self.receive(first.delivery_id, is_settled, first.message_format, body)

    def receive(self, delivery_id: int, is_settled: bool, message_format: int, body: bytes) -> None:
        """Take a whole delivery."""
        raise NotImplementedError

    def answer(self, delivery_id: int, is_settled: bool, problem: AmqpError | None) -> None:
        """Tell the outcome of a delivery; one sent settled can only be refused with the link."""
        if not self.is_open:
            return
        if not is_settled:
            self.channel.settle(delivery_id, problem)
        elif problem is not None:
            self.detach(problem)

    def release(self) -> None:
        """Give up the delivery that was under way."""
        self._forget()

    def _forget(self) -> None:
        if self._partial:
            self._room.give(len(self._partial))
            self._partial = bytearray()

    def _end_delivery(self) -> None:
        self._first = None
        self._forget()
        self._size = 0
        self._count = (self._count + 1) % _SERIAL
        self._credit -= 1
        if self._credit <= CREDIT // 2:
            self._grant()

    def _grant(self) -> None:
        self._credit = CREDIT
        self.channel.send_flow(self.handle, self._count, self._credit, drain=False)


class OutgoingLink(Link):
    """A link the peer receives on; it sends while it has credit and the channel is ready."""

    def __init__(self, channel: Channel, attach: Attach, path: tuple[str, ...] | None) -> None:
        super().__init__(channel, attach, path)
        self.credit = 0
        self._count = 0
        self._drain = False
        settled = attach.snd_settle_mode == SETTLED_BY_SENDER
        self.encoder = TransferEncoder(channel.number, attach.handle, settled=settled)

    def on_flow(self, flow: Flow) -> None:
        """Take the peer's credit, which it counts from the deliveries it has seen."""
        if not self.is_open:
            return
        if flow.link_credit is not None:
            seen = flow.delivery_count or 0
            credit = (seen + flow.link_credit - self._count) % _SERIAL
            self.credit = credit if credit < _SERIAL // 2 else 0
        self._drain = flow.drain
        if flow.echo and not flow.drain:
            self.channel.send_flow(self.handle, self._count, self.credit, drain=False)
        self.pump()

    def deliver(self, payload: bytes) -> None:
        """Send one delivery and use a credit."""
        self._count = (self._count + 1) % _SERIAL
        self.credit -= 1
        self.channel.deliver(self.encoder, payload)

    def finish_drain(self) -> None:
        """Give unused credit back if the peer asked for that; nothing more is there to send."""
        if self._drain:
            self._drain = False
            self._count = (self._count + self.credit) % _SERIAL
            self.credit = 0
            self.channel.send_flow(self.handle, self._count, 0, drain=True)
