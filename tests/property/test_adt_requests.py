"""Whatever is sent to the stub's data plane, it answers as a service would, and never breaks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.stub.adt.plane import MODELS, ROOM, Plane, Reply

WORDS = ["digitaltwins", "models", "query", "relationships", "incomingrelationships"]
WORDS += ["components", "telemetry", "thermostat", "a", "b", "r", ROOM, "eventroutes", "jobs"]
PARTS = st.sampled_from(WORDS) | st.text(max_size=6)
PLACES = st.sampled_from(
    [
        "digitaltwins/a",
        "digitaltwins/a/components/thermostat",
        "digitaltwins/a/relationships/r",
        "digitaltwins/a/relationships",
        "digitaltwins/a/telemetry",
        "models",
        f"models/{ROOM}",
        "eventroutes/r",
        "query",
    ]
)
PATHS = st.one_of(PLACES, PLACES, st.lists(PARTS, max_size=6).map("/".join))
PROPERTIES = ("temperature", "label", "tags", "thermostat", "address", "city", "setPoint")
SERVICE = ("$metadata", "$model", "$dtId", "$etag", "$relationshipName", "$targetId", "sourceTime")
FIELDS = ("op", "path", "value", "query", "continuationToken", "endpointName", "filter")
DTDL = ("@id", "@type", "@context", "contents", "schema", "extends", "Interface", "Property")
POINTERS = ("/", "/temperature", "/address", "/tags/x", "/thermostat/setPoint", "/$metadata/$model")
SOURCE_TIMES = ("/$metadata/temperature/sourceTime", "2026-01-01T00:00:00Z")
OPERATION_NAMES = ("add", "replace", "remove", "move")
NAMES = st.sampled_from([*PROPERTIES, *SERVICE, *FIELDS, *DTDL])
TEXTS = st.sampled_from(
    [*OPERATION_NAMES, *POINTERS, *SOURCE_TIMES, *DTDL, ROOM, "next", "in", "b", "double", "-", ""]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | TEXTS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
TWIN: dict[str, Any] = {"$metadata": {"$model": ROOM}, "thermostat": {}}
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(OPERATION_NAMES) | TEXTS,
            "path": TEXTS | st.text(st.sampled_from("/~01a$"), max_size=8),
        },
        optional={"value": VALUES},
    ),
    max_size=4,
)
BODIES = (
    VALUES
    | OPERATIONS
    | st.dictionaries(NAMES, VALUES, max_size=4).map(lambda more: {**TWIN, **more})
    | st.text(st.sampled_from("type$body. ='x'()<>1,\\ORAND"), max_size=20).map(
        lambda text: {"endpointName": "hub", "filter": text}
    )
    | st.dictionaries(NAMES, VALUES, max_size=4).map(lambda more: [{**MODELS[0], **more}])
)
RAW = BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=60)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["if-match", "if-none-match", "max-items-per-page", "message-id", "traceparent"]
    ),
    st.sampled_from(["*", 'W/"x"', "x", "1", "", "0"]) | st.text(max_size=5, alphabet="aé\x00\n"),
    max_size=3,
)
METHODS = st.sampled_from(
    ["GET", "PUT", "PUT", "PATCH", "PATCH", "PATCH", "POST", "DELETE", "HEAD"]
)
STATUSES = {200, 201, 204, 400, 404, 405, 409, 412, 501}


def check(plane: Plane, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
    quoted = path.encode("utf-8", "surrogatepass").hex(" ").split()
    raw = "".join(f"%{byte}" if byte != "2f" else "/" for byte in quoted)
    reply: Reply = asyncio.run(plane.asking(method, f"/{raw}", body, headers=headers))
    assert reply.status in STATUSES, (reply, path)
    if reply.status >= 400 and "errors" not in reply.body:
        assert reply.code
        assert reply.message


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(METHODS, PATHS, RAW, HEADERS), min_size=1, max_size=6))
def test_any_sequence_of_requests_is_answered(
    requests: list[tuple[str, str, bytes, dict[str, str]]],
) -> None:
    with_rooms(requests)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(deadline=None, max_examples=10_000, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(METHODS, PATHS, RAW, HEADERS), min_size=1, max_size=6))
def test_any_sequence_of_requests_is_answered_many_times(
    requests: list[tuple[str, str, bytes, dict[str, str]]],
) -> None:
    with_rooms(requests)


def with_rooms(requests: list[tuple[str, str, bytes, dict[str, str]]]) -> None:
    plane = Plane(endpoints={"hub": "hub"})
    try:
        plane.put("a", temperature=1, tags={"x": 1})
        plane.put("b")
        plane.link("a", "r", "b", **{"$relationshipName": "next"})
        for request in requests:
            check(plane, *request)
        consistent(plane)
    finally:
        plane.close()


def consistent(plane: Plane) -> None:
    """Every twin that is there is whole: its stamps are those of its properties."""
    for twin in plane.query("SELECT * FROM DIGITALTWINS").body["value"]:
        metadata = twin["$metadata"]
        properties = {
            name
            for name, value in twin.items()
            if not name.startswith("$") and not (isinstance(value, dict) and "$metadata" in value)
        }
        assert metadata.keys() - {"$model", "$lastUpdateTime"} == properties
        assert list(twin)[:2] == ["$dtId", "$etag"]
        assert list(twin)[-1] == "$metadata"
