"""Values to AMQP 1.0 bytes, each in its shortest form (part 1 of the standard).

Beside the codec's decoder. Python's own types map to the obvious AMQP ones; where the protocol
fixes another width of integer, the ``int`` subclasses of ``codec`` name it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from uuid import UUID

from sync_agent.stub.amqp.codec import (
    Described,
    Int,
    Symbol,
    SymbolArray,
    TextArray,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_I64 = struct.Struct(">q")
_DOUBLE = struct.Struct(">d")


def encode(value: object) -> bytes:
    """Encode a value in its shortest form; see the module's classes for integer widths."""
    if value is None:
        return b"\x40"
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        raise TypeError(f"no AMQP encoding for {type(value).__name__}")
    return encoder(value)


def described_list(code: int, fields: Sequence[bytes]) -> bytes:
    """Compose a described list from fields that are already encoded.

    Never the zero-byte empty list and never without trailing nulls: the Azure SDKs index fields by
    position and read only the 8-bit and 32-bit list forms.
    """
    body = b"".join(fields)
    if len(body) < 255 and len(fields) < 256:
        return bytes((0x00, 0x53, code, 0xC0, len(body) + 1, len(fields))) + body
    header = bytes((0x00, 0x53, code, 0xD0))
    return header + _U32.pack(len(body) + 4) + _U32.pack(len(fields)) + body


def _encode_long(number: int) -> bytes:
    if -128 <= number <= 127:
        return b"\x55" + (number & 0xFF).to_bytes(1, "big")
    return b"\x81" + _I64.pack(number)


def _encode_int(value: int) -> bytes:
    return b"\x71" + struct.pack(">i", value)


def _encode_ubyte(value: int) -> bytes:
    return b"\x50" + struct.pack(">B", value)


def _encode_ushort(value: int) -> bytes:
    return b"\x60" + _U16.pack(value)


def _encode_uint(number: int) -> bytes:
    if number == 0:
        return b"\x43"
    return b"\x52" + bytes((number,)) if number < 256 else b"\x70" + _U32.pack(number)


def _encode_ulong(number: int) -> bytes:
    if number == 0:
        return b"\x44"
    return b"\x53" + bytes((number,)) if number < 256 else b"\x80" + _U64.pack(number)


def _encode_bytes(small: int, large: int, raw: bytes) -> bytes:
    if len(raw) < 256:
        return bytes((small, len(raw))) + raw
    return bytes((large,)) + _U32.pack(len(raw)) + raw


def _encode_array(constructor: int, values: Sequence[str]) -> bytes:
    texts = [text.encode() for text in values]
    body = b"".join(_U32.pack(len(text)) + text for text in texts)
    head = _U32.pack(4 + 1 + len(body)) + _U32.pack(len(texts))
    return b"\xf0" + head + bytes((constructor,)) + body


def _encode_compound(small: int, large: int, parts: Sequence[bytes]) -> bytes:
    body = b"".join(parts)
    if len(body) < 255 and len(parts) < 256:
        return bytes((small, len(body) + 1, len(parts))) + body
    return bytes((large,)) + _U32.pack(len(body) + 4) + _U32.pack(len(parts)) + body


def _encode_map(value: dict[object, object]) -> bytes:
    parts: list[bytes] = []
    for key, item in value.items():
        parts.append(encode(key))
        parts.append(encode(item))
    return _encode_compound(0xC1, 0xD1, parts)


def _encode_list(value: list[object]) -> bytes:
    return _encode_compound(0xC0, 0xD0, [encode(item) for item in value])


def _encode_described(value: Described) -> bytes:
    return b"\x00" + encode(value.descriptor) + encode(value.value)


_ENCODERS: dict[type, Callable[..., bytes]] = {
    bool: lambda value: b"\x41" if value else b"\x42",
    int: _encode_long,
    Int: _encode_int,
    UByte: _encode_ubyte,
    UShort: _encode_ushort,
    UInt: _encode_uint,
    ULong: _encode_ulong,
    Timestamp: lambda value: b"\x83" + _I64.pack(value),
    float: lambda value: b"\x82" + _DOUBLE.pack(value),
    UUID: lambda value: b"\x98" + value.bytes,
    bytes: lambda value: _encode_bytes(0xA0, 0xB0, value),
    str: lambda value: _encode_bytes(0xA1, 0xB1, value.encode()),
    Symbol: lambda value: _encode_bytes(0xA3, 0xB3, value.encode("ascii")),
    Described: _encode_described,
    dict: _encode_map,
    list: _encode_list,
    TextArray: lambda value: _encode_array(0xB1, value),
    SymbolArray: lambda value: _encode_array(0xB3, value),
}
