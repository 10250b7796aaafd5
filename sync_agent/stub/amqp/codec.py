"""The AMQP 1.0 type system: its types, and bytes to values (part 1 of the standard).

The bottom of the AMQP stub. Decoding turns every width of integer into ``int``; the encoder takes
the width from the small ``int`` subclasses below. A symbol is a ``str``
of its own class, so that filters and property names keep their type on the way back.

Bounds, against hostile input: nesting ``DEPTH_MAX``, elements in one compound ``ELEMENTS_MAX``, and
``EMPTY_ELEMENTS_MAX`` where an array's elements take no bytes at all: arrays of such arrays would
make hundreds of megabytes of one message. Whatever does not decode raises ``AmqpError`` with
``amqp:decode-error``, nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sync_agent.stub.amqp.condition import AmqpError, Condition

DEPTH_MAX = 16
ELEMENTS_MAX = 65_536
EMPTY_ELEMENTS_MAX = 16


class Symbol(str):
    """An AMQP symbol: ASCII text from a fixed vocabulary."""

    __slots__ = ()


class UByte(int):
    """An unsigned 8-bit integer."""


class UShort(int):
    """An unsigned 16-bit integer."""


class UInt(int):
    """An unsigned 32-bit integer."""


class ULong(int):
    """An unsigned 64-bit integer."""


class Int(int):
    """A signed 32-bit integer; a plain ``int`` is a signed 64-bit one."""


class Timestamp(int):
    """Milliseconds since the epoch, UTC."""


class TextArray(list[str]):
    """Strings to encode as an AMQP array rather than a list; arrays decode as lists."""


class SymbolArray(list[str]):
    """Symbols to encode as an AMQP array."""


@dataclass(frozen=True, slots=True)
class Described:
    """A value with a descriptor that says what it means."""

    descriptor: object
    value: object


Decoder = Callable[[bytes, int, int], tuple[object, int]]
"""From buffer, position behind the constructor byte, and depth, to the value and its end."""

_U32 = struct.Struct(">I")


class _MalformedError(ValueError):
    """Bytes that are no AMQP value; turned into ``AmqpError`` at the edge of this module."""


def decode(data: bytes, at: int = 0) -> tuple[object, int]:
    """Decode the value that starts at ``at``; return it and the position behind it.

    Raises:
        AmqpError: the bytes are not one AMQP value, or exceed this module's bounds.
    """
    try:
        return _decode(data, at, 0)
    except (
        _MalformedError,
        IndexError,
        struct.error,
        UnicodeError,
        TypeError,
        ValueError,
    ) as error:
        raise AmqpError(Condition.DECODE_ERROR, f"not an AMQP value: {error}") from error


def skip(data: bytes, at: int) -> int:
    """Return the position behind the value that starts at ``at``, without decoding it.

    Raises:
        AmqpError: the value does not end inside ``data``, or its constructor is unknown.
    """
    try:
        return _skip(data, at, 0)
    except (_MalformedError, IndexError, struct.error) as error:
        raise AmqpError(Condition.DECODE_ERROR, f"not an AMQP value: {error}") from error


def _decode(data: bytes, at: int, depth: int) -> tuple[object, int]:
    decoder = _DECODERS[data[at]]
    if decoder is None:
        raise _MalformedError(f"unknown constructor 0x{data[at]:02x}")
    return decoder(data, at + 1, depth)


def _constant(value: object) -> Decoder:
    def constant(_data: bytes, at: int, _depth: int) -> tuple[object, int]:
        return value, at

    return constant


def _empty_list(_data: bytes, at: int, _depth: int) -> tuple[object, int]:
    return [], at


def _number(layout: str) -> Decoder:
    form = struct.Struct(">" + layout)
    size = form.size

    def number(data: bytes, at: int, _depth: int) -> tuple[object, int]:
        return form.unpack_from(data, at)[0], at + size

    return number


def _boolean(data: bytes, at: int, _depth: int) -> tuple[object, int]:
    if data[at] > 1:
        raise _MalformedError("a boolean is neither 0 nor 1")
    return data[at] == 1, at + 1


def _char(data: bytes, at: int, _depth: int) -> tuple[object, int]:
    return _slice(data, at, 4).decode("utf-32-be"), at + 4


def _fixed(size: int) -> Decoder:
    def opaque(data: bytes, at: int, _depth: int) -> tuple[object, int]:
        return _slice(data, at, size), at + size

    return opaque


def _uuid(data: bytes, at: int, _depth: int) -> tuple[object, int]:
    return UUID(bytes=_slice(data, at, 16)), at + 16


def _slice(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise _MalformedError("a value runs past the end")
    return data[at : at + size]


def _variable(wide: bool, make: Callable[[bytes], object]) -> Decoder:
    def variable(data: bytes, at: int, _depth: int) -> tuple[object, int]:
        size, at = _size(data, at, wide)
        return make(_slice(data, at, size)), at + size

    return variable


def _size(data: bytes, at: int, wide: bool) -> tuple[int, int]:
    if wide:
        return _U32.unpack_from(data, at)[0], at + 4
    return data[at], at + 1


def _compound(data: bytes, at: int, depth: int, wide: bool) -> tuple[int, int, int]:
    """Read size and count of a list, map or array; return count, first element and end."""
    if depth >= DEPTH_MAX:
        raise _MalformedError(f"values are nested deeper than {DEPTH_MAX}")
    size, at = _size(data, at, wide)
    end = at + size
    if end > len(data):
        raise _MalformedError("a compound value runs past the end")
    count, at = _size(data, at, wide)
    if count > ELEMENTS_MAX:
        raise _MalformedError(f"a compound value has more than {ELEMENTS_MAX} elements")
    return count, at, end


def _list(wide: bool) -> Decoder:
    def decode_list(data: bytes, at: int, depth: int) -> tuple[object, int]:
        count, at, end = _compound(data, at, depth, wide)
        values: list[object] = []
        for _ in range(count):
            value, at = _decode(data, at, depth + 1)
            values.append(value)
        _expect_end(at, end)
        return values, at

    return decode_list


def _map(wide: bool) -> Decoder:
    def decode_map(data: bytes, at: int, depth: int) -> tuple[object, int]:
        count, at, end = _compound(data, at, depth, wide)
        if count % 2:
            raise _MalformedError("a map has a key without a value")
        values: dict[object, object] = {}
        for _ in range(count // 2):
            key, at = _decode(data, at, depth + 1)
            values[key], at = _decode(data, at, depth + 1)
        _expect_end(at, end)
        return values, at

    return decode_map


def _array(wide: bool) -> Decoder:
    def decode_array(data: bytes, at: int, depth: int) -> tuple[object, int]:
        count, at, end = _compound(data, at, depth, wide)
        if count == 0:
            return [], end
        constructor = data[at]
        decoder = _DECODERS[constructor]
        if constructor == 0 or decoder is None:
            raise _MalformedError(f"an array of constructor 0x{constructor:02x}")
        if constructor >> 4 == 4 and count > EMPTY_ELEMENTS_MAX:
            raise _MalformedError(f"an array of more than {EMPTY_ELEMENTS_MAX} empty elements")
        at += 1
        values: list[object] = []
        for _ in range(count):
            value, at = decoder(data, at, depth + 1)
            values.append(value)
        _expect_end(at, end)
        return values, at

    return decode_array


def _expect_end(at: int, end: int) -> None:
    if at != end:
        raise _MalformedError("a compound value's size does not match its elements")


def _described(data: bytes, at: int, depth: int) -> tuple[object, int]:
    if depth >= DEPTH_MAX:
        raise _MalformedError(f"values are nested deeper than {DEPTH_MAX}")
    descriptor, at = _decode(data, at, depth + 1)
    value, at = _decode(data, at, depth + 1)
    return Described(descriptor, value), at


def _symbol(raw: bytes) -> Symbol:
    return Symbol(raw.decode("ascii"))


def _decoder_table() -> tuple[Decoder | None, ...]:
    table: list[Decoder | None] = [None] * 256
    table[0x00] = _described
    for constructor, value in ((0x40, None), (0x41, True), (0x42, False), (0x43, 0), (0x44, 0)):
        table[constructor] = _constant(value)
    table[0x45] = _empty_list
    table[0x56] = _boolean
    for constructor, layout in (
        *((0x50, "B"), (0x51, "b"), (0x52, "B"), (0x53, "B"), (0x54, "b"), (0x55, "b")),
        *((0x60, "H"), (0x61, "h"), (0x70, "I"), (0x71, "i"), (0x72, "f")),
        *((0x80, "Q"), (0x81, "q"), (0x82, "d"), (0x83, "q")),
    ):
        table[constructor] = _number(layout)
    table[0x73] = _char
    for constructor, size in ((0x74, 4), (0x84, 8), (0x94, 16)):  # decimals stay opaque bytes
        table[constructor] = _fixed(size)
    table[0x98] = _uuid
    for wide, row in ((False, 0xA0), (True, 0xB0)):
        table[row | 0x0] = _variable(wide, bytes)
        table[row | 0x1] = _variable(wide, bytes.decode)
        table[row | 0x3] = _variable(wide, _symbol)
    for wide, row in ((False, 0xC0), (True, 0xD0)):
        table[row | 0x0] = _list(wide)
        table[row | 0x1] = _map(wide)
    table[0xE0], table[0xF0] = _array(False), _array(True)
    return tuple(table)


_DECODERS = _decoder_table()
_FIXED_SIZES = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}


def _skip(data: bytes, at: int, depth: int) -> int:
    constructor = data[at]
    at += 1
    if constructor == 0:
        if depth >= DEPTH_MAX:
            raise _MalformedError(f"descriptors are nested deeper than {DEPTH_MAX}")
        return _skip(data, _skip(data, at, depth + 1), depth + 1)
    row = constructor >> 4
    if row in _FIXED_SIZES:
        end = at + _FIXED_SIZES[row]
    elif row in (0xA, 0xC, 0xE):
        end = at + 1 + data[at]
    elif row in (0xB, 0xD, 0xF):
        end = at + 4 + _U32.unpack_from(data, at)[0]
    else:
        raise _MalformedError(f"unknown constructor 0x{constructor:02x}")
    if end > len(data):
        raise _MalformedError("a value runs past the end")
    return int(end)
