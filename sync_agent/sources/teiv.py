"""O-RAN topology and inventory (TEIV): CloudEvents from files or an event hub, as a source.

Events create, merge and delete entities and relationships; what they leave behind is the inventory.
A scope is a type without its module: ``NRCellDU``, ``SECTOR_GROUPS_NRCELLDU``. The attributes of a
record are the entity's own; beside them ``$id``, ``$type``, ``$module``, ``$sourceIds``, what its
metadata says (``$reliabilityIndicator``, ``$firstDiscovered``, ``$lastModified``) and, of a
relationship, ``$aSide`` and ``$bSide``.

The verb is the last part of an event's type, after a point or a hyphen: three spellings of the rest
are in use. A delete names entities by type, or by bare ids; relationships at a deleted entity go
with it. An event that makes no sense is left out as a whole, and then nothing counts as read whole.
Events of several files or partitions are taken in order of their time, those of one as they stand
there. A folder is the whole history; a hub is it as long as nothing has expired there, and
otherwise only what an event deleted is gone.

Source: O-RAN SC smo-teiv, topology-inventory-ingestion. Bounds: ``EVENT_BYTES_MAX`` an event.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from sync_agent.errors import InputError
from sync_agent.inventory.nested import Nested
from sync_agent.inventory.record import Coverage, Record, RecordDiagnostic, SourceRead
from sync_agent.ports.events import Event
from sync_agent.sources.event_files import event_files
from sync_agent.sources.event_log import EventLog
from sync_agent.twins.time import parse_time_ms

EVENT_BYTES_MAX = 16_777_216
ENDINGS = (".json", ".txt")

_VERB = re.compile(r"[.-](create|merge|delete)$")
_HEADERS = re.compile(r"\A(?:[A-Za-z_-]+:::[^,{]*,)+,*(?=\s*\{)")
_REMEDY = "correct the event, or take it out; docs/sources/teiv.md shows the form"


@dataclass(slots=True)
class _Thing:
    """An entity or a relationship as events left it."""

    id: str
    kind: str
    module: str
    place: str
    body: dict[str, Any]
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TopologyEvent:
    """One event, read: what it does, and to what."""

    verb: str
    time_ms: int | None
    entities: tuple[tuple[str, dict[str, Any]], ...]
    relationships: tuple[tuple[str, dict[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class _Batch:
    """The events of one file or message, or why there are none; ``stream`` keeps their order."""

    stream: str
    place: str
    events: Sequence[TopologyEvent] = ()
    fault: str = ""


@dataclass(slots=True)
class Topology:
    """The entities and relationships that events left behind."""

    entities: dict[str, _Thing] = field(default_factory=dict)
    relationships: dict[str, _Thing] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def apply(self, event: TopologyEvent, place: str) -> None:
        """Do what an event says."""
        for things, named in (
            (self.entities, event.entities),
            (self.relationships, event.relationships),
        ):
            for kind, body in named:
                if event.verb == "delete":
                    self._delete(things, body["id"])
                else:
                    self._upsert(things, kind, body, place, anew=event.verb == "create")

    def _upsert(
        self, things: dict[str, _Thing], kind: str, body: dict[str, Any], place: str, *, anew: bool
    ) -> None:
        module, _, name = kind.rpartition(":")
        known = things.get(body["id"])
        if known is None or anew:
            known = things[body["id"]] = _Thing(body["id"], name, module, place, {}, {})
        known.attributes.update(body.get("attributes") or {})
        known.body.update({key: value for key, value in body.items() if key != "attributes"})
        known.place = place
        self.gone.discard(body["id"])

    def _delete(self, things: dict[str, _Thing], id_: str) -> None:
        things.pop(id_, None)
        if things is not self.entities:
            return
        self.gone.add(id_)
        at_it = [
            key
            for key, edge in self.relationships.items()
            if id_ in (edge.body.get("aSide"), edge.body.get("bSide"))
        ]
        for key in at_it:
            del self.relationships[key]


class TeivSource:
    """Topology from a folder of event files or from an event hub (port ``InventorySource``)."""

    def __init__(self, *, folder: Path | None = None, log: EventLog | None = None) -> None:
        """Prepare; nothing is read yet. Give one of the two."""
        self._folder = folder
        self._log = log
        self._topology = Topology()
        self._faults: list[RecordDiagnostic] = []

    async def check(self) -> str:
        """Return how many files or events there are.

        Raises:
            InputError: there is no such folder.
            ServiceError: the hub cannot be reached.
        """
        if self._log is not None:
            return await self._log.check()
        files = await asyncio.to_thread(self._files)
        return f"{len(files)} event files in {self._folder}"

    async def read(self, scopes: Sequence[str]) -> SourceRead:
        """Return what the events left behind.

        Raises:
            ServiceError: the hub cannot be read.
        """
        if self._log is not None:
            self._take([_read_event(event) for event in await self._log.read()])
            return self._as_read(scopes, self._log.gap)
        self._topology, self._faults = Topology(), []
        try:
            self._take(await asyncio.to_thread(self._read_files))
        except InputError as error:
            self._faults.append(RecordDiagnostic.of(error))
        return self._as_read(scopes, "")

    async def close(self) -> None:
        """Do nothing: connections last for one reading."""

    def _files(self) -> list[Path]:
        return event_files(self._folder or Path(), ENDINGS)

    def _read_files(self) -> list[_Batch]:
        return [_read_file(path) for path in self._files()]

    def _take(self, batches: Iterable[_Batch]) -> None:
        """Apply events in order of time; what was before an event in its stream stays before it."""
        latest: dict[str, int] = {}
        waiting: list[tuple[int, str, TopologyEvent]] = []
        for batch in batches:
            if batch.fault:
                self._faults.append(RecordDiagnostic(batch.place, batch.fault, _REMEDY))
            for at, event in enumerate(batch.events):
                time_ms = max(event.time_ms or 0, latest.get(batch.stream, 0))
                latest[batch.stream] = time_ms
                waiting.append((time_ms, f"{batch.place}[{at}]" if at else batch.place, event))
        for _, place, event in sorted(waiting, key=itemgetter(0)):
            self._topology.apply(event, place)

    def _as_read(self, scopes: Sequence[str], gap: str) -> SourceRead:
        topology = self._topology
        things = [*topology.entities.values(), *topology.relationships.values()]
        wanted = set(scopes)
        records = tuple(_record(thing) for thing in things if thing.kind in wanted)
        reason = gap or (str(self._faults[0]) if self._faults else "")
        columns: dict[str, dict[str, None]] = {scope: {} for scope in scopes}
        for record in records:
            columns[record.kind].update(dict.fromkeys(record.attributes))
        return SourceRead(
            records=records,
            coverage=tuple(Coverage(s, not reason, reason) for s in dict.fromkeys(scopes)),
            columns={scope: tuple(names) for scope, names in columns.items()},
            diagnostics=tuple(self._faults),
            digest=_digest(things),
            open_kinds=frozenset(scopes),
            gone=frozenset(topology.gone),
        )


def _read_file(path: Path) -> _Batch:
    try:
        with path.open("rb") as file:
            return _Batch(path.name, path.name, read_events(file.read(EVENT_BYTES_MAX + 1)))
    except OSError as error:
        return _Batch(path.name, path.name, fault=f"cannot be read: {error.strerror}")
    except ValueError as error:
        return _Batch(path.name, path.name, fault=str(error))


def _read_event(event: Event) -> _Batch:
    place = f"partition {event.partition} event {event.sequence_number}"
    try:
        return _Batch(event.partition, place, read_events(event.body, event.properties))
    except ValueError as error:
        return _Batch(event.partition, place, fault=str(error))


def read_events(data: bytes, headers: Mapping[str, object] | None = None) -> list[TopologyEvent]:
    """Read one event, or an array of them: in an envelope, or with the envelope in ``headers``.

    A text file may have the headers in front, as console producers take them:
    ``ce_type:::x.merge,ce_id:::1,,,{...}``.

    Raises:
        ValueError: it is no such event; the message says why.
    """
    if len(data) > EVENT_BYTES_MAX:
        raise ValueError(f"is larger than {EVENT_BYTES_MAX:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    outside = {str(name): value for name, value in (headers or {}).items()}
    if (front := _HEADERS.match(text)) is not None:
        pairs = (part.split(":::", 1) for part in front[0].split(",") if ":::" in part)
        outside |= dict(pairs)
        text = text[front.end() :]
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"is no JSON: {error}") from None
    items = document if isinstance(document, list) else [document]
    return [_event(item, outside) for item in items]


def _event(item: Any, outside: Mapping[str, object]) -> TopologyEvent:
    if not isinstance(item, dict):
        raise ValueError("is no event: a JSON object was expected")
    inside = "specversion" in item or "type" in item
    kind = item.get("type") if inside else _header(outside, "type")
    time = item.get("time") if inside else _header(outside, "time")
    found = _VERB.search(str(kind or ""))
    if found is None:
        raise ValueError(f"its type {kind!r} ends in none of create, merge, delete")
    data = item.get("data") if inside else item
    if not isinstance(data, dict):
        raise ValueError("has no data")
    verb = found[1]
    return TopologyEvent(
        verb,
        parse_time_ms(str(time)) if time else None,
        tuple(_things(data.get("entities"), verb, ends=False)),
        tuple(_things(data.get("relationships"), verb, ends=True)),
    )


def _header(headers: Mapping[str, object], name: str) -> object:
    for key in (f"ce_{name}", f"ce-{name}", f"cloudEvents:{name}", f"cloudEvents_{name}"):
        if key in headers:
            return headers[key]
    return None


def _things(groups: Any, verb: str, *, ends: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield type and body of every thing an event names."""
    if groups is None:
        return
    for group in groups if isinstance(groups, list) else [groups]:
        if isinstance(group, str) and verb == "delete":
            yield "", {"id": group}
            continue
        if not isinstance(group, dict):
            raise ValueError("lists something that is neither a type with its things nor an id")
        for kind, bodies in group.items():
            for named in bodies if isinstance(bodies, list) else [bodies]:
                body = {"id": named} if isinstance(named, str) and verb == "delete" else named
                if not isinstance(body, dict) or not isinstance(body.get("id"), str):
                    raise ValueError(f"has a {kind} without an id")
                if ends and verb != "delete":
                    _check_ends(kind, body)
                if not isinstance(body.get("attributes", {}), dict):
                    raise ValueError(f"the attributes of {body['id']} are no object")
                yield kind, body


