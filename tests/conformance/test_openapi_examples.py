"""The published examples of the OpenAPI document: asked of the stub, each answer held to theirs.

An example has parameters and an answer. What its request takes for granted is made first; then the
status must be the example's, and the body have all the example's fields, with values of the same
kind. Placeholders in the examples ("path to input blob") are filled in.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.conformance.test_openapi import DOCUMENTS
from tests.unit.stub.adt.plane import Plane, Reply, twin

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(DOCUMENTS is None, reason="needs ../shared/reference/adt-openapi"),
]

Body = dict[str, Any]
VERSION = "2023-10-31"
CONTEXT = "dtmi:dtdl:context;2"
SAMPLE, DEVICE = "dtmi:com:example:Sample;1", "dtmi:com:example:SampleDeviceModel;1"
ITEM, PART = "dtmi:com:example:interfaces:interfaceName;1", "dtmi:com:example:Part;1"
BLOB = "https://account.blob.core.windows.net/container/blob"
FILLED = {"subProperty1": "some value", "subProperty2": "some other value"}
VALUES = {"property1": 1, "property2": FILLED, "property3": FILLED}
FAULTS = {
    "GetComponent.json": "component1",  # a component has no components
    "DeleteJobPost.json": "finishedDateTime",  # of a job that has not started
}
"""Fields that cannot be, by the example that has them."""
WAIT_S = 10.0


def content(kind: str, name: str, schema: Any) -> Body:
    return {"@type": kind, "name": name, "schema": schema, "displayName": name}


def interface(model_id: str, *contents: Body) -> Body:
    named = {"displayName": "My model", "contents": list(contents)}
    return {"@id": model_id, "@type": "Interface", "@context": CONTEXT, **named}


def models(example: str) -> list[Body]:
    fields = [{"name": name, "schema": "string"} for name in FILLED]
    if example.startswith("PatchTwinAdvanced"):
        fields[0]["schema"] = "integer"
    described: Body = {"@type": "Object", "fields": fields}
    properties = [content("Property", name, "integer") for name in ("property", "property1")]
    properties += [content("Property", name, described) for name in ("property2", "property3")]
    # In one example the property of a relationship is a number, in the others a text.
    of_edges: Body = {
        "property": "integer" if "Patch" in example else "string",
        "property1": "integer",
    }
    of_edges |= {"property2": "string", "property3": described, "relationshipProperty": "string"}
    of_edges |= {"relationshipProperty1": "integer", "relationshipProperty2": "string"}
    on_edges = [content("Property", *pair) for pair in of_edges.items()]
    edge = {"@type": "Relationship", "name": "myRelationship", "properties": on_edges}
    components = [content("Component", name, PART) for name in parts_in(example)]
    samples = {"name": "string", "temp": "integer", "comfortIndex": "integer"}
    return [
        interface(PART, content("Property", "componentProperty", "string"), *properties),
        interface(ITEM, *properties, *components, edge),
        interface(
            SAMPLE,
            *(content("Property", *pair) for pair in samples.items()),
            {"@type": "Relationship", "name": "Contains"},
        ),
        interface(DEVICE, content("Component", "Sample", SAMPLE)),
    ]


def parts_in(example: str) -> dict[str, Body]:
    """Return the components the twins of an example have; one creates a twin without any."""
    if example.startswith("PutTwinBasic"):
        return {}
    if "Component" in example:
        return {"myComponent": VALUES}
    return {"component1": {"componentProperty": "some value"}}


def must(plane: Plane, method: str, path: str, body: Any = None, **headers: str) -> Any:
    reply = plane.ask(method, path, body, headers=headers)
    assert reply.status < 300, (method, path, reply)
    return reply.body


def prepare(plane: Plane, example: str, operation: str, parameters: Body) -> None:
    """Make what a request takes for granted, and fill in its placeholders."""
    subject = str(parameters.get("id", ""))
    if operation != "DigitalTwinModels_Add":
        must(plane, "POST", "/models", models(example))
    match operation.split("_"):
        case ["DigitalTwinModels", "Delete"]:
            must(plane, "DELETE", f"/models/{DEVICE}")
        case ["Query", _]:
            prepare_query(plane, parameters["querySpecification"])
        case ["DigitalTwins", name] if name != "Add":
            document = {"$metadata": {"$model": ITEM}, **VALUES, **parts_in(example)}
            if example.startswith("PatchTwinAdvanced"):
                document |= {"property2": {"subProperty2": "x"}, "property3": {}}
            relationship = parameters.get("relationshipId", "first")
            prepare_twins(plane, subject, name, document, relationship)
        case ["EventRoutes", name] if name != "Add":
            for route in (subject or "eventroute-001", "eventroute-002"):
                body = {"endpointName": "endpoint-001", "filter": "true"}
                must(plane, "PUT", f"/eventroutes/{route}", body)
        case ["ImportJobs", name]:
            body = {"inputBlobUri": BLOB, "outputBlobUri": BLOB}
            if name == "Add":
                parameters["importJob"] = body
            else:
                job = f"/jobs/imports/{subject or 'importjob1'}"
                must(plane, "PUT", job, body)
                if name != "Cancel":
                    must(plane, "POST", f"{job}/cancel")  # so it has ended
        case ["DeleteJobs", name] if name != "Add":
            asyncio.run(delete_all(plane))


async def delete_all(plane: Plane) -> None:
    """Run a delete job to its end."""
    await plane.asking("POST", "/jobs/deletions", headers={"operation-id": "deletejob1"})
    async with asyncio.timeout(WAIT_S):
        job: Body = {}
        while job.get("status") != "succeeded":
            await asyncio.sleep(0.001)
            job = (await plane.asking("GET", "/jobs/deletions/deletejob1")).body


def prepare_query(plane: Plane, specification: Body) -> None:
    values = {"name": "Sample", "temp": 79, "comfortIndex": 50}
    for number in (1, 2, 3, 4, 10):
        must(plane, "PUT", twin(f"Twin-{number:02}"), {"$metadata": {"$model": SAMPLE}, **values})
    for target in ("Twin-02", "Twin-10"):
        edge = {"$relationshipName": "Contains", "$targetId": target}
        must(plane, "PUT", f"{twin('Twin-01')}/relationships/{target}", edge)
    if "continuationToken" in specification:
        query = {"query": "SELECT * FROM DIGITALTWINS WHERE temp = 79"}
        page = must(plane, "POST", "/query", query, **{"max-items-per-page": "2"})
        specification["continuationToken"] = page["continuationToken"]


def prepare_twins(
    plane: Plane, subject: str, operation: str, document: Body, relationship: str
) -> None:
    needs_edges = "Relationship" in operation
    for name in (subject, *(["myTargetTwin", "another"] if needs_edges else [])):
        must(plane, "PUT", twin(name), document)
    if needs_edges and operation != "AddRelationship":
        edge = {"$relationshipName": "myRelationship", "property2": "x", "property3": FILLED}
        edge |= {"relationshipProperty": "some value"}
        edge |= {"property": "value"} if operation.startswith(("List", "Get")) else {}
        for source, name, target in (
            (subject, relationship, "myTargetTwin"),
            (subject, "second", "another"),
            ("another", "back", subject),
        ):
            body = {**edge, "$targetId": target}
            must(plane, "PUT", f"{twin(source)}/relationships/{name}", body)


def examples() -> Iterator[Any]:
    if DOCUMENTS is None:
        return
    document = json.loads((DOCUMENTS / f"{VERSION}.json").read_text("utf-8"))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not isinstance(operation, dict):
                continue  # parameters that all methods have
            for reference in operation.get("x-ms-examples", {}).values():
                name = reference["$ref"].rsplit("/", 1)[1]
                yield pytest.param(method.upper(), path, operation, name, id=name[:-5])


def request_of(plane: Plane, method: str, path: str, operation: Body, values: Body) -> Reply:
    """Send the request an example's parameters make."""
    assert DOCUMENTS is not None
    shared = json.loads((DOCUMENTS / f"{VERSION}.json").read_text("utf-8"))["parameters"]
    options: list[tuple[str, str]] = []
    headers, body = {}, None
    for listed in operation["parameters"]:
        parameter = shared[listed["$ref"].rsplit("/", 1)[1]] if "$ref" in listed else listed
        name, place = parameter["name"], parameter["in"]
        value = values.get(name)
        if value is None or name == "api-version":
            continue
        if place == "path":
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        elif place == "query":
            options += [(name, str(v)) for v in (value if isinstance(value, list) else [value])]
        elif place == "header":
            headers[name] = str(value)
        else:
            body = value
    return plane.ask(method, f"{path}?{urlencode(options)}", body, headers=headers)


