"""NetBox 3.6 to 4.5 as an inventory source, over its REST interface.

A scope is a list by its name (``devices``) or its path (``vpn/tunnels``, ``plugins/bgp/session``),
or something worked out from several: ``cable-ends``, ``links`` (paths through patch panels and
circuits) and ``power-paths``. Lists are read page by page
in order of ids; a list that fails in the middle, or moves while it is read, is not whole.

After a full reading only what changed since is asked for (``last_updated``), and the number of
objects tells whether any was deleted; then, and every ``full_every_s``, a list is read in full
again. Names of other objects inside one (``site.name``) may be as old as the last full reading.
What is asked for begins ``LATE_MS`` before the newest stamp: a change is stamped when it is made,
but seen only when its transaction ends.

Bounds: ``PAGES_MAX`` a list, ``records_max`` objects a list, ``LISTS_AT_ONCE``.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec

from sync_agent.errors import InputError, NotFoundError, ServiceError, SyncAgentError
from sync_agent.inventory.nested import Nested
from sync_agent.inventory.record import Coverage, Record, RecordDiagnostic, SourceRead
from sync_agent.sources.http_client import HttpClient
from sync_agent.sources.netbox_shape import Item, id_of, in_one_shape
from sync_agent.sources.netbox_trace import DERIVED
from sync_agent.sources.pages import Pages, ShiftedError
from sync_agent.twins.time import format_time_ms, parse_time_ms

PAGES_MAX = 100_000
LISTS_AT_ONCE = 4
TRIES_PER_LIST = 2
LATE_MS = 300_000

ENDPOINTS: Mapping[str, str] = MappingProxyType(
    {
        name: f"{app}/{name}"
        for app, names in {
            "dcim": "regions site-groups sites locations racks manufacturers device-types"
            " device-roles platforms devices modules virtual-chassis interfaces front-ports"
            " rear-ports console-ports console-server-ports power-panels power-feeds power-ports"
            " power-outlets cables inventory-items",
            "circuits": "providers provider-networks circuit-types circuits circuit-terminations",
            "ipam": "asns prefixes ip-addresses vlans vrfs",
            "tenancy": "tenants",
            "virtualization": "clusters virtual-machines",
            "wireless": "wireless-links wireless-lans",
        }.items()
        for name in names.split()
    }
)
"""The lists that have a short name here, each with its path below ``/api``."""

_WITHOUT_API = "set url to NetBox's address without /api"
_NAMES = MappingProxyType({path: name for name, path in ENDPOINTS.items()})
_PATH = re.compile(r"(plugins/)?[a-z0-9_-]+/[a-z0-9_-]+")

_LEFT_OUT = MappingProxyType({"devices": "config_context", "virtual-machines": "config_context"})
"""Fields that are dear to render and no inventory."""


@dataclass(slots=True)
class _List:
    """One list as last read: objects by id in one shape, and how far that can be relied on."""

    objects: dict[int, Item] = field(default_factory=dict)
    fault: ServiceError | None = None
    left_out: int = 0
    newest: str = ""
    full_at_s: float = 0.0

    @property
    def whole(self) -> bool:
        return self.fault is None

    def take(self, kind: str, item: Item, path: str) -> None:
        """Add an object; one of no known shape is left out, and the list is then not whole."""
        try:
            self.objects[item["id"]] = in_one_shape(kind, item)
        except ValueError as error:
            self.left_out += 1
            self.fault = ServiceError(
                f"{path}{item['id']}/ cannot be used: {error}",
                remedy="look at it in NetBox; versions 3.6 to 4.5 are known",
            )


class NetBoxSource:
    """One NetBox (port ``InventorySource``)."""

    def __init__(
        self,
        client: HttpClient,
        *,
        page_size: int,
        records_max: int,
        full_every_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is asked before ``check`` or ``read``."""
        self._client = client
        self._page_size = page_size
        self._records_max = records_max
        self._full_every_s = full_every_s
        self._clock_s = clock_s
        self._lists: dict[str, _List] = {}
        self._read: tuple[tuple[str, ...], SourceRead] | None = None

    async def check(self) -> str:
        """Return which NetBox answered.

        Raises:
            ServiceError: it does not answer, or refuses us.
        """
        try:
            answer = await self._client.get("api/status/")
        except NotFoundError as error:
            raise NotFoundError(error.message, status=error.status, remedy=_WITHOUT_API) from None
        version = answer.body.get("netbox-version") if isinstance(answer.body, dict) else None
        if not isinstance(version, str):
            raise ServiceError(
                f"{self._client.url} is no NetBox: its status has no netbox-version",
                remedy=_WITHOUT_API,
            )
        return f"NetBox {version} at {self._client.url}"

    async def read(self, scopes: Sequence[str]) -> SourceRead:
        """Return the objects of these lists and what is worked out from them.

        Raises:
            InputError: there is no such list, or no token to be read.
            SettingsError: the token cannot be sent.
            ServiceError: not one list could be begun.
        """
        needed = self._needed(scopes)
        before = {kind: self._lists.get(kind) for kind in needed}
        turns = asyncio.Semaphore(LISTS_AT_ONCE)
        refused: list[SyncAgentError] = []

        async def renew(kind: str) -> None:
            async with turns:
                try:
                    self._lists[kind] = await self._renewed(kind, self._lists.get(kind))
                except (
                    SyncAgentError
                ) as error:  # a token that cannot be read; a group would wrap it
                    refused.append(error)

        async with asyncio.TaskGroup() as group:
            for kind in needed:
                group.create_task(renew(kind))
        if refused:
            raise refused[0]
        faults = [fault for kind in needed if (fault := self._lists[kind].fault) is not None]
        if (
            faults
            and len(faults) == len(needed)
            and not any(self._lists[kind].objects for kind in needed)
        ):
            raise faults[0]
        same = all(self._lists[kind] is before[kind] for kind in needed)
        if self._read is None or not same or self._read[0] != tuple(scopes):
            self._read = (tuple(scopes), self._as_read(scopes, needed))
        return self._read[1]

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    def _needed(self, scopes: Sequence[str]) -> tuple[str, ...]:
        needed: list[str] = []
        for scope in scopes:
            if scope in DERIVED:
                needed += DERIVED[scope][0]
            elif scope in ENDPOINTS or _PATH.fullmatch(scope):
                needed.append(_kind(scope))
            else:
                raise InputError(
                    f"there is no list {scope} in NetBox that can be read",
                    place=self._client.url,
                    remedy="write its path below /api, as in vpn/tunnels, or one of "
                    + ", ".join(sorted({*ENDPOINTS, *DERIVED})),
                )
        return tuple(dict.fromkeys(needed))

    async def _renewed(self, kind: str, known: _List | None) -> _List:
        """Return a list as it is now: what changed where that is enough, else all of it."""
        now_s = self._clock_s()
        young = known is not None and now_s - known.full_at_s < self._full_every_s
        if known is not None and young and known.whole and known.newest:
            changed = await self._changed(kind, known)
            if changed is not None:
                return changed
        fresh = _List()
        for _ in range(TRIES_PER_LIST):
            fresh = await self._listed(kind)
            if fresh.fault is None or not isinstance(fresh.fault, ShiftedError):
                break
        fresh.full_at_s = now_s
        return fresh

    async def _changed(self, kind: str, known: _List) -> _List | None:
        """Return the known list with what changed since, None where it has to be read in full.

        It is the same object where nothing changed: the newest are among those that are asked for.
        """
        changed = await self._listed(kind, {"last_updated__gte": _since(known.newest)})
        if changed.fault is not None:
            return None
        objects = {**known.objects, **changed.objects}
        try:
            answer = await self._client.get(_address(kind), {"limit": 1})
        except ServiceError:
            return None
        if _count(answer.body) != len(objects):
            return None
        if objects == known.objects:
            return known
        newest = max(known.newest, changed.newest)
        return _List(objects, newest=newest, full_at_s=known.full_at_s)

    async def _listed(self, kind: str, only: Mapping[str, str] | None = None) -> _List:
        """Return a list read page by page; an error on the way leaves it incomplete."""
        listed = _List()
        path = _address(kind)
        pages, count = Pages(self._page_size), 0
        for _ in range(PAGES_MAX):
            parameters: dict[str, str | int] = {
                **pages.window(),
                "ordering": "id",
                **(only or {}),
            }
            if kind in _LEFT_OUT:
                parameters["exclude"] = _LEFT_OUT[kind]
            try:
                body = (await self._client.get(path, parameters)).body
                results, count = _results(body, path), _count(body)
                items = pages.turn(results, count, id_of, path)
            except NotFoundError as error:
                remedy = f"{_WITHOUT_API}; or this NetBox lacks the list or its plugin"
                listed.fault = NotFoundError(error.message, status=error.status, remedy=remedy)
                return listed
            except ServiceError as error:
                listed.fault = error
                return listed
            for item in items:
                listed.take(kind, item, path)
            if pages.taken >= count or not items:
                break
            if pages.taken >= self._records_max:
                listed.fault = ServiceError(
                    f"{path} has more than {self._records_max:,} objects",
                    remedy="raise records_max",
                )
                return listed
        if len(listed.objects) + listed.left_out != count:
            listed.fault = ShiftedError(
                f"{path} has {count:,} objects, but gave {len(listed.objects):,} different ones"
            )
        stamps = [item.get("last_updated") for item in listed.objects.values()]
        if all(isinstance(stamp, str) for stamp in stamps):
            listed.newest = max(map(str, stamps), default=only["last_updated__gte"] if only else "")
        return listed

    def _as_read(self, scopes: Sequence[str], needed: Iterable[str]) -> SourceRead:
        records: list[Record] = []
        coverage: list[Coverage] = []
        columns: dict[str, tuple[str, ...]] = {}
        derived: set[str] = set()
        objects = {kind: self._lists[kind].objects for kind in needed}
        for scope in dict.fromkeys(scopes):
            sources = DERIVED[scope][0] if scope in DERIVED else (_kind(scope),)
            faults = [f for kind in sources if (f := self._lists[kind].fault) is not None]
            items: list[Item]
            if scope in DERIVED:
                items = list(DERIVED[scope][1](objects))
                derived.add(scope)
            else:
                items = list(objects[_kind(scope)].values())
            coverage.append(Coverage(scope, not faults, faults[0].message if faults else ""))
            columns[scope] = tuple(dict.fromkeys(key for item in items for key in item))
            records += [
                Record(scope, str(item["id"]), Nested(item), f"{scope}/{item['id']}")
                for item in items
            ]
        return SourceRead(
            records=tuple(records),
            coverage=tuple(coverage),
            columns=columns,
            diagnostics=tuple(self._diagnostics(needed)),
            digest=_digest(objects),
            open_kinds=frozenset(scope for scope, names in columns.items() if not names),
        )

    def _diagnostics(self, needed: Iterable[str]) -> Iterable[RecordDiagnostic]:
        for kind in needed:
            fault = self._lists[kind].fault
            if fault is not None:
                place = f"{self._client.url}/{_address(kind)}"
                what = f"was not read whole: {fault.message}"
                remedy = fault.remedy or "try again; nothing that comes from it is deleted"
                yield RecordDiagnostic(place, what, remedy)


