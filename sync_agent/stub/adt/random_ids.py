"""Names nobody had before: UUIDs, and the hexadecimal digits of traces.

They are drawn from a generator that the system seeds: several of them go into each answer, nobody
guards anything with them, and the system's own source costs ten times as much. The generator is
ours alone, because a program around the stub may seed the shared one, as tests do.
Source: RFC 9562, section 5.4; W3C Trace Context, section 3.2.
"""

from __future__ import annotations

import random

_VARIANTS = "89ab"
_RANDOM = random.Random()  # noqa: S311 - see above


def new_uuid() -> str:
    """Return a random UUID (version 4).

    >>> import uuid
    >>> uuid.UUID(new_uuid()).version
    4
    """
    digits = new_hex(32)
    variant = _VARIANTS[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_hex(count: int) -> str:
    """Return so many random hexadecimal digits.

    >>> len(new_hex(16))
    16
    """
    return f"{_RANDOM.getrandbits(4 * count):0{count}x}"
