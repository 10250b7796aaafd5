from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sync_agent.errors import StoreError
from sync_agent.stub.adt import app, queries
from sync_agent.stub.adt.operation import API_VERSIONS
from tests.unit.stub.adt.plane import MODELS, Plane, twin

HOSTS_OF_OURS = ["127.0.0.1:80", "localhost:80", "adt.localhost", "[::1]:80", "192.0.2.1", ""]


@pytest.fixture
def guarded() -> Iterator[Plane]:
    plane = Plane(models=False, token="s3cret")
    yield plane
    plane.close()


# -- headers ---------------------------------------------------------------------------------------


def test_every_answer_carries_what_the_service_s_carry(plane: Plane) -> None:
    plane.put("room1")
    for path in (twin("room1"), twin("nobody"), "/models"):
        headers = plane.ask("GET", path).headers
        assert headers["content-type"] == "application/json; charset=utf-8"
        assert headers["strict-transport-security"] == "max-age=2592000"
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceresponse"])
        assert re.fullmatch(r"[0-9a-f-]{36}", headers["mise-correlation-id"])
        assert not [name for name in headers if name.startswith("access-control")]


def test_a_body_of_nothing_has_a_length_and_no_type(plane: Plane) -> None:
    plane.put("room1")
    headers = plane.ask("DELETE", twin("room1")).headers
    assert headers["content-length"] == "0"
    assert "content-type" not in headers
    assert "etag" not in headers


def test_the_trace_of_a_request_is_carried_on(plane: Plane) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    given = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    found = plane.ask("GET", "/models", headers=given).headers["traceresponse"]
    assert found.startswith(f"00-{trace}-")
    assert "b7ad6b7169203331" not in found


@pytest.mark.parametrize("given", ["", "x", "00-" + "Z" * 32 + "-b7ad6b7169203331-01", "ü" * 55])
def test_a_trace_that_is_none_is_replaced(plane: Plane, given: str) -> None:
    found = plane.ask("GET", "/models", headers={"traceparent": given}).headers["traceresponse"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", found)


# -- routes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ("", "ApiVersionUnspecified"),
        ("2019-01-01", "UnsupportedApiVersion"),
        ("2023-10-31-preview", "UnsupportedApiVersion"),
        ("2024-01-01", "UnsupportedApiVersion"),
    ],
)
def test_a_version_that_is_not_known_is_refused(plane: Plane, version: str, code: str) -> None:
    reply = plane.ask("GET", "/models", version=version)
    assert (reply.status, reply.code) == (400, code)
    assert "2023-10-31" in reply.message


def test_names_of_options_are_taken_in_any_case(plane: Plane) -> None:
    path = (
        "/models?INCLUDEmodelDefinition=True&DependenciesFor=dtmi:t:Room;1&API-Version=2022-05-31"
    )
    first = plane.ask("GET", path, version="", headers={"max-items-per-page": "1"})
    assert (first.status, len(first.body["value"])) == (200, 1)
    assert "model" in first.body["value"][0]
    path = first.body["nextLink"].removeprefix("http://127.0.0.1:1234")
    second = plane.ask("GET", path.replace("continuationToken", "ContinuationToken"), version="")
    assert [model["id"] for model in second.body["value"]] == ["dtmi:t:Space;1", "dtmi:t:Room;1"]


@pytest.mark.parametrize("version", API_VERSIONS)
def test_each_known_version_is_served(plane: Plane, version: str) -> None:
    assert plane.ask("GET", "/models", version=version).status == 200


