"""Events of a resource inventory (TMF639), read: what they do, to which resource, and when.

A file or message holds one event, an array of them, or, as NDJSON, one a line. One that makes no
sense is told and left out; those beside it count. Bounds: ``FILE_BYTES_MAX`` a file.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sync_agent.sources.text_file import text_fault
from sync_agent.twins.time import parse_time_ms

FILE_BYTES_MAX = 67_108_864

_EVENTS = ("create", "attributevaluechange", "statechange", "delete")

Item = dict[str, Any]
Timed = tuple[int, Mapping[str, Any], str]
"""When an event happened (epoch milliseconds), the event, and where it stands."""


def read_event(event: Mapping[str, Any]) -> tuple[str, Item, int]:
    """Return verb, resource and time of an event.

    Raises:
        ValueError: it is no event of a resource.
    """
    kind = str(event.get("eventType") if isinstance(event, dict) else "")
    verb = kind.lower().removeprefix("resource").removesuffix("event")
    if verb not in _EVENTS:
        raise ValueError(f"its eventType {kind!r} is none of a resource inventory")
    inner = event.get("event")
    item = inner.get("resource") if isinstance(inner, dict) else None
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise ValueError(f"{kind} has no resource with an id")
    at = event.get("eventTime")
    if not isinstance(at, str):
        raise ValueError(f"{kind} of {item['id']} has no eventTime")
    return verb, item, parse_time_ms(at)


def documents_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the documents of a file with their places: all of it, or each line.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large.
    """
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"is larger than {FILE_BYTES_MAX:,} bytes")
    data = data.removeprefix(BOM_UTF8)
    if path.suffix == ".json":
        yield path.name, data
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield f"{path.name}:{number}", line


def events_of(data: bytes, place: str, unusable: Callable[[str, str], None]) -> Iterator[Timed]:
    """Yield the events of a document, one or an array, with their times; tell which are none."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        unusable(place, text_fault(data) or f"is no JSON: {error}")
        return
    many = isinstance(document, list)
    for number, event in enumerate(document if many else [document]):
        at = f"{place}[{number}]" if many else place
        try:
            yield read_event(event)[2], event, at
        except ValueError as error:
            unusable(at, f"is no event: {error}")
