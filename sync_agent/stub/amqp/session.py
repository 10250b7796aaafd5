"""A session: the links on one channel and the transfer windows around them (part 2.5).

Windows count transfer frames. What a link sends beyond the peer's window waits in an outbox; while
anything waits there no link is ready, so it never holds more than one slice of a log. The window
granted to the peer is renewed when half is used and never enforced: the Azure SDK counts deliveries
where the standard counts frames.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from sync_agent.stub.amqp import attachment, performatives
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.link import Link, ReplySink
from sync_agent.stub.amqp.namespace import Namespace
from sync_agent.stub.amqp.performatives import Attach, Begin, Detach, Flow, Transfer
from sync_agent.stub.amqp.request import ReplyLink
from sync_agent.stub.amqp.token import Grant, Right

WINDOW = 2_048
"""Transfer frames the peer may send ahead in one session."""

_SERIAL = 1 << 32


class Wire(Protocol):
    """What a session needs of its connection."""

    @property
    def is_writable(self) -> bool:
        """Whether the socket takes data without piling it up."""
        ...

    @property
    def frame_bytes_max(self) -> int:
        """The largest frame the peer takes."""
        ...

    def send(self, channel: int, performative: bytes) -> None:
        """Send a performative in a frame."""
        ...

    def send_frame(self, frame: bytes) -> None:
        """Send a frame that is ready."""
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


class Session:
    """The server's side of one session; it is the ``Channel`` of its links."""

    def __init__(self, wire: Wire, number: int, begin: Begin, namespace: Namespace) -> None:
        self._wire = wire
        self._number = number
        self._namespace = namespace
        self._links: dict[int, Link] = {}
        self._outbox: deque[bytes] = deque()
        self._next_incoming_id = begin.next_outgoing_id
        self._window_left = WINDOW
        self._next_outgoing_id = 0
        self._next_delivery_id = 0
        self._peer_window = begin.incoming_window
        self.is_open = True
        links_max = namespace.limits.links_max
        self.send(performatives.begin(number, self._next_outgoing_id, WINDOW, links_max - 1))

    @property
    def number(self) -> int:
        """The channel the session's frames carry."""
        return self._number

    @property
    def is_ready(self) -> bool:
        """Whether more may be delivered: the peer's window is open and its socket takes data."""
        return self._peer_window > 0 and not self._outbox and self._wire.is_writable

    # --- from the peer ---

    def on_attach(self, attach: Attach) -> None:
        """Open a link, or refuse it with a reason."""
        present = self._links.get(attach.handle)
        if present is not None and present.is_open:
            self.end(
                AmqpError(Condition.HANDLE_IN_USE, f"handle {attach.handle} is in use already")
            )
            return
        bytes_max = self._namespace.limits.message_bytes_max
        try:
            if attach.handle >= self._namespace.limits.links_max:
                raise AmqpError(
                    Condition.LIMIT_EXCEEDED,
                    f"a session has at most {self._namespace.limits.links_max} links",
                )
            link = attachment.open_link(self, self._namespace, attach)
        except AmqpError as problem:
            self.send(attachment.answer(attach, bytes_max, refused=True))
            self.send(performatives.detach(attach.handle, problem))
            return
        self._links[attach.handle] = link
        self.send(attachment.answer(attach, bytes_max, refused=False))
        link.start()

    def on_flow(self, flow: Flow) -> None:
        """Take the peer's window, then the credit of the link the flow names."""
        seen = flow.next_incoming_id or 0
        window = (seen + flow.incoming_window - self._next_outgoing_id) % _SERIAL
        self._peer_window = window if window < _SERIAL // 2 else 0
        self._empty_outbox()
        if flow.handle is None:
            if flow.echo:
                self._renew_window()
            self.pump()
            return
        link = self._links.get(flow.handle)
        if link is not None:
            link.on_flow(flow)
        self.pump()

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        """Take a frame of a delivery."""
        self._next_incoming_id = (self._next_incoming_id + 1) % _SERIAL
        self._window_left -= 1
        link = self._links.get(transfer.handle)
        if link is None:
            self.end(
                AmqpError(
                    Condition.UNATTACHED_HANDLE, f"no link is attached at handle {transfer.handle}"
                )
            )
            return
        link.on_transfer(transfer, payload)
        if self._window_left <= WINDOW // 2:
            self._renew_window()

    def on_detach(self, request: Detach) -> None:
        """Close a link at the peer's wish; a detach that answers the server's own ends it too."""
        link = self._links.pop(request.handle, None)
        if link is not None and link.shut():
            self.send(performatives.detach(request.handle))

    # --- to the peer ---

    def send(self, performative: bytes) -> None:
        """Send a performative."""
        if self.is_open:
            self._wire.send(self._number, performative)

    def send_flow(self, handle: int, delivery_count: int, credit: int, *, drain: bool) -> None:
        """Send the state of a link's credit."""
        self.send(
            performatives.flow(
                next_incoming_id=self._next_incoming_id,
                incoming_window=self._window_left,
                next_outgoing_id=self._next_outgoing_id,
                outgoing_window=WINDOW,
                handle=handle,
                delivery_count=delivery_count,
                link_credit=credit,
                drain=drain,
            )
        )

    def settle(self, delivery_id: int, problem: AmqpError | None) -> None:
        """Tell the peer the outcome of its delivery."""
        self.send(performatives.disposition(delivery_id, problem))

    def deliver(self, encoder: performatives.TransferEncoder, payload: bytes) -> None:
        """Send a delivery, in as many frames as it takes; frames beyond the window wait."""
        number = self._next_delivery_id
        self._next_delivery_id = (number + 1) % _SERIAL
        room = self._wire.frame_bytes_max - encoder.OVERHEAD_BYTES
        last = max(len(payload) - 1, 0) // room * room
        for at in range(0, last, room):
            self._post(encoder.frame(number, payload[at : at + room], more=True))
        self._post(encoder.frame(number, payload[last:] if last else payload))

    def end(self, problem: AmqpError | None = None) -> None:
        """End the session and all its links; later frames on it are discarded."""
        if self.is_open:
            self.send(performatives.end(problem))
            self.shut()

    def shut(self) -> None:
        """Release everything without a word: the session or the connection is gone."""
        self.is_open = False
        self._outbox.clear()
        for link in self._links.values():
            link.shut()
        self._links.clear()

    def pump(self) -> None:
        """Let every link send what it can."""
        self._empty_outbox()
        for link in list(self._links.values()):
            link.pump()

    def drop_unauthorized(self) -> None:
        """Detach the links whose access has expired."""
        for link in list(self._links.values()):
            if link.path is not None and not self._wire.is_authorized(link.path, link.right):
                link.detach(
                    AmqpError(
                        Condition.UNAUTHORIZED,
                        f"ExpiredToken: the token for '{'/'.join(link.path)}' is expired",
                    )
                )

    def detach_links(self, problem: AmqpError) -> None:
        """Detach every link to a hub."""
        for link in list(self._links.values()):
            if link.path is not None:
                link.detach(problem)

    def reply_link(self, node: str, address: str) -> ReplySink | None:
        """Return the link on which a node's answers go to the peer, by its address if given."""
        candidates = [
            link
            for link in self._links.values()
            if isinstance(link, ReplyLink) and link.is_open and link.node == node
        ]
        addressed = [link for link in candidates if link.address == address]
        return next(iter(addressed or candidates), None)

    def add_grant(self, grant: Grant) -> None:
        """Widen what the connection has access to."""
        self._wire.add_grant(grant)

    def is_authorized(self, path: tuple[str, ...], right: Right | None = None) -> bool:
        """Tell whether the connection has a right to an entity now, or any right to it."""
        return self._wire.is_authorized(path, right)

    def abort(self) -> None:
        """End the connection without a word."""
        self._wire.abort()

    def _post(self, frame: bytes) -> None:
        if self._outbox or self._peer_window <= 0:
            self._outbox.append(frame)
        else:
            self._send_transfer(frame)

    def _empty_outbox(self) -> None:
        while self._outbox and self._peer_window > 0:
            self._send_transfer(self._outbox.popleft())

    def _send_transfer(self, frame: bytes) -> None:
        self._next_outgoing_id = (self._next_outgoing_id + 1) % _SERIAL
        self._peer_window -= 1
        self._wire.send_frame(frame)

    def _renew_window(self) -> None:
        self._window_left = WINDOW
        self.send(
            performatives.flow(
                next_incoming_id=self._next_incoming_id,
                incoming_window=WINDOW,
                next_outgoing_id=self._next_outgoing_id,
                outgoing_window=WINDOW,
            )
        )
