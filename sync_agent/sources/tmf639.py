"""TM Forum resource inventory (TMF639 v5) as a source: the list over REST, then its events.

Scopes: ``resources``, and what stands inside them: ``relationships`` (``$resource``,
``relationshipType``, ``resource.id``), ``places`` (``$resource``, ``role``, ``place.id``) and
``supporting`` (``$resource``, ``id``). Characteristics are attributes of their resource:
``characteristic.swVersion``; external identifiers are ``$externalIds``.

The list is read with ``offset`` and ``limit`` up to its ``X-Total-Count``, again in full every
``full_every_s``. Between, events from files or an event hub are applied: create, attribute value
change, state change, delete. Without an address the events alone are the inventory. An event older
than the last word on its resource changes nothing.

Bounds: ``PAGES_MAX``, ``records_max`` resources; those of events are in ``tmf639_event``.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from sync_agent.errors import InputError, ServiceError
from sync_agent.inventory.nested import Nested
from sync_agent.inventory.record import Coverage, Record, RecordDiagnostic, SourceRead
from sync_agent.ports.events import Event
from sync_agent.sources.event_faults import EventFaults
from sync_agent.sources.event_files import event_files
from sync_agent.sources.event_log import EventLog, place_of, remedy_for
from sync_agent.sources.http_client import HttpClient
from sync_agent.sources.pages import Pages, ShiftedError
from sync_agent.sources.tmf639_event import Item, Timed, documents_of, events_of, read_event

PAGES_MAX = 100_000
ENDINGS = (".json", ".ndjson", ".jsonl")
SCOPES = ("resources", "relationships", "places", "supporting")

_REMEDY = "correct the event, or take it out; docs/sources/tmf639.md shows the form"
_NEXT_LIST = "correct its sender; the next full reading of the list makes it good"
_TYPES = ("PhysicalResource", "LogicalResource", "ResourceFunction")


@dataclass(slots=True)
class _Known:
    """A resource, where it was read, and when that was said (epoch milliseconds)."""

    item: Item
    place: str
    said_ms: int


@dataclass(slots=True)
class ResourceSet:
    """The resources as list and events left them."""

    known: dict[str, _Known] = field(default_factory=dict)
    deleted_ms: dict[str, int] = field(default_factory=dict)

    def take(self, item: Item, place: str, said_ms: int) -> None:
        """Note a resource as the list has it."""
        self.known[item["id"]] = _Known(item, place, said_ms)

    def apply(self, event: Mapping[str, Any], place: str) -> None:
        """Do what an event says, unless something newer was said.

        Raises:
            ValueError: it is no event of a resource.
        """
        verb, item, at_ms = read_event(event)
        id_ = item["id"]
        known = self.known.get(id_)
        if at_ms < max(known.said_ms if known else -1, self.deleted_ms.get(id_, -1)):
            return
        if verb == "delete":
            self.known.pop(id_, None)
            self.deleted_ms[id_] = at_ms
            return
        base = known.item if known is not None and verb != "create" else {}
        self.known[id_] = _Known({**base, **item}, place, at_ms)
        self.deleted_ms.pop(id_, None)


class Tmf639Source:
    """One resource inventory (port ``InventorySource``)."""

    def __init__(
        self,
        *,
        client: HttpClient | None = None,
        folder: Path | None = None,
        log: EventLog | None = None,
        page_size: int = 500,
        records_max: int = 2_000_000,
        full_every_s: float = 3600,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Prepare; nothing is asked yet."""
        self._client = client
        self._folder = folder
        self._log = log
        self._page_size = page_size
        self._records_max = records_max
        self._full_every_s = full_every_s
        self._clock_ms = clock_ms
        self._resources = ResourceSet()
        self._listed_ms: int | None = None
        self._fault: ServiceError | None = None
        self._event_faults = EventFaults()  # until the list is read whole again
        self._file_faults = EventFaults()  # all files are read each time

    async def check(self) -> str:
        """Return what answered.

        Raises:
            InputError: the folder of events is not there.
            ServiceError: the service does not answer, or refuses us.
        """
        said = []
        if self._client is not None:
            answer = await self._client.get("resource", {"offset": 0, "limit": 1})
            total = answer.headers.get("x-total-count", "an unknown number of")
            said.append(f"{total} resources at {self._client.url}")
        if self._folder is not None:
            files = await asyncio.to_thread(event_files, self._folder, ENDINGS)
            said.append(f"{len(files)} event files in {self._folder}")
        if self._log is not None:
            said.append(await self._log.check())
        return ", ".join(said)

    async def read(self, scopes: Sequence[str]) -> SourceRead:
        """Return the resources as list and events have them.

        Raises:
            InputError: there is no such scope.
            ServiceError: not even the first page could be read.
        """
        for scope in scopes:
            if scope not in SCOPES:
                raise InputError(
                    f"there is no {scope} in a resource inventory",
                    remedy=f"known: {', '.join(SCOPES)}",
                )
        if self._client is not None and self._due():
            await self._list()
        self._file_faults = EventFaults()
        if self._folder is not None:
            try:
                await asyncio.to_thread(self._take_files, self._folder)
            except InputError as error:
                self._file_faults.add(RecordDiagnostic.of(error))
        if self._log is not None:
            self._take_events(await self._log.read())
        return self._as_read(scopes)

    async def close(self) -> None:
        """Release connections."""
        if self._client is not None:
            await self._client.close()

    def _due(self) -> bool:
        if self._listed_ms is None or self._fault is not None:
            return True
        if self._folder is None and self._log is None:
            return True
        return self._clock_ms() - self._listed_ms >= self._full_every_s * 1000

    async def _list(self) -> None:
        """Read the list from its beginning; an error on the way leaves it incomplete."""
        assert self._client is not None
        began_ms = self._clock_ms()
        fresh = ResourceSet()
        self._fault = None
        pages, ids = Pages(self._page_size), list[str]()
        for _ in range(PAGES_MAX):
            try:
                answer = await self._client.get("resource", pages.window())
                read, total = _page(answer.body, self._client.url), _total(answer.headers)
                ids, before = [item["id"] for item in read], ids
                if total is None and ids and ids == before:
                    if len(ids) == self._page_size + 1 or answer.status != 200:
                        raise _no_offset(self._client.url)
                    break  # all of it came at once
                begin = pages.taken
                pages.turn(read, total, itemgetter("id"), f"{self._client.url}/resource")
            except ServiceError as error:
                if not fresh.known and not self._resources.known:
                    raise
                self._fault = error
                break
            for at, item in enumerate(read, begin):
                fresh.take(item, f"resource[{at}] {item['id']}", began_ms)
            # Without a total only an empty page is the end, or the same one again: any other may be
            # short by the service's own limit, whatever its status says.
            if not read or (total is not None and pages.taken >= total):
                if total is not None and len(fresh.known) != total:
                    self._fault = ShiftedError(
                        f"the list has {total:,} resources, but gave {len(fresh.known):,}"
                    )
                break
            if pages.taken >= self._records_max:
                self._fault = ServiceError(
                    f"there are more than {self._records_max:,} resources",
                    remedy="raise records_max",
                )
                break
        else:
            self._fault = ServiceError(
                f"the list has more than {PAGES_MAX:,} pages", remedy="raise page_size"
            )
        if self._fault is None:
            self._event_faults = EventFaults()  # whatever they would have said is in the list
        if self._fault is None or not self._resources.known:
            self._resources, self._listed_ms = fresh, began_ms

    def _take_files(self, folder: Path) -> None:
        """Apply the events of all files."""
        read: list[Timed] = []

        def unusable(place: str, what: str) -> None:
            self._file_faults.add(RecordDiagnostic(place, what, _REMEDY))

        for path in event_files(folder, ENDINGS):
            try:
                for place, data in documents_of(path):
                    read += events_of(data, place, unusable)
            except OSError as error:
                unusable(path.name, f"cannot be read: {error.strerror}")
            except ValueError as error:
                unusable(path.name, str(error))
        self._apply(read)

    def _take_events(self, events: Sequence[Event]) -> None:
        """Apply the events of a hub, whichever partition they came through."""
        read: list[Timed] = []
        for event in events:
            remedy = _NEXT_LIST if self._client is not None else remedy_for(event, mends=False)

            def unusable(place: str, what: str, remedy: str = remedy) -> None:
                self._event_faults.add(RecordDiagnostic(place, what, remedy))

            read += events_of(event.body, place_of(event), unusable)
        self._apply(read)

    def _apply(self, read: list[Timed]) -> None:
        """Apply events in order of their time, those of one moment as they came."""
        for _, event, place in sorted(read, key=itemgetter(0)):
            self._resources.apply(event, place)

    def _as_read(self, scopes: Sequence[str]) -> SourceRead:
        records = [r for known in self._resources.known.values() for r in _records(known, scopes)]
        faults = [*self._event_faults.told(), *self._file_faults.told()]
        if self._fault is not None and self._client is not None:
            what = f"was not read whole: {self._fault.message}"
            remedy = self._fault.remedy or "try again; nothing that comes from it is deleted"
            faults.append(RecordDiagnostic(f"{self._client.url}/resource", what, remedy))
        gap = self._log.gap if self._log is not None and self._client is None else ""
        reason = gap or (str(faults[0]) if faults else "")
        return SourceRead(
            records=tuple(records),
            coverage=tuple(Coverage(s, not reason, reason) for s in dict.fromkeys(scopes)),
            columns=_columns(records, scopes),
            diagnostics=tuple(faults),
            digest=_digest(self._resources.known),
            open_kinds=frozenset(scopes),
            gone=frozenset(self._resources.deleted_ms),
            partial_kinds=frozenset(scopes if reason and self._client is None else ()),
        )