def unlike(expected: Any, found: Any, place: str = "") -> list[str]:
    """Return where a value lacks a field of the example, or has another kind of value there."""
    if expected is None or place.endswith(("/nextLink", "/continuationToken")):
        return []  # the last page has null there
    if isinstance(expected, dict) and isinstance(found, dict):
        missing = [f"{place}/{name} is missing" for name in expected if name not in found]
        return missing + [
            line
            for name, value in expected.items()
            if name in found
            for line in unlike(value, found[name], f"{place}/{name}")
        ]
    if isinstance(expected, list) and isinstance(found, list):
        return unlike(expected[0], found[0], f"{place}/0") if found else [f"{place} is empty"]
    return [] if type(expected) is type(found) else [f"{place} is {found!r}, not {expected!r}"]


@pytest.mark.parametrize(("method", "path", "operation", "name"), list(examples()))
def test_each_published_example_is_answered_in_its_form(
    method: str, path: str, operation: Body, name: str
) -> None:
    assert DOCUMENTS is not None
    example = json.loads((DOCUMENTS / f"examples-{VERSION}" / name).read_text("utf-8"))
    plane = Plane(models=False, endpoints={"endpoint-001": "hub"})
    try:
        prepare(plane, name, operation["operationId"], example["parameters"])
        reply = request_of(plane, method, path, operation, example["parameters"])
    finally:
        plane.close()
    ((status, answer),) = example["responses"].items()
    assert reply.status == int(status), reply
    body = answer.get("body")
    if isinstance(body, dict):
        body.pop(FAULTS.get(name, ""), None)
    assert unlike(body, reply.body) == []
    for header in answer.get("headers", {}):
        assert header.lower() in reply.headers
