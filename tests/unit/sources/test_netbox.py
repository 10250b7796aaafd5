"""NetBox lists: pages, versions, what fails in the middle, and what changed since."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiohttp import web

from sync_agent.errors import InputError, NotFoundError, UnauthorizedError
from sync_agent.inventory.mapping import map_records, parse_mapping
from sync_agent.inventory.record import SourceRead, complete_scopes
from sync_agent.settings.shipped import shipped_default
from sync_agent.sources.http_client import HttpClient, anonymous, bearer
from sync_agent.sources.netbox import NetBoxSource
from sync_agent.sources.netbox_shape import in_one_shape
from sync_agent.sources.netbox_trace import DERIVED, CablePlant
from tests.inventory_server import InventoryServer, Item, serving
from tests.telecom_mapping import telecom

DEVICES = "/api/dcim/devices/"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def device(number: int, day: int = 1, **fields: Any) -> Item:
    stamp = f"2026-01-{day:02}T00:00:00Z"
    return {"id": number, "name": f"r{number}", "last_updated": stamp, **fields}


def source_of(
    server: InventoryServer,
    *,
    page_size: int = 2,
    retry_for_s: float = 0,
    clock: Any = time.monotonic,
) -> NetBoxSource:
    authorize = bearer(lambda: server.token, lambda _: "Token") if server.token else anonymous
    client = HttpClient(server.url, authorize, timeout_s=5, retry_for_s=retry_for_s)
    return NetBoxSource(
        client, page_size=page_size, records_max=1000, full_every_s=3600, clock_s=clock
    )


async def read(server: InventoryServer, *scopes: str, **options: Any) -> SourceRead:
    async with serving(server):
        source = source_of(server, **options)
        try:
            return await source.read(scopes)
        finally:
            await source.close()


def ids(read: SourceRead) -> list[str]:
    return [record.id for record in read.records]


async def test_a_list_is_read_page_by_page_and_is_whole() -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 6)]})
    result = await read(server, "devices")
    assert ids(result) == ["1", "2", "3", "4", "5"]
    assert complete_scopes(result.coverage) == {"devices"}
    assert [q["offset"] for q in server.asked(DEVICES)] == ["0", "2"]
    assert server.asked(DEVICES)[0]["exclude"] == "config_context"


async def test_a_server_that_gives_smaller_pages_is_read_to_its_end() -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 8)]}, pages=3)
    assert len(ids(await read(server, "devices", page_size=1000))) == 7


def shifting(server: InventoryServer, times: int) -> None:
    """Delete a device and create another after each first page: their number stays."""

    def shift() -> None:
        devices = server.tables["devices"]
        devices.append(device(devices[-1]["id"] + 1))
        del devices[0]

    per_try = 2  # the page in front of the shift, and the one that shows it
    server.meanwhile |= {1 + per_try * n: shift for n in range(times)}


async def test_a_list_that_moved_while_it_was_read_is_read_again() -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 11)]})
    shifting(server, 1)
    result = await read(server, "devices", page_size=5)
    assert ids(result) == [str(n) for n in range(2, 12)]
    assert complete_scopes(result.coverage) == {"devices"}


async def test_a_list_that_keeps_moving_is_not_whole() -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 11)]})
    shifting(server, 2)
    result = await read(server, "devices", page_size=5)
    assert complete_scopes(result.coverage) == frozenset()
    assert "changed while it was read" in result.diagnostics[0].message


async def test_objects_that_come_and_go_behind_the_reader_do_no_harm() -> None:
    devices = [device(n) for n in range(1, 9)]
    server = InventoryServer({"devices": devices})
    server.meanwhile = {1: lambda: devices.append(device(9)), 2: lambda: devices.pop(-2)}
    result = await read(server, "devices", page_size=3)
    assert ids(result) == ["1", "2", "3", "4", "5", "6", "7", "9"]
    assert complete_scopes(result.coverage) == {"devices"}


async def test_a_server_with_smaller_pages_must_keep_its_number_instead() -> None:
    devices = [device(n) for n in range(1, 9)]
    server = InventoryServer({"devices": devices}, pages=3)
    server.meanwhile = dict.fromkeys(range(1, 6), devices.pop)
    result = await read(server, "devices", page_size=500)
    assert complete_scopes(result.coverage) == frozenset()
    assert "changed while it was read" in result.diagnostics[0].message


async def test_an_object_that_stands_on_two_pages_makes_the_list_not_whole() -> None:
    server = InventoryServer({"devices": [device(n) for n in (1, 2, 2, 3)]})
    result = await read(server, "devices")
    assert complete_scopes(result.coverage) == frozenset()


async def test_a_link_to_a_next_page_elsewhere_is_not_followed() -> None:
    elsewhere = InventoryServer({"devices": [device(99)]})
    server = InventoryServer({"devices": [device(n) for n in range(1, 5)]}, token="t0")
    async with serving(elsewhere):
        server.next_link = f"{elsewhere.url}{DEVICES}?offset=2"
        result = await read(server, "devices")
    assert ids(result) == ["1", "2", "3", "4"]
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "page",
    [
        "[]", "null", "{}", '{"count": 1}', '{"count": "1", "results": []}',
        '{"count": 1, "results": {}}', '{"count": 1, "results": [7]}',
        '{"count": 1, "results": [{"id": "1"}]}', '{"count": 1, "results": [{"name": "x"}]}',
    ],
)  # fmt: skip
async def test_a_page_of_the_wrong_shape_is_told(page: str) -> None:
    server = InventoryServer({"devices": [device(1)], "sites": [device(1)]})
    server.faults[DEVICES, 0].append(web.Response(text=page))
    result = await read(server, "devices", "sites")
    assert complete_scopes(result.coverage) == {"sites"}
    assert result.diagnostics[0].place == f"{server.url}{DEVICES}"
    assert result.diagnostics[0].remedy


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("cables", {"a_terminations": [{"object_type": "dcim.interface"}]}),
        ("cables", {"a_terminations": [{"object_type": ["x"], "object_id": 1}]}),
        ("cables", {"b_terminations": {"object_id": 1}}),
        ("cables", {"b_terminations": [7]}),
        (
            "cables",
            {"b_terminations": [{"object_type": "dcim.interface", "object_id": 1, "object": 5}]},
        ),
        ("front-ports", {"rear_ports": "1"}),
        ("front-ports", {"rear_port": {"id": 1}, "rear_port_position": [1]}),
        ("rear-ports", {"positions": "2"}),
    ],
)
async def test_an_object_that_cannot_be_followed_is_left_out_and_told(kind: str, odd: Item) -> None:
    server = InventoryServer({kind: [{"id": 7, **odd}, {"id": 8}], "sites": [device(1)]})
    result = await read(server, "links", kind, "sites")
    assert [r.id for r in result.records if r.kind == kind] == ["8"]
    assert complete_scopes(result.coverage) == {"sites"}
    (fault,) = result.diagnostics
    assert f"{kind}/7/ cannot be used" in fault.message


@pytest.mark.parametrize("status", [401, 403, 500, 503, 404])
async def test_a_list_that_fails_in_the_middle_is_not_whole_and_keeps_what_came(
    status: int,
) -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 6)], "sites": [device(1)]})
    server.fail(DEVICES, 2, status)
    result = await read(server, "devices", "sites")
    assert [r.id for r in result.records if r.kind == "devices"] == ["1", "2"]
    assert complete_scopes(result.coverage) == {"sites"}
    (fault,) = result.diagnostics
    assert fault.place == f"{server.url}{DEVICES}"
    assert str(status) in fault.message
    assert fault.remedy


async def test_what_is_derived_from_a_list_that_failed_is_not_whole_either() -> None:
    server = InventoryServer({"sites": [device(1)]})
    server.fail("/api/dcim/cables/", 0, 403)
    result = await read(server, "links", "power-paths", "cable-ends", "sites")
    assert complete_scopes(result.coverage) == {"sites"}
    assert len(result.diagnostics) == 1


async def test_a_failure_for_the_moment_is_tried_again() -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 4)]})
    server.fail(DEVICES, 2, 503, times=2)
    result = await read(server, "devices", retry_for_s=10)
    assert complete_scopes(result.coverage) == {"devices"}


async def test_refused_credentials_are_an_error_and_no_empty_inventory() -> None:
    server = InventoryServer({"devices": [device(1)]}, token="right")
    async with serving(server):
        client = HttpClient(server.url, bearer(lambda: "wrong"), timeout_s=5, retry_for_s=0)
        source = NetBoxSource(client, page_size=2, records_max=10, full_every_s=1)
        with pytest.raises(UnauthorizedError):
            await source.read(["devices"])
        with pytest.raises(UnauthorizedError):
            await source.check()
        await source.close()


async def test_a_token_that_cannot_be_read_is_an_error_of_its_own() -> None:
    def gone() -> str:
        raise InputError("cannot be read", place="/run/secrets/netbox")

    async with serving(InventoryServer({"devices": [device(1)]})) as server:
        client = HttpClient(server.url, bearer(gone), timeout_s=5, retry_for_s=0)
        source = NetBoxSource(client, page_size=2, records_max=10, full_every_s=1)
        with pytest.raises(InputError, match="/run/secrets/netbox"):
            await source.read(["devices", "sites"])
        await source.close()


async def test_a_list_longer_than_allowed_is_not_whole() -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 1100)]}, pages=1000)
    result = await read(server, "devices", page_size=1000)
    assert complete_scopes(result.coverage) == frozenset()
    assert "more than 1,000 objects" in result.diagnostics[0].message


async def test_an_unknown_list_is_told_with_those_there_are() -> None:
    with pytest.raises(InputError, match="there is no list gadgets") as raised:
        await read(InventoryServer(), "gadgets")
    assert "devices" in raised.value.remedy


@pytest.mark.parametrize("path", ["vpn/tunnels", "plugins/bgp/session", "dcim/devices"])
async def test_any_list_can_be_named_by_its_path(path: str) -> None:
    kind = path.rpartition("/")[2]
    server = InventoryServer({kind: [device(1)]})
    result = await read(server, path)
    assert [record.kind for record in result.records] == [path]
    assert complete_scopes(result.coverage) == {path}
    assert len(server.asked(f"/api/{path}/")) == 1


async def test_a_list_this_netbox_does_not_have_is_not_whole() -> None:
    result = await read(InventoryServer({"devices": [device(1)]}), "devices", "vpn/nothing")
    assert ids(result) == ["1"]
    assert complete_scopes(result.coverage) == {"devices"}
    (fault,) = result.diagnostics
    assert fault.place.endswith("/api/vpn/nothing/")
    assert "is not there (404)" in fault.message
    assert "this NetBox lacks the list" in fault.remedy


async def test_an_address_with_the_path_of_the_interface_is_told() -> None:
    async with serving(InventoryServer()) as server:
        server.url += "/api"
        source = source_of(server)
        with pytest.raises(NotFoundError) as caught:
            await source.check()
        await source.close()
    assert caught.value.remedy == "set url to NetBox's address without /api"


async def test_a_second_reading_asks_only_for_what_changed() -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 6)]})
    async with serving(server):
        source = source_of(server)
        first = await source.read(["devices"])
        server.tables["devices"][1] = device(2, day=9, name="new")
        server.requests.clear()
        second = await source.read(["devices"])
        await source.close()
    assert len(second.records) == 5
    assert next(r for r in second.records if r.id == "2").attributes["name"] == "new"
    assert second.digest != first.digest
    asked = server.asked(DEVICES)
    assert all("last_updated__gte" in q or q["limit"] == "1" for q in asked)


async def test_a_change_whose_transaction_ended_after_a_newer_one_is_seen() -> None:
    server = InventoryServer({"devices": [device(1, day=9), device(2)]})
    async with serving(server):
        source = source_of(server)
        await source.read(["devices"])
        late = {**device(2, name="late"), "last_updated": "2026-01-08T23:58:00Z"}
        server.tables["devices"][1] = late
        result = await source.read(["devices"])
        await source.close()
    assert result.records[1].attributes["name"] == "late"


async def test_the_same_objects_have_the_same_digest() -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 6)]})
    async with serving(server):
        one, other = source_of(server), source_of(server, page_size=4)
        assert (await one.read(["devices"])).digest == (await other.read(["devices"])).digest
        await one.close()
        await other.close()


@pytest.mark.parametrize("created", [False, True])
async def test_a_deletion_is_seen_by_the_number_of_objects(created: bool) -> None:
    server = InventoryServer({"devices": [device(n) for n in range(1, 6)]})
    async with serving(server):
        source = source_of(server)
        await source.read(["devices"])
        del server.tables["devices"][2]
        if created:
            server.tables["devices"].append(device(9, day=9))
        result = await source.read(["devices"])
        await source.close()
    assert "3" not in ids(result)
    assert complete_scopes(result.coverage) == {"devices"}


async def test_everything_is_read_again_from_time_to_time() -> None:
    clock = Clock()
    server = InventoryServer({"devices": [device(1)]})
    async with serving(server):
        source = source_of(server, clock=clock)
        await source.read(["devices"])
        clock.now_s = 4000
        server.tables["devices"][0]["name"] = "changed without a stamp"
        result = await source.read(["devices"])
        await source.close()
    assert result.records[0].attributes["name"] == "changed without a stamp"


def test_old_and_new_shapes_are_one() -> None:
    role = {"id": 1, "slug": "router"}
    old = in_one_shape("devices", {"id": 1, "device_role": role})
    new = in_one_shape("devices", {"id": 1, "role": role})
    assert old == new
    before = {"id": 1, "rear_port": {"id": 5}, "rear_port_position": 2}
    mapping = [{"position": 1, "rear_port": 5, "rear_port_position": 2}]
    assert in_one_shape("front-ports", before)["rear_ports"] == mapping
    site = {"id": 3, "slug": "s"}
    end = {"id": 1, "termination_type": "dcim.site", "termination": site}
    assert in_one_shape("circuit-terminations", end)["site"] == site
    cable = {"id": 1, "length": 3.0, "length_unit": {"value": "ft"}}
    assert in_one_shape("cables", cable)["length_metres"] == 0.9144


async def test_the_shipped_mapping_makes_a_radio_link_of_a_wireless_link() -> None:
    ends = {
        f"interface_{end}": {"id": n, "name": "air0", "device": {"id": n, "name": f"r{n}"}}
        for n, end in enumerate("ab", 1)
    }
    unit = {"value": "km", "label": "Kilometers"}
    link = {"id": 7, "distance": 12.5, "distance_unit": unit, "last_updated": "2026-01-01", **ends}
    mapping = parse_mapping(shipped_default("netbox.toml").read_text(), place="netbox.toml")
    found = await read(
        InventoryServer({"devices": [device(1), device(2)], "wireless-links": [link]}),
        *mapping.scopes,
    )
    graph = map_records(mapping, found.records, telecom())
    assert graph.diagnostics == ()
    radio = graph.desired.twins["wireless-link-7"]
    assert radio.model == "dtmi:telecom:transport:MicrowaveLink;1"
    assert (radio.properties["displayLabel"], radio.properties["hopLength"]) == ("r1 - r2", 12.5)
    edges = graph.desired.relationships.values()
    assert sorted((e.name, e.target) for e in edges if e.source == radio.id) == [
        ("aEnd", "device-1"),
        ("zEnd", "device-2"),
    ]


def cable(number: int, a: list[tuple[str, int]], b: list[tuple[str, int]]) -> Item:
    def ends(nodes: list[tuple[str, int]]) -> list[Item]:
        return [
            {
                "object_type": f"dcim.{kind}",
                "object_id": n,
                "object": {"id": n, "device": {"id": n}},
            }
            for kind, n in nodes
        ]

    return {"id": number, "a_terminations": ends(a), "b_terminations": ends(b)}


def by_id(items: list[Item], kind: str) -> dict[int, Item]:
    return {item["id"]: in_one_shape(kind, item) for item in items}


def panel_plant() -> dict[str, dict[int, Item]]:
    """Return two panels joined by a trunk of two positions, two interfaces at each."""
    fronts = [
        {"id": 10 * panel + at, "rear_port": {"id": panel}, "rear_port_position": at}
        for panel in (1, 2)
        for at in (1, 2)
    ]
    cables = [
        cable(1, [("interface", 101)], [("frontport", 11)]),
        cable(2, [("interface", 102)], [("frontport", 12)]),
        cable(3, [("rearport", 1)], [("rearport", 2)]),
        cable(4, [("frontport", 21)], [("interface", 201)]),
        cable(5, [("frontport", 22)], [("interface", 202)]),
    ]
    return {
        "cables": by_id(cables, "cables"),
        "front-ports": by_id(fronts, "front-ports"),
        "rear-ports": by_id([{"id": 1, "positions": 2}, {"id": 2, "positions": 2}], "rear-ports"),
        "circuit-terminations": {},
    }


def test_each_position_of_a_trunk_leads_to_its_own_end() -> None:
    found = list(DERIVED["links"][1](panel_plant()))
    assert [(f["a_id"], f["z_id"]) for f in found] == [(101, 201), (102, 202)]
    assert found[0]["cables"] == [1, 3, 4]
    assert found[0]["panels"] == 2


def test_a_path_that_ends_in_a_panel_is_no_link() -> None:
    plant = panel_plant()
    del plant["cables"][4]
    assert [f["a_id"] for f in DERIVED["links"][1](plant)] == [102]


def test_a_ring_of_cables_does_not_go_on_for_ever() -> None:
    plant = panel_plant()
    plant["cables"] = by_id(
        [
            cable(1, [("interface", 101)], [("frontport", 11)]),
            cable(2, [("rearport", 1)], [("frontport", 12)]),
        ],
        "cables",
    )
    assert list(DERIVED["links"][1](plant)) == []


def test_a_cable_that_splits_joins_an_interface_with_each_of_its_ends() -> None:
    plant = {
        "cables": by_id(
            [cable(1, [("interface", 1)], [("interface", 2), ("interface", 3)])], "cables"
        ),
        "front-ports": {}, "rear-ports": {}, "circuit-terminations": {},
    }  # fmt: skip
    assert [(f["a_id"], f["z_id"]) for f in DERIVED["links"][1](plant)] == [(1, 2), (1, 3)]


def test_an_interface_is_followed_along_all_cables_of_the_ports_it_is_split_to() -> None:
    """A cord of two fibres whose fibres go on to different devices."""
    plant = panel_plant()
    plant["cables"] = by_id(
        [
            cable(1, [("interface", 101)], [("frontport", 11), ("frontport", 12)]),
            cable(3, [("rearport", 1)], [("rearport", 2)]),
            cable(4, [("frontport", 21)], [("interface", 201)]),
            cable(5, [("frontport", 22)], [("interface", 202)]),
        ],
        "cables",
    )
    found = list(DERIVED["links"][1](plant))
    assert [(f["a_id"], f["z_id"]) for f in found] == [(101, 201), (101, 202)]
    assert found[0]["cables"] == [1, 3, 4, 5]


@pytest.mark.parametrize("entered", [(11, 22), (11, 12, 21), (21, 11, 22, 12)])
def test_trunks_side_by_side_keep_the_positions_each_was_entered_at(
    entered: tuple[int, ...],
) -> None:
    """Fibres of one interface over two trunks: port 12 is position 2 of the first, behind is 32."""
    fronts = [
        {"id": 10 * panel + at, "rear_port": {"id": panel}, "rear_port_position": at}
        for panel in (1, 2, 3, 4)
        for at in (1, 2)
    ]
    cables = [
        cable(1, [("interface", 101)], [("frontport", port) for port in entered]),
        cable(2, [("rearport", 1)], [("rearport", 3)]),
        cable(3, [("rearport", 2)], [("rearport", 4)]),
        *(cable(port, [("frontport", port)], [("interface", port)]) for port in (31, 32, 41, 42)),
    ]
    rears = [{"id": n, "positions": 2} for n in (1, 2, 3, 4)]
    plant = {
        "cables": by_id(cables, "cables"),
        "front-ports": by_id(fronts, "front-ports"),
        "rear-ports": by_id(rears, "rear-ports"),
        "circuit-terminations": {},
    }
    path = CablePlant.of(plant).path(("dcim.interface", 101))
    assert path is not None
    assert {port for _, port in path.ends} == {port + 20 for port in entered}


def test_a_cable_to_ends_of_different_kinds_is_followed_from_its_other_side_alone() -> None:
    ends = [("interface", 2), ("frontport", 3)]
    plant = {
        "cables": by_id([cable(1, [("interface", 1)], ends)], "cables"),
        "front-ports": {}, "rear-ports": {}, "circuit-terminations": {},
    }  # fmt: skip
    found = list(DERIVED["links"][1](plant))
    assert [(f["a_id"], f["z_id"]) for f in found] == [(1, 2)]


def test_power_is_followed_through_outlets_to_the_feed() -> None:
    objects = {
        "cables": by_id(
            [
                cable(1, [("powerport", 1)], [("poweroutlet", 1)]),
                cable(2, [("powerport", 9)], [("powerfeed", 7)]),
                cable(3, [("powerport", 2)], [("powerfeed", 8)]),
            ],
            "cables",
        ),
        "power-ports": {
            1: {"id": 1, "name": "PSU0", "device": {"id": 50}},
            2: {"id": 2, "name": "PSU1", "device": {"id": 50}},
            9: {"id": 9, "name": "in", "device": {"id": 60}},
        },
        "power-outlets": {1: {"id": 1, "device": {"id": 60}, "power_port": {"id": 9}}},
        "power-feeds": {
            7: {"id": 7, "power_panel": {"id": 3}},
            8: {"id": 8, "power_panel": {"id": 4}},
        },
    }
    first, second, pdu = DERIVED["power-paths"][1](objects)
    assert (first["device"], first["pdu"], first["feed"], first["panel"]) == (50, 60, 7, 3)
    assert (first["hops"], first["protection"]) == (2, "redundant")
    assert (second["pdu"], second["feed"]) == (None, 8)
    assert (pdu["device"], pdu["protection"]) == (60, "series")
