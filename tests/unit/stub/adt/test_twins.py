from __future__ import annotations

import re
from typing import Any

import pytest

from sync_agent.stub.adt.operation import API_VERSIONS
from tests.unit.stub.adt.plane import MODELS, ROOM, TURNED, Plane, twin

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")


def test_a_twin_comes_back_with_its_parts_in_the_service_s_order(plane: Plane) -> None:
    reply = plane.put("room1", temperature=80, label="x")
    document = plane.get("room1")
    assert reply.status == 200
    assert reply.body == document
    assert list(document) == ["$dtId", "$etag", "thermostat", "temperature", "label", "$metadata"]
    assert list(document["$metadata"]) == ["$model", "$lastUpdateTime", "temperature", "label"]
    assert reply.etag == document["$etag"]
    assert re.fullmatch(r'W/"[0-9a-f-]{36}"', reply.etag)


def test_one_write_stamps_one_instant_with_seven_digits(plane: Plane) -> None:
    document = plane.put("room1", temperature=80, label="x").body
    metadata = document["$metadata"]
    times = {
        metadata["$lastUpdateTime"],
        metadata["temperature"]["lastUpdateTime"],
        metadata["label"]["lastUpdateTime"],
        document["thermostat"]["$metadata"]["$lastUpdateTime"],
    }
    assert len(times) == 1
    assert TIME.fullmatch(times.pop())


@pytest.mark.parametrize("value", [80, 80.0, 1e-300, -0.5, 12345678901234567])
def test_numbers_come_back_as_they_were_sent(plane: Plane, value: float) -> None:
    plane.put("room1", temperature=value)
    found = plane.get("room1")["temperature"]
    assert (found, type(found)) == (value, type(value))


def test_version_2020_10_31_shows_neither_update_times_nor_source_times(plane: Plane) -> None:
    version = "2020-10-31"
    measured = {"sourceTime": "2026-01-01T00:00:00Z"}
    stamps = {"$model": ROOM, "temperature": measured}
    thermostat = {"$metadata": {"mode": measured}, "mode": "sourceTime"}
    plane.put("room1", temperature=1, thermostat=thermostat, **{"$metadata": stamps})
    document = plane.get("room1", version=version)
    rows = plane.query("SELECT * FROM DIGITALTWINS", version=version).body["value"]
    component = plane.ask("GET", f"{twin('room1')}/components/thermostat", version=version).body
    assert "$lastUpdateTime" not in str((document, rows, component))
    assert list(component["$metadata"]["mode"]) == ["lastUpdateTime"]
    assert list(document["$metadata"]["temperature"]) == ["lastUpdateTime"]
    assert rows == [document]
    assert plane.get("room1")["$metadata"]["temperature"]["sourceTime"]


@pytest.mark.parametrize("version", API_VERSIONS[1:])
def test_every_later_version_shows_both(plane: Plane, version: str) -> None:
    stamps = {"$model": ROOM, "temperature": {"sourceTime": "2026-01-01T00:00:00Z"}}
    plane.put("room1", temperature=1, **{"$metadata": stamps})
    metadata = plane.get("room1", version=version)["$metadata"]
    assert list(metadata) == ["$model", "$lastUpdateTime", "temperature"]
    assert list(metadata["temperature"]) == ["lastUpdateTime", "sourceTime"]
    (row,) = plane.query("SELECT * FROM DIGITALTWINS", version=version).body["value"]
    assert row["$metadata"] == metadata


def test_ids_and_etags_in_the_body_of_a_put_are_ignored(plane: Plane) -> None:
    reply = plane.put("room1", **{"$dtId": "other", "$etag": None})
    assert (reply.status, reply.body["$dtId"]) == (200, "room1")
    assert reply.body["$etag"] == reply.etag


def test_a_put_replaces_the_whole_twin(plane: Plane) -> None:
    plane.put("room1", temperature=1, label="x")
    plane.put("room1", label="y")
    document = plane.get("room1")
    assert "temperature" not in document
    assert "temperature" not in document["$metadata"]


