"""Requests nobody wrote: made from the published OpenAPI documents, and every answer checked.

The documents are those of Azure/azure-rest-api-specs. Their operations have a default answer, which
allows every status; so what counts as documented is what their descriptions list, and what the
service's front answers for any operation. Two values are null where a document says text
(``nextLink``, ``continuationToken``): so the service was recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance

from sync_agent.stub.adt.operation import API_VERSIONS, OPERATIONS
from sync_agent.stub.server import StubServer
from tests.adt_clients import client_at
from tests.stubs import running_stub
from tests.unit.stub.adt.plane import MODELS, ROOM

DOCUMENTS = next(
    (
        folder / "shared" / "reference" / "adt-openapi"
        for folder in Path(__file__).resolve().parents
        if (folder / "shared" / "reference" / "adt-openapi").is_dir()
    ),
    None,
)
VERSIONS = [version for version in API_VERSIONS if "preview" not in version]
UNKNOWN_JOB = {"ImportJobs_Delete", "ImportJobs_Cancel"}
"""Their descriptions name no answer for a job that is not there; GET was recorded to answer 404."""

ANYWHERE = {400, 401, 405, 413, 414, 429}
EXAMPLES = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_data,
    pytest.mark.timeout(900),
    pytest.mark.skipif(DOCUMENTS is None, reason="needs ../shared/reference/adt-openapi"),
]


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with running_stub() as server, client_at(server.adt_url) as client:
        client.create_models(list(MODELS))
        for name in ("a", "b"):
            twin = {"$metadata": {"$model": ROOM}, "thermostat": {"$metadata": {}}}
            client.upsert_digital_twin(name, twin)
        yield server


def document(version: str) -> dict[str, Any]:
    """Return a version's document, with its version pinned and ids that are sometimes there."""
    assert DOCUMENTS is not None
    found: dict[str, Any] = json.loads((DOCUMENTS / f"{version}.json").read_text("utf-8"))
    parameters = found["parameters"]
    parameters["api-version"]["enum"] = [version]
    for definition in found["definitions"].values():
        for name in ("nextLink", "continuationToken"):
            if name in definition.get("properties", {}):
                definition["properties"][name]["x-nullable"] = True
    for path in found["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                operation.pop("x-ms-examples", None)
    return found


def operations(version: str) -> list[Any]:
    schema = schemathesis.openapi.from_dict(document(version))
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


def documented(operation: dict[str, Any]) -> set[int]:
    """Return the statuses an operation's description and answers name."""
    named = {int(code) for code in operation["responses"] if code != "default"}
    return named | {int(n) for n in re.findall(r"^\* (\d{3}) ", operation["description"], re.M)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [operation.name for operation in OPERATIONS])
def test_no_request_gets_an_answer_that_is_not_documented(
    stub: StubServer, version: str, name: str
) -> None:
    found = [o for o in operations(version) if o.definition.raw["operationId"] == name]
    if not found:
        assert not next(o for o in OPERATIONS if o.name == name).is_in(version)
        return
    (operation,) = found
    statuses = documented(operation.definition.raw) | ANYWHERE
    statuses |= {404} if name in UNKNOWN_JOB else set()
    unusual = list(HealthCheck)

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=unusual, database=None)
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        response = case.call(base_url=stub.adt_url)
        checks = [not_a_server_error, response_schema_conformance]
        case.validate_response(response, checks=checks)
        assert response.status_code in statuses, (response.status_code, response.text)
        if response.status_code >= 400:
            assert response.json()["error"]["message"]

    ask()
