"""Points in time: epoch milliseconds inside, ISO 8601 in UTC on the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# Sources write a zone as Z, +01:00 or +0100, and fractions of any length.
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|z|[+-]\d\d:?\d\d)", re.ASCII
)
TIME_MS_MAX = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


def parse_time_ms(text: str) -> int:
    """Return the epoch milliseconds of an ISO 8601 date-time with a zone; finer digits are cut off.

    Raises:
        ValueError: it is not such a date-time.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a date-time with a zone, such as 2026-01-31T08:15:00Z")
    date, clock, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    whole = int(moment.timestamp())
    return whole * 1000 + int((fraction or "0")[:3].ljust(3, "0"))


def format_time_ms(time_ms: int) -> str:
    """Return the date-time of epoch milliseconds, in UTC with ``Z``; milliseconds only when set."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).replace(tzinfo=None).isoformat()
    fraction = time_ms % 1000
    return f"{moment}.{fraction:03d}Z" if fraction else f"{moment}Z"


def duration(seconds: float) -> str:
    """Return a length of time as people say it.

    >>> [duration(s) for s in (0.2, 42, 500, 9000)]
    ['1 s', '42 s', '8 min 20 s', '2 h 30 min']
    """
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
