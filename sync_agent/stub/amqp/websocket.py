"""AMQP over WebSockets: the same bytes, carried in binary messages of one WebSocket.

A client that may only use port 443 asks for ``/$servicebus/websocket`` and then speaks AMQP in
binary messages; where one message ends and the next begins means nothing. Both kinds of client
come to one port here: the first bytes tell them apart, ``AMQP`` or ``GET``. A plain connection
costs nothing more than that look.

A page in a browser can open a WebSocket to any address, and the public development key keeps
nobody out. So with that key a page of another site is refused.

Bounds: the head of a request as ``websockets`` bounds it, ``MESSAGE_BYTES_MAX`` a message; the
handshake has to be done in the time AMQP's has, because ``Connection`` runs from the start.
"""

from __future__ import annotations

import asyncio
from typing import cast

from websockets.exceptions import InvalidHandshake, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from sync_agent.hosts import is_foreign
from sync_agent.stub.amqp.connection import Connection

PATH = "/$servicebus/websocket"
SUBPROTOCOLS = (Subprotocol("AMQPWSB10"), Subprotocol("amqp"))
"""What Azure's SDKs ask for, and what the AMQP WebSocket binding (OASIS, section 2.1) calls it."""
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
"""More than a frame of AMQP has, since a client may send several in one message."""
UPGRADE = b"GET "


class Doorway(asyncio.Protocol):
    """Looks at the first bytes of a new socket and lets in plain AMQP or a WebSocket."""

    def __init__(self, connection: Connection, *, any_host: bool) -> None:
        """Prepare for one socket; ``any_host`` takes any name and page for the stub's own."""
        self._connection = connection
        self._any_host = any_host
        self._transport: asyncio.Transport | None = None
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the connection, and with it the time the handshake may take."""
        self._transport = cast("asyncio.Transport", transport)
        self._connection.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand the socket over as soon as it is known what the client speaks."""
        self._first += data
        if len(self._first) < len(UPGRADE) and UPGRADE.startswith(self._first):
            return
        transport = self._transport
        assert transport is not None
        inner: asyncio.Protocol = self._connection
        if self._first.startswith(UPGRADE):
            inner = Carrier(transport, self._connection, any_host=self._any_host)
            self._connection.carried_by(inner)
        transport.set_protocol(inner)
        inner.data_received(self._first)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection that its socket is gone."""
        self._connection.connection_lost(exc)


class Carrier(asyncio.Protocol, asyncio.Transport):
    """A WebSocket between a socket and the AMQP connection, whose transport it is."""

    def __init__(
        self, transport: asyncio.Transport, connection: Connection, *, any_host: bool
    ) -> None:
        """Carry one connection; see ``Doorway``."""
        super().__init__()
        self._transport = transport
        self._connection = connection
        self._any_host = any_host
        self._protocol = ServerProtocol(subprotocols=SUBPROTOCOLS, max_size=MESSAGE_BYTES_MAX)

    # -- towards the socket ---------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take bytes of the socket: the handshake, then what messages carry."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._answer(event)
            elif isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
                self._connection.data_received(bytes(event.data))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._protocol.fail(1003, "AMQP is binary")
        self._drain()

    def eof_received(self) -> None:
        """Let the WebSocket end as the client did."""
        self._protocol.receive_eof()
        self._drain()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection that its socket is gone."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the connection that the client does not keep up."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Tell the connection that the client reads again."""
        self._connection.resume_writing()

    # -- towards the connection ------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes as a message; before the handshake there is nobody to send them to."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(data)
            self._drain()

    def close(self) -> None:
        """Close the WebSocket, and the socket once what was written has gone."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._drain()
        self._transport.close()

    def abort(self) -> None:
        """End the socket at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether the socket takes no more."""
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the client."""
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Read nothing more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    # -- inside ---------------------------------------------------------------------------------

    def _answer(self, request: Request) -> None:
        headers = request.headers
        # Some of Azure's SDKs, .NET's for one, end the path with a slash.
        if request.path.partition("?")[0].rstrip("/").lower() != PATH:
            response = self._protocol.reject(404, f"AMQP over WebSockets is at {PATH}\n")
        elif not self._any_host and is_foreign(headers.get("Host", ""), headers.get("Origin")):
            response = self._protocol.reject(403, "Pages of other sites may not come here.\n")
        else:
            response = self._protocol.accept(request)
        self._protocol.send_response(response)

    def _drain(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()
        problem = self._protocol.parser_exc or self._protocol.handshake_exc
        if isinstance(problem, (ProtocolError, InvalidHandshake)):
            self._transport.close()