@pytest.mark.parametrize(
    "twin_id", ["a b", "a/b", "a%2Fb", "ü€😀", "a?b#c", "..", "'\"\\", "A", "a"]
)
def test_any_printable_id_is_one_twin_of_its_own(plane: Plane, twin_id: str) -> None:
    assert plane.put(twin_id).status == 200
    assert plane.get(twin_id)["$dtId"] == twin_id
    found = plane.query("SELECT * FROM DIGITALTWINS").body["value"]
    assert [row["$dtId"] for row in found] == [twin_id]


@pytest.mark.parametrize("twin_id", ["a\x00b", "a\nb", "\x7f", "x" * 129])
def test_an_id_nobody_should_have_is_refused(plane: Plane, twin_id: str) -> None:
    assert plane.put(twin_id).status == 400
    assert plane.ask("GET", twin(twin_id)).code == "DigitalTwinNotFound"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            {"$metadata": {"$model": "dtmi:t:None;1"}},
            "dtmi:t:None;1 or one of its dependencies does not exist.",
        ),
        ({"colour": 1}, "colour does not appear on the DTDL for Twin."),
        ({"humidity": 1}, "humidity does not appear on the DTDL for Twin."),
        ({"temperature": "hot"}, "Expected value of type double for temperature on Twin."),
        ({"temperature": True}, "Expected value of type double for temperature on Twin."),
        ({"temperature": None}, "Expected value of type double for temperature on Twin."),
        ({"tags": {"a": "x"}}, "Expected value of type map for tags on Twin."),
        ({"address": {"street": "x"}}, "Expected value of type object for address on Twin."),
        ({"thermostat": {"x": 1}}, "x does not appear on the DTDL for thermostat."),
        (
            {"thermostat": {"mode": 1}},
            "Expected value of type string for mode on thermostat.",
        ),
        ({"label": "x" * 4_097}, "The value of label is longer than 4096 bytes."),
        ({"label": "€" * 1_366}, "The value of label is longer than 4096 bytes."),
    ],
)
def test_what_the_model_does_not_allow_is_a_detail_of_the_refusal(
    plane: Plane, body: dict[str, Any], detail: str
) -> None:
    reply = plane.put("room1", **body)
    assert (reply.status, reply.code) == (400, "ValidationFailed")
    assert reply.message == "Invalid twin specified"
    assert reply.body["error"]["details"] == [{"code": "ValidationFailed", "message": detail}]
    assert reply.headers["x-ms-error-code"] == "ValidationFailed"
    assert plane.ask("GET", twin("room1")).status == 404


def test_a_text_of_just_the_allowed_bytes_is_taken(plane: Plane) -> None:
    assert plane.put("room1", label="€" * 1_365).status == 200


def test_a_component_must_be_there_when_a_twin_is_created(plane: Plane) -> None:
    reply = plane.ask("PUT", twin("room1"), {"$metadata": {"$model": ROOM}})
    assert "thermostat" in reply.body["error"]["details"][0]["message"]


@pytest.mark.parametrize(
    "body", [[], "x", 5, None, {}, {"$metadata": 1}, {"$metadata": {"$model": 1}}]
)
def test_a_put_of_what_is_no_twin_is_an_invalid_payload(plane: Plane, body: Any) -> None:
    raw = b"null" if body is None else body
    reply = plane.ask("PUT", twin("room1"), raw)
    assert (reply.status, reply.code, reply.message) == (
        400,
        "InvalidArgument",
        "Payload is invalid.",
    )


# -- conditions ------------------------------------------------------------------------------------


def test_a_put_that_must_create_is_refused_when_the_twin_is_there(plane: Plane) -> None:
    body = {"$metadata": {"$model": "dtmi:t:Floor;1"}}
    condition = {"If-None-Match": "*"}
    assert plane.ask("PUT", twin("f"), body, headers=condition).status == 200
    reply = plane.ask("PUT", twin("f"), body, headers=condition)
    assert (reply.status, reply.code) == (412, "PreconditionFailed")
    assert "a twin with the id f was found" in reply.message


