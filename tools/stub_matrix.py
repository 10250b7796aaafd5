"""The support matrix of the stub: every operation of every version, called, and what came of it.

Each version gets a stub of its own and the same calls in the same order; the table says what the
stub did, so it cannot say more than that. It stands in ``docs/stub.md`` between two marks.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sync_agent.stub.adt.operation import API_VERSIONS, OPERATIONS
from sync_agent.stub.server import StubOptions, StubServer

PAGE = Path(__file__).parent.parent / "docs/stub.md"
BEGIN = "<!-- matrix: written by `make docs` -->"
END = "<!-- end of matrix -->"
WAIT_S = 10.0
LIMITED = {
    "Query_QueryTwins": "`query-charge` is an estimate, fitted to what is recorded",
    "EventRoutes_Add": "endpoints are the stub's hubs",
    "ImportJobs_Add": "blobs on loopback or `--blob-host`; sends no notifications",
}
"""Operations that do less than the service's, and how."""

_MODEL = {
    "@id": "dtmi:matrix:A;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "contents": [
        {"@type": "Property", "name": "p", "schema": "double"},
        {"@type": "Component", "name": "c", "schema": "dtmi:matrix:C;1"},
        {"@type": "Relationship", "name": "r"},
    ],
}
_PART = {
    "@id": "dtmi:matrix:C;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "contents": [{"@type": "Property", "name": "q", "schema": "double"}],
}
_TWIN = {"$metadata": {"$model": "dtmi:matrix:A;1"}, "c": {"$metadata": {}}}
_BLOB = "http://127.0.0.1:9/account/container/blob"
_SENT = {"Message-Id": "1"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the operation it is, and the status that means it was done."""

    operation: str
    path: str
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def _calls() -> Iterator[Call]:
    model, twin = "/models/dtmi:matrix:A;1", "/digitaltwins/a"
    edge, ends = f"{twin}/relationships/e", {"$relationshipName": "r", "$targetId": "b"}
    yield Call("DigitalTwinModels_Add", "/models", 201, [_MODEL, _PART])
    yield Call("DigitalTwinModels_List", "/models", 200)
    yield Call("DigitalTwinModels_GetById", model, 200)
    yield Call("DigitalTwins_Add", twin, 200, _TWIN)
    yield Call("DigitalTwins_Add", "/digitaltwins/b", 200, _TWIN)
    yield Call("DigitalTwins_GetById", twin, 200)
    add_p, add_q = ([{"op": "add", "path": f"/{name}", "value": 1}] for name in "pq")
    yield Call("DigitalTwins_Update", twin, 204, add_p)
    yield Call("DigitalTwins_GetComponent", f"{twin}/components/c", 200)
    yield Call("DigitalTwins_UpdateComponent", f"{twin}/components/c", 204, add_q)
    yield Call("DigitalTwins_SendTelemetry", f"{twin}/telemetry", 204, {"t": 1}, _SENT)
    path = f"{twin}/components/c/telemetry"
    yield Call("DigitalTwins_SendComponentTelemetry", path, 204, {"t": 1}, _SENT)
    yield Call("DigitalTwins_AddRelationship", edge, 200, ends)
    yield Call("DigitalTwins_GetRelationshipById", edge, 200)
    yield Call("DigitalTwins_UpdateRelationship", edge, 204, [])
    yield Call("DigitalTwins_ListRelationships", f"{twin}/relationships", 200)
    yield Call(
        "DigitalTwins_ListIncomingRelationships", "/digitaltwins/b/incomingrelationships", 200
    )
    yield Call("Query_QueryTwins", "/query", 200, {"query": "SELECT * FROM digitaltwins"})
    yield Call("DigitalTwins_DeleteRelationship", edge, 204)
    yield Call("DigitalTwins_Delete", twin, 204)
    decommission = [{"op": "replace", "path": "/decommissioned", "value": True}]
    yield Call("DigitalTwinModels_Update", model, 204, decommission)
    yield Call("DigitalTwinModels_Delete", model, 204)
    route = {"endpointName": "telemetry", "filter": "true"}
    yield Call("EventRoutes_Add", "/eventroutes/r", 204, route)
    yield Call("EventRoutes_GetById", "/eventroutes/r", 200)
    yield Call("EventRoutes_List", "/eventroutes", 200)
    yield Call("EventRoutes_Delete", "/eventroutes/r", 204)
    blobs = {"inputBlobUri": _BLOB, "outputBlobUri": _BLOB}
    yield Call("ImportJobs_Add", "/jobs/imports/j", 201, blobs)
    yield Call("ImportJobs_Cancel", "/jobs/imports/j/cancel", 200)
    yield Call("ImportJobs_GetById", "/jobs/imports/j", 200)
    yield Call("ImportJobs_List", "/jobs/imports", 200)
    yield Call("ImportJobs_Delete", "/jobs/imports/j", 204)
    yield Call("DeleteJobs_Add", "/jobs/deletions", 202, None, {"operation-id": "d"})
    yield Call("DeleteJobs_GetById", "/jobs/deletions/d", 200)
    yield Call("DeleteJobs_List", "/jobs/deletions", 200)


def outcomes() -> dict[tuple[str, str], bool]:
    """Return by operation and version whether the stub did it."""
    return asyncio.run(_outcomes())


def page() -> str:
    """Return ``docs/stub.md`` with the matrix as it is now."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(outcomes())}\n{END}{after}"


def table(found: dict[tuple[str, str], bool]) -> str:
    """Return the matrix as Markdown."""
    lines = [
        f"| operation | {' | '.join(API_VERSIONS)} | how limited |",
        f"|---|{'---|' * len(API_VERSIONS)}---|",
    ]
    for operation in OPERATIONS:
        limit = LIMITED.get(operation.name, "")
        done = "limited" if limit else "yes"
        cells = [
            done if found[operation.name, version]
            else ("no" if operation.is_in(version) else "-")
            for version in API_VERSIONS
        ]  # fmt: skip
        lines.append(f"| {operation.name} | {' | '.join(cells)} | {limit} |")
    return "\n".join(lines)


async def _outcomes() -> dict[tuple[str, str], bool]:
    found: dict[tuple[str, str], bool] = {}
    for version in API_VERSIONS:
        async with StubServer(StubOptions()) as stub:
            answers = await asyncio.to_thread(_ask_all, stub.adt_url, version)
        found |= {(name, version): done for name, done in answers.items()}
    return found


def _ask_all(url: str, version: str) -> dict[str, bool]:
    methods = {operation.name: operation.method for operation in OPERATIONS}
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=WAIT_S)
    answers: dict[str, bool] = {}
    try:
        for call in _calls():
            end = time.monotonic() + WAIT_S
            while True:
                status, body = _ask(connection, methods[call.operation], call, version)
                # What waits for the job before it to end is asked again.
                waits = status == 429 or (status == 400 and b"has not ended" in body)
                if not waits or time.monotonic() > end:
                    break
                time.sleep(0.01)
            answers[call.operation] = answers.get(call.operation, True) and status == call.status
    finally:
        connection.close()
    return answers


def _ask(
    connection: http.client.HTTPConnection, method: str, call: Call, version: str
) -> tuple[int, bytes]:
    text = None if call.body is None else json.dumps(call.body)
    given = {"Content-Type": "application/json", **call.headers}
    connection.request(method, f"{call.path}?api-version={version}", text, given)
    answer = connection.getresponse()
    return answer.status, answer.read()
