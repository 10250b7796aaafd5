from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.stub.adt.plane import CONTEXT, MODELS, ROOM, Plane

PARSER = (
    "None of the models in this request could be created due to a problem with one or more models: "
)


UNRESOLVED = "DtmiResolverAsync failed to resolve requisite references to element(s):"
NO_SCHEMA = (
    "dtmi:t:A;1 has 'contents' value with name 'c' whose property 'schema' has value 'XXX' that is"
    " neither a valid DTMI reference nor a DTDL term."
)
TEXT = {"@type": "Property", "name": "text", "schema": "string"}


@pytest.fixture
def bare() -> Iterator[Plane]:
    plane = Plane(models=False)
    yield plane
    plane.close()


def interface(model_id: str, *contents: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "@id": model_id,
        "@type": "Interface",
        "@context": CONTEXT,
        "contents": list(contents),
        **more,
    }


def test_models_are_added_in_any_order_and_answered_in_the_one_given(bare: Plane) -> None:
    upside_down = list(reversed(MODELS))
    reply = bare.ask("POST", "/models", upside_down)
    assert reply.status == 201
    assert [model["id"] for model in reply.body] == [model["@id"] for model in upside_down]
    assert "etag" not in reply.headers


def test_the_faults_of_models_are_told_up_to_a_bound(bare: Plane) -> None:
    contents = [{"@type": "Property", "name": f"p{n}", "schema": "XXX"} for n in range(250)]
    reply = bare.ask("POST", "/models", [interface("dtmi:t:A;1", *contents)])
    assert (reply.status, reply.code) == (400, "DTDLParserError")
    assert reply.message.count("neither a valid DTMI reference") == 100
    assert " | 150 more faults are not told." in reply.message


def test_metadata_has_language_maps_and_a_time_with_its_offset(plane: Plane) -> None:
    space = plane.ask("GET", "/models/dtmi:t:Space;1").body
    assert space["displayName"] == {"en": "Space"}
    assert space["description"] == {}
    assert space["decommissioned"] is False
    assert space["uploadTime"].endswith("+00:00")
    assert not space["uploadTime"].endswith("0+00:00")
    assert "model" not in space
    room = plane.ask("GET", f"/models/{ROOM}?includeModelDefinition=true").body
    assert room["displayName"] == {"en": "Room", "de": "Raum"}
    assert room["model"] == next(model for model in MODELS if model["@id"] == ROOM)


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        (b"", 400, "BadRequest", "A non-empty request body is required."),
        ([], 400, "InvalidArgument", "Operation failed as models provided was empty"),
        ({}, 400, "InvalidArgument", "Operation failed as models provided was empty"),
        ("x", 400, "InvalidArgument", "Operation failed as models provided was empty"),
        (
            [{}],
            400,
            "DTDLParserError",
            f"{PARSER}In source, top-level JSON object has no @context specifier.",
        ),
        (
            [{"@context": CONTEXT, "@type": "Interface"}],
            400,
            "DTDLParserError",
            f"{PARSER}In source, top-level JSON element requires an identifer but none provided.",
        ),
        (
            [interface("dtmi:t:A;1", {"@type": "Component", "name": "c", "schema": "dtmi:t:B;1"})],
            400,
            "DTDLParserError",
            f"{PARSER}{UNRESOLVED} dtmi:t:B;1 (referenced in 1 place). See model documentation",
        ),
        (
            [interface("dtmi:t:A;1", {"@type": "Component", "name": "c", "schema": "XXX"})],
            400,
            "DTDLParserError",
            f"{PARSER}{NO_SCHEMA}",
        ),
        (
            [interface("dtmi:t:A;1", {"@type": "Command", "name": "c"})],
            400,
            "DTDLParserError",
            f"{PARSER}dtmi:t:A;1 /contents: c is a command.",
        ),
        (
            [{**interface("dtmi:t:A;1"), "@context": "dtmi:dtdl:context;1"}],
            400,
            "ModelVersionNotSupported",
            "The version of DTDL used is not supported.",
        ),
        (
            [MODELS[1], {**interface("dtmi:t:A;1"), "@context": "dtmi:dtdl:context;4"}],
            400,
            "ModelVersionNotSupported",
            "The version of DTDL used is not supported.",
        ),
        ([5], 400, "InvalidArgument", "Operation failed as models provided was empty or of a type"),
        (
            [[]],
            400,
            "InvalidArgument",
            "Operation failed as models provided was empty or of a type",
        ),
        ([MODELS], 400, "InvalidArgument", "Operation failed as models provided was empty"),
        ([interface("dtmi:t:A;1")] * 2, 400, "DTDLParserError", PARSER),
        (
            [interface("dtmi:t:A;1"), interface("dtmi:t:A;1", {**TEXT, "schema": "XXX"})],
            400,
            "DTDLParserError",
            PARSER,
        ),
        (
            [{**interface("dtmi:t:A;1", {**TEXT, "schema": "XXX"}), "@id": ["dtmi:t:A;1"]}],
            400,
            "DTDLParserError",
            PARSER,
        ),
        ([MODELS[0]], 409, "ModelIdAlreadyExists", "Some of the model ids already exist: "),
        ([interface(f"dtmi:t:M{n};1") for n in range(251)], 400, "LimitExceeded", "251 models"),
    ],
)
def test_an_upload_that_cannot_be_is_refused_as_a_whole(
    plane: Plane, body: Any, status: int, code: str, message: str
) -> None:
    before = plane.ask("GET", "/models").body
    reply = plane.ask("POST", "/models", body)
    assert (reply.status, reply.code) == (status, code)
    assert reply.message.startswith(message)
    assert plane.ask("GET", "/models").body == before


