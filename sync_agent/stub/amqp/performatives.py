"""The performatives of AMQP 1.0: incoming ones as typed tuples, outgoing ones as bytes.

Incoming lists may end early; missing fields take their defaults, and a field of the wrong type is
``amqp:invalid-field``. Outgoing ones always carry every field, nulls included, because the Azure
SDKs index them by position (transfer 11, attach 14, source 11).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sync_agent.stub.amqp.codec import (
    Described,
    Symbol,
    SymbolArray,
    UByte,
    UInt,
    ULong,
    UShort,
    decode,
)
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.encoder import described_list, encode

OPEN, BEGIN, ATTACH, FLOW, TRANSFER = 0x10, 0x11, 0x12, 0x13, 0x14
DISPOSITION, DETACH, END, CLOSE = 0x15, 0x16, 0x17, 0x18
SASL_MECHANISMS, SASL_INIT, SASL_OUTCOME = 0x40, 0x41, 0x44
ERROR, SOURCE, TARGET = 0x1D, 0x28, 0x29
ACCEPTED, REJECTED = 0x24, 0x25

SETTLED_BY_SENDER = 1
"""The snd-settle-mode of who wants what it receives to be settled already."""

NULL = b"\x40"


class Open(NamedTuple):
    """Opens a connection; ``idle_timeout_ms`` 0 means the peer wants no heartbeats."""

    container: str
    hostname: str
    frame_bytes_max: int
    channel_max: int
    idle_timeout_ms: int


class Begin(NamedTuple):
    """Opens a session; windows count transfer frames."""

    remote_channel: int | None
    next_outgoing_id: int
    incoming_window: int
    outgoing_window: int


class Attach(NamedTuple):
    """Opens a link; ``is_receiver`` is the peer's own role."""

    name: str
    handle: int
    is_receiver: bool
    snd_settle_mode: int
    rcv_settle_mode: int
    source: Described | None
    target: Described | None
    unsettled: object
    incomplete_unsettled: object
    initial_delivery_count: int
    max_message_size: object
    offered_capabilities: object
    desired_capabilities: object
    properties: object


class Flow(NamedTuple):
    """Moves the session's windows and, with a handle, a link's credit."""

    next_incoming_id: int | None
    incoming_window: int
    next_outgoing_id: int
    outgoing_window: int
    handle: int | None
    delivery_count: int | None
    link_credit: int | None
    available: int | None
    drain: bool
    echo: bool


class Transfer(NamedTuple):
    """One frame of a delivery; the payload follows the performative."""

    handle: int
    delivery_id: int | None
    delivery_tag: bytes | None
    message_format: int
    settled: bool
    more: bool
    rcv_settle_mode: int | None
    state: object
    resume: bool
    aborted: bool


class Detach(NamedTuple):
    """Closes or suspends a link."""

    handle: int
    closed: bool
    error: object


class SaslInit(NamedTuple):
    """Chooses a SASL mechanism."""

    mechanism: str
    response: bytes


Performative = Open | Begin | Attach | Flow | Transfer | Detach | SaslInit


class _Required:
    """Marks a field without a default."""


_REQUIRED = _Required()
_Shape = tuple[type | None, object]
"""Type of a field (None: any) and its default."""

_UINT_MAX = 0xFFFF_FFFF
_SHAPES: Mapping[int, tuple[type[Performative], tuple[_Shape, ...]]] = {
    OPEN: (
        Open,
        ((str, _REQUIRED), (str, ""), (int, _UINT_MAX), (int, 0xFFFF), (int, 0)),
    ),
    BEGIN: (Begin, ((int, None), (int, _REQUIRED), (int, _REQUIRED), (int, _REQUIRED))),
    ATTACH: (
        Attach,
        (
            *((str, _REQUIRED), (int, _REQUIRED), (bool, _REQUIRED), (int, 2), (int, 0)),
            *((Described, None), (Described, None), (None, None), (None, None)),
            *((int, 0), (None, None), (None, None), (None, None), (None, None)),
        ),
    ),
    FLOW: (
        Flow,
        (
            *((int, None), (int, _REQUIRED), (int, _REQUIRED), (int, _REQUIRED), (int, None)),
            *((int, None), (int, None), (int, None), (bool, False), (bool, False)),
        ),
    ),
    TRANSFER: (
        Transfer,
        (
            *((int, _REQUIRED), (int, None), (bytes, None), (int, 0), (bool, False)),
            *((bool, False), (int, None), (None, None), (bool, False), (bool, False)),
        ),
    ),
    DETACH: (Detach, ((int, _REQUIRED), (bool, False), (None, None))),
    SASL_INIT: (SaslInit, ((str, _REQUIRED), (bytes, b""))),
}
NAMES: Mapping[int, str] = {
    **{code: kind.__name__ for code, (kind, _) in _SHAPES.items()},
    DISPOSITION: "Disposition",
    END: "End",
    CLOSE: "Close",
}


