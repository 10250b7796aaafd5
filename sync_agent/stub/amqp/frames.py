"""Cuts the byte stream of a connection into protocol headers and frames (part 2.2 and 2.3).

A frame is: size (4 bytes, itself included), data offset in words, type (0 AMQP, 1 SASL), channel,
then the performative. At most one frame is buffered: a frame announced larger than ``bytes_max`` is
refused before its bytes are awaited.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sync_agent.stub.amqp.condition import AmqpError, Condition

AMQP_FRAME = 0
SASL_FRAME = 1
AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"
HEADER_BYTES = 8

_HEAD = struct.Struct(">IBBH")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; an empty body is a heartbeat."""

    kind: int
    channel: int
    body: bytes


def frame(channel: int, body: bytes, kind: int = AMQP_FRAME) -> bytes:
    """Put a performative into a frame."""
    return _HEAD.pack(HEADER_BYTES + len(body), 2, kind, channel) + body


class FrameReader:
    """Collects received bytes and hands out headers and frames as they become whole."""

    __slots__ = ("_at", "_buffer", "_bytes_max")

    def __init__(self, bytes_max: int) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._bytes_max = bytes_max

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    def header(self) -> bytes | None:
        """Take the eight bytes of a protocol header, or None when they are not there yet."""
        if len(self._buffer) - self._at < HEADER_BYTES:
            return None
        self._at += HEADER_BYTES
        return bytes(self._buffer[self._at - HEADER_BYTES : self._at])

    def frame(self) -> Frame | None:
        """Take the next whole frame, or None when it is not there yet.

        Raises:
            AmqpError: the frame is larger than allowed or its header makes no sense.
        """
        available = len(self._buffer) - self._at
        if available < HEADER_BYTES:
            return None
        size, offset, kind, channel = _HEAD.unpack_from(self._buffer, self._at)
        if size > self._bytes_max:
            raise AmqpError(
                Condition.FRAMING_ERROR,
                f"a frame of {size} bytes exceeds the maximum of {self._bytes_max}",
            )
        if offset < 2 or offset * 4 > size:
            raise AmqpError(Condition.FRAMING_ERROR, "a frame's data offset is outside the frame")
        if available < size:
            return None
        body = bytes(self._buffer[self._at + offset * 4 : self._at + size])
        self._at += size
        return Frame(kind, channel, body)
