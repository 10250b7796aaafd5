"""One client's connection: headers, SASL, open and close, heartbeats, and the byte streams.

The order is fixed: SASL header, SASL exchange, AMQP header, open; then sessions. SASL is required,
as on the service. ANONYMOUS and MSSBCBS give no access until a token is put to ``$cbs``; PLAIN
takes a key's name and the key and gives access to the whole namespace.

Nothing a peer sends raises out of here: what is malformed closes this connection with a condition.
Bounds: one frame of input is buffered; receivers are not read for while more than ``OUTPUT_HIGH``
bytes wait for the peer; above ``OUTPUT_MAX``, reached by a peer that asks and never reads, its
input is not read either. A peer silent for twice the announced idle timeout is closed.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
from collections.abc import Callable
from enum import Enum
from typing import cast

from sync_agent.stub.amqp import performatives
from sync_agent.stub.amqp.cbs import GRANTS_MAX
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.frames import (
    AMQP_FRAME,
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_FRAME,
    SASL_HEADER,
    Frame,
    FrameReader,
    frame,
)
from sync_agent.stub.amqp.namespace import Namespace
from sync_agent.stub.amqp.performatives import (
    Attach,
    Begin,
    Detach,
    Flow,
    Open,
    Performative,
    SaslInit,
    Transfer,
)
from sync_agent.stub.amqp.session import Session
from sync_agent.stub.amqp.token import Grant, Right, rights_of

CONTAINER = "sync-agent-stub"
MECHANISMS = ("MSSBCBS", "PLAIN", "ANONYMOUS")
OUTPUT_HIGH = 1024 * 1024
OUTPUT_LOW = 256 * 1024
OUTPUT_MAX = 4 * 1024 * 1024
LINGER_S = 2.0
TICK_MIN_S, TICK_MAX_S = 0.02, 1.0

_LOG = logging.getLogger(__name__)


class _Stage(Enum):
    SASL_HEADER = 0
    SASL_INIT = 1
    AMQP_HEADER = 2
    OPEN = 3
    OPENED = 4
    CLOSED = 5


class Connection(asyncio.Protocol):
    """The server's side of one socket; it is the ``Wire`` of its sessions."""

    def __init__(self, namespace: Namespace, on_lost: Callable[[Connection], None]) -> None:
        self._namespace = namespace
        self._limits = namespace.limits
        self._on_lost = on_lost
        self._reader = FrameReader(namespace.limits.frame_bytes_max)
        self._stage = _Stage.SASL_HEADER
        self._sessions: dict[int, Session] = {}
        self._grants: dict[tuple[str, ...], Grant] = {}
        self._out: list[bytes] = []
        self._is_flushing = False
        self._is_writable = True
        self._is_reading = True
        self._frame_bytes_max = namespace.limits.frame_bytes_max
        self._peer_idle_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._last_sent = self._last_received = self._made = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen to a new peer."""
        socket = cast("asyncio.Transport", transport)
        socket.set_write_buffer_limits(high=OUTPUT_HIGH, low=OUTPUT_LOW)
        self._transport = socket
        self._schedule_tick()

    def carried_by(self, transport: asyncio.Transport) -> None:
        """Go on in something that is carried by the socket."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes; whatever is wrong with them closes this connection and nothing else."""
        if self._stage is _Stage.CLOSED:
            return
        self._last_received = self._loop.time()
        try:
            self._reader.feed(data)
            while self._step():
                pass
        except AmqpError as problem:
            self.close(problem)
        except Exception:  # noqa: BLE001 - a bug met on one socket must not end the others
            _LOG.exception("a connection failed on a frame")
            self.close(AmqpError(Condition.INTERNAL_ERROR, "the stub failed on a frame"))
        self._flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Release everything the peer held."""
        self._stage = _Stage.CLOSED
        self._out.clear()
        if self._timer is not None:
            self._timer.cancel()
        for session in self._sessions.values():
            session.shut()
        self._sessions.clear()
        self._on_lost(self)

    def pause_writing(self) -> None:
        """Stop delivering: the peer does not keep up."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """Deliver again."""
        self._is_writable = True
        if not self._is_reading and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()
        for session in list(self._sessions.values()):
            session.pump()

    # --- for sessions ---

    @property
    def is_writable(self) -> bool:
        """Whether the socket takes data without piling it up."""
        return self._is_writable

    @property
    def frame_bytes_max(self) -> int:
        """The largest frame the peer takes."""
        return self._frame_bytes_max

    def send(self, channel: int, performative: bytes) -> None:
        """Send a performative in a frame."""
        self.send_frame(frame(channel, performative))

    def send_frame(self, frame: bytes) -> None:
        """Send a frame that is ready, together with others of the same turn."""
        self._out.append(frame)
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def add_grant(self, grant: Grant) -> None:
        """Widen what the connection has access to.

        Raises:
            AmqpError: the connection holds too many tokens.
        """
        if len(self._grants) >= GRANTS_MAX and grant.path not in self._grants:
            raise AmqpError(
                Condition.LIMIT_EXCEEDED, f"a connection holds at most {GRANTS_MAX} tokens"
            )
        self._grants[grant.path] = grant

    def is_authorized(self, path: tuple[str, ...], right: Right | None = None) -> bool:
        """Tell whether the connection has a right to an entity now, or any right to it."""
        now_s = self._namespace.clock()
        return any(g.allows(path, right) and g.expires_s > now_s for g in self._grants.values())

    # --- closing ---

    def detach_links(self, problem: AmqpError) -> None:
        """Detach every link to a hub; the connection stays."""
        for session in list(self._sessions.values()):
            session.detach_links(problem)

    def abort(self) -> None:
        """End the connection without a word, as a broken network does; hear nothing more either."""
        self._stage = _Stage.CLOSED
        if self._transport is not None:
            self._transport.abort()

    def close(self, problem: AmqpError | None = None) -> None:
        """Say why, and close the socket; a peer that does not read is cut off after LINGER_S."""
        if self._stage is _Stage.CLOSED or self._transport is None:
            return
        if self._stage is _Stage.OPEN:
            self._send_open()
        if self._stage in (_Stage.OPEN, _Stage.OPENED):
            self.send(0, performatives.close(problem))
        self._flush()
        self._stage = _Stage.CLOSED
        for session in self._sessions.values():
            session.shut()
        self._transport.close()
        self._loop.call_later(LINGER_S, self._transport.abort)

    # --- reading ---

    def _step(self) -> bool:
        """Handle the next header or frame; return whether there was one."""
        if self._stage is _Stage.CLOSED:
            return False
        if self._stage in (_Stage.SASL_HEADER, _Stage.AMQP_HEADER):
            header = self._reader.header()
            if header is not None:
                self._on_header(header)
            return header is not None
        received = self._reader.frame()
        if received is not None:
            self._on_frame(received)
        return received is not None

    def _on_header(self, header: bytes) -> None:
        wanted = SASL_HEADER if self._stage is _Stage.SASL_HEADER else AMQP_HEADER
        self.send_frame(wanted)
        if header != wanted:  # the answer says what would have been right, then the socket closes
            self.close()
        elif self._stage is _Stage.SASL_HEADER:
            self.send_frame(frame(0, performatives.sasl_mechanisms(MECHANISMS), SASL_FRAME))
            self._stage = _Stage.SASL_INIT
        else:
            self._stage = _Stage.OPEN

    def _on_frame(self, received: Frame) -> None:
        wanted = SASL_FRAME if self._stage is _Stage.SASL_INIT else AMQP_FRAME
        if received.kind != wanted:
            raise AmqpError(Condition.FRAMING_ERROR, f"a frame of type {received.kind} is not due")
        if not received.body:
            return
        code, performative, payload = performatives.decode_performative(received.body)
        if self._stage is _Stage.SASL_INIT:
            self._on_sasl_init(performative)
        elif self._stage is _Stage.OPEN:
            self._on_open(performative)
        elif code == performatives.CLOSE:
            self.close()
        else:
            self._on_session_frame(received.channel, code, performative, payload)

    def _on_sasl_init(self, performative: Performative | None) -> None:
        if not isinstance(performative, SaslInit):
            raise AmqpError(Condition.FRAMING_ERROR, "sasl-init is due")
        is_accepted = performative.mechanism in ("ANONYMOUS", "MSSBCBS")
        if performative.mechanism == "PLAIN":
            name = self._key_name(performative.response)
            if name is not None:
                self.add_grant(Grant((), math.inf, rights_of(name)))
                is_accepted = True
        code = 0 if is_accepted else 1
        self.send_frame(frame(0, performatives.sasl_outcome(code), SASL_FRAME))
        if is_accepted:
            self._stage = _Stage.AMQP_HEADER
        else:
            self.close()

    def _key_name(self, response: bytes) -> str | None:
        """Return the name of the key a peer gave, None when it is not that key."""
        _, _, rest = response.partition(b"\0")
        raw, _, key = rest.partition(b"\0")
        name = raw.decode("utf-8", "replace")
        expected = self._namespace.keys.get(name, "")
        is_key = bool(expected) and hmac.compare_digest(expected.encode(), key)
        return name if is_key else None

    def _on_open(self, performative: Performative | None) -> None:
        if not isinstance(performative, Open):
            raise AmqpError(Condition.ILLEGAL_STATE, "open is due")
        if performative.frame_bytes_max < 512:
            raise AmqpError(Condition.INVALID_FIELD, "max-frame-size is less than 512")
        self._frame_bytes_max = min(performative.frame_bytes_max, self._limits.frame_bytes_max)
        self._peer_idle_s = performative.idle_timeout_ms / 1000
        self._send_open()
        self._stage = _Stage.OPENED
        self._schedule_tick()

    def _send_open(self) -> None:
        idle_ms = int(self._limits.idle_timeout_s * 1000)
        sessions_max = self._limits.sessions_max
        frame_max = self._limits.frame_bytes_max
        self.send(0, performatives.open_(CONTAINER, frame_max, sessions_max - 1, idle_ms))

    def _on_session_frame(
        self, channel: int, code: int, performative: Performative | None, payload: bytes
    ) -> None:
        session = self._sessions.get(channel)
        if isinstance(performative, Begin):
            self._begin(channel, performative)
            return
        if session is None:
            raise AmqpError(Condition.NOT_ALLOWED, f"no session was begun on channel {channel}")
        if code == performatives.END:
            del self._sessions[channel]
            session.end()
        elif session.is_open:
            match performative:
                case Transfer():
                    session.on_transfer(performative, payload)
                case Flow():
                    session.on_flow(performative)
                case Attach():
                    session.on_attach(performative)
                case Detach():
                    session.on_detach(performative)
                case None:  # a disposition: nothing waits for it
                    pass
                case _:
                    raise AmqpError(
                        Condition.ILLEGAL_STATE, f"{type(performative).__name__} is not due"
                    )

    def _begin(self, channel: int, begin: Begin) -> None:
        if channel >= self._limits.sessions_max:
            raise AmqpError(
                Condition.FRAMING_ERROR,
                f"channel {channel} exceeds the maximum of {self._limits.sessions_max - 1}",
            )
        if channel in self._sessions:
            raise AmqpError(Condition.NOT_ALLOWED, f"channel {channel} has a session already")
        self._sessions[channel] = Session(self, channel, begin, self._namespace)

    # --- writing and time ---

    def _flush(self) -> None:
        self._is_flushing = False
        transport = self._transport
        if not self._out or transport is None:
            return
        data = b"".join(self._out)
        self._out.clear()
        if transport.is_closing():
            return
        self._last_sent = self._loop.time()
        transport.write(data)
        if self._is_reading and transport.get_write_buffer_size() > OUTPUT_MAX:
            self._is_reading = False
            transport.pause_reading()

    def _schedule_tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        shortest = min(
            self._limits.idle_timeout_s / 2,
            self._peer_idle_s / 4 or TICK_MAX_S,
            self._limits.handshake_timeout_s / 2,
        )
        delay = max(TICK_MIN_S, min(TICK_MAX_S, shortest))
        self._timer = self._loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        """Send a heartbeat if one is due, close a silent peer, and enforce tokens' expiry."""
        now = self._loop.time()
        if self._stage is _Stage.CLOSED:
            return
        if self._stage is not _Stage.OPENED:
            if now - self._made > self._limits.handshake_timeout_s:
                self.close(AmqpError(Condition.CONNECTION_FORCED, "the handshake took too long"))
        elif self._is_reading and now - self._last_received > 2 * self._limits.idle_timeout_s:
            self.close(
                AmqpError(
                    Condition.CONNECTION_FORCED,
                    f"nothing was received for twice the idle timeout of"
                    f" {self._limits.idle_timeout_s:g} s",
                )
            )
        else:
            if self._peer_idle_s and now - self._last_sent >= self._peer_idle_s / 3:
                self.send_frame(EMPTY_FRAME)
            self._expire_grants()
        self._schedule_tick()

    def _expire_grants(self) -> None:
        now_s = self._namespace.clock()
        expired = [path for path, grant in self._grants.items() if grant.expires_s <= now_s]
        if expired:
            for path in expired:
                del self._grants[path]
            for session in list(self._sessions.values()):
                session.drop_unauthorized()
