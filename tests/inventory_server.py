"""A small inventory server for tests: real HTTP, real payload shapes, faults on demand.

It speaks as much of NetBox and TMF639 as a reader needs. Tables are JSON objects by list name; what
goes wrong is said beforehand, by path and offset.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sync_agent.sources.netbox import ENDPOINTS

Item = dict[str, Any]
START_MAX_S = 20.0


@dataclass
class InventoryServer:
    """What is served, who may ask, and what goes wrong.

    ``faults`` are answers by ``(path, offset)``, taken once each time they are hit; ``pages`` is
    the most a page holds, whatever the client asks for; ``meanwhile`` is done before the list
    request of that number (from 0), as others write while one reads; ``next_link`` is what pages
    name as the next; ``total``, ``offsets`` and ``ends`` say whether TMF639 tells how many
    resources there are, knows where to go on, and has nothing behind its last page instead of it.
    """

    tables: dict[str, list[Item]] = field(default_factory=dict)
    resources: list[Item] = field(default_factory=list)
    version: str = "3.6.9"
    token: str = ""
    password: str = ""
    pages: int = 1000
    faults: dict[tuple[str, int], list[web.Response]] = field(
        default_factory=lambda: defaultdict(list)
    )
    meanwhile: dict[int, Callable[[], object]] = field(default_factory=dict)
    next_link: str | None = None
    total: bool = True
    offsets: bool = True
    ends: bool = True
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def refused(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        if self.token and given not in (f"Token {self.token}", f"Bearer {self.token}"):
            return web.json_response({"detail": "Invalid token"}, status=403)
        wanted = f"Basic {base64.b64encode(self.password.encode()).decode()}"
        if self.password and given != wanted:
            return web.Response(status=401)
        return None

    def fault(self, request: web.Request) -> web.Response | None:
        path, offset = request.path, int(request.query.get("offset", "0"))
        self.meanwhile.pop(len(self.requests), lambda: None)()
        self.requests.append((path, dict(request.query)))
        waiting = self.faults.get((path, offset))
        return waiting.pop(0) if waiting else None

    def fail(self, path: str, offset: int, status: int, times: int = 1, **headers: str) -> None:
        answers = (web.Response(status=status, headers=headers) for _ in range(times))
        self.faults[path, offset] += answers

    def asked(self, path: str) -> list[dict[str, str]]:
        return [query for asked, query in self.requests if asked == path]

    async def status(self, request: web.Request) -> web.Response:
        refused = self.refused(request) or self.fault(request)
        return refused or web.json_response({"netbox-version": self.version})

    async def netbox_list(self, request: web.Request) -> web.Response:
        refused = self.refused(request) or self.fault(request)
        if refused is not None:
            return refused
        path, kind = request.match_info["path"], request.match_info["path"].rpartition("/")[2]
        if ENDPOINTS.get(kind, path) != path or (kind not in ENDPOINTS and kind not in self.tables):
            return web.json_response({"detail": "Not found."}, status=404)
        query = request.query
        items = sorted(self.tables.get(kind, []), key=lambda item: item["id"])
        if since := query.get("last_updated__gte"):
            items = [item for item in items if item["last_updated"] >= since]
        limit = min(int(query.get("limit", "50")), self.pages)
        offset = int(query.get("offset", "0"))
        page = {"count": len(items), "next": self.next_link, "previous": None}
        return web.json_response({**page, "results": items[offset : offset + limit]})

    async def tmf_resources(self, request: web.Request) -> web.Response:
        refused = self.refused(request) or self.fault(request)
        if refused is not None:
            return refused
        offset = int(request.query.get("offset", "0")) if self.offsets else 0
        limit = min(int(request.query.get("limit", "10")) if self.offsets else 10**9, self.pages)
        if not self.ends:
            offset = min(offset, max(len(self.resources) - limit, 0))
        page = self.resources[offset : offset + limit]
        whole = offset + len(page) >= len(self.resources) or not self.total
        status = 200 if whole else 206
        headers = {"X-Result-Count": str(len(page))}
        if self.total:
            headers["X-Total-Count"] = str(len(self.resources))
        return web.json_response(page, status=status, headers=headers)


@asynccontextmanager
async def serving(server: InventoryServer) -> AsyncIterator[InventoryServer]:
    app = web.Application()
    app.router.add_get("/api/status/", server.status)
    app.router.add_get("/api/{path:.+}/", server.netbox_list)
    app.router.add_get("/tmf-api/resourceInventoryManagement/v5/resource", server.tmf_resources)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    server.url = f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


# --- the dump of a real NetBox as its REST interface would show it --------------------------------

_MODELS = {
    "dcim": "region sitegroup site location rack manufacturer devicetype devicerole platform device"
    " module virtualchassis interface frontport rearport consoleport consoleserverport powerpanel"
    " powerfeed powerport poweroutlet cable inventoryitem",
    "circuits": "provider providernetwork circuittype circuit circuittermination",
    "ipam": "asn prefix ipaddress vlan vrf",
    "tenancy": "tenant",
    "virtualization": "cluster virtualmachine",
    "wireless": "wirelesslink wirelesslan",
}
_LISTS = {
    "sitegroup": "site-groups", "devicetype": "device-types", "devicerole": "device-roles",
    "virtualchassis": "virtual-chassis", "frontport": "front-ports", "rearport": "rear-ports",
    "consoleport": "console-ports", "consoleserverport": "console-server-ports",
    "powerpanel": "power-panels", "powerfeed": "power-feeds", "powerport": "power-ports",
    "poweroutlet": "power-outlets", "inventoryitem": "inventory-items",
    "virtualmachine": "virtual-machines",
    "providernetwork": "provider-networks", "circuittype": "circuit-types",
    "circuittermination": "circuit-terminations", "ipaddress": "ip-addresses",
    "wirelesslink": "wireless-links", "wirelesslan": "wireless-lans", "prefix": "prefixes",
}  # fmt: skip
_CHOICES = (
    "status type face airflow supply phase feed_leg mode duplex length_unit width outer_unit"
    " weight_unit rf_role poe_mode poe_type subdevice_role"
)
_REFERENCES = {
    "region": "dcim.region", "site": "dcim.site", "location": "dcim.location", "rack": "dcim.rack",
    "device_type": "dcim.devicetype", "manufacturer": "dcim.manufacturer",
    "platform": "dcim.platform", "device": "dcim.device", "module": "dcim.module",
    "power_panel": "dcim.powerpanel", "power_port": "dcim.powerport", "rear_port": "dcim.rearport",
    "virtual_chassis": "dcim.virtualchassis", "master": "dcim.device", "lag": "dcim.interface",
    "bridge": "dcim.interface", "cable": "dcim.cable", "circuit": "circuits.circuit",
    "provider": "circuits.provider", "provider_network": "circuits.providernetwork",
    "tenant": "tenancy.tenant", "vrf": "ipam.vrf", "cluster": "virtualization.cluster",
    "primary_ip4": "ipam.ipaddress", "primary_ip6": "ipam.ipaddress",
    "module_bay": "dcim.modulebay", "module_type": "dcim.moduletype",
}  # fmt: skip


class NetBoxDump:
    """A Django dump of NetBox 3.6, and its lists as one version or another shows them."""

    def __init__(self, objects: Iterable[Mapping[str, Any]]) -> None:
        self.by_model: dict[str, dict[int, Item]] = defaultdict(dict)
        self.count = 0
        for item in objects:
            self.count += 1
            if "pk" in item:
                self.by_model[item["model"]][item["pk"]] = item["fields"]

    def tables(self, version: str) -> dict[str, list[Item]]:
        """Return every list in the shape of a version."""
        new = tuple(map(int, version.split(".")[:2]))
        tables = {}
        for app, names in _MODELS.items():
            for name in names.split():
                model = f"{app}.{name}"
                kind = _LISTS.get(name, f"{name}s")
                items = self.by_model[model].items()
                tables[kind] = [self._shown(model, pk, fields, new) for pk, fields in items]
        return tables

    def _shown(self, model: str, pk: int, fields: Item, new: tuple[int, ...]) -> Item:
        item: Item = {"id": pk, "display": self._display(fields, pk)}
        for name, value in fields.items():
            if name.startswith("_"):
                continue
            if name == "custom_field_data":
                item["custom_fields"] = value
            elif name in _CHOICES.split() and not isinstance(value, int | type(None)):
                item[name] = {"value": value, "label": value.title()} if value else None
            elif target := self._target(model, name):
                item[name] = self._brief(target, value)
            else:
                item[name] = value
        if model == "dcim.device":
            item["primary_ip"] = item["primary_ip4"] or item["primary_ip6"]
            if new < (4, 0):
                item["device_role"] = item["role"]
            item["config_context"] = {}
        elif model == "dcim.cable":
            self._terminate(item, new)
        elif model == "dcim.frontport" and new >= (4, 5):
            rear, position = item.pop("rear_port"), item.pop("rear_port_position")
            item["rear_ports"] = [
                {"position": 1, "rear_port": rear["id"], "rear_port_position": position}
            ]
        elif model == "circuits.circuittermination" and new >= (4, 2):
            site, network = item.pop("site"), item.pop("provider_network")
            item["termination"] = site or network
            item["termination_type"] = (
                "dcim.site" if site else "circuits.providernetwork" if network else None
            )
        return item

    def _terminate(self, item: Item, new: tuple[int, ...]) -> None:
        item |= {"a_terminations": [], "b_terminations": []}
        for end in self.ends.get(item["id"], []):
            model = ".".join(end["termination_type"])
            shown = self._brief(model, end["termination_id"])
            assert shown is not None
            fields = self.by_model[model][end["termination_id"]]
            if "device" in fields:
                shown["device"] = self._brief("dcim.device", fields["device"])
            if "circuit" in fields:
                shown["circuit"] = self._brief("circuits.circuit", fields["circuit"])
            item[f"{end['cable_end'].lower()}_terminations"].append(
                {"object_type": model, "object_id": end["termination_id"], "object": shown}
            )

    @property
    def ends(self) -> dict[int, list[Item]]:
        if not hasattr(self, "_ends"):
            self._ends: dict[int, list[Item]] = defaultdict(list)
            for end in self.by_model["dcim.cabletermination"].values():
                self._ends[end["cable"]].append(end)
        return self._ends

    def _target(self, model: str, name: str) -> str:
        if name == "parent":
            return model
        if name == "role" and model in ("dcim.device", "dcim.rack"):
            return f"{model}role"
        if name == "role" and model == "virtualization.virtualmachine":
            return "dcim.devicerole"
        if name == "group" and model == "dcim.site":
            return "dcim.sitegroup"
        if name == "type" and model == "circuits.circuit":
            return "circuits.circuittype"
        return _REFERENCES.get(name, "")

    def _brief(self, model: str, pk: int | None) -> Item | None:
        if pk is None:
            return None
        fields = self.by_model[model][pk]
        brief = {"id": pk, "url": f"/api/{model}/{pk}/", "display": self._display(fields, pk)}
        if model == "dcim.devicetype":
            brief["manufacturer"] = self._brief("dcim.manufacturer", fields["manufacturer"])
        shown = ("name", "slug", "cid", "model", "address")
        return brief | {k: fields[k] for k in shown if k in fields}

    @staticmethod
    def _display(fields: Item, pk: int) -> str:
        return str(fields.get("name") or fields.get("cid") or fields.get("label") or f"#{pk}")


def shared_data(path: str) -> Path:
    """Return a file of the real data beside the checkout; skip the test where it is absent."""
    for parent in Path(__file__).resolve().parents:
        found = parent / "shared" / "data" / path
        if found.exists():
            return found
    pytest.skip(f"needs ../shared/data/{path}, which is not in this repository")


def netbox_dump() -> NetBoxDump:
    with gzip.open(shared_data("inventory/netbox-demo-v3.6.json.gz")) as file:
        return NetBoxDump(json.load(file))


def kinds_of(records: Iterable[Any]) -> Counter[str]:
    return Counter(record.kind for record in records)


@contextmanager
def serving_beside(server: InventoryServer) -> Iterator[InventoryServer]:
    """Serve from a thread and event loop of its own, for commands that run a loop themselves."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = serving(server)
    try:
        asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(START_MAX_S)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(
                START_MAX_S
            )
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_MAX_S)
        loop.close()
