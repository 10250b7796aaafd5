"""Which partition a partition key belongs to: Bob Jenkins' lookup3, as Event Hubs uses it.

The two 32-bit results are folded to a signed 16-bit number and taken modulo the partition count.
The modulo is the mathematical one (never negative), as in the Python SDK's buffered producer, so
that a key lands on one partition whether the client or this server resolves it. Text is UTF-8.
"""

from __future__ import annotations

import struct

_MASK = 0xFFFF_FFFF
_SEED = 0xDEADBEEF
_BLOCK = struct.Struct("<III")


def partition_for_key(key: str, partition_count: int) -> int:
    """Return the index of the partition that events of this key go to."""
    return key_hash(key) % partition_count


def key_hash(key: str) -> int:
    """Return the signed 16-bit hash of a partition key; the empty key hashes to 0."""
    data = key.encode("utf-8", "surrogatepass")
    if not data:
        return 0
    first, second = lookup3(data)
    folded = (first ^ second) & 0xFFFF
    return folded - 0x10000 if folded & 0x8000 else folded


def lookup3(data: bytes) -> tuple[int, int]:
    """Return lookup3's two hashes of non-empty data, both seeds 0."""
    a = b = c = (_SEED + len(data)) & _MASK
    last = (len(data) - 1) // 12 * 12
    for at in range(0, last, 12):
        x, y, z = _BLOCK.unpack_from(data, at)
        a, b, c = _mix((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
    x, y, z = _BLOCK.unpack(data[last:].ljust(12, b"\0"))
    return _final((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _MASK) ^ _rotate(c, bits)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int]:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotate(b, bits)) & _MASK
        a, b, c = b, c, a
    # seven steps of a three-way turn: what began the last step as c stands in b
    return b, a
