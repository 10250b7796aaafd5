"""Digital Twin Model Identifiers: syntax and versions.

``dtmi:<segment>(:<segment>)*[;<version>]`` where a segment starts with a letter, does not end with
an underscore, and a version is one to nine digits without a leading zero, in DTDL v3 optionally
with a minor part (``;1.2``). Source: DTDL v2 and v3 specification, "Digital Twin Model Identifier".
"""

from __future__ import annotations

import re

INTERFACE_ID_MAX = 128

_SEGMENT = r"(?:[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?|_+[A-Za-z0-9_]*[A-Za-z0-9])"
_DTMI = re.compile(
    rf"dtmi:({_SEGMENT}(?::{_SEGMENT})*)(?:;([1-9][0-9]{{0,8}})(?:\.([0-9]{{1,6}}))?)?", re.ASCII
)


def is_dtmi(text: str) -> bool:
    """Tell whether text is a DTMI of any DTDL version."""
    return _DTMI.fullmatch(text) is not None


def path_of(dtmi: str) -> str:
    """Return the identifier without its version: what all versions of a model share."""
    return dtmi.partition(";")[0]


def version_of(dtmi: str) -> tuple[int, int]:
    """Return ``(major, minor)``; ``(0, 0)`` for an identifier without a version.

    Raises:
        ValueError: it is not a DTMI.
    """
    match = _DTMI.fullmatch(dtmi)
    if match is None:
        raise ValueError(f"{dtmi!r} is not a DTMI such as dtmi:telecom:place:Site;1")
    return int(match[2] or 0), int(match[3] or 0)
