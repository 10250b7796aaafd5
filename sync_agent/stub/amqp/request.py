"""Links to and from the nodes ``$cbs`` and ``$management``: questions in, answers out.

Bounds: a peer that reads no answers has at most ``REPLIES_MAX`` of them waiting; further questions
are rejected.
"""

from __future__ import annotations

from collections import deque

from sync_agent.stub.amqp import cbs, management
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.link import Channel, IncomingLink, OutgoingLink
from sync_agent.stub.amqp.message import PLAIN_FORMAT, Reply, Request, encode_reply, read_request
from sync_agent.stub.amqp.namespace import Namespace
from sync_agent.stub.amqp.performatives import Attach

NODES = frozenset((cbs.NODE, management.NODE))
REQUEST_BYTES_MAX = 65_536
REPLIES_MAX = 64


class RequestLink(IncomingLink):
    """Takes questions to a node and answers them at once."""

    def __init__(self, channel: Channel, attach: Attach, node: str, namespace: Namespace) -> None:
        super().__init__(channel, attach, None, bytes_max=REQUEST_BYTES_MAX, room=namespace.room)
        self._node = node
        self._namespace = namespace

    def receive(self, delivery_id: int, is_settled: bool, message_format: int, body: bytes) -> None:
        """Answer one question."""
        try:
            if message_format != PLAIN_FORMAT:
                raise AmqpError(Condition.NOT_IMPLEMENTED, f"{self._node} takes single messages")
            self._respond(read_request(body))
        except AmqpError as error:
            self.answer(delivery_id, is_settled, error)
        else:
            self.answer(delivery_id, is_settled, None)

    def _respond(self, request: Request) -> None:
        sink = self.channel.reply_link(self._node, request.reply_to)
        if sink is None:
            raise AmqpError(
                Condition.NOT_FOUND, f"no link is attached that receives answers of {self._node}"
            )
        reply = self._reply(request)
        if not sink.put(encode_reply(request, reply)):
            raise AmqpError(
                Condition.LIMIT_EXCEEDED, f"{REPLIES_MAX} answers of {self._node} wait unread"
            )

    def _reply(self, request: Request) -> Reply:
        if self._node == management.NODE:
            return management.answer(self._namespace, request, self.channel.is_authorized)
        reply, grant = cbs.put_token(self._namespace, request)
        if grant is not None:
            self.channel.add_grant(grant)
        return reply


class ReplyLink(OutgoingLink):
    """Carries a node's answers to the peer; ``address`` is the peer's name for its own end."""

    def __init__(self, channel: Channel, attach: Attach, node: str, address: str) -> None:
        super().__init__(channel, attach, None)
        self.node = node
        self.address = address
        self._waiting: deque[bytes] = deque()

    def put(self, payload: bytes) -> bool:
        """Queue an answer; False when the peer leaves too many unread."""
        if len(self._waiting) >= REPLIES_MAX:
            return False
        self._waiting.append(payload)
        self.pump()
        return True

    def pump(self) -> None:
        """Send the answers that credit allows."""
        while self._waiting and self.is_open and self.credit > 0 and self.channel.is_ready:
            self.deliver(self._waiting.popleft())
        if not self._waiting:
            self.finish_drain()