def test_the_fixed_parts_of_a_path_match_in_any_case_and_ids_do_not(plane: Plane) -> None:
    plane.put("Room1")
    assert plane.ask("GET", "/Models/dtmi:t:Room;1").status == 200
    assert plane.ask("GET", "/DIGITALTWINS/Room1/Components/thermostat").status == 200
    assert plane.ask("GET", "/digitalTwins/Room1/RELATIONSHIPS").status == 200
    assert plane.ask("GET", "/digitaltwins/room1").status == 404
    assert plane.ask("GET", "/digitaltwins/Room1/components/Thermostat").status == 404
    assert plane.ask("GET", "/models/dtmi:t:room;1").status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("GET", "/query", 405),
        ("POST", "/query/more", 404),
        ("GET", "/digitaltwins", 404),
        ("GET", "/digitaltwins//relationships", 404),
        ("POST", "/digitaltwins/room1", 405),
        ("OPTIONS", "/digitaltwins/room1", 405),
        ("HEAD", "/digitaltwins/room1", 405),
        ("DELETE", "/models", 405),
        ("PUT", "/models/dtmi:t:Room;1", 405),
        ("DELETE", "/digitaltwins/room1/components/thermostat", 405),
        ("POST", "/digitaltwins/room1/relationships/r", 405),
        ("GET", "/digitaltwins/room1/windows", 404),
        ("GET", "/digitaltwins/room1/components", 404),
        ("GET", "/digitaltwins/room1/relationships/r/more", 404),
        ("POST", "/jobs", 404),
    ],
)
def test_where_there_is_nothing_the_answer_says_so(
    plane: Plane, method: str, path: str, status: int
) -> None:
    plane.put("room1")
    assert plane.ask(method, path).status == status


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/models", "POST, GET"),
        ("/query", "POST"),
        ("/digitaltwins/room1", "GET, PATCH, DELETE, PUT"),
        ("/DigitalTwins/room1/Telemetry", "POST"),
        ("/jobs/deletions", "POST, GET"),
    ],
)
def test_a_method_an_address_does_not_have_is_refused_with_those_it_has(
    plane: Plane, path: str, methods: str
) -> None:
    reply = plane.ask("TRACE", path)
    assert (reply.status, reply.code) == (405, "MethodNotAllowed")
    assert set(reply.headers["allow"].split(", ")) == set(methods.split(", "))


def test_an_address_that_came_with_a_later_version_is_not_there_in_an_earlier_one(
    plane: Plane,
) -> None:
    assert plane.ask("PATCH", "/jobs/imports", version="2023-06-30").status == 405
    assert plane.ask("PATCH", "/jobs/imports", version="2022-05-31").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/digitaltwins/..%2f..%2fmodels",
        "/digitaltwins/../models",
        "/./digitaltwins/x",
        "/digitaltwins/%00",
        "/digitaltwins/%ff%fe",
        "/digitaltwins/%",
        "/digitaltwins/%zz",
        "/digitaltwins/x;y=z",
        "//digitaltwins/x",
        "/digitaltwins/x/components/%2e%2e",
        "/digitaltwins/x/relationships/%0d%0aSet-Cookie:x",
        "/models/%0d%0a",
    ],
)
def test_a_path_with_tricks_names_nothing_and_fails_nothing(plane: Plane, path: str) -> None:
    reply = plane.ask("GET", path)
    assert reply.status in (400, 404, 405)
    assert reply.body["error"]["message"]


def test_ids_that_are_no_utf_8_are_refused_so_that_no_two_of_them_are_one_twin(
    plane: Plane,
) -> None:
    for path in ("/digitaltwins/a%ff", "/digitaltwins/a%fe", "/digitaltwins/a%ed%a0%80"):
        reply = plane.ask("PUT", path, {"$metadata": {"$model": "dtmi:t:Floor;1"}})
        assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert plane.query("SELECT COUNT() FROM DIGITALTWINS").body["value"] == [{"COUNT": 0}]


# -- bodies ----------------------------------------------------------------------------------------


NO_JSON = pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1,",
        b"nonsense",
        b"\xff\xfe",
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'"\\ud800"',
        b'{"$metadata":{"$model":"\\ud800\\u0041"}}',
        b"{} {}",
        b"[" * 30_000,
        b"\xef\xbb\xbf{}",
    ],
)


@NO_JSON
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/digitaltwins/x"),
        ("PUT", "/digitaltwins/room1/relationships/r"),
        ("POST", "/digitaltwins/room1/telemetry"),
        ("POST", "/models"),
        ("POST", "/query"),
    ],
)
def test_a_body_that_is_no_json_is_an_invalid_payload(
    plane: Plane, method: str, path: str, body: bytes
) -> None:
    plane.put("room1")
    reply = plane.ask(method, path, body, headers={"Message-Id": "1"})
    assert (reply.status, reply.message) == (400, "Payload is invalid.")