@pytest.mark.parametrize("value", ['W/"x"', "", "x"])
def test_any_other_if_none_match_is_refused(plane: Plane, value: str) -> None:
    body = {"$metadata": {"$model": "dtmi:t:Floor;1"}}
    reply = plane.ask("PUT", twin("f"), body, headers={"If-None-Match": value})
    assert (reply.status, reply.message) == (
        400,
        "Invalid If-None-Match header value. Allowed value(s): If-None-Match: *",
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", ""),
        ("DELETE", ""),
        ("PATCH", "/components/thermostat"),
        ("PATCH", "/relationships/r"),
        ("DELETE", "/relationships/r"),
    ],
)
def test_a_write_on_a_condition_happens_only_in_the_state_it_names(
    plane: Plane, method: str, path: str
) -> None:
    etag = plane.put("room1").etag
    plane.put("room2")
    if path == "/relationships/r":
        etag = plane.link("room1", "r", "room2").etag
    address = f"{twin('room1')}{path}"
    body: Any = [] if method == "PATCH" else None
    stale = plane.ask(method, address, body, headers={"If-Match": 'W/"stale"'})
    assert (stale.status, stale.code) == (412, "PreconditionFailed")
    assert stale.message.startswith('The provided etag W/"stale" doesn\'t match the current etag')
    strange = plane.ask(method, address, body, headers={"If-Match": "stale"})
    assert (strange.status, strange.code) == (400, "InvalidArgument")
    assert strange.message.endswith("Allowed value(s): If-Match: {etag} or If-Match: *")
    one_of = f'W/"stale", {etag},W/"other"'
    right = plane.ask(method, address, body, headers={"If-Match": one_of})
    assert right.status == 204


@pytest.mark.parametrize("condition", ['W/"a", "b"', '"a" "b"', 'W/"a",', "*, *", "", '"*"'])
def test_a_list_of_etags_without_the_current_one_or_what_is_no_list_writes_nothing(
    plane: Plane, condition: str
) -> None:
    plane.put("room1")
    reply = plane.patch("room1", headers={"If-Match": condition})
    assert reply.status == (412 if condition in ('W/"a", "b"', '"*"') else 400)


def test_each_write_mints_an_etag_also_a_patch_of_nothing(plane: Plane) -> None:
    etags = [plane.put("room1").etag, plane.patch("room1").etag, plane.patch("room1").etag]
    assert len(set(etags)) == 3
    assert plane.get("room1")["$etag"] == etags[-1]


# -- patches ---------------------------------------------------------------------------------------


def test_a_patch_stamps_what_it_touches_and_nothing_else(plane: Plane) -> None:
    before = plane.put("room1", temperature=1, label="x").body["$metadata"]
    reply = plane.patch("room1", {"op": "replace", "path": "/temperature", "value": 2})
    assert (reply.status, reply.body) == (204, None)
    document = plane.get("room1")
    after = document["$metadata"]
    assert document["temperature"] == 2
    assert after["label"] == before["label"]
    assert after["temperature"]["lastUpdateTime"] == after["$lastUpdateTime"]
    assert after["$lastUpdateTime"] > before["$lastUpdateTime"]
    assert list(document)[-1] == "$metadata"


def test_a_removed_property_takes_its_stamp_with_it(plane: Plane) -> None:
    plane.put("room1", temperature=1)
    plane.patch("room1", {"op": "remove", "path": "/temperature"})
    assert "temperature" not in plane.get("room1")["$metadata"]


def test_a_change_in_a_component_moves_its_time_and_the_twin_s(plane: Plane) -> None:
    plane.put("room1")
    plane.patch("room1", {"op": "add", "path": "/thermostat/setPoint", "value": 20})
    document = plane.get("room1")
    component = document["thermostat"]
    assert component["setPoint"] == 20
    assert "thermostat" not in document["$metadata"]
    assert component["$metadata"]["$lastUpdateTime"] == document["$metadata"]["$lastUpdateTime"]


def test_a_component_keeps_its_time_when_the_property_ends_up_removed(plane: Plane) -> None:
    before = plane.put("room1", thermostat={"setPoint": 1}).body["thermostat"]["$metadata"]
    plane.patch(
        "room1",
        {"op": "replace", "path": "/thermostat/setPoint", "value": 2},
        {"op": "remove", "path": "/thermostat/setPoint"},
    )
    document = plane.get("room1")
    after = document["thermostat"]["$metadata"]
    assert after == {"$lastUpdateTime": before["$lastUpdateTime"]}
    assert document["$metadata"]["$lastUpdateTime"] > before["$lastUpdateTime"]


