"""One topology event (TEIV), read: a CloudEvent as JSON, with its envelope inside or outside.

The verb is the last part of an event's type, after a point or a hyphen: three spellings of the rest
are in use. A delete names entities by type, or by bare ids. An event that makes no sense is refused
as a whole, with what it was about as far as its ids can be read.

Source: O-RAN SC smo-teiv, topology-inventory-ingestion. Bounds: ``EVENT_BYTES_MAX`` an event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sync_agent.sources.event_faults import Key, Parts
from sync_agent.twins.time import parse_time_ms

EVENT_BYTES_MAX = 16_777_216
ENTITIES, RELATIONSHIPS = "entities", "relationships"

_VERB = re.compile(r"[.-](create|merge|delete)$")
_HEADERS = re.compile(r"\A(?:[A-Za-z_-]+:::[^,{]*,)+,*(?=\s*\{)")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TopologyEvent:
    """One event, read: what it does, and to what (type and body of each)."""

    verb: str
    time_ms: int | None
    entities: tuple[tuple[str, Body], ...]
    relationships: tuple[tuple[str, Body], ...]


class UnusableEventError(ValueError):
    """Bytes that are no topology event; ``about`` is what they name, where all ids can be read."""

    def __init__(
        self, message: str, about: Mapping[Key, Parts] | None = None, time_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.about = about or {}
        self.time_ms = time_ms


def read_events(data: bytes, headers: Mapping[str, object] | None = None) -> list[TopologyEvent]:
    """Read one event, or an array of them: in an envelope, or with the envelope in ``headers``.

    A text file may have the headers in front, as console producers take them:
    ``ce_type:::x.merge,ce_id:::1,,,{...}``.

    Raises:
        UnusableEventError: it is no such event; the message says why.
    """
    if len(data) > EVENT_BYTES_MAX:
        raise UnusableEventError(f"is larger than {EVENT_BYTES_MAX:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableEventError("is not UTF-8 text") from None
    outside = {str(name): value for name, value in (headers or {}).items()}
    if (front := _HEADERS.match(text)) is not None:
        pairs = (part.split(":::", 1) for part in front[0].split(",") if ":::" in part)
        outside |= dict(pairs)
        text = text[front.end() :]
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnusableEventError(f"is no JSON: {error}") from None
    items = document if isinstance(document, list) else [document]
    try:
        return [_event(_Envelope.of(item, outside)) for item in items]
    except ValueError as error:
        raise _unusable(str(error), items, outside) from None


@dataclass(frozen=True, slots=True)
class _Envelope:
    """Type, time and data of an event, wherever they stood."""

    kind: str
    time_ms: int | None
    data: Body

    @classmethod
    def of(cls, item: Any, outside: Mapping[str, object]) -> _Envelope:
        """Open an event.

        Raises:
            ValueError: it is none.
        """
        if not isinstance(item, dict):
            raise ValueError("is no event: a JSON object was expected")
        inside = "specversion" in item or "type" in item
        kind = item.get("type") if inside else _header(outside, "type")
        time = item.get("time") if inside else _header(outside, "time")
        data = item.get("data") if inside else item
        if not isinstance(data, dict):
            raise ValueError("has no data")
        return cls(str(kind or ""), parse_time_ms(str(time)) if time else None, data)

    @property
    def verb(self) -> str:
        """Return what it does, "" where its type does not say."""
        found = _VERB.search(self.kind)
        return found[1] if found is not None else ""


def _event(envelope: _Envelope) -> TopologyEvent:
    verb = envelope.verb
    if not verb:
        raise ValueError(f"its type {envelope.kind!r} ends in none of create, merge, delete")
    return TopologyEvent(
        verb,
        envelope.time_ms,
        tuple(_things(envelope.data.get(ENTITIES), verb, ends=False)),
        tuple(_things(envelope.data.get(RELATIONSHIPS), verb, ends=True)),
    )


def _unusable(
    message: str, items: Sequence[Any], outside: Mapping[str, object]
) -> UnusableEventError:
    """Return the error with what the events name; with nothing where any of it cannot be read."""
    about: dict[Key, Parts] = {}
    times: list[int] = []
    try:
        for item in items:
            envelope = _Envelope.of(item, outside)
            times += [] if envelope.time_ms is None else [envelope.time_ms]
            for section in (ENTITIES, RELATIONSHIPS):
                for _, body in _bodies(envelope.data.get(section), bare=True):
                    key = (section, body["id"])
                    parts = parts_of(body) if envelope.verb == "merge" else None
                    known = about.get(key, parts)
                    about[key] = None if known is None or parts is None else known | parts
    except ValueError:
        return UnusableEventError(message)
    return UnusableEventError(message, about, max(times, default=None))


def parts_of(body: Body) -> Parts:
    """Return what a merge says of a thing; None where that cannot be told.

    >>> sorted(parts_of({"id": "c1", "sourceIds": [], "attributes": {"nCI": 7}}) or ())
    ['$id', '$sourceIds', 'nCI']
    """
    attributes = body.get("attributes") or {}
    if not isinstance(attributes, dict):
        return None
    return frozenset(attributes) | {f"${name}" for name in body if name != "attributes"}


def _header(headers: Mapping[str, object], name: str) -> object:
    for key in (f"ce_{name}", f"ce-{name}", f"cloudEvents:{name}", f"cloudEvents_{name}"):
        if key in headers:
            return headers[key]
    return None


def _things(groups: Any, verb: str, *, ends: bool) -> Iterator[tuple[str, Body]]:
    """Yield type and body of every thing an event names.

    Raises:
        ValueError: one is not as the verb needs it.
    """
    for kind, body in _bodies(groups, bare=verb == "delete"):
        if ends and verb != "delete":
            _check_ends(kind, body)
        if not isinstance(body.get("attributes", {}), dict):
            raise ValueError(f"the attributes of {body['id']} are no object")
        yield kind, body


def _bodies(groups: Any, *, bare: bool) -> Iterator[tuple[str, Body]]:
    """Yield type and body of every thing that is named; ``bare`` ids will do for a body.

    Raises:
        ValueError: the id of one cannot be read.
    """
    if groups is None:
        return
    for group in groups if isinstance(groups, list) else [groups]:
        if isinstance(group, str) and bare:
            yield "", {"id": group}
            continue
        if not isinstance(group, dict):
            raise ValueError("lists something that is neither a type with its things nor an id")
        for kind, bodies in group.items():
            for named in bodies if isinstance(bodies, list) else [bodies]:
                body = {"id": named} if isinstance(named, str) and bare else named
                if not isinstance(body, dict) or not isinstance(body.get("id"), str):
                    raise ValueError(f"has a {kind} without an id")
                yield kind, body


def _check_ends(kind: str, body: Mapping[str, Any]) -> None:
    for end in ("aSide", "bSide"):
        if not isinstance(body.get(end), str) or not body[end]:
            raise ValueError(f"{kind} {body['id']} has no {end}")