def _kind(scope: str) -> str:
    """Return the name of a list, which is its path where it has no shorter one."""
    return _NAMES.get(scope, scope)


def _address(kind: str) -> str:
    return f"api/{ENDPOINTS.get(kind, kind)}/"


def _results(body: Any, path: str) -> list[Item]:
    """Return the objects of a page.

    Raises:
        ServiceError: the answer is no page.
    """
    items = body.get("results") if isinstance(body, dict) else None
    if not isinstance(items, list) or not isinstance(body.get("count"), int):
        raise ServiceError(f"{path} answered no list", remedy="check url: NetBox without /api")
    for item in items:
        if not isinstance(item, dict) or id_of(item) is None:
            raise ServiceError(f"{path} gave an object without an id")
    return items


def _count(body: Any) -> int:
    count = body.get("count") if isinstance(body, dict) else None
    return count if isinstance(count, int) else -1


def _since(newest: str) -> str:
    try:
        return format_time_ms(max(parse_time_ms(newest) - LATE_MS, 0))
    except ValueError:
        return newest


def _digest(objects: Mapping[str, Mapping[int, Item]]) -> str:
    """Return a hash of what was read, whatever the order of kinds and objects."""
    encoder = msgspec.json.Encoder(order="sorted")
    digest = hashlib.sha256()
    for kind in sorted(objects):
        for number in sorted(objects[kind]):
            digest.update(encoder.encode((kind, objects[kind][number])))
    return digest.hexdigest()
