"""uvicorn inside another program: no signals, no logging of its own, all of it bounded.

Chosen by measuring: with httptools it took some 20,000 empty requests/s on one core of a shared
machine, granian's embedded server 8,500; and it lives on the caller's event loop without a thread.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sync_agent.errors import AddressInUseError, SettingsError
from sync_agent.stub.adt.app import CUT, AdtApp

BACKLOG = 512
CONNECTIONS_MAX = 1_000
HEAD_BYTES_MAX = 64 * 1024
KEEP_ALIVE_S = 75
PARSED_BYTES = 16 * 1024
REQUEST_MAX_S = 30.0
START_MAX_S = 10.0
STOP_MAX_S = 3
TICK_S = 0.1
TICKS_A_DAY = 864_000
UNREAD_MAX_S = 300.0
"""How long nothing may be read of an answer that does not fit the sockets.

Long, because the system asks for more only when a third of a socket's megabytes is read: at 30 KB/s
that takes a minute, and a client may stand in a debugger.
"""


class HttpServer:
    """Serves one application on one socket of the running event loop."""

    def __init__(
        self, app: AdtApp, listener: socket.socket, tls: ssl.SSLContext | None = None
    ) -> None:
        """Prepare to serve on a bound socket, which is closed with the server."""
        self._listener = listener
        config = uvicorn.Config(
            app,
            http=_BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_MAX_S,
        )
        config.load()
        config.ssl = tls  # uvicorn would load it from files of its own choice of options
        self._server = _QuietServer(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Accept connections."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        async with asyncio.timeout(START_MAX_S):
            while not self._server.started:
                if self._serving.done():
                    self._serving.result()
                await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Finish the requests under way, a few seconds at most, and close."""
        if self._serving is not None:
            self._server.should_exit = True
            self._server.ending.set()
            with suppress(asyncio.CancelledError):
                await self._serving
        self._listener.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes a free one.

    Raises:
        AddressInUseError: the port is taken.
        SettingsError: the address or port cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's delay, 40 ms an answer, only where the protocol is spelled out.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(
                f"port {port} on {host} is taken",
                remedy="stop what listens there, or choose another port (0 takes a free one)",
            ) from error
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            remedy="choose an address of this machine and a port this user may listen on",
        ) from error
    return listener


class _QuietServer(uvicorn.Server):
    """Leaves signals to the process: whoever runs the stub decides how it ends, and when."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    async def main_loop(self) -> None:
        """Keep the date of answers up to date until it is to end, and then end at once."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks = (ticks + 1) % TICKS_A_DAY
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), TICK_S)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


class _BoundedProtocol(HttpToolsProtocol):
    """Refuses what httptools would take in: a head that is too long, a request that takes too long.

    A request has REQUEST_MAX_S from its first byte to its last, a new connection as long to its
    first byte, and an answer UNREAD_MAX_S to be read on; then the connection ends, so that clients
    that are gone hold none. While requests wait behind another no more are read or parsed, so a
    client that does not read its answers makes the server hold little. A request to speak something
    else (``Upgrade``, CONNECT) is answered as a request, and is the connection's last.
    """

    _head_bytes = 0
    _due_s: float | None = None  # on the loop's clock, None while nothing has to come
    _watch: asyncio.TimerHandle | None = None
    _unparsed = b""
    _unread_bytes = 0
    _unread_watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._gathering = _GatheringTransport(transport, self.loop)
        super().connection_made(self._gathering)  # type: ignore[arg-type]
        self._wait()

    def eof_received(self) -> None:
        self._gathering.send()  # the loop closes the connection next, and knows of nothing to send

    def connection_lost(self, exc: Exception | None) -> None:
        for watch in (self._watch, self._unread_watch):
            if watch is not None:
                watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._unparsed or len(data) > PARSED_BYTES:
            self._unparsed += data
            self._parse()
        else:
            super().data_received(data)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._parse()
        if (self.pipeline or self._unparsed) and not self.transport.is_closing():
            self.flow.pause_reading()  # uvicorn reads on with each answer, however many wait

    def _parse(self) -> None:
        """Parse piece by piece: a request takes more than its bytes, and one read may hold many."""
        while self._unparsed and not self.pipeline and not self.transport.is_closing():
            piece = self._unparsed[:PARSED_BYTES]
            self._unparsed = self._unparsed[PARSED_BYTES:]
            super().data_received(piece)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._unread_watch = self.loop.call_later(UNREAD_MAX_S, self._look_at_unread)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_watch is not None:
            self._unread_watch.cancel()

    def _look_at_unread(self) -> None:
        left = self.transport.get_write_buffer_size()
        if left >= self._unread_bytes:
            self.transport.abort()
            return
        self._unread_bytes = left
        self._unread_watch = self.loop.call_later(UNREAD_MAX_S, self._look_at_unread)

    def on_message_complete(self) -> None:
        self._due_s = None
        super().on_message_complete()

    def _wait(self) -> None:
        self._due_s = self.loop.time() + REQUEST_MAX_S
        if self._watch is None:  # else it looks again when it is through: one timer for many
            self._watch = self.loop.call_at(self._due_s, self._look)

    def _look(self) -> None:
        self._watch = None
        if self._due_s is None:
            return
        if self.flow.read_paused:  # what has to come waits for the server
            self._wait()
        elif self.loop.time() >= self._due_s:
            self.transport.abort()
        else:
            self._watch = self.loop.call_at(self._due_s, self._look)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()
        self._wait()
        self.scope["extensions"] = cast("Any", {CUT: self.transport.abort})

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # httptools takes what follows for another protocol

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the answer does."""

    def _count(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > HEAD_BYTES_MAX:
            raise ValueError("the head of the request is too long")


class _GatheringTransport:
    """Sends what is written in one go, once all requests that came in together are answered.

    A send wakes a client that sleeps, which on a virtual machine can cost as much as the rest of an
    answer. Gathered, the head and the body are one send, and the first client that wakes finds the
    answers to its other requests there.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.is_closing = transport.is_closing  # asked with every answer
        self._gathered: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it soon."""
        if not self._gathered:
            self._loop.call_soon(self.send)
        self._gathered.append(data)

    def close(self) -> None:
        """Close behind what was written."""
        self.send()
        self._transport.close()

    def send(self) -> None:
        """Send it now."""
        gathered, self._gathered = self._gathered, []
        if gathered and not self.is_closing():
            self._transport.writelines(gathered)
