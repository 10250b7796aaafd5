"""A JSON Patch as it arrives: read as operations, or refused as the service's web framework does.

What is no array of operations never gets as far as the service. Its framework reads patches with
Newtonsoft.Json, which goes on behind a fault, and answers in problem+json with what it found at
each place. Source: recorded exchanges of a text in place of an operation; the rest follows.
Bounds: ``ERRORS_MAX`` faults are told, as many as ASP.NET keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from json import JSONDecodeError, JSONDecoder
from typing import Any

from sync_agent.twins.twin import Document

ERRORS_MAX = 200
_MEMBERS = frozenset(("op", "path", "value", "from"))
_GAP = re.compile(r"[ \t\r\n,]*")
_MALFORMED = {"": ["The JSON patch document was malformed and could not be parsed."]}
_MISSING = {"jsonPatchDocument": ["The jsonPatchDocument field is required."]}


class PatchUnreadableError(Exception):
    """A patch that is no array of operations; ``errors`` are messages by the place they are at."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors)
        self.errors = errors


def operations_of(value: Any, body: bytes, *, names_document: bool) -> list[Document]:
    """Return a patch as operations; ``body`` is the text ``value`` was read from.

    Names of their members are taken in any case, as Newtonsoft.Json does; others mean nothing.

    Raises:
        PatchUnreadableError: it is no array of objects. With ``names_document`` the answer also
            says that the whole document is missing, as recorded of twins.
    """
    if isinstance(value, list) and all(isinstance(operation, dict) for operation in value):
        return [_named(operation) for operation in value]
    errors = _errors_in(value, body.decode()) if isinstance(value, list) else _MALFORMED
    raise _unreadable(errors, names_document=names_document)


def _named(operation: Document) -> Document:
    if operation.keys() <= _MEMBERS:
        return operation
    return {key.lower(): value for key, value in operation.items() if key.lower() in _MEMBERS}


def malformed(*, names_document: bool) -> PatchUnreadableError:
    """Return the fault of a patch that is no JSON."""
    return _unreadable(_MALFORMED, names_document=names_document)


def _unreadable(errors: dict[str, list[str]], *, names_document: bool) -> PatchUnreadableError:
    return PatchUnreadableError(errors | _MISSING if names_document else errors)


def _errors_in(values: list[Any], text: str) -> dict[str, list[str]]:
    places = zip(values, _ends(text), strict=True)
    faults = (
        (f"[{index}]", [_conversion_error(index, value, *end)])
        for index, (value, end) in enumerate(places)
        if not isinstance(value, dict)
    )
    return dict(islice(faults, ERRORS_MAX))


def _conversion_error(index: int, value: Any, line: int, position: int) -> str:
    return (
        f"Error converting value {_shown(value)} to type"
        " 'Microsoft.AspNetCore.JsonPatch.Operations.Operation'."
        f" Path '[{index}]', line {line}, position {position}."
    )


def _shown(value: Any) -> str:
    """Return a value as .NET shows it: a text in quotation marks, True and False as in Python."""
    return f'"{value}"' if isinstance(value, str) else "null" if value is None else str(value)


def _ends(text: str) -> Iterator[tuple[int, int]]:
    """Yield line and position right behind each item of a JSON array."""
    decoder, at = JSONDecoder(), text.index("[") + 1
    while True:
        gap = _GAP.match(text, at)
        try:
            _, at = decoder.raw_decode(text, gap.end() if gap else at)
        except JSONDecodeError:
            return
        yield text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1)