def test_a_component_is_patched_by_its_own_paths_under_its_own_address(plane: Plane) -> None:
    plane.put("room1")
    address = f"{twin('room1')}/components/thermostat"
    patch = [{"op": "add", "path": "/setPoint", "value": 20}]
    reply = plane.ask("PATCH", address, patch)
    found = plane.ask("GET", address)
    assert reply.status == 204
    assert found.body["setPoint"] == 20
    assert found.etag == reply.etag == plane.get("room1")["$etag"]


def test_a_component_replaced_as_a_whole_is_stamped_as_a_whole(plane: Plane) -> None:
    plane.put("room1", thermostat={"setPoint": 1, "mode": "eco"})
    plane.patch(
        "room1",
        {"op": "replace", "path": "/thermostat/mode", "value": "off"},
        {"op": "add", "path": "/thermostat", "value": {"setPoint": 2, "$metadata": {"x": 1}}},
        {"op": "replace", "path": "/thermostat/setPoint", "value": 3},
    )
    component = plane.get("room1")["thermostat"]
    assert component["setPoint"] == 3
    assert list(component["$metadata"]) == ["$lastUpdateTime", "setPoint"]


def test_maps_and_objects_are_patched_inside_once_they_are_there(plane: Plane) -> None:
    plane.put("room1", tags={"a": 1})
    missing = plane.patch("room1", {"op": "add", "path": "/address/city", "value": "Ulm"})
    assert missing.code == "JsonPatchInvalid"
    reply = plane.patch(
        "room1",
        {"op": "add", "path": "/address", "value": {"city": "Bonn"}},
        {"op": "replace", "path": "/address/city", "value": "Ulm"},
        {"op": "add", "path": "/tags/b", "value": 2},
        {"op": "remove", "path": "/tags/a"},
    )
    document = plane.get("room1")
    assert reply.status == 204
    assert (document["address"], document["tags"]) == ({"city": "Ulm"}, {"b": 2})
    assert set(document["$metadata"]) == {"$model", "$lastUpdateTime", "address", "tags"}


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"op": "move", "path": "/label"}, "Unsupported operation type move."),
        ({"path": "/label"}, "Parameter op must not be empty."),
        ({"op": "add", "path": "/$dtId", "value": "x"}, "Could not resolve path /$dtId."),
        ({"op": "add", "path": "/$etag", "value": "x"}, "Could not resolve path /$etag."),
        ({"op": "remove", "path": "/$metadata"}, "Could not resolve path /$metadata."),
        (
            {"op": "add", "path": "/$metadata/$lastUpdateTime", "value": "x"},
            "Could not resolve path /$metadata/$lastUpdateTime.",
        ),
        (
            {"op": "replace", "path": "/thermostat/$metadata/$model", "value": ROOM},
            "Could not resolve path /thermostat/$metadata/$model.",
        ),
        (
            {"op": "remove", "path": "/temperature"},
            "temperature does not exist on component.",
        ),
        (
            {"op": "replace", "path": "/humidity", "value": 5},
            "humidity does not exist on component.",
        ),
        (
            {"op": "replace", "path": "/thermostat/mode", "value": "eco"},
            "mode does not exist on component.",
        ),
        (
            {"op": "add", "path": "/heater/mode", "value": "eco"},
            "Could not resolve path /heater/mode.",
        ),
        (
            {"op": "replace", "path": "/address/city", "value": "Ulm"},
            "Could not resolve path /address/city.",
        ),
        (
            {"op": "remove", "path": "/label/0"},
            "The target location specified by path segment '0' was not found.",
        ),
        (
            {
                "op": "add",
                "path": "/$metadata/humidity/sourceTime",
                "value": "2026-01-01T00:00:00Z",
            },
            "The target location specified by path segment 'humidity' was not found.",
        ),
        (
            {"op": "add", "path": "/$metadata/$model/sourceTime", "value": "2026-01-01T00:00:00Z"},
            "The target location specified by path segment '$model' was not found.",
        ),
        (
            {"op": "replace", "path": "/$metadata/$model", "value": 5},
            "The value of /$metadata/$model must be the id of a model.",
        ),
    ],
)
def test_a_patch_that_cannot_be_is_refused_in_the_service_s_words(
    plane: Plane, operation: dict[str, Any], message: str
) -> None:
    before = plane.put("room1").body
    reply = plane.patch("room1", {"op": "add", "path": "/label", "value": "x"}, operation)
    assert (reply.status, reply.code) == (400, "JsonPatchInvalid")
    assert reply.message == (
        f"{message} Please provide a valid patch document. See section on update apis in the"
        " documentation https://aka.ms/adtv2twins."
    )
    assert plane.get("room1") == before


