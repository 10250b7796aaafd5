"""Import and delete jobs: what they do, what they refuse, and what they leave behind."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from sync_agent.stub.adt import job_runner
from sync_agent.stub.adt.blob import create_log, is_allowed, is_blob_uri
from tests.unit.stub.adt.blob_server import Blobs, serving_blobs
from tests.unit.stub.adt.plane import MODELS, ROOM, Plane, Reply, twin

HEADER = [{"Section": "Header"}, {"fileVersion": "1.0.0", "author": "us"}]
TWIN = {"$metadata": {"$model": ROOM}, "thermostat": {"$metadata": {}}}
WAIT_S = 10.0


def twins(*names: str) -> list[dict[str, Any]]:
    return [{"Section": "Twins"}, *({"$dtId": name, **TWIN} for name in names)]


def edge(source: str, target: str, name: str = "r") -> dict[str, Any]:
    ends = {"$dtId": source, "$relationshipId": name, "$targetId": target}
    return {**ends, "$relationshipName": "next", "door": "x"}


WHOLE = [
    *HEADER,
    {"Section": "Models"},
    *reversed(MODELS),
    *twins("a", "b"),
    {"Section": "Relationships"},
    edge("a", "b"),
]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_runner, "START_S", 0.01)


@pytest.fixture
def blobs() -> Iterator[Blobs]:
    with serving_blobs() as blobs:
        yield blobs


def ndjson(lines: list[Any]) -> bytes:
    return b"".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines
    )


class Bench:
    """One instance on an event loop that goes on, and blobs beside it."""

    def __init__(self, plane: Plane, blobs: Blobs) -> None:
        self.plane = plane
        self.blobs = blobs

    async def put(self, lines: list[Any], name: str = "j", **changes: str) -> Reply:
        self.blobs.stored["/acc/box/in"] = ndjson(lines)
        body = {"inputBlobUri": f"{self.blobs.url}/in", "outputBlobUri": f"{self.blobs.url}/out"}
        return await self.plane.asking("PUT", f"/jobs/imports/{name}", {**body, **changes})

    async def ended(self, path: str = "/jobs/imports/j") -> dict[str, Any]:
        for _ in range(int(WAIT_S / 0.01)):
            job: dict[str, Any] = (await self.plane.asking("GET", path)).body
            if job["status"] not in ("notstarted", "running", "cancelling"):
                return job
            await asyncio.sleep(0.01)
        raise AssertionError(f"the job did not end: {job}")

    async def run(self, lines: list[Any], **changes: str) -> dict[str, Any]:
        assert (await self.put(lines, **changes)).status == 201
        return await self.ended()

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.blobs.stored["/acc/box/out"].splitlines()]


def with_bench(
    blobs: Blobs, work: Callable[[Bench], Awaitable[None]], *, models: bool = True
) -> None:
    plane = Plane(models=models)

    async def run() -> None:
        try:
            await work(Bench(plane, blobs))
        finally:
            await plane.app.stop()

    try:
        asyncio.run(run())
    finally:
        plane.close()


def test_an_import_brings_models_twins_and_relationships(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        reply = await bench.put(WHOLE)
        assert reply.status == 201
        assert reply.body["status"] == "notstarted"
        assert set(reply.body) == {
            "id", "inputBlobUri", "outputBlobUri", "createdDateTime", "lastActionDateTime",
            "purgeDateTime", "status",
        }  # fmt: skip
        job = await bench.ended()
        assert job["status"] == "succeeded"
        assert "finishedDateTime" in job
        assert "error" not in job
        found = await bench.plane.asking("GET", f"{twin('a')}/relationships/r")
        assert found.body["$targetId"] == "b"
        assert (await bench.plane.asking("GET", twin("b"))).body["$etag"].startswith('W/"')

    with_bench(blobs, work, models=False)


def test_a_byte_order_mark_and_windows_ends_of_lines_are_no_part_of_an_import(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        await bench.put(WHOLE)
        blobs.stored["/acc/box/in"] = b"\xef\xbb\xbf" + ndjson(WHOLE).replace(b"\n", b"\r\n")
        assert (await bench.ended())["status"] == "succeeded"

    with_bench(blobs, work, models=False)


def test_the_output_blob_tells_what_went_on(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        await bench.run(WHOLE)
        details = [line["details"] for line in bench.log]
        assert details == [
            {"status": "Started"},
            {"section": "Models", "status": "Started"},
            {"section": "Models", "status": "Succeeded"},
            {"section": "Twins", "status": "Started"},
            {"section": "Twins", "status": "Succeeded"},
            {"section": "Relationships", "status": "Started"},
            {"section": "Relationships", "status": "Succeeded"},
            {"status": "Succeeded"},
        ]
        first = bench.log[0]
        assert (first["jobId"], first["jobType"], first["logType"]) == ("j", "Import", "Info")

    with_bench(blobs, work, models=False)


def test_a_refused_entry_is_logged_and_the_rest_goes_in(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        lines = [*HEADER, *twins("a"), {"$dtId": "bad", **TWIN, "temperature": "x"}, "text"]
        lines += [{**TWIN}, {"$dtId": "z", **TWIN}, {"Section": "Relationships"}, edge("a", "no")]
        job = await bench.run(lines)
        assert job["status"] == "failed"
        assert "4 entries were refused" in job["error"]["message"]
        errors = [line["details"] for line in bench.log if "entity" in line["details"]]
        assert [(e["section"], e["entity"], e["error"]["code"]) for e in errors] == [
            ("Twins", "bad", "ValidationFailed"),
            ("Twins", "line 6", "ValidationFailed"),
            ("Twins", "line 7", "ValidationFailed"),
            ("Relationships", "a/r", "TargetDigitalTwinNotFound"),
        ]
        assert "temperature" in errors[0]["error"]["message"]
        for name in ("a", "z"):
            assert (await bench.plane.asking("GET", twin(name))).status == 200

    with_bench(blobs, work)


@pytest.mark.parametrize(
    ("lines", "code", "says"),
    [
        ([], "ValidationFailed", "no header"),
        ([{"Section": "Twins"}], "ValidationFailed", "Line 1 is not"),
        ([HEADER[0], {"fileVersion": "2"}], "ValidationFailed", "fileVersion 1.0.0"),
        ([*HEADER, {"$dtId": "a", **TWIN}], "ValidationFailed", "stands in no section"),
        ([*HEADER, {"Section": "Cats"}], "ValidationFailed", "cannot stand there"),
        (
            [*HEADER, *twins("a"), {"Section": "Models"}],
            "ValidationFailed",
            "Models cannot stand there",
        ),
        ([*HEADER, *twins("a"), b"{broken\n"], "ValidationFailed", "Line 5 is no JSON"),
        (
            [*HEADER, {"Section": "Models"}, {"@id": "dtmi:x:A;1", "@type": "Interface"}],
            "DTDLParsingError",
            "@context",
        ),
    ],
)
def test_an_input_that_makes_no_sense_fails_the_job(
    blobs: Blobs, lines: list[Any], code: str, says: str
) -> None:
    async def work(bench: Bench) -> None:
        job = await bench.run(lines)
        assert (job["status"], job["error"]["code"]) == ("failed", code)
        assert says in job["error"]["message"]

    with_bench(blobs, work)


def test_a_blob_that_is_not_there_fails_the_job(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        job = await bench.run(WHOLE, inputBlobUri=f"{blobs.url}/nothing")
        assert job["status"] == "failed"
        assert "input blob cannot be read" in job["error"]["message"]

    with_bench(blobs, work)


def test_a_log_that_cannot_be_written_fails_the_job_before_anything_is_done(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        blobs.broken.add("/acc/box/out")
        job = await bench.run([*HEADER, *twins("a")])
        assert "output blob cannot be written" in job["error"]["message"]
        assert (await bench.plane.asking("GET", twin("a"))).status == 404

    with_bench(blobs, work)


@pytest.mark.parametrize("uri", ["invalidUri", "", None, 7, "ftp://h/c/b", "http://h/c", "http://"])
def test_what_is_no_address_of_a_blob_is_refused_in_the_service_s_words(
    blobs: Blobs, uri: Any
) -> None:
    async def work(bench: Bench) -> None:
        reply = await bench.put(WHOLE, inputBlobUri=uri)
        assert (reply.status, reply.code) == (400, "InvalidArgument")
        shown = "" if uri is None else uri
        assert reply.message.startswith(f"Azure Storage Blob URI '{shown}' failed validation.")

    with_bench(blobs, work)


def test_the_stub_connects_to_no_host_it_was_not_told_of() -> None:
    assert not is_allowed("http://169.254.169.254/c/b", ())
    assert not is_allowed("https://acc.blob.core.windows.net/c/b", ())
    assert not is_allowed("http://localhost.example.org/c/b", ())
    assert is_allowed("http://127.0.0.1:10000/acc/c/b", ())
    assert is_allowed("http://[::1]:10000/acc/c/b", ())
    assert is_allowed("http://azurite:10000/acc/c/b", ("azurite",))
    assert is_blob_uri("https://acc.blob.core.windows.net/c/b?sv=1&sig=x")


def test_a_blob_on_a_host_the_stub_was_not_told_of_fails_the_job_not_the_request(
    blobs: Blobs,
) -> None:
    async def work(bench: Bench) -> None:
        job = await bench.run(WHOLE, inputBlobUri="https://acc.blob.core.windows.net/c/b")
        assert job["status"] == "failed"
        assert "--blob-host" in job["error"]["message"]
        assert blobs.stored.keys() == {"/acc/box/in"}
        assert list(job) == [
            "id", "inputBlobUri", "outputBlobUri", "createdDateTime", "lastActionDateTime",
            "finishedDateTime", "purgeDateTime", "status", "error",
        ]  # fmt: skip

    with_bench(blobs, work)


def test_a_job_s_times_have_seven_digits_and_it_is_kept_for_thirty_days(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        job = (await bench.put(WHOLE)).body
        assert re.fullmatch(r"[-0-9]{10}T[:0-9]{8}\.\d{7}\+00:00", job["createdDateTime"])
        created, purged = (
            datetime.fromisoformat(job[name]) for name in ("createdDateTime", "purgeDateTime")
        )
        assert purged - created == timedelta(days=30)
        assert job["lastActionDateTime"] == job["createdDateTime"]

    with_bench(blobs, work)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_job_that_has_not_started_never_does_once_it_is_called_off(
    blobs: Blobs, method: str
) -> None:
    async def work(bench: Bench) -> None:
        assert (await bench.put(WHOLE)).body["status"] == "notstarted"
        path = "/jobs/imports/j"
        reply = await bench.plane.asking(method, f"{path}/cancel" if method == "POST" else path)
        if method == "POST":
            assert (reply.status, reply.body["status"]) == (200, "cancelled")
        else:
            assert reply.status == 204
        assert (await bench.put([*HEADER, *twins("z")], name="k")).status == 201
        assert (await bench.ended("/jobs/imports/k"))["status"] == "succeeded"
        assert (await bench.plane.asking("GET", twin("a"))).status == 404

    with_bench(blobs, work)


def test_one_job_runs_at_a_time(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        assert (await bench.put(WHOLE)).status == 201
        second = await bench.put(WHOLE, name="k")
        assert second.status == 429
        error = json.loads(second.body)["error"]  # JSON inside JSON, as recorded
        assert error["code"] == "TooManyRequests"
        assert "retry-after" not in second.headers
        await bench.ended()

    with_bench(blobs, work)


def test_jobs_are_listed_found_and_forgotten(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        ask = bench.plane.asking
        await bench.run([*HEADER, *twins("a")])
        assert (await bench.put(WHOLE)).code == "ValidationFailed"  # the id is taken
        listed = (await ask("GET", "/jobs/imports")).body
        assert [job["id"] for job in listed["value"]] == ["j"]
        assert (await ask("POST", "/jobs/imports/j/cancel")).body["status"] == "succeeded"
        assert (await ask("DELETE", "/jobs/imports/j")).status == 204
        missing = await ask("GET", "/jobs/imports/j")
        assert (missing.status, missing.code) == (404, "JobNotFound")
        assert "x-ms-error-code" not in missing.headers
        unknown = await ask("GET", "/jobs/deletions/j")
        assert (unknown.status, unknown.code) == (404, "DeleteJobNotFound")
        assert (await ask("DELETE", "/jobs/imports/j")).status == 404

    with_bench(blobs, work)


def test_a_cancelled_job_stops_and_takes_nothing_back(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        names = [f"t{n}" for n in range(20_000)]
        await bench.put([*HEADER, *twins(*names)])
        while (await bench.plane.asking("GET", twin("t0"))).status != 200:  # noqa: ASYNC110
            await asyncio.sleep(0)
        reply = await bench.plane.asking("POST", "/jobs/imports/j/cancel")
        assert (reply.status, reply.body["status"]) == (200, "cancelling")
        assert (await bench.plane.asking("DELETE", "/jobs/imports/j")).code == "ValidationFailed"
        assert (await bench.ended())["status"] == "cancelled"
        assert (await bench.plane.asking("GET", twin("t0"))).status == 200
        assert (await bench.plane.asking("GET", twin("t19999"))).status == 404

    with_bench(blobs, work)


def test_a_job_called_off_while_its_log_is_made_writes_nothing(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def slow(uri: str) -> None:
        reached.set()
        go_on.wait(WAIT_S)
        create_log(uri)

    monkeypatch.setattr(job_runner, "create_log", slow)

    async def work(bench: Bench) -> None:
        await bench.put([*HEADER, *twins("a")])
        await asyncio.to_thread(reached.wait, WAIT_S)
        deleted = await bench.plane.asking("DELETE", "/jobs/imports/j")
        reply = await bench.plane.asking("POST", "/jobs/imports/j/cancel")
        go_on.set()
        assert (deleted.status, reply.body["status"]) == (400, "cancelling")
        assert (await bench.ended())["status"] == "cancelled"
        assert (await bench.plane.asking("GET", twin("a"))).status == 404

    with_bench(blobs, work)


def test_what_stands_before_a_line_that_is_no_json_stays(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        job = await bench.run([*HEADER, *twins("a"), b"{\n", {"$dtId": "b", **TWIN}])
        assert job["error"] == {"code": "ValidationFailed", "message": "Line 5 is no JSON."}
        assert (await bench.plane.asking("GET", twin("a"))).status == 200
        assert (await bench.plane.asking("GET", twin("b"))).status == 404

    with_bench(blobs, work)


def test_requests_have_their_turns_while_a_job_runs(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        await bench.put([*HEADER, *twins(*(f"t{n}" for n in range(5_000)))])
        between = 0
        while (await bench.plane.asking("GET", "/jobs/imports/j")).body["status"] != "succeeded":
            between += (await bench.plane.asking("GET", "/models")).status == 200
            await asyncio.sleep(0)
        assert between > 5

    with_bench(blobs, work)


def test_a_delete_job_leaves_nothing(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        ask = bench.plane.asking
        await bench.run(WHOLE[:2] + WHOLE[3 + len(MODELS) :])
        headers = {"operation-id": "op 1"}
        reply = await ask("POST", "/jobs/deletions?timeoutInMinutes=15", headers=headers)
        assert (reply.status, reply.body["id"]) == (202, "op 1")
        place = "http://127.0.0.1:1234/jobs/deletions/op%201?api-version=2023-10-31"
        assert reply.headers["operation-location"] == place
        job = await bench.ended("/jobs/deletions/op%201")
        assert job["status"] == "succeeded"
        assert "deadline" not in job
        assert (await ask("GET", "/models")).body["value"] == []
        rows = await ask("POST", "/query", {"query": "SELECT COUNT() FROM digitaltwins"})
        assert rows.body["value"] == [{"COUNT": 0}]
        listed = (await ask("GET", "/jobs/deletions")).body["value"]
        assert [j["id"] for j in listed] == ["op 1"]
        again = await ask("POST", "/jobs/deletions", headers=headers)
        assert again.code == "ValidationFailed"

    with_bench(blobs, work)


@pytest.mark.parametrize("minutes", ["14", "1441", "x", "-20", "\u00b2", "9" * 5_000])
def test_a_delete_job_s_time_has_bounds(blobs: Blobs, minutes: str) -> None:
    async def work(bench: Bench) -> None:
        path = f"/jobs/deletions?timeoutInMinutes={quote(minutes)}"
        reply = await bench.plane.asking("POST", path)
        assert (reply.status, reply.code) == (400, "ValidationFailed")

    with_bench(blobs, work)


def test_jobs_are_not_in_versions_before_they_came(blobs: Blobs) -> None:
    async def work(bench: Bench) -> None:
        for path, version in (("imports", "2022-05-31"), ("deletions", "2023-06-30")):
            reply = await bench.plane.asking("GET", f"/jobs/{path}", version=version)
            assert (reply.status, reply.code) == (400, "UnsupportedApiVersion")

    with_bench(blobs, work)


def test_a_job_the_stub_did_not_live_to_end_has_failed(blobs: Blobs) -> None:
    from sync_agent.stub.adt.app import AdtApp

    async def work(bench: Bench) -> None:
        await bench.put([*HEADER, *twins(*(f"t{n}" for n in range(20_000)))])
        await asyncio.sleep(0.05)
        await bench.plane.app.stop()
        bench.plane.app = AdtApp(bench.plane.db)
        job = (await bench.plane.asking("GET", "/jobs/imports/j")).body
        assert job["status"] == "failed"
        assert "ended while the job ran" in job["error"]["message"]
        assert (await bench.put(WHOLE, name="k")).status == 201
        await bench.ended("/jobs/imports/k")

    with_bench(blobs, work)