def test_one_bad_model_keeps_the_good_ones_out(bare: Plane) -> None:
    good, bad = interface("dtmi:t:Good;1"), interface("dtmi:t:Bad;1", {"@type": "Nothing"})
    assert bare.ask("POST", "/models", [good, bad]).status == 400
    assert bare.ask("GET", "/models").body["value"] == []


def test_a_relationship_may_lead_to_a_model_that_is_nowhere(bare: Plane) -> None:
    edge = {"@type": "Relationship", "name": "r", "target": "dtmi:t:Nowhere;1"}
    assert bare.ask("POST", "/models", [interface("dtmi:t:A;1", edge)]).status == 201


def test_250_models_are_one_upload_and_come_in_pages_of_a_hundred(bare: Plane) -> None:
    ids = [f"dtmi:t:M{number};1" for number in range(250)]
    assert bare.ask("POST", "/models", [interface(i) for i in ids]).status == 201
    sizes, found, address = [], [], "/models?includeModelDefinition=True"
    while address:
        body = bare.ask("GET", address).body
        assert list(body) == ["value", "nextLink"]
        sizes.append(len(body["value"]))
        found += [model["model"]["@id"] for model in body["value"]]
        address = (body["nextLink"] or "").removeprefix("http://127.0.0.1:1234")
        assert address == "" or address.startswith("/Models?")
    assert sizes == [100, 100, 50]
    assert found == ids


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Thermostat", "Space", "Room", "Floor"]),
        ("dependenciesFor=", ["Thermostat", "Space", "Room", "Floor"]),
        ("dependenciesFor=dtmi:t:Room;1", ["Thermostat", "Space", "Room"]),
        (
            "dependenciesFor=dtmi:t:Floor;1&dependenciesFor=dtmi:t:Thermostat;1",
            ["Thermostat", "Space", "Floor"],
        ),
    ],
)
def test_a_list_can_be_of_what_some_models_need(
    plane: Plane, query: str, expected: list[str]
) -> None:
    found = plane.ask("GET", f"/models?{query}").body["value"]
    assert [model["id"] for model in found] == [f"dtmi:t:{name};1" for name in expected]


def test_a_list_for_an_unknown_model_is_not_found(plane: Plane) -> None:
    reply = plane.ask("GET", "/models?dependenciesFor=dtmi:t:None;1")
    assert (reply.status, reply.code) == (404, "ModelNotFound")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_id_must_be_a_dtmi_and_known(plane: Plane, method: str) -> None:
    body: Any = [] if method == "PATCH" else None
    strange = plane.ask(method, "/models/thisIsNotAValidModelId", body)
    assert (strange.status, strange.code) == (400, "InvalidArgument")
    assert strange.message.startswith("The format of the Model ID thisIsNotAValidModelId provided")
    unknown = plane.ask(method, "/models/dtmi%3At%3ANone%3B1", body)
    assert (unknown.status, unknown.code) == (404, "ModelNotFound")


def test_a_model_is_decommissioned_again_and_again_but_never_back(plane: Plane) -> None:
    address = f"/models/{ROOM}"
    patch = [{"op": "replace", "path": "/decommissioned", "value": True}]
    assert plane.ask("PATCH", address, patch).status == 204
    assert plane.ask("PATCH", address, patch).status == 204
    assert plane.ask("PATCH", address, []).status == 204
    assert plane.ask("GET", address).body["decommissioned"] is True
    for wrong in (
        {"op": "replace", "path": "/decommissioned", "value": False},
        {"op": "add", "path": "/decommissioned", "value": True},
        {"op": "replace", "path": "/displayName", "value": "x"},
    ):
        assert plane.ask("PATCH", address, [wrong]).code == "JsonPatchInvalid"


def test_a_model_goes_when_no_other_builds_on_it_whoever_uses_it(plane: Plane) -> None:
    plane.put("room1")
    held = plane.ask("DELETE", "/models/dtmi:t:Space;1")
    assert (held.status, held.code) == (409, "ModelReferencesNotDeleted")
    assert "dtmi:t:Room;1, dtmi:t:Floor;1." in held.message
    assert plane.ask("DELETE", "/models/dtmi:t:Thermostat;1").status == 409
    for model_id in (ROOM, "dtmi:t:Floor;1", "dtmi:t:Space;1", "dtmi:t:Thermostat;1"):
        assert plane.ask("DELETE", f"/models/{model_id}").status == 204
    assert plane.ask("GET", "/models").body["value"] == []


def test_an_id_is_free_again_once_its_model_is_gone(plane: Plane) -> None:
    plane.ask("DELETE", "/models/dtmi:t:Floor;1")
    again = interface("dtmi:t:Floor;1", {"@type": "Property", "name": "x", "schema": "string"})
    assert plane.ask("POST", "/models", [again]).status == 201
    body = {"$metadata": {"$model": "dtmi:t:Floor;1"}, "x": "y"}
    assert plane.ask("PUT", "/digitaltwins/f", body).status == 200