def test_what_a_new_model_has_as_something_else_has_the_metadata_of_that(plane: Plane) -> None:
    plane.ask("POST", "/models", [TURNED])
    plane.put("room1", address={"city": "Ulm"}, thermostat={"setPoint": 1})
    turn = {"op": "replace", "path": "/$metadata/$model", "value": "dtmi:t:Turned;1"}
    assert plane.patch("room1", turn, {"op": "remove", "path": "/address/city"}).status == 204
    document = plane.get("room1")
    assert set(document["$metadata"]) == {"$model", "$lastUpdateTime", "thermostat"}
    assert document["thermostat"] == {"setPoint": 1}
    assert set(document["address"]["$metadata"]) == {"$lastUpdateTime"}
    back = turn | {"value": ROOM}
    assert plane.patch("room1", back).status == 204
    document = plane.get("room1")
    assert set(document["$metadata"]) == {"$model", "$lastUpdateTime", "address"}
    assert set(document["thermostat"]["$metadata"]) == {"$lastUpdateTime", "setPoint"}


def test_a_source_time_in_what_stops_to_be_a_component_is_refused(plane: Plane) -> None:
    plane.ask("POST", "/models", [TURNED])
    before = plane.put("room1", address={}, thermostat={"setPoint": 1}).body
    path = "/thermostat/$metadata/setPoint/sourceTime"
    reply = plane.patch(
        "room1",
        {"op": "replace", "path": "/$metadata/$model", "value": "dtmi:t:Turned;1"},
        {"op": "add", "path": path, "value": "2026-01-01T00:00:00Z"},
    )
    assert (reply.status, reply.code) == (400, "JsonPatchInvalid")
    assert plane.get("room1") == before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("setPoint", "Could not resolve path setPoint."),
        ("", "Parameter path must not be empty."),
    ],
)
def test_a_path_in_a_component_begins_with_a_slash_as_in_a_twin(
    plane: Plane, path: str, message: str
) -> None:
    plane.put("room1")
    patch = [{"op": "add", "path": path, "value": {"setPoint": 1}}]
    reply = plane.ask("PATCH", f"{twin('room1')}/components/thermostat", patch)
    assert (reply.status, reply.code) == (400, "JsonPatchInvalid")
    assert reply.message.startswith(message)


def test_an_unknown_component_is_a_bad_path_in_a_patch_and_not_found_in_a_get(
    plane: Plane,
) -> None:
    plane.put("room1", address={"city": "Ulm"})
    for name in ("heater", "address", "label", "$metadata", "a/b"):
        address = f"{twin('room1')}/components/{name.replace('/', '%2F')}"
        patch = [{"op": "add", "path": "/x", "value": 1}]
        assert plane.ask("PATCH", address, patch).code == "JsonPatchInvalid"
        assert plane.ask("PATCH", address, []).code == "JsonPatchInvalid"
        reply = plane.ask("GET", address)
        assert (reply.status, reply.code) == (404, "ComponentNotFound")
        assert reply.message.startswith(f"room1 does not have component {name} ")