def _check_ends(kind: str, body: Mapping[str, Any]) -> None:
    for end in ("aSide", "bSide"):
        if not isinstance(body.get(end), str) or not body[end]:
            raise ValueError(f"{kind} {body['id']} has no {end}")


def _record(thing: _Thing) -> Record:
    metadata = thing.body.get("metadata")
    stated = metadata if isinstance(metadata, dict) else {}
    attributes = {
        **thing.attributes,
        "$id": thing.id,
        "$type": thing.kind,
        "$module": thing.module,
        "$sourceIds": thing.body.get("sourceIds") or [],
        "$reliabilityIndicator": stated.get(
            "reliabilityIndicator", thing.body.get("reliabilityIndicator")
        ),
        "$firstDiscovered": stated.get("firstDiscovered"),
        "$lastModified": stated.get("lastModified"),
        "$aSide": thing.body.get("aSide"),
        "$bSide": thing.body.get("bSide"),
    }
    return Record(thing.kind, thing.id, Nested(attributes), f"{thing.place}: {thing.id}")


def _digest(things: Iterable[_Thing]) -> str:
    encoder = msgspec.json.Encoder(order="sorted")
    digest = hashlib.sha256()
    for thing in sorted(things, key=lambda thing: (thing.kind, thing.id)):
        digest.update(encoder.encode((thing.kind, thing.module, thing.body, thing.attributes)))
    return digest.hexdigest()