def decode_performative(body: bytes) -> tuple[int, Performative | None, bytes]:
    """Decode a frame body; return its code, the typed performative, and the payload behind it.

    Disposition, end and close need no fields here and come without a typed value.

    Raises:
        AmqpError: the body is not a performative this side understands, or a field is wrong.
    """
    value, end = decode(body)
    if not (
        isinstance(value, Described)
        and isinstance(value.descriptor, int)
        and isinstance(value.value, list)
    ):
        raise AmqpError(Condition.DECODE_ERROR, "a frame does not hold a performative")
    code = value.descriptor
    shape = _SHAPES.get(code)
    if shape is None:
        if code in NAMES:
            return code, None, b""
        raise AmqpError(Condition.NOT_IMPLEMENTED, f"performative 0x{code:02x} is not understood")
    kind, fields = shape
    return code, _typed(kind, fields, value.value), body[end:]


def _typed(
    kind: type[Performative], shapes: tuple[_Shape, ...], values: list[object]
) -> Performative:
    typed: list[object] = []
    for index, (wanted, default) in enumerate(shapes):
        value = values[index] if index < len(values) else None
        if value is None:
            value = default
        elif wanted is int:
            value = value if _is_uint(value) else _REQUIRED
        elif wanted is not None and not isinstance(value, wanted):
            value = _REQUIRED
        if value is _REQUIRED:
            name = kind._fields[index]
            raise AmqpError(
                Condition.INVALID_FIELD,
                f"{kind.__name__.lower()}: field {name} is missing or of the wrong type",
            )
        typed.append(value)
    return kind(*typed)  # type: ignore[arg-type]


