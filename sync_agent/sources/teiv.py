"""O-RAN topology and inventory (TEIV): CloudEvents from files or an event hub, as a source.

Events create, merge and delete entities and relationships; what they leave behind is the inventory.
A scope is a type without its module: ``NRCellDU``, ``SECTOR_GROUPS_NRCELLDU``. The attributes of a
record are the entity's own; beside them ``$id``, ``$type``, ``$module``, ``$sourceIds``,
``$classifiers``, ``$decorators``, what its metadata says (``$reliabilityIndicator``,
``$firstDiscovered``, ``$lastModified``) and, of a relationship, ``$aSide`` and ``$bSide``.

A delete names entities by type, or by bare ids; relationships at a deleted entity go with it. An
event that makes no sense is left out as a whole, and nothing counts as read whole until later ones
made that good (``event_faults``). Events of several files or partitions are taken in order of their
time, those of one as they stand there. A folder is the whole history; a hub is it as long as
nothing has expired there, and otherwise only what an event deleted is gone, and what a record does
not say is not known.

Source: O-RAN SC smo-teiv, topology-inventory-ingestion. Bounds: ``EVENT_BYTES_MAX`` an event.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from sync_agent.errors import InputError
from sync_agent.inventory.nested import Nested
from sync_agent.inventory.record import Coverage, Record, RecordDiagnostic, SourceRead
from sync_agent.ports.events import Event
from sync_agent.sources.event_faults import EventFaults
from sync_agent.sources.event_files import event_files
from sync_agent.sources.event_log import EventLog, place_of, remedy_for
from sync_agent.sources.teiv_event import (
    ENTITIES,
    EVENT_BYTES_MAX,
    RELATIONSHIPS,
    TopologyEvent,
    UnusableEvent,
    parts_of,
    read_events,
)

ENDINGS = (".json", ".txt", ".ndjson", ".jsonl")

_BY_LINE = (".ndjson", ".jsonl")
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
class _Batch:
    """What one file, line or message gave; ``stream`` keeps their order.

    ``remedy`` is what to do about one of them that makes no sense, by whether others can mend it.
    """

    stream: str
    place: str
    items: Sequence[TopologyEvent | UnusableEvent]
    remedy: Callable[[bool], str]

    def place_of(self, at: int) -> str:
        """Return where one of its events stands."""
        return f"{self.place}[{at}]" if len(self.items) > 1 else self.place


@dataclass(slots=True)
class Topology:
    """The entities and relationships that events left behind."""

    entities: dict[str, _Thing] = field(default_factory=dict)
    relationships: dict[str, _Thing] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    gone_relationships: dict[str, _Thing] = field(default_factory=dict)
    _at: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def apply(self, event: TopologyEvent, place: str) -> None:
        """Do what an event says."""
        anew = event.verb == "create"
        for kind, body in event.entities:
            if event.verb == "delete":
                self._delete_entity(body["id"])
            else:
                self._upsert(self.entities, kind, body, place, anew=anew)
        for kind, body in event.relationships:
            if event.verb == "delete":
                self._delete_relationship(kind, body, place)
            else:
                self._upsert(self.relationships, kind, body, place, anew=anew)
                self.gone_relationships.pop(body["id"], None)
                for end in (body["aSide"], body["bSide"]):
                    self._at[end].add(body["id"])

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

    def _delete_relationship(self, kind: str, body: dict[str, Any], place: str) -> None:
        """Forget a relationship, but not which it was; a delete may say that where nobody knew."""
        known = self.relationships.pop(body["id"], None)
        if known is None and body.keys() >= {"aSide", "bSide"}:
            module, _, name = kind.rpartition(":")
            known = _Thing(body["id"], name, module, place, body, {})
        if known is not None:
            self.gone_relationships[body["id"]] = known

    def _delete_entity(self, id_: str) -> None:
        self.entities.pop(id_, None)
        self.gone.add(id_)
        for key in self._at.pop(id_, ()):
            edge = self.relationships.get(key)
            if edge is not None and id_ in (edge.body["aSide"], edge.body["bSide"]):
                del self.relationships[key]


class TeivSource:
    """Topology from a folder of event files or from an event hub (port ``InventorySource``)."""

    def __init__(self, *, folder: Path | None = None, log: EventLog | None = None) -> None:
        """Prepare; nothing is read yet. Give one of the two."""
        self._folder = folder
        self._log = log
        self._topology = Topology()
        self._faults = EventFaults()

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
        self._topology, self._faults = Topology(), EventFaults()
        try:
            self._take(await asyncio.to_thread(self._read_files))
        except InputError as error:
            self._faults.add(RecordDiagnostic.of(error))
        return self._as_read(scopes, "")

    async def close(self) -> None:
        """Do nothing: connections last for one reading."""

    def _files(self) -> list[Path]:
        return event_files(self._folder or Path(), ENDINGS)

    def _read_files(self) -> list[_Batch]:
        return [batch for path in self._files() for batch in _read_file(path)]

    def _take(self, batches: Iterable[_Batch]) -> None:
        """Apply events in order of time; what was before an event in its stream stays before it."""
        latest: dict[str, int] = {}
        waiting: list[tuple[int, _Batch, int]] = []
        for batch in batches:
            for at, item in enumerate(batch.items):
                time_ms = max(item.time_ms or 0, latest.get(batch.stream, 0))
                latest[batch.stream] = time_ms
                waiting.append((time_ms, batch, at))
        for time_ms, batch, at in sorted(waiting, key=itemgetter(0)):
            item, place = batch.items[at], batch.place_of(at)
            if isinstance(item, UnusableEvent):
                told = RecordDiagnostic(place, item.message, batch.remedy(bool(item.about)))
                self._faults.add(told, time_ms=time_ms, about=item.about)
            else:
                self._topology.apply(item, place)
                self._hear(item, time_ms)

    def _hear(self, event: TopologyEvent, time_ms: int) -> None:
        """Make good what an event says anew."""
        if not self._faults.mendable:
            return
        for section, named in ((ENTITIES, event.entities), (RELATIONSHIPS, event.relationships)):
            for _, body in named:
                parts = parts_of(body) if event.verb == "merge" else None
                self._faults.heard((section, body["id"]), time_ms, parts)

    def _as_read(self, scopes: Sequence[str], gap: str) -> SourceRead:
        topology = self._topology
        things = [*topology.entities.values(), *topology.relationships.values()]
        wanted = set(scopes)
        records = tuple(_record(thing) for thing in things if thing.kind in wanted)
        faults = self._faults.told()
        reason = gap or (str(faults[0]) if faults else "")
        columns: dict[str, dict[str, None]] = {scope: {} for scope in scopes}
        for record in records:
            columns[record.kind].update(dict.fromkeys(record.attributes))
        return SourceRead(
            records=records,
            coverage=tuple(Coverage(s, not reason, reason) for s in dict.fromkeys(scopes)),
            columns={scope: tuple(names) for scope, names in columns.items()},
            diagnostics=faults,
            digest=_digest(things),
            open_kinds=frozenset(scopes),
            gone=frozenset(topology.gone),
            partial_kinds=frozenset(scopes) if reason else frozenset(),
            gone_records=tuple(
                _record(t) for t in topology.gone_relationships.values() if t.kind in wanted
            ),
            unasked=Counter(thing.kind for thing in things if thing.kind not in wanted),
        )


def _read_file(path: Path) -> Iterator[_Batch]:
    """Yield what a file holds, or each of its lines."""
    name = path.name

    def remedy(_: bool) -> str:
        return _REMEDY

    try:
        with path.open("rb") as file:
            data = file.read(EVENT_BYTES_MAX + 1)
    except OSError as error:
        unusable = UnusableEvent(f"cannot be read: {error.strerror}")
        yield _Batch(name, name, [unusable], remedy)
        return
    if path.suffix in _BY_LINE and len(data) <= EVENT_BYTES_MAX:
        for number, line in enumerate(data.split(b"\n"), 1):
            if line.strip():
                yield _Batch(name, f"{name}:{number}", read_events(line), remedy)
    else:
        yield _Batch(name, name, read_events(data), remedy)


def _read_event(event: Event) -> _Batch:
    items = read_events(event.body, event.properties)

    def remedy(mends: bool) -> str:
        return remedy_for(event, mends=mends)

    return _Batch(event.partition, place_of(event), items, remedy)


def _record(thing: _Thing) -> Record:
    metadata = thing.body.get("metadata")
    stated = metadata if isinstance(metadata, dict) else {}
    attributes = {
        **thing.attributes,
        "$id": thing.id,
        "$type": thing.kind,
        "$module": thing.module,
        "$sourceIds": thing.body.get("sourceIds") or [],
        "$classifiers": thing.body.get("classifiers") or [],
        "$decorators": thing.body.get("decorators") or {},
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
