"""Event routes and what they put into the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sync_agent.stub.adt.routes import ROUTES_MAX, waiting
from tests.unit.stub.adt.plane import ROOM, Plane, twin


@pytest.fixture
def plane() -> Iterator[Plane]:
    plane = Plane(endpoints={"hub": "telemetry", "other": "o"}, host="adt.localhost")
    yield plane
    plane.close()


def route(plane: Plane, name: str = "r", text: str = "true", endpoint: str = "hub") -> Any:
    return plane.ask("PUT", f"/eventroutes/{name}", {"endpointName": endpoint, "filter": text})


def told(plane: Plane) -> list[tuple[str, str, Any]]:
    """Return type, subject and data of what waits."""
    return [
        (
            item.properties["cloudEvents:type"].removeprefix("Microsoft.DigitalTwins."),
            item.properties.get("cloudEvents:subject", ""),
            msgspec.json.decode(item.body),
        )
        for item in waiting(plane.db, 100)
    ]


def test_a_route_is_made_read_replaced_and_deleted(plane: Plane) -> None:
    assert route(plane).status == 204
    shown = {"id": "r", "endpointName": "hub", "filter": "true"}
    assert plane.ask("GET", "/EventRoutes/r").body == shown
    assert route(plane, text="false").status == 204
    assert plane.ask("GET", "/eventroutes").body["value"] == [{**shown, "filter": "false"}]
    assert plane.ask("DELETE", "/eventroutes/r").status == 204
    assert plane.ask("DELETE", "/eventroutes/r").code == "EventRouteNotFound"
    assert plane.ask("GET", "/eventroutes/r").status == 404


def test_all_events_of_a_twin_stay_in_order_whatever_its_id_looks_like(plane: Plane) -> None:
    route(plane)
    for name in ("site/1", "site/2"):
        plane.put(name)
    plane.patch("site/1", {"op": "add", "path": "/label", "value": "x"})
    plane.link("site/1", "a/b", "site/2", **{"$relationshipName": "next"})
    edge = f"{twin('site/1')}/relationships/a%2Fb"
    assert plane.ask("PATCH", edge, [{"op": "add", "path": "/door", "value": "x"}]).status == 204
    assert plane.ask("DELETE", edge).status == 204
    sources = [(item.properties["cloudEvents:subject"], item.twin) for item in waiting(plane.db, 9)]
    assert sources == [
        ("site/1", "site/1"),
        ("site/2", "site/2"),
        ("site/1", "site/1"),
        *[("site/1/relationships/a/b", "site/1")] * 3,
    ]


def test_routes_come_in_pages(plane: Plane) -> None:
    for name in "abc":
        route(plane, name)
    page = plane.ask("GET", "/eventroutes", headers={"max-items-per-page": "2"}).body
    assert [r["id"] for r in page["value"]] == ["a", "b"]
    assert "/EventRoutes?continuationToken=" in page["nextLink"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"endpointName": "nowhere", "filter": "true"}, "EventRouteEndpointInvalid"),
        ({"endpointName": "hub", "filter": "this is not one"}, "EventRouteFilterInvalid"),
        ({"endpointName": "hub"}, "MissingArgument"),
        ({"filter": "true"}, "EventRouteEndpointInvalid"),
        ([], "InvalidArgument"),
    ],
)
def test_a_route_that_cannot_be_is_refused(plane: Plane, body: Any, code: str) -> None:
    assert plane.ask("PUT", "/eventroutes/r", body).code == code
    assert plane.ask("GET", "/eventroutes").body["value"] == []


def test_an_id_no_route_can_have_is_told_by_its_own_code(plane: Plane) -> None:
    body = {"endpointName": "hub", "filter": "true"}
    assert plane.ask("PUT", "/eventroutes/%01", body).code == "EventRouteIdInvalid"


def test_there_are_at_most_six_routes(plane: Plane) -> None:
    for number in range(ROUTES_MAX):
        assert route(plane, f"r{number}").status == 204
    assert route(plane, "r0", "false").status == 204
    assert route(plane, "more").code == "LimitExceeded"


def test_the_life_of_a_twin_is_told(plane: Plane) -> None:
    route(plane)
    plane.put("room1", temperature=20)
    plane.patch("room1", {"op": "replace", "path": "/temperature", "value": 21})
    plane.ask("DELETE", twin("room1"))
    (kind, subject, made), (changed, _, data), (gone, _, last) = told(plane)
    assert (kind, changed, gone) == ("Twin.Create", "Twin.Update", "Twin.Delete")
    assert (subject, made["$dtId"], made["temperature"]) == ("room1", "room1", 20)
    assert data == {
        "modelId": ROOM,
        "patch": [{"value": 21, "path": "/temperature", "op": "replace"}],
    }
    assert list(data["patch"][0]) == ["value", "path", "op"]
    assert last["temperature"] == 21


def test_a_component_s_change_has_its_path(plane: Plane) -> None:
    plane.put("room1")
    route(plane)
    patch = [{"op": "add", "path": "/setPoint", "value": 5}]
    plane.ask("PATCH", f"{twin('room1')}/components/thermostat", patch)
    ((_, _, data),) = told(plane)
    assert data["patch"] == [{"value": 5, "path": "/thermostat/setPoint", "op": "add"}]


def test_a_twin_written_anew_is_told_as_the_patch_that_would_have_done_it(plane: Plane) -> None:
    plane.put("room1", temperature=20, label="a")
    route(plane)
    plane.put("room1", temperature=21)
    ((kind, _, data),) = told(plane)
    assert kind == "Twin.Update"
    assert {(o["op"], o["path"]) for o in data["patch"]} >= {
        ("remove", "/label"),
        ("replace", "/temperature"),
    }


def test_the_life_of_a_relationship_is_told(plane: Plane) -> None:
    plane.put("a")
    plane.put("b")
    route(plane)
    path = f"{twin('a')}/relationships/r1"
    plane.ask("PUT", path, {"$relationshipName": "next", "$targetId": "b", "door": "x"})
    plane.ask("PATCH", path, [{"op": "replace", "path": "/door", "value": "y"}])
    plane.ask("DELETE", path)
    kinds = [kind for kind, _, _ in told(plane)]
    assert kinds == ["Relationship.Create", "Relationship.Update", "Relationship.Delete"]
    assert {subject for _, subject, _ in told(plane)} == {"a/relationships/r1"}
    assert told(plane)[0][2]["$targetId"] == "b"
    assert told(plane)[1][2]["modelId"] == ROOM


def test_telemetry_is_told_as_it_came(plane: Plane) -> None:
    plane.put("room1")
    route(plane)
    sent = {"message-id": "m1"}
    plane.ask("POST", f"{twin('room1')}/telemetry", {"humidity": 5}, headers=sent)
    path = f"{twin('room1')}/components/thermostat/telemetry"
    plane.ask("POST", path, {"x": 1}, headers=sent)
    own, component = (item.properties for item in waiting(plane.db, 10))
    assert own["cloudEvents:id"] == "m1"
    assert own["cloudEvents:source"] == "adt.localhost/digitaltwins/room1"
    assert own["cloudEvents:dataschema"] == ROOM
    assert "cloudEvents:subject" not in own
    assert "cloudEvents:time" not in own
    assert component["cloudEvents:subject"] == "thermostat"
    assert component["cloudEvents:dataschema"] == "dtmi:t:Thermostat;1"


def test_each_route_takes_what_its_filter_admits(plane: Plane) -> None:
    route(plane, "new", "type = 'Microsoft.DigitalTwins.Twin.Create'")
    route(plane, "warm", "$body.temperature > 30", endpoint="other")
    plane.put("cold", temperature=1)
    plane.put("hot", temperature=31)
    assert [(item.hub, item.twin) for item in waiting(plane.db, 10)] == [
        ("telemetry", "cold"),
        ("telemetry", "hot"),
        ("o", "hot"),
    ]


def test_what_is_refused_is_not_told(plane: Plane) -> None:
    route(plane)
    plane.ask("PUT", twin("x"), {"$metadata": {"$model": "dtmi:t:Nothing;1"}})
    plane.put("room1")
    plane.patch("room1", {"op": "replace", "path": "/nothing", "value": 1})
    assert [kind for kind, _, _ in told(plane)] == ["Twin.Create"]


def test_without_a_route_nothing_waits(plane: Plane) -> None:
    plane.put("room1")
    assert told(plane) == []