@pytest.mark.parametrize("names_document", [True, False])
def test_an_element_that_is_no_operation_gets_the_web_framework_s_answer(
    plane: Plane, names_document: bool
) -> None:
    plane.put("room1")
    path = twin("room1") + ("" if names_document else "/components/thermostat")
    reply = plane.ask("PATCH", path, ["temperature"])
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json; charset=utf-8"
    assert "x-ms-error-code" not in reply.headers
    assert reply.body["title"] == "One or more validation errors occurred."
    (message,) = reply.body["errors"]["[0]"]
    assert message == (
        'Error converting value "temperature" to type'
        " 'Microsoft.AspNetCore.JsonPatch.Operations.Operation'. Path '[0]', line 1, position 14."
    )
    assert ("jsonPatchDocument" in reply.body["errors"]) is names_document


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b'[ {"op":"add"},\n  "x"]', {"[1]": ('"x"', 2, 5)}),
        (b'[5,true,null,"\xc3\xa9"]', {
            "[0]": ("5", 1, 2),
            "[1]": ("True", 1, 7),
            "[2]": ("null", 1, 12),
            "[3]": ('"é"', 1, 16),
        }),
    ],
)  # fmt: skip
def test_each_element_that_is_no_operation_is_told_with_its_place(
    plane: Plane, body: bytes, errors: dict[str, tuple[str, int, int]]
) -> None:
    reply = plane.ask("PATCH", "/models/dtmi:t:Room;1", body)
    kind = "'Microsoft.AspNetCore.JsonPatch.Operations.Operation'"
    assert reply.body["errors"] == {
        place: [
            f"Error converting value {value} to type {kind}. Path '{place}', line {line}, {at}."
        ]
        for place, (value, line, position) in errors.items()
        for at in [f"position {position}"]
    }


def test_members_of_an_operation_are_taken_in_any_case_and_others_left_aside(plane: Plane) -> None:
    plane.put("room1", label="a")
    reply = plane.patch("room1", {"Op": "Replace", "Path": "/label", "VALUE": "b", "note": "c"})
    assert reply.status == 204
    assert plane.get("room1")["label"] == "b"
    assert plane.patch("room1", {"Operation": "replace"}).message.startswith("Parameter op must")


def test_the_faults_of_a_patch_are_told_up_to_a_bound(plane: Plane) -> None:
    reply = plane.ask("PATCH", "/models/dtmi:t:Room;1", [1] * 10_000)
    assert len(reply.body["errors"]) == 200


@pytest.mark.parametrize("body", [{"op": "add"}, "x", 5])
def test_a_patch_that_is_no_array_gets_it_too(plane: Plane, body: Any) -> None:
    plane.put("room1")
    assert plane.ask("PATCH", twin("room1"), body).body["status"] == 400


# -- source times ----------------------------------------------------------------------------------


def test_a_source_time_is_kept_as_written_and_survives_later_values(plane: Plane) -> None:
    time = "2026-01-31T08:15:00.123456789Z"
    plane.put(
        "room1",
        temperature=1,
        **{"$metadata": {"$model": ROOM, "temperature": {"sourceTime": time}}},
    )
    plane.patch("room1", {"op": "replace", "path": "/temperature", "value": 2})
    assert plane.get("room1")["$metadata"]["temperature"]["sourceTime"] == time


def test_a_source_time_can_be_patched_with_its_value_also_in_a_component(plane: Plane) -> None:
    plane.put("room1")
    reply = plane.patch(
        "room1",
        {"op": "add", "path": "/$metadata/temperature/sourceTime", "value": "2026-01-01T00:00:00Z"},
        {"op": "add", "path": "/temperature", "value": 5},
        {"op": "add", "path": "/thermostat/setPoint", "value": 5},
        {
            "op": "add",
            "path": "/thermostat/$metadata/setPoint/sourceTime",
            "value": "2026-01-02T00:00:00+01:00",
        },
    )
    document = plane.get("room1")
    assert reply.status == 204
    assert document["$metadata"]["temperature"]["sourceTime"] == "2026-01-01T00:00:00Z"
    component = document["thermostat"]["$metadata"]
    assert component["setPoint"]["sourceTime"] == "2026-01-02T00:00:00+01:00"


