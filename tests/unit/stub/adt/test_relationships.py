from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.unit.stub.adt.plane import MODELS, ROOM, Plane, Reply, twin


@pytest.fixture(autouse=True)
def rooms(plane: Plane) -> None:
    plane.put("a")
    plane.put("b")
    plane.ask("PUT", twin("floor"), {"$metadata": {"$model": "dtmi:t:Floor;1"}})


def every_page(plane: Plane, address: str, **headers: str) -> list[list[dict[str, Any]]]:
    pages = []
    while address:
        reply = plane.ask("GET", address, headers=headers)
        assert reply.status == 200
        pages.append(reply.body["value"])
        link = reply.body["nextLink"]
        assert list(reply.body) == ["nextLink", "value"]
        parts = urlsplit(link or "")
        assert link is None or parts.netloc == "127.0.0.1:1234"
        address = f"{parts.path}?{parts.query}" if link else ""
    return pages


def test_a_relationship_comes_back_in_the_service_s_order_and_without_metadata(
    plane: Plane,
) -> None:
    reply = plane.link("a", "r", "b", **{"$relationshipName": "next", "door": "north"})
    found = plane.ask("GET", f"{twin('a')}/relationships/r")
    assert reply.status == found.status == 200
    assert reply.body == found.body
    assert reply.etag == found.etag == found.body["$etag"]
    assert list(found.body) == [
        "$relationshipId",
        "$etag",
        "$sourceId",
        "$relationshipName",
        "$targetId",
        "door",
    ]


def test_the_path_wins_over_ids_in_the_body(plane: Plane) -> None:
    body = {"$relationshipId": "x", "$sourceId": "y", "$etag": "z"}
    found = plane.link("a", "r", "b", **body).body
    assert (found["$relationshipId"], found["$sourceId"]) == ("r", "a")


def test_an_id_is_unique_only_within_its_source(plane: Plane) -> None:
    assert plane.link("a", "r", "floor").status == 200
    assert plane.link("b", "r", "floor").status == 200
    plane.ask("DELETE", f"{twin('a')}/relationships/r")
    assert plane.ask("GET", f"{twin('b')}/relationships/r").status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"$relationshipName": "in"},
        {"$targetId": "b"},
        {"$relationshipName": "", "$targetId": "b"},
        {"$relationshipName": 1, "$targetId": "b"},
        [],
        "x",
    ],
)
def test_a_body_without_name_or_target_cannot_be_read(plane: Plane, body: Any) -> None:
    reply = plane.ask("PUT", f"{twin('a')}/relationships/r", body)
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert reply.message == "Could not deserialize relationship create body."


def test_the_source_is_looked_for_before_the_target(plane: Plane) -> None:
    assert plane.link("x", "r", "y").code == "DigitalTwinNotFound"
    assert plane.link("a", "r", "y").code == "TargetDigitalTwinNotFound"


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("b", {"$relationshipName": "above"}, "InvalidRelationship"),
        ("b", {"$relationshipName": "thermostat"}, "InvalidRelationship"),
        ("floor", {"$relationshipName": "next"}, "InvalidRelationship"),
        ("a", {"$relationshipName": "next"}, "OperationNotAllowed"),
        ("b", {"$relationshipName": "next", "window": 1}, "ValidationFailed"),
        ("b", {"$relationshipName": "next", "door": 1}, "ValidationFailed"),
        ("b", {"$relationshipName": "next", "door": "x" * 4_097}, "ValidationFailed"),
    ],
)
def test_a_relationship_the_model_does_not_allow_is_refused(
    plane: Plane, target: str, body: dict[str, Any], code: str
) -> None:
    reply = plane.link("a", "r", target, **body)
    assert (reply.status, reply.code) == (400, code)
    assert plane.ask("GET", f"{twin('a')}/relationships/r").code == "RelationshipNotFound"


@pytest.mark.parametrize(("target", "name"), [("b", "above"), ("floor", "next")])
def test_what_does_not_align_with_the_model_is_told_in_the_service_s_words(
    plane: Plane, target: str, name: str
) -> None:
    assert plane.link("a", "r", target, **{"$relationshipName": name}).message == (
        "Twin relationship does not align with the model. Please ensure that the relationship is in"
        " alignment with the model. See section on listing models https://aka.ms/adtv2models."
    )


def test_a_twin_whose_model_is_gone_can_still_be_led_to(plane: Plane) -> None:
    room = next(model for model in MODELS if model["@id"] == ROOM)
    suite = {**room, "@id": "dtmi:t:Suite;1", "extends": ROOM, "contents": []}
    plane.ask("POST", "/models", [suite])
    body = {"$metadata": {"$model": "dtmi:t:Suite;1"}, "thermostat": {}}
    assert plane.ask("PUT", twin("suite"), body).status == 200
    assert plane.ask("DELETE", "/models/dtmi:t:Suite;1").status == 204
    assert plane.link("a", "r", "suite", **{"$relationshipName": "next"}).status == 200
    assert plane.ask("DELETE", f"{twin('a')}/relationships/r").status == 204