@NO_JSON
@pytest.mark.parametrize(
    "path",
    [
        "/digitaltwins/room1",
        "/digitaltwins/room1/components/thermostat",
        "/digitaltwins/room1/relationships/r",
        "/models/dtmi:t:Room;1",
    ],
)
def test_a_patch_that_is_no_json_gets_the_web_framework_s_answer(
    plane: Plane, path: str, body: bytes
) -> None:
    plane.put("room1")
    plane.put("room2")
    plane.link("room1", "r", "room2")
    reply = plane.ask("PATCH", path, body)
    assert (reply.status, reply.body["status"]) == (400, 400)
    assert reply.headers["content-type"] == "application/problem+json; charset=utf-8"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_json_that_is_too_deep_is_refused(plane: Plane, opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    for depth, fits in ((64, True), (65, False), (900, False)):
        body = opening * depth + b"1" + closing * depth
        reply = plane.ask("PUT", "/digitaltwins/x", body)
        assert reply.status == 400
        assert ("nested deeper" in reply.message) is not fits


def test_much_json_that_is_not_deep_is_taken(plane: Plane) -> None:
    patch = [{"op": "add", "path": "/tags", "value": {}}] * 500
    plane.put("room1")
    assert plane.ask("PATCH", twin("room1"), patch).status == 204


def test_a_body_over_32_kib_is_refused_and_one_of_models_is_not(plane: Plane) -> None:
    exact = b'{"a":"' + b"x" * (32 * 1024 - 8) + b'"}'
    assert plane.ask("PUT", "/digitaltwins/x", exact).status == 400
    reply = plane.ask("PUT", "/digitaltwins/x", exact + b" ")
    assert (reply.status, reply.code) == (413, "PayloadTooLarge")
    models = [{**MODELS[0], "@id": f"dtmi:t:Big{n};1", "comment": "x" * 500} for n in range(200)]
    assert plane.ask("POST", "/models", models).status == 201


def test_a_path_over_8_kib_is_refused(plane: Plane) -> None:
    assert plane.ask("GET", "/digitaltwins/" + "x" * 9_000).status == 414


def test_more_options_than_any_request_has_are_refused(plane: Plane) -> None:
    assert plane.ask("GET", "/models?" + "a=1&" * 1_001).status == 400


# -- who may ask -----------------------------------------------------------------------------------


def test_without_a_token_any_or_no_authorization_will_do(plane: Plane) -> None:
    assert plane.ask("GET", "/models").status == 200
    assert plane.ask("GET", "/models", headers={"Authorization": "Bearer x"}).status == 200


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer x", "s3cret", "Basic s3cret"])
def test_with_a_token_the_gateway_answers_whoever_lacks_it(guarded: Plane, given: str) -> None:
    reply = guarded.ask("GET", "/models", headers={"Authorization": given})
    assert (reply.status, reply.body) == (401, {"statusCode": 401, "message": "Unauthorized"})
    assert reply.headers["content-type"] == "application/json"
    assert "strict-transport-security" not in reply.headers
    assert "traceresponse" not in reply.headers


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_whoever_has_the_token_is_answered_by_any_name(guarded: Plane, scheme: str) -> None:
    given = {"Authorization": f"{scheme} s3cret", "Host": "twins.example", "Origin": "http://x"}
    assert guarded.ask("GET", "/models", headers=given).status == 200


def test_explorer_needs_no_token_unless_the_stub_can_be_reached_from_elsewhere(
    guarded: Plane,
) -> None:
    given = {"Authorization": "Bearer undefined", "x-adt-host": "my.api.weu.digitaltwins.azure.net"}
    assert guarded.ask("GET", "/api/proxy/models", headers=given).status == 200
    far = Plane(models=False, token="s3cret", open_proxy=False)
    assert far.ask("GET", "/api/proxy/models", headers=given).status == 401
    far.close()


@pytest.mark.parametrize("host", HOSTS_OF_OURS)
def test_addresses_and_localhost_are_names_of_the_stub(plane: Plane, host: str) -> None:
    assert plane.ask("GET", "/models", headers={"host": host}).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "[", "a b"])
def test_a_name_anybody_could_point_at_us_is_not_answered(plane: Plane, host: str) -> None:
    reply = plane.ask("GET", "/models", headers={"host": host})
    assert (reply.status, reply.code) == (403, "Forbidden")


@pytest.mark.parametrize("path", ["/models", "/api/proxy/models"])
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:1234", 200),
        ("http://localhost:3000", 200),
        ("http://evil.example", 403),
        ("https://127.0.0.1.evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_other_sites_are_not_answered(
    plane: Plane, path: str, origin: str, status: int
) -> None:
    assert plane.ask("GET", path, headers={"Origin": origin}).status == status


# -- Explorer --------------------------------------------------------------------------------------


