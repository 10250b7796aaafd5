"""Digital Twin Model Identifiers: syntax and versions.

``dtmi:<segment>(:<segment>)*[;<version>]``. A segment starts with a letter and does not end with an
underscore; one that starts with an underscore is the system's own. A version is one to nine digits
without a leading zero, in DTDL v3 optionally with a minor part (``;1.2``) or left out. Source: DTDL
v2 and v3 specification, "Digital Twin Model Identifier".
"""

from __future__ import annotations

import re

INTERFACE_ID_MAX = 128
RESERVED_PREFIXES = ("dtmi:dtdl:", "dtmi:standard:")

_USER_SEGMENT = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"
_SEGMENT = rf"(?:{_USER_SEGMENT}|_+[A-Za-z0-9_]*[A-Za-z0-9])"
_DTMI = re.compile(
    rf"dtmi:({_SEGMENT}(?::{_SEGMENT})*)(?:;([1-9][0-9]{{0,8}})(?:\.([1-9][0-9]{{0,5}}))?)?",
    re.ASCII,
)
_USER_PATH = rf"dtmi:{_USER_SEGMENT}(?::{_USER_SEGMENT})*"
_USER_DTMI = {
    2: re.compile(rf"{_USER_PATH};[1-9][0-9]{{0,8}}", re.ASCII),
    3: re.compile(rf"{_USER_PATH}(?:;[1-9][0-9]{{0,8}}(?:\.[1-9][0-9]{{0,5}})?)?", re.ASCII),
}


def is_dtmi(text: str) -> bool:
    """Tell whether text is a DTMI of any DTDL version, one of the system's included."""
    return _DTMI.fullmatch(text) is not None


def is_user_dtmi(text: str, version: int) -> bool:
    """Tell whether text is a DTMI that a model of a DTDL version may give to an element."""
    return _USER_DTMI[version].fullmatch(text) is not None


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
