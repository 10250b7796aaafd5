"""A resource inventory over HTTP, and the events that follow its list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync_agent.errors import InputError, ServiceError, UnauthorizedError
from sync_agent.inventory.record import SourceRead, complete_scopes
from sync_agent.sources.event_log import EventLog
from sync_agent.sources.http_client import HttpClient, anonymous, basic
from sync_agent.sources.tmf639 import SCOPES, Tmf639Source
from tests.inventory_server import InventoryServer, serving
from tests.unit.sources.memory_hub import MemoryHub

BASE = "/tmf-api/resourceInventoryManagement/v5"
LIST = f"{BASE}/resource"
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class Clock:
    now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


def resource(id_: str, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "@type": "PhysicalResource", "name": id_, **fields}


def event(kind: str, id_: str, time: str = "2026-01-01T02:00:00Z", **fields: Any) -> dict[str, Any]:
    return {
        "eventType": f"Resource{kind}Event",
        "eventTime": time,
        "event": {"resource": {"id": id_, **fields}},
    }


def source_of(server: InventoryServer, clock: Any = None, **options: Any) -> Tmf639Source:
    authorize = basic("me", lambda: "pw") if server.password else anonymous
    client = HttpClient(f"{server.url}{BASE}", authorize, timeout_s=5, retry_for_s=0)
    return Tmf639Source(client=client, page_size=2, clock_ms=clock or Clock(), **options)


async def read(server: InventoryServer, *scopes: str, **options: Any) -> SourceRead:
    async with serving(server):
        source = source_of(server, **options)
        try:
            return await source.read(scopes or SCOPES)
        finally:
            await source.close()


def names(read: SourceRead) -> dict[str, Any]:
    return {r.id: r.attributes.get("name") for r in read.records if r.kind == "resources"}


async def test_the_list_is_read_page_by_page() -> None:
    server = InventoryServer(resources=[resource(f"r{n}") for n in range(5)], password="me:pw")
    found = await read(server)
    assert len(found.records) == 5
    assert complete_scopes(found.coverage) == set(SCOPES)
    assert [q["offset"] for q in server.asked(LIST)] == ["0", "2"]


async def test_a_list_that_moved_while_it_was_read_is_not_whole() -> None:
    resources = [resource(f"r{n}") for n in range(5)]
    server = InventoryServer(resources=resources)

    def shift() -> None:
        resources.append(resource("r9"))
        del resources[0]

    server.meanwhile[1] = shift
    found = await read(server, "resources")
    assert complete_scopes(found.coverage) == frozenset()
    assert "changed while it was read" in found.diagnostics[0].message


async def test_a_folder_of_events_that_is_gone_leaves_the_list_but_not_as_the_whole(
    tmp_path: Path,
) -> None:
    server = InventoryServer(resources=[resource("r1")])
    found = await read(server, "resources", folder=tmp_path / "gone")
    assert names(found) == {"r1": "r1"}
    assert complete_scopes(found.coverage) == frozenset()
    assert "gone: is not a folder" in str(found.diagnostics[0])


async def test_what_stands_inside_a_resource_is_a_record_of_its_own() -> None:
    router = resource(
        "r1",
        place=[
            {"role": "installedAt", "place": {"id": "S1", "name": "North"}},
            {"role": "owner", "id": "S2"},
        ],
        resourceRelationship=[{"relationshipType": "reliesOn", "resource": {"id": "p1"}}],
        resourceCharacteristic=[{"name": "swVersion", "value": "7.9.2"}],
        externalIdentifier=[{"id": "x9", "owner": "ems"}],
        supportingResource=[{"id": "card1"}],
    )
    found = await read(InventoryServer(resources=[router]))
    by_kind = {record.kind: record.attributes for record in found.records[::-1]}
    assert by_kind["resources"]["characteristic.swVersion"] == "7.9.2"
    assert by_kind["resources"]["$externalIds"] == ["x9"]
    assert "characteristic.swVersion" in found.columns["resources"]
    assert found.columns["relationships"] == ("relationshipType", "resource", "$resource")
    assert by_kind["relationships"]["resource.id"] == "p1"
    assert by_kind["relationships"]["$resource"] == "r1"
    assert by_kind["places"]["place.id"] == "S1"
    assert found.records[3].attributes["place.id"] == "S2"
    assert by_kind["supporting"]["id"] == "card1"


async def test_a_list_without_a_total_is_read_until_a_page_is_empty() -> None:
    server = InventoryServer(resources=[resource(f"r{n}") for n in range(5)], pages=2, total=False)
    found = await read(server, "resources")
    assert len(found.records) == 5
    assert complete_scopes(found.coverage) == {"resources"}


async def test_a_list_without_a_total_whose_service_knows_no_offset_is_read_once() -> None:
    resources = [resource(f"r{n}") for n in range(5)]
    found = await read(InventoryServer(resources=resources, total=False, offsets=False))
    assert [record.id for record in found.records] == [f"r{n}" for n in range(5)]
    assert complete_scopes(found.coverage) == set(SCOPES)


@pytest.mark.parametrize(("most", "there"), [(3, 5), (3, 3), (1000, 3)])
async def test_a_service_that_knows_a_limit_but_no_offset_gave_what_may_be_a_part(
    most: int, there: int
) -> None:
    """As many as were asked for: that is where it was cut, or by chance all there is."""
    resources = [resource(f"r{n}") for n in range(there)]
    server = InventoryServer(resources=resources, total=False, offsets=False, pages=most)
    found = await read(server, "resources")
    assert len(found.records) == 3
    assert complete_scopes(found.coverage) == frozenset()
    assert "knows no offset" in found.diagnostics[0].message
    assert "page_size" in found.diagnostics[0].remedy


async def test_a_list_without_a_total_that_moved_between_short_pages_is_not_whole() -> None:
    resources = [resource(f"r{n}") for n in range(7)]
    server = InventoryServer(resources=resources, pages=2, total=False)
    server.meanwhile[2] = lambda: resources.pop(0)
    found = await read(server, "resources")
    assert complete_scopes(found.coverage) == frozenset()
    assert "changed while it was read" in found.diagnostics[0].message


async def test_a_list_of_more_pages_than_are_read_is_not_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sync_agent.sources.tmf639.PAGES_MAX", 2)
    server = InventoryServer(resources=[resource(f"r{n}") for n in range(5)], pages=1, total=False)
    found = await read(server, "resources")
    assert complete_scopes(found.coverage) == frozenset()
    assert "more than 2 pages" in found.diagnostics[0].message


@pytest.mark.parametrize("most", [1, 2])
async def test_a_service_that_gives_its_last_page_again_and_again_has_an_end(most: int) -> None:
    resources = [resource(f"r{n}") for n in range(5)]
    server = InventoryServer(resources=resources, pages=most, total=False, ends=False)
    found = await read(server, "resources")
    assert len(found.records) == 5
    assert complete_scopes(found.coverage) == {"resources"}
    assert len(server.asked(LIST)) < 10


async def test_the_single_place_of_version_4_is_a_place() -> None:
    site = {"id": "S1", "name": "North", "role": "installedAt", "@type": "PlaceRef"}
    found = await read(InventoryServer(resources=[resource("r1", place=site)]), "places")
    assert [record.attributes["place.id"] for record in found.records] == ["S1"]


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        ({"@type": "PhysicalResource", "@baseType": "Resource"}, "PhysicalResource"),
        ({"@type": "Antenna", "@baseType": "PhysicalResource"}, "PhysicalResource"),
        ({"@type": "Antenna"}, "Antenna"),
    ],
)
async def test_an_extension_is_of_the_type_it_extends(types: dict[str, str], kind: str) -> None:
    found = await read(InventoryServer(resources=[{"id": "r1", **types}]), "resources")
    assert found.records[0].attributes["$type"] == kind


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_a_list_that_fails_in_the_middle_is_not_whole(status: int) -> None:
    server = InventoryServer(resources=[resource(f"r{n}") for n in range(5)])
    server.fail(LIST, 2, status)
    found = await read(server, "resources")
    assert len(found.records) == 3
    assert complete_scopes(found.coverage) == frozenset()
    assert str(status) in found.diagnostics[0].message
    assert found.diagnostics[0].place.endswith("/resource")


async def test_refused_credentials_are_an_error() -> None:
    server = InventoryServer(resources=[resource("r1")], password="you:pw")
    async with serving(server):
        client = HttpClient(
            f"{server.url}{BASE}", basic("me", lambda: "x"), timeout_s=5, retry_for_s=0
        )
        with pytest.raises(UnauthorizedError):
            await Tmf639Source(client=client).read(["resources"])
        await client.close()


async def test_a_list_that_fails_later_keeps_what_was_known(tmp_path: Path) -> None:
    clock = Clock()
    server = InventoryServer(resources=[resource(f"r{n}") for n in range(5)])
    async with serving(server):
        source = source_of(server, clock, folder=tmp_path, full_every_s=10)
        await source.read(["resources"])
        clock.now_ms += 60_000
        server.fail(LIST, 2, 503)
        found = await source.read(["resources"])
        assert len(found.records) == 5
        assert complete_scopes(found.coverage) == frozenset()
        found = await source.read(["resources"])
        assert complete_scopes(found.coverage) == {"resources"}
        await source.close()


async def test_what_was_wrong_with_events_is_over_when_the_list_was_read_again(
    tmp_path: Path,
) -> None:
    clock, hub = Clock(), MemoryHub()
    hub.send(b"{")
    (tmp_path / "bad.json").write_text("{")
    async with serving(InventoryServer(resources=[resource("r0")])) as server:
        log = EventLog(hub.connect, wait_max_s=5)
        source = source_of(server, clock, folder=tmp_path, log=log, full_every_s=10)
        for _ in range(2):
            found = await source.read(["resources"])
            assert [d.place for d in found.diagnostics] == ["partition 0 event 0", "bad.json"]
            assert complete_scopes(found.coverage) == frozenset()
        (tmp_path / "bad.json").unlink()
        clock.now_ms += 60_000
        found = await source.read(["resources"])
        assert found.diagnostics == ()
        assert complete_scopes(found.coverage) == {"resources"}
        await source.close()


async def test_events_after_the_list_are_applied_in_order_of_time(tmp_path: Path) -> None:
    events = [
        event("Delete", "r1"),
        event("AttributeValueChange", "r0", name="later", time="2026-01-01T03:00:00Z"),
        event("StateChange", "r0", operationalState="disabled", name="earlier"),
        event("Create", "r9", name="new"),
        event("AttributeValueChange", "r2", name="before the list", time="2025-12-31T00:00:00Z"),
    ]
    (tmp_path / "events.ndjson").write_text("\n".join(map(json.dumps, events)))
    server = InventoryServer(resources=[resource(f"r{n}") for n in range(3)])
    found = await read(server, "resources", folder=tmp_path)
    assert names(found) == {"r0": "later", "r2": "r2", "r9": "new"}
    assert found.records[0].attributes["operationalState"] == "disabled"
    assert found.records[0].attributes["@type"] == "PhysicalResource"
    assert found.gone == {"r1"}


async def test_a_list_read_after_a_deletion_has_the_last_word(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "e.json").write_text(json.dumps(event("Delete", "r0")))
    server = InventoryServer(resources=[resource("r0")])
    async with serving(server):
        source = source_of(server, clock, folder=tmp_path, full_every_s=1)
        assert names(await source.read(["resources"])) == {}
        clock.now_ms += 24 * 3_600_000
        assert names(await source.read(["resources"])) == {"r0": "r0"}
        await source.close()


async def test_events_of_a_hub_alone_are_an_inventory() -> None:
    hub = MemoryHub()
    hub.send(json.dumps(event("Create", "r1", name="one")).encode())
    source = Tmf639Source(log=EventLog(hub.connect, wait_max_s=5))
    assert names(await source.read(["resources"])) == {"r1": "one"}
    hub.send(json.dumps(event("Delete", "r1", "2026-01-02T00:00:00Z")).encode(), b"{")
    found = await source.read(["resources"])
    assert names(found) == {}
    assert found.diagnostics[0].place == "partition 0 event 2"
    assert complete_scopes(found.coverage) == frozenset()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ('{"eventType": "ProductCreateEvent"}', "is none of a resource inventory"),
        (json.dumps({**event("Create", "x"), "event": {}}), "has no resource with an id"),
        (json.dumps({**event("Create", "x"), "eventTime": None}), "has no eventTime"),
        (json.dumps({**event("Create", "x"), "eventTime": "today"}), "is not a date-time"),
        ("7", "is none of a resource inventory"),
        ("[" * 100_000, "is no JSON"),
        ("\ufffe", "is no JSON"),
    ],
)
async def test_a_file_of_events_that_makes_no_sense_is_told(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "bad.json").write_text(text)
    source = Tmf639Source(folder=tmp_path)
    found = await source.read(["resources"])
    assert found.diagnostics[0].place == "bad.json"
    assert said in found.diagnostics[0].message
    assert complete_scopes(found.coverage) == frozenset()


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("events.ndjson", "{}\n\n[7]\n{}\n", "events.ndjson:3[0]"),
        ("events.json", "[{}, 7, {}]", "events.json[1]"),
    ],
)
async def test_one_bad_event_is_told_with_its_place_and_the_others_count(
    tmp_path: Path, name: str, text: str, place: str
) -> None:
    one, two = (json.dumps(event("Create", f"r{n}", name=f"r{n}")) for n in (1, 2))
    (tmp_path / name).write_text(text.replace("{}", one, 1).replace("{}", two, 1))
    found = await Tmf639Source(folder=tmp_path).read(["resources"])
    assert names(found) == {"r1": "r1", "r2": "r2"}
    assert [d.place for d in found.diagnostics] == [place]
    assert complete_scopes(found.coverage) == frozenset()


async def test_of_many_bad_events_of_files_the_first_are_told_and_how_many_more(
    tmp_path: Path,
) -> None:
    good = json.dumps(event("Create", "r1", name="r1"))
    (tmp_path / "events.ndjson").write_text("7\n" * 5_000 + good)
    found = await Tmf639Source(folder=tmp_path).read(["resources"])
    assert names(found) == {"r1": "r1"}
    assert len(found.diagnostics) == 101
    assert found.diagnostics[0].place == "events.ndjson:1"
    assert "4,900 more events could not be used" in found.diagnostics[-1].message


async def test_one_bad_event_of_a_message_leaves_the_others(tmp_path: Path) -> None:
    hub = MemoryHub()
    hub.send(json.dumps([event("Create", "r1", name="one"), {"eventType": "x"}]).encode())
    found = await Tmf639Source(log=EventLog(hub.connect, wait_max_s=5)).read(["resources"])
    assert names(found) == {"r1": "one"}
    assert [d.place for d in found.diagnostics] == ["partition 0 event 0[1]"]


async def test_an_unknown_scope_is_told() -> None:
    with pytest.raises(InputError, match="there is no devices in a resource inventory"):
        await Tmf639Source().read(["devices"])


async def test_what_is_no_list_is_told() -> None:
    async with serving(InventoryServer(resources=[{"no": "id"}])) as server:
        source = source_of(server)
        with pytest.raises(ServiceError, match="without an id"):
            await source.read(["resources"])
        await source.close()


async def test_check_tells_how_many_there_are(tmp_path: Path) -> None:
    async with serving(InventoryServer(resources=[resource("r1")])) as server:
        source = source_of(server, folder=tmp_path)
        assert "1 resources at" in await source.check()
        await source.close()