@pytest.mark.parametrize(
    ("path", "patched"),
    [
        ("/digitaltwins/room1", "/$metadata/temperature/sourceTime"),
        ("/digitaltwins/room1", "/thermostat/$metadata/setPoint/sourceTime"),
        ("/digitaltwins/room1/components/thermostat", "/$metadata/setPoint/sourceTime"),
    ],
)
def test_version_2020_10_31_has_no_source_times_a_patch_could_write(
    plane: Plane, path: str, patched: str
) -> None:
    plane.put("room1", temperature=1, thermostat={"setPoint": 1})
    operation = {"op": "add", "path": patched, "value": "2026-01-01T00:00:00Z"}
    reply = plane.ask("PATCH", path, [operation], version="2020-10-31")
    assert (reply.status, reply.code) == (400, "JsonPatchInvalid")
    assert "sourceTime" not in str(plane.get("room1"))
    assert plane.ask("PATCH", path, [operation], version="2021-06-30-preview").status == 204
    assert "sourceTime" in str(plane.get("room1"))


def test_version_2020_10_31_leaves_source_times_of_a_new_twin_aside(plane: Plane) -> None:
    measured = {"sourceTime": "yesterday"}
    body = {
        "$metadata": {"$model": ROOM, "temperature": measured},
        "temperature": 1,
        "thermostat": {"$metadata": {"setPoint": measured}, "setPoint": 1},
    }
    assert plane.ask("PUT", twin("room1"), body, version="2020-10-31").status == 200
    assert "sourceTime" not in str(plane.get("room1"))


def test_a_source_time_can_be_removed_once(plane: Plane) -> None:
    plane.put("room1", temperature=1)
    path = "/$metadata/temperature/sourceTime"
    plane.patch("room1", {"op": "add", "path": path, "value": "2026-01-01T00:00:00Z"})
    assert plane.patch("room1", {"op": "remove", "path": path}).status == 204
    assert plane.patch("room1", {"op": "remove", "path": path}).code == "JsonPatchInvalid"
    assert "sourceTime" not in plane.get("room1")["$metadata"]["temperature"]


def test_a_source_time_can_be_replaced_where_there_was_none(plane: Plane) -> None:
    plane.put("room1")
    path, measured = "/$metadata/temperature/sourceTime", "2022-05-31T12:00:01.000125009Z"
    value = {"op": "add", "path": "/temperature", "value": 1}
    assert plane.patch("room1", value, {"op": "replace", "path": path, "value": measured}).etag
    assert plane.get("room1")["$metadata"]["temperature"]["sourceTime"] == measured
    nothing = {"op": "replace", "path": "/$metadata/label/sourceTime", "value": measured}
    assert plane.patch("room1", nothing).code == "JsonPatchInvalid"


@pytest.mark.parametrize("value", [5, None, "yesterday", {}, "2026-13-01T00:00:00Z"])
def test_a_source_time_that_is_no_time_is_refused(plane: Plane, value: Any) -> None:
    plane.put("room1", temperature=1)
    path = "/$metadata/temperature/sourceTime"
    assert plane.patch("room1", {"op": "add", "path": path, "value": value}).status == 400
    if value is not None:
        metadata = {"$model": ROOM, "temperature": {"sourceTime": value}}
        assert plane.put("room2", temperature=1, **{"$metadata": metadata}).status == 400


# -- models and twins ------------------------------------------------------------------------------


def test_a_twin_changes_its_model_when_the_result_fits_the_new_one(plane: Plane) -> None:
    plane.put("room1", temperature=1, label="x")
    change = {"op": "replace", "path": "/$metadata/$model", "value": "dtmi:t:Floor;1"}
    assert plane.patch("room1", change).code == "ValidationFailed"
    reply = plane.patch(
        "room1",
        change,
        {"op": "remove", "path": "/temperature"},
        {"op": "remove", "path": "/thermostat"},
        {"op": "add", "path": "/level", "value": 3},
    )
    document = plane.get("room1")
    assert reply.status == 204
    assert set(document["$metadata"]) == {"$model", "$lastUpdateTime", "label", "level"}
    assert plane.query("SELECT * FROM DIGITALTWINS WHERE IS_OF_MODEL('dtmi:t:Floor;1')").body[
        "value"
    ] == [document]