def test_a_subtype_is_as_good_a_target(plane: Plane) -> None:
    suite = {
        **MODELS[1],
        "@id": "dtmi:t:Suite;1",
        "extends": "dtmi:t:Room;1",
        "contents": [],
    }
    plane.ask("POST", "/models", [suite])
    body = {"$metadata": {"$model": "dtmi:t:Suite;1"}, "thermostat": {}}
    assert plane.ask("PUT", twin("suite"), body).status == 200
    assert plane.link("a", "r", "suite", **{"$relationshipName": "next"}).status == 200


def test_a_put_that_must_create_is_refused_when_the_relationship_is_there(plane: Plane) -> None:
    plane.link("a", "r", "b")
    address = f"{twin('a')}/relationships/r"
    body = {"$relationshipName": "in", "$targetId": "floor"}
    reply = plane.ask("PUT", address, body, headers={"If-None-Match": "*"})
    assert (reply.status, reply.code) == (412, "PreconditionFailed")
    assert "a relationship with the id r was found" in reply.message
    assert plane.ask("PUT", address, body).body["$targetId"] == "floor"


def test_properties_are_patched_and_validated(plane: Plane) -> None:
    plane.link("a", "r", "b", **{"$relationshipName": "next", "door": "north"})
    address = f"{twin('a')}/relationships/r"

    def patch(*operations: Any) -> Reply:
        return plane.ask("PATCH", address, list(operations))

    assert patch({"op": "replace", "path": "/door", "value": "south"}).status == 204
    assert plane.ask("GET", address).body["door"] == "south"
    assert patch({"op": "replace", "path": "/door", "value": 1}).code == "ValidationFailed"
    assert patch({"op": "replace", "path": "/$targetId", "value": "c"}).code == "JsonPatchInvalid"
    assert patch({"op": "remove", "path": "/window"}).code == "JsonPatchInvalid"
    assert patch({"op": "remove", "path": "/door"}).status == 204
    assert "door" not in plane.ask("GET", address).body
    assert patch("door").body["title"] == "One or more validation errors occurred."


def test_what_is_not_there_is_told_apart(plane: Plane) -> None:
    plane.link("a", "r", "b")
    for method, body in (("GET", None), ("PATCH", []), ("DELETE", None)):
        missing = plane.ask(method, f"{twin('a')}/relationships/x", body)
        assert (missing.status, missing.code) == (404, "RelationshipNotFound")
        nobody = plane.ask(method, f"{twin('x')}/relationships/r", body)
        assert (nobody.status, nobody.code) == (404, "DigitalTwinNotFound")
    assert plane.ask("GET", f"{twin('x')}/relationships").code == "DigitalTwinNotFound"
    assert plane.ask("GET", f"{twin('x')}/incomingrelationships").code == "DigitalTwinNotFound"


def test_lists_come_in_pages_of_ten_in_the_order_of_creation(plane: Plane) -> None:
    names = [f"r{number}" for number in range(23)]
    for name in names:
        plane.link("a", name, "b")
    pages = every_page(plane, f"{twin('a')}/relationships")
    assert [len(page) for page in pages] == [10, 10, 3]
    assert [edge["$relationshipId"] for page in pages for edge in page] == names
    asked = every_page(plane, f"{twin('a')}/relationships", **{"max-items-per-page": "20"})
    assert [len(page) for page in asked] == [20, 3]
    incoming = every_page(plane, f"{twin('b')}/incomingrelationships")
    assert [edge["$relationshipId"] for page in incoming for edge in page] == names


@pytest.mark.parametrize("size", ["0", "-1", "x", "", "9" * 30, "²"])
def test_a_page_size_that_is_none_is_left_aside(plane: Plane, size: str) -> None:
    for number in range(11):
        plane.link("a", f"r{number}", "b")
    pages = every_page(plane, f"{twin('a')}/relationships", **{"max-items-per-page": size})
    assert sum(map(len, pages)) == 11


def test_a_name_narrows_the_list_through_all_its_pages(plane: Plane) -> None:
    for number in range(12):
        plane.link("a", f"r{number}", "b", **{"$relationshipName": "next"})
        plane.link("a", f"i{number}", "b")
    pages = every_page(plane, f"{twin('a')}/relationships?relationshipName=next")
    assert {edge["$relationshipName"] for page in pages for edge in page} == {"next"}
    assert [len(page) for page in pages] == [10, 2]


def test_what_leads_to_a_twin_is_listed_with_a_link_that_works(plane: Plane) -> None:
    plane.put("x/ü")
    plane.link("x/ü", "r 1", "b")
    (page,) = every_page(plane, f"{twin('b')}/incomingrelationships")
    (edge,) = page
    assert list(edge) == [
        "$relationshipId",
        "$sourceId",
        "$relationshipName",
        "$relationshipLink",
    ]
    assert edge["$relationshipLink"].endswith("?api-version=2023-10-31")
    path = edge["$relationshipLink"].partition("?")[0]
    assert plane.ask("GET", path).body["$relationshipId"] == "r 1"


@pytest.mark.parametrize("token", ["x", "-1", "9" * 40, "1.5", "²"])
def test_a_token_that_is_not_ours_is_refused(plane: Plane, token: str) -> None:
    reply = plane.ask("GET", f"{twin('a')}/relationships?continuationToken={quote(token)}")
    assert (reply.status, reply.code) == (400, "BadRequest")
