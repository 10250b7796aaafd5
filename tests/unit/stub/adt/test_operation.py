"""The table of operations, held to the published OpenAPI documents where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync_agent.stub.adt.operation import API_VERSIONS, OPERATIONS, Quota, operation_of

OPENAPI = next(
    (
        folder / "shared" / "reference" / "adt-openapi"
        for folder in Path(__file__).resolve().parents
        if (folder / "shared" / "reference" / "adt-openapi").is_dir()
    ),
    None,
)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "models", "DigitalTwinModels_Add"),
        ("GET", "DigitalTwins/a", "DigitalTwins_GetById"),
        ("PATCH", "digitaltwins/a/Components/c", "DigitalTwins_UpdateComponent"),
        ("PUT", "digitaltwins/a/relationships/r", "DigitalTwins_AddRelationship"),
        ("GET", "digitaltwins/a/relationships", "DigitalTwins_ListRelationships"),
        ("POST", "jobs/imports/j/cancel", "ImportJobs_Cancel"),
        ("GET", "EventRoutes", "EventRoutes_List"),
    ],
)
def test_a_request_is_called_by_its_method_and_path(method: str, path: str, name: str) -> None:
    found = operation_of(method, path.split("/"))
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "models"),
        ("GET", "digitaltwins"),
        ("GET", "digitaltwins/"),
        ("GET", ""),
        ("GET", "x"),
    ],
)
def test_what_is_no_operation_has_no_name(method: str, path: str) -> None:
    assert operation_of(method, path.split("/")) is None


def test_relationships_count_as_writes_of_their_twins() -> None:
    writes = {o.name for o in OPERATIONS if o.writes_twin}
    assert "DigitalTwins_DeleteRelationship" in writes
    assert all(o.quota in (Quota.PATCH, Quota.CREATE_DELETE) for o in OPERATIONS if o.writes_twin)


@pytest.mark.real_data
@pytest.mark.skipif(OPENAPI is None, reason="needs ../shared/reference/adt-openapi")
@pytest.mark.parametrize("version", [v for v in API_VERSIONS if "preview" not in v])
def test_the_table_has_exactly_the_operations_of_each_version(version: str) -> None:
    assert OPENAPI is not None
    paths = json.loads((OPENAPI / f"{version}.json").read_text())["paths"]
    published = {
        (
            verb.upper(),
            tuple("*" if p.startswith("{") else p.lower() for p in path.strip("/").split("/")),
        )
        for path, verbs in paths.items()
        for verb in verbs
        if verb != "parameters"
    }
    assert published == {(o.method, o.shape) for o in OPERATIONS if o.is_in(version)}


@pytest.mark.real_data
@pytest.mark.skipif(OPENAPI is None, reason="needs ../shared/reference/adt-openapi")
def test_operations_have_their_published_names() -> None:
    assert OPENAPI is not None
    paths = json.loads((OPENAPI / f"{API_VERSIONS[-1]}.json").read_text())["paths"]
    names = {
        o["operationId"] for verbs in paths.values() for v, o in verbs.items() if v != "parameters"
    }
    assert names == {o.name for o in OPERATIONS}
