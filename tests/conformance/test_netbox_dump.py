"""A real NetBox's 6,915 objects over HTTP, its own recorded cable paths as the oracle."""

from __future__ import annotations

import pytest

from sync_agent.inventory.record import complete_scopes
from sync_agent.sources.http_client import HttpClient, bearer
from sync_agent.sources.netbox import ENDPOINTS, NetBoxSource
from sync_agent.sources.netbox_shape import in_one_shape
from sync_agent.sources.netbox_trace import CABLE, DERIVED, CablePlant
from tests.inventory_server import InventoryServer, NetBoxDump, kinds_of, netbox_dump, serving

pytestmark = pytest.mark.real_data

CONTENT_TYPES = {
    32: "dcim.interface",
    15: "circuits.circuittermination", 18: "circuits.providernetwork", 19: CABLE,
    42: "dcim.powerport", 39: "dcim.poweroutlet",
}  # fmt: skip


@pytest.fixture(scope="module")
def dump() -> NetBoxDump:
    return netbox_dump()


def source_of(server: InventoryServer, page_size: int = 100) -> NetBoxSource:
    client = HttpClient(
        server.url, bearer(lambda: server.token, lambda _: "Token"), timeout_s=10, retry_for_s=2
    )
    return NetBoxSource(client, page_size=page_size, records_max=100_000, full_every_s=3600)


def test_the_dump_is_the_whole_of_it(dump: NetBoxDump) -> None:
    assert dump.count == 6915


@pytest.mark.parametrize("version", ["3.6.9", "4.0.11", "4.2.5", "4.5.0"])
async def test_every_list_is_read_whole_and_means_the_same_in_every_version(
    dump: NetBoxDump, version: str
) -> None:
    tables = dump.tables(version)
    server = InventoryServer(tables, version=version, token="t0")
    async with serving(server):
        source = source_of(server)
        assert version in await source.check()
        scopes = (*ENDPOINTS, *DERIVED)
        read = await source.read(scopes)
        await source.close()
    assert read.diagnostics == ()
    assert complete_scopes(read.coverage) == set(scopes)
    found = kinds_of(read.records)
    assert found["devices"] == 72
    assert found["interfaces"] == 1586
    assert found["cables"] == 108
    assert found["cable-ends"] == 216
    assert found["circuits"] == 29
    assert found["power-feeds"] == 48
    assert found["power-paths"] == 26
    roles = {r.attributes.get("role.slug") for r in read.records if r.kind == "devices"}
    assert {"router", "pdu", "patch-panel"} <= roles
    joined = [r for r in read.records if r.kind == "links"]
    assert {r.id for r in joined} == recorded_links(dump)
    assert any(r.attributes["panels"] for r in joined)


@pytest.mark.parametrize("version", ["3.6.9", "4.5.0"])
def test_paths_are_those_netbox_recorded(dump: NetBoxDump, version: str) -> None:
    types = content_types(dump)
    tables = dump.tables(version)
    objects = {
        kind: {item["id"]: in_one_shape(kind, item) for item in tables[kind]}
        for kind in ("cables", "front-ports", "rear-ports", "circuit-terminations")
    }
    plant = CablePlant.of(objects)
    for recorded in dump.by_model["dcim.cablepath"].values():
        steps = [
            {(types[int(t)], int(n)) for t, n in (node.split(":") for node in step)}
            for step in recorded["path"]
        ]
        (origin,) = steps[0]
        path = plant.path(origin)
        assert path is not None
        assert [set(step) for step in path.steps] == steps
        assert path.complete == recorded["is_complete"]


def recorded_links(dump: NetBoxDump) -> set[str]:
    """Return the ids of links by NetBox's own paths."""
    types = content_types(dump)
    found = set()
    for recorded in dump.by_model["dcim.cablepath"].values():
        first, last = recorded["path"][0][0], recorded["path"][-1][0]
        ends = [(types[int(t)], int(n)) for t, n in (e.split(":") for e in (first, last))]
        if recorded["is_complete"] and ends[0][0] == "dcim.interface":
            pair = sorted(ends) if ends[1][0] == "dcim.interface" else ends
            found.add("--".join(f"{kind.rpartition('.')[2]}-{n}" for kind, n in pair))
    return found


def content_types(dump: NetBoxDump) -> dict[int, str]:
    """Return the object type behind each number of the recorded paths."""
    numbers = {
        int(node.partition(":")[0])
        for path in dump.by_model["dcim.cablepath"].values()
        for step in path["path"]
        for node in step
    } - set(CONTENT_TYPES)
    front, rear = sorted(numbers)  # front ports come before rear ports in the dump's numbering
    return {**CONTENT_TYPES, front: "dcim.frontport", rear: "dcim.rearport"}