def _records(known: _Known, scopes: Sequence[str]) -> Iterator[Record]:
    item, place = known.item, known.place
    id_ = item["id"]
    if "resources" in scopes:
        characteristics = {
            part["name"]: part.get("value")
            for part in _parts(item, "resourceCharacteristic")
            if isinstance(part.get("name"), str)
        }
        external = [p["id"] for p in _parts(item, "externalIdentifier") if "id" in p]
        own = {"characteristic": characteristics, "$externalIds": external, "$type": _type(item)}
        yield Record("resources", id_, Nested({**item, **own}), place)
    inside = {
        "relationships": "resourceRelationship",
        "places": "place",
        "supporting": "supportingResource",
    }
    for scope, name in inside.items():
        if scope in scopes:
            for number, part in enumerate(_parts(item, name)):
                own = {**part, "$resource": id_}
                if scope == "places":
                    own.setdefault("place", {k: part.get(k) for k in ("id", "name")})
                yield Record(scope, f"{id_}/{number}", Nested(own), place)


def _columns(records: Sequence[Record], scopes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the columns of each scope as rules name them, those of a characteristic each."""
    found: dict[str, dict[str, None]] = {scope: {} for scope in scopes}
    for record in records:
        of_kind = found[record.kind]
        of_kind.update(dict.fromkeys(record.attributes))
        for name in record.attributes.get("characteristic") or ():
            of_kind[f"characteristic.{name}"] = None
    return {scope: tuple(names) for scope, names in found.items()}


def _parts(item: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list; version 4 has a single place instead of a list of them."""
    parts = item.get(name)
    yield from (p for p in (parts if isinstance(parts, list) else [parts]) if isinstance(p, dict))


def _type(item: Mapping[str, Any]) -> Any:
    """Return which of the standard's resources one is; extensions name theirs as base type."""
    kind = item.get("@type")
    return kind if kind in _TYPES else item.get("@baseType") or kind


def _page(body: Any, url: str) -> list[Item]:
    """Return the resources of a page.

    Raises:
        ServiceError: it is no list of resources.
    """
    if not isinstance(body, list):
        raise ServiceError(f"{url}/resource answered no list", remedy="check the base path in url")
    for item in body:
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            raise ServiceError(f"{url}/resource gave a resource without an id")
    return body


def _no_offset(url: str) -> ServiceError:
    return ServiceError(
        f"{url}/resource gives the same page again and again: it knows no offset",
        remedy="raise page_size above the number of its resources",
    )


def _total(headers: Mapping[str, str]) -> int | None:
    text = headers.get("x-total-count", "")
    return int(text) if text.isdecimal() else None


def _digest(known: Mapping[str, _Known]) -> str:
    encoder = msgspec.json.Encoder(order="sorted")
    digest = hashlib.sha256()
    for id_ in sorted(known):
        digest.update(encoder.encode(known[id_].item))
    return digest.hexdigest()