def _is_uint(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _UINT_MAX


# --- outgoing -------------------------------------------------------------------------------------


def error(problem: AmqpError) -> bytes:
    """Encode an error."""
    fields = (encode(Symbol(problem.condition)), encode(problem.message), NULL)
    return described_list(ERROR, fields)


def open_(container: str, frame_bytes_max: int, channel_max: int, idle_timeout_ms: int) -> bytes:
    """Encode the answer to a connection's open."""
    sizes = (UInt(frame_bytes_max), UShort(channel_max), UInt(idle_timeout_ms))
    fields = (encode(container), NULL, *map(encode, sizes), NULL, NULL, NULL, NULL, NULL)
    return described_list(OPEN, fields)


def begin(remote_channel: int, next_outgoing_id: int, window: int, handle_max: int) -> bytes:
    """Encode the answer to a session's begin."""
    numbers = (UInt(next_outgoing_id), UInt(window), UInt(window), UInt(handle_max))
    fields = (encode(UShort(remote_channel)), *map(encode, numbers), NULL, NULL, NULL)
    return described_list(BEGIN, fields)


def source(address: str, filters: Mapping[Symbol, Described]) -> bytes:
    """Encode a source: address, no durability, and the filters in force."""
    return described_list(
        SOURCE,
        (
            *(encode(address), encode(UInt(0)), encode(Symbol("session-end")), encode(UInt(0))),
            *(encode(False), NULL, NULL, encode(dict(filters)) if filters else NULL),
            *(NULL, NULL, NULL),
        ),
    )


def target(address: str) -> bytes:
    """Encode a target."""
    head = (encode(address), encode(UInt(0)), encode(Symbol("session-end")), encode(UInt(0)))
    return described_list(TARGET, (*head, encode(False), NULL, NULL))


def attach(
    request: Attach,
    *,
    source: bytes,
    target: bytes,
    max_message_size: int,
    offered_capabilities: Sequence[str] = (),
) -> bytes:
    """Encode the answer to an attach: same name and handle, the opposite role.

    ``NULL`` for the terminus on this side says that the link is about to be refused.
    """
    sends = request.is_receiver
    settle = min(request.snd_settle_mode, 2)
    return described_list(
        ATTACH,
        (
            *(encode(request.name), encode(UInt(request.handle)), encode(not sends)),
            *(encode(UByte(settle)), encode(UByte(0)), source, target, NULL, encode(False)),
            encode(UInt(0)) if sends else NULL,
            encode(ULong(max_message_size)),
            encode(SymbolArray(offered_capabilities)) if offered_capabilities else NULL,
            *(NULL, encode({})),  # the SDKs before 5.11.1 add these properties to their own
        ),
    )


def flow(
    *,
    next_incoming_id: int,
    incoming_window: int,
    next_outgoing_id: int,
    outgoing_window: int,
    handle: int | None = None,
    delivery_count: int = 0,
    link_credit: int = 0,
    drain: bool = False,
) -> bytes:
    """Encode a flow for the session, or for one link when ``handle`` is given."""
    session = (next_incoming_id, incoming_window, next_outgoing_id, outgoing_window)
    if handle is None:
        link = (NULL, NULL, NULL, NULL, NULL)
    else:
        credit = (encode(UInt(delivery_count)), encode(UInt(link_credit)))
        link = (encode(UInt(handle)), *credit, encode(UInt(0)), encode(drain))
    windows = (encode(UInt(number)) for number in session)
    return described_list(FLOW, (*windows, *link, encode(False), NULL))


def disposition(delivery_id: int, problem: AmqpError | None) -> bytes:
    """Encode the outcome of a delivery from the peer: accepted, or rejected with a reason."""
    if problem is None:
        state = described_list(ACCEPTED, ())
    else:
        state = described_list(REJECTED, (error(problem),))
    number = encode(UInt(delivery_id))
    return described_list(
        DISPOSITION, (encode(True), number, number, encode(True), state, encode(False))
    )


def detach(handle: int, problem: AmqpError | None = None) -> bytes:
    """Encode the closing of a link."""
    state = NULL if problem is None else error(problem)
    return described_list(DETACH, (encode(UInt(handle)), encode(True), state))


def end(problem: AmqpError | None = None) -> bytes:
    """Encode the end of a session."""
    return described_list(END, (NULL if problem is None else error(problem),))


def close(problem: AmqpError | None = None) -> bytes:
    """Encode the close of a connection."""
    return described_list(CLOSE, (NULL if problem is None else error(problem),))


def sasl_mechanisms(names: Sequence[str]) -> bytes:
    """Encode the list of SASL mechanisms on offer."""
    return described_list(SASL_MECHANISMS, (encode(SymbolArray(names)),))


def sasl_outcome(code: int) -> bytes:
    """Encode the outcome of a SASL exchange: 0 in, 1 refused."""
    return described_list(SASL_OUTCOME, (encode(UByte(code)), NULL))


class TransferEncoder:
    """Writes transfer frames of one link: message format 0, tags that begin again after 65,536.

    azure-eventhub keeps every delivery tag it has seen, so a tag of its own for each event would
    grow its memory for ever. Deliveries come settled only to who asked for that: other clients want
    to settle them themselves. Nothing waits for it, as an event stays where it is.
    """

    __slots__ = ("_channel", "_head", "_last", "_more")

    # frame size, data offset and type and channel, performative up to the handle, delivery-id, tag,
    # and the rest: format, settled, more
    _FRAME = struct.Struct(">I4s11sBI2sH8s")
    OVERHEAD_BYTES = _FRAME.size

    def __init__(self, channel: int, handle: int, *, settled: bool) -> None:
        self._channel = b"\x02\x00" + channel.to_bytes(2, "big")
        self._head = b"\x00\x53\x14\xc0\x17\x0b\x70" + handle.to_bytes(4, "big")
        state = b"\x43" + encode(settled)
        self._last = state + b"\x42" + 5 * NULL
        self._more = state + b"\x41" + 5 * NULL

    def frame(self, delivery_id: int, payload: bytes, *, more: bool = False) -> bytes:
        """Return one transfer frame with its payload."""
        size = self.OVERHEAD_BYTES + len(payload)
        rest = self._more if more else self._last
        tag = delivery_id & 0xFFFF
        head = (size, self._channel, self._head, 0x70, delivery_id, b"\xa0\x02", tag, rest)
        return self._FRAME.pack(*head) + payload
