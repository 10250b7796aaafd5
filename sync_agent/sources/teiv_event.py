"""Topology events (TEIV), read: CloudEvents as JSON, with their envelope inside or outside.

The verb is the last part of an event's type, after a point or a hyphen: three spellings of the rest
are in use. A delete names entities by type, or by bare ids. An event that makes no sense is refused
as a whole, with what it was about as far as its ids can be read; the others beside it count.

Source: O-RAN SC smo-teiv, topology-inventory-ingestion. Bounds: ``EVENT_BYTES_MAX`` an event.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sync_agent.sources.event_faults import Key, Parts
from sync_agent.sources.text_file import text_fault
from sync_agent.twins.time import parse_time_ms

EVENT_BYTES_MAX = 16_777_216
ENTITIES, RELATIONSHIPS = "entities", "relationships"

_VERB = re.compile(r"[.-](create|merge|delete)$")
_FRONT = re.compile(r"^(?=[A-Za-z_-]+:::)", re.MULTILINE)
_HEADERS = re.compile(r"\A(?:[A-Za-z_-]+:::[^,{]*,)+,*(?=\s*\{)")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TopologyEvent:
    """One event, read: what it does, and to what (type and body of each)."""

    verb: str
    time_ms: int | None
    entities: tuple[tuple[str, Body], ...]
    relationships: tuple[tuple[str, Body], ...]


@dataclass(frozen=True, slots=True)
class UnusableEvent:
    """What is no topology event; ``about`` is what it names, where all its ids can be read."""

    message: str
    about: Mapping[Key, Parts] = field(default_factory=dict)
    time_ms: int | None = None


def read_events(
    data: bytes, headers: Mapping[str, object] | None = None
) -> list[TopologyEvent | UnusableEvent]:
    """Read one event, or an array of them: in an envelope, or with the envelope in ``headers``.

    A text file may have the headers in front of each, as console producers take them:
    ``ce_type:::x.merge,ce_id:::1,,,{...}``.
    """
    if len(data) > EVENT_BYTES_MAX:
        return [UnusableEvent(f"is larger than {EVENT_BYTES_MAX:,} bytes")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return [UnusableEvent(text_fault(data))]
    outside = {str(name): value for name, value in (headers or {}).items()}
    pieces = [piece for piece in _FRONT.split(text) if piece.strip()] or [text]
    return [event for piece in pieces for event in _events(piece, outside)]


def _events(text: str, outside: Mapping[str, object]) -> Iterator[TopologyEvent | UnusableEvent]:
    """Yield the events of one document."""
    if (front := _HEADERS.match(text)) is not None:
        pairs = (part.split(":::", 1) for part in front[0].split(",") if ":::" in part)
        outside = {**outside, **dict(pairs)}
        text = text[front.end() :]
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        yield UnusableEvent(f"is no JSON: {error}")
        return
    for item in document if isinstance(document, list) else [document]:
        try:
            yield _event(_Envelope.of(item, outside))
        except ValueError as error:
            yield _unusable(str(error), item, outside)


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
        data = _data(item) if inside else item
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


def _data(item: Body) -> Any:
    """Return the data of an event whose envelope is in the JSON (CloudEvents JSON format, 3.1)."""
    if "data" in item or "data_base64" not in item:
        return item.get("data")
    try:
        return msgspec.json.decode(b64decode(item["data_base64"], validate=True))
    except (ValueError, TypeError, RecursionError):
        raise ValueError("has a data_base64 that holds no JSON") from None


def _unusable(message: str, item: Any, outside: Mapping[str, object]) -> UnusableEvent:
    """Return an event with what it names; with nothing where any of it cannot be read."""
    about: dict[Key, Parts] = {}
    try:
        envelope = _Envelope.of(item, outside)
        for section in (ENTITIES, RELATIONSHIPS):
            for _, body in _bodies(envelope.data.get(section), bare=True):
                key = (section, body["id"])
                parts = parts_of(body) if envelope.verb == "merge" else None
                known = about.get(key, parts)
                about[key] = None if known is None or parts is None else known | parts
    except ValueError:
        return UnusableEvent(message)
    return UnusableEvent(message, about, envelope.time_ms)


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