def test_the_whole_plane_stands_under_the_prefix_of_explorer(plane: Plane) -> None:
    version = "2021-06-30-preview"
    body = {"$dtId": "r", "$etag": "old", "$metadata": {"$model": "dtmi:t:Floor;1"}}
    assert plane.ask("PUT", "/api/proxy/digitaltwins/a%2Fb", body, version=version).status == 200
    assert plane.get("a/b")["$dtId"] == "a/b"
    found = plane.ask("POST", "/api/proxy/query", {"query": "SELECT * FROM digitaltwins"})
    assert len(found.body["value"]) == 1
    patch = [{"op": "add", "path": "/level", "value": 1}]
    assert plane.ask("PATCH", "/api/proxy/digitaltwins/a%2Fb", patch).status == 204


def test_a_next_link_stays_under_the_prefix(plane: Plane) -> None:
    given = {"max-items-per-page": "2"}
    body = plane.ask("GET", "/api/proxy/models?dependenciesFor=", headers=given).body
    assert body["nextLink"].startswith("http://127.0.0.1:1234/api/proxy/Models?dependenciesFor=&")
    path = body["nextLink"].removeprefix("http://127.0.0.1:1234").rpartition("&api-version")[0]
    assert len(plane.ask("GET", path).body["value"]) == 2


@pytest.mark.parametrize("path", ["Graph/v1.0/me", "RBAC/subscriptions", "graph"])
def test_what_explorer_asks_of_other_services_is_not_there(plane: Plane, path: str) -> None:
    assert plane.ask("GET", f"/api/proxy/{path}", version="").status == 404


# -- trouble ---------------------------------------------------------------------------------------


def test_a_store_that_fails_makes_the_service_unavailable_and_is_named_in_the_log(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise StoreError("the stub's store /x: disk is full", remedy="free space")

    monkeypatch.setattr(plane.db, "put_twin", fail)
    reply = plane.put("room1")
    assert (reply.status, reply.code) == (503, "ServiceUnavailable")
    assert "disk is full; free space" in caplog.text
    assert "/x" not in reply.message


def test_a_fault_of_the_stub_itself_still_gets_an_answer_in_the_envelope(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(plane.db, "twin", fail)
    reply = plane.ask("GET", twin("room1"))
    assert (reply.status, reply.code) == (500, "InternalServerError")
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture
def searching(plane: Plane) -> Plane:
    """A plane on which SEARCH takes far longer than any test."""
    ids = [f"r{number}" for number in range(12)]
    for twin_id in ids:
        plane.put(twin_id)
    for source in ids:
        for target in ids:
            if source != target:
                plane.link(source, f"to {target}", target)
    return plane


SEARCH = "SELECT COUNT() FROM DIGITALTWINS MATCH (A)-[*..9]-(B) WHERE A.$dtId = 'r0'"


def test_the_event_loop_goes_on_while_a_query_runs(
    searching: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "QUERY_MAX_S", 0.5)

    async def watch() -> float:
        gaps = [0.0]
        last = time.monotonic()
        query = asyncio.create_task(_raw(searching, "/query", {"query": SEARCH}))
        while not query.done():
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()
        assert query.result() == 400
        return max(gaps)

    assert asyncio.run(watch()) < 0.3


def test_what_comes_while_a_query_runs_has_its_turn_after_it(
    searching: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "QUERY_MAX_S", 0.3)

    async def both() -> list[int]:
        query = asyncio.create_task(_raw(searching, "/query", {"query": SEARCH}))
        await asyncio.sleep(0.05)
        return list(await asyncio.gather(query, _raw(searching, "/models", [])))

    assert asyncio.run(both()) == [400, 400]


def test_a_request_does_not_wait_for_its_turn_for_ever(
    searching: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "QUERY_MAX_S", 0.5)
    monkeypatch.setattr(app, "TURN_MAX_S", 0.05)

    async def both() -> list[int]:
        query = asyncio.create_task(_raw(searching, "/query", {"query": SEARCH}))
        await asyncio.sleep(0.05)
        return list(await asyncio.gather(query, _raw(searching, "/models", [])))

    assert asyncio.run(both()) == [400, 503]


def test_a_cancelled_query_lets_go_of_the_store_at_once(searching: Plane) -> None:
    async def cancel() -> float:
        query = asyncio.create_task(_raw(searching, "/query", {"query": SEARCH}))
        await asyncio.sleep(0.1)
        start = time.monotonic()
        query.cancel()
        with pytest.raises(asyncio.CancelledError):
            await query
        return time.monotonic() - start

    assert asyncio.run(cancel()) < 1
    assert searching.get("r0")


async def _raw(plane: Plane, path: str, body: Any) -> int:
    reply = await plane.asking("POST", path, body)
    return reply.status