def test_no_twin_is_made_of_a_decommissioned_model_and_those_there_are_live_on(
    plane: Plane,
) -> None:
    plane.put("room1")
    plane.ask("PUT", twin("f"), {"$metadata": {"$model": "dtmi:t:Floor;1"}})
    patch = [{"op": "replace", "path": "/decommissioned", "value": True}]
    assert plane.ask("PATCH", f"/models/{ROOM}", patch).status == 204
    assert plane.put("room2").code == "ModelDecommissioned"
    assert plane.put("room1", temperature=5).status == 200
    assert plane.patch("room1", {"op": "add", "path": "/label", "value": "x"}).status == 204
    change = {"op": "replace", "path": "/$metadata/$model", "value": ROOM}
    component = {"op": "add", "path": "/thermostat", "value": {}}
    assert plane.patch("f", change, component).code == "ModelDecommissioned"


def test_a_twin_whose_model_is_gone_can_be_read_queried_and_deleted_but_not_changed(
    plane: Plane,
) -> None:
    plane.put("room1", temperature=1)
    plane.put("room2")
    plane.link("room1", "r", "room2")
    assert plane.ask("DELETE", f"/models/{ROOM}").status == 204
    assert plane.get("room1")["temperature"] == 1
    where = f"WHERE IS_OF_MODEL('{ROOM}')"
    assert len(plane.query(f"SELECT * FROM DIGITALTWINS {where}").body["value"]) == 2
    assert plane.patch("room1", {"op": "remove", "path": "/temperature"}).status == 400
    assert plane.link("room1", "r2", "room2").status == 400
    assert plane.ask("DELETE", f"{twin('room1')}/relationships/r").status == 204
    assert plane.ask("DELETE", twin("room1")).status == 204
    assert plane.ask("POST", "/models", [m for m in MODELS if m["@id"] == ROOM]).status == 201
    assert plane.patch("room2", {"op": "add", "path": "/label", "value": "x"}).status == 204


# -- deletion and telemetry ------------------------------------------------------------------------


def test_a_twin_goes_only_when_nothing_leads_to_it_or_from_it(plane: Plane) -> None:
    plane.put("a")
    plane.put("b")
    plane.link("a", "r", "b")
    for twin_id in ("a", "b"):
        reply = plane.ask("DELETE", twin(twin_id))
        assert (reply.status, reply.code) == (400, "RelationshipsNotDeleted")
        assert reply.message.startswith(f"Twin {twin_id} has active relationships.")
    plane.ask("DELETE", f"{twin('a')}/relationships/r")
    assert plane.ask("DELETE", twin("a")).status == 204
    assert plane.ask("DELETE", twin("a")).code == "DigitalTwinNotFound"


@pytest.mark.parametrize("path", ["", "/components/thermostat"])
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"humidity": 5}, {"Message-Id": "1"}, 204),
        ({}, {"Message-Id": "1", "Telemetry-Source-Time": "2026-01-01T00:00:00.1234567Z"}, 204),
        ({}, {"Message-Id": "1", "Telemetry-Source-Time": "2020-11-25 10:06:24.350647"}, 204),
        ({}, {"Message-Id": "1", "Telemetry-Source-Time": "now"}, 400),
        ({}, {}, 204),
        ([1, "x"], {"Message-Id": "1"}, 204),
        ("5f0c", {"Message-Id": '{"humidity": 5}'}, 204),  # as the JavaScript SDK sends it
        (b"{", {"Message-Id": "1"}, 400),
    ],
)
def test_telemetry_is_accepted_when_it_is_sound(
    plane: Plane, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    plane.put("room1")
    address = f"{twin('room1')}{path}/telemetry"
    assert plane.ask("POST", address, body, headers=headers).status == status
    assert "humidity" not in plane.get("room1")


def test_telemetry_of_nobody_is_not_found(plane: Plane) -> None:
    plane.put("room1")
    given = {"Message-Id": "1"}
    assert plane.ask("POST", f"{twin('x')}/telemetry", {}, headers=given).status == 404
    address = f"{twin('room1')}/components/x/telemetry"
    assert plane.ask("POST", address, {}, headers=given).code == "ComponentNotFound"
