"""Import jobs against a service that answers as the real one was recorded to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from sync_agent.azure import import_job
from sync_agent.azure.import_job import AzureImportJobs
from sync_agent.errors import ServiceError, ThrottledError, UnreachableError
from sync_agent.ports.import_job import ImportJob
from tests.unit.azure.test_twin_store import RESET, Scripted, service

__all__ = ["service"]

MADE = "2026-01-01T00:00:00+00:00"
BUSY = json.dumps(json.dumps({"error": {"code": "TooManyRequests", "message": "Cannot start"}}))
GATEWAY = {"error": {"statusCode": 429, "message": "Maximum request rate limit reached."}}


def job(status: str, name: str = "j", **more: Any) -> dict[str, Any]:
    return {"id": name, "status": status, "createdDateTime": MADE, **more}


def answer(document: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(document, status=status, headers=headers)


def wait_a_moment() -> web.Response:
    return answer(GATEWAY, 429, **{"Retry-After": "0.01"})


def busy() -> web.Response:
    return web.Response(status=429, text=BUSY, content_type="application/json")


def unknown() -> web.Response:
    return answer({"error": {"code": "JobNotFound", "message": "There is no job"}}, 404)


@pytest.fixture
async def jobs(
    service: Scripted, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AzureImportJobs]:
    monkeypatch.setattr(import_job, "RETRY_WAIT_S", 0.01)
    async with service.store(retry_for_s=0) as store:
        yield AzureImportJobs(store)


async def test_a_job_is_started_from_one_blob_to_another(
    service: Scripted, jobs: AzureImportJobs
) -> None:
    service.answers = [answer(job("notstarted"), 201)]
    assert await jobs.start("j", "https://box/in", "https://box/out")
    assert service.requests[0].path == "/jobs/imports/j"
    sent = json.loads(service.bodies[0])
    assert sent == {"inputBlobUri": "https://box/in", "outputBlobUri": "https://box/out"}


async def test_a_bulk_job_at_work_is_no_reason_to_knock_again(
    service: Scripted, jobs: AzureImportJobs
) -> None:
    service.answers = [busy()]
    assert not await jobs.start("j", "https://box/in", "https://box/out")
    assert [request.method for request in service.requests] == ["PUT"]


async def test_the_jobs_api_is_asked_again_when_it_says_so(
    service: Scripted, jobs: AzureImportJobs
) -> None:
    service.answers = [wait_a_moment(), wait_a_moment(), answer(job("running"))]
    assert await jobs.get("j") == ImportJob("j", "running", "", MADE)


async def test_patience_with_the_jobs_api_ends(
    service: Scripted, jobs: AzureImportJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_job, "PATIENCE_S", 0.0)
    service.answers = [wait_a_moment()]
    with pytest.raises(ThrottledError):
        await jobs.start("j", "https://box/in", "https://box/out")


async def test_a_start_whose_answer_got_lost_is_looked_at(
    service: Scripted, jobs: AzureImportJobs
) -> None:
    service.answers = [RESET, answer(job("running"))]
    assert await jobs.start("j", "https://box/in", "https://box/out")
    service.answers = [RESET, unknown()]
    with pytest.raises(UnreachableError):
        await jobs.start("k", "https://box/in", "https://box/out")


async def test_a_lost_question_and_a_failing_service_are_asked_again(
    service: Scripted, jobs: AzureImportJobs
) -> None:
    service.answers = [RESET, answer({}, 503), answer(job("succeeded"))]
    found = await jobs.get("j")
    assert found is not None
    assert found.ended


async def test_a_failed_job_says_why(service: Scripted, jobs: AzureImportJobs) -> None:
    error = {"code": "DTDLParsingError", "message": "no such schema"}
    service.answers = [answer(job("failed", error=error))]
    found = await jobs.get("j")
    assert found is not None
    assert (found.ended, found.error) == (True, "DTDLParsingError: no such schema")


async def test_a_job_nobody_knows_is_none(service: Scripted, jobs: AzureImportJobs) -> None:
    service.answers = [unknown()]
    assert await jobs.get("j") is None


async def test_the_job_at_work_is_found_among_those_that_ended(
    service: Scripted, jobs: AzureImportJobs
) -> None:
    ended = [job("succeeded", "a"), job("failed", "b"), job("cancelled", "c")]
    service.answers = [answer({"value": [*ended, job("cancelling", "d")], "nextLink": None})]
    assert await jobs.at_work() == ImportJob("d", "cancelling", "", MADE)
    service.answers = [answer({"value": ended, "nextLink": None})]
    assert await jobs.at_work() is None


async def test_a_job_is_cancelled(service: Scripted, jobs: AzureImportJobs) -> None:
    service.answers = [answer(job("cancelling"))]
    await jobs.cancel("j")
    assert service.requests[0].path == "/jobs/imports/j/cancel"


async def test_what_is_wrong_with_a_job_is_said_once(
    service: Scripted, jobs: AzureImportJobs
) -> None:
    error = {"code": "ValidationFailed", "message": "The import job request is not valid."}
    service.answers = [answer({"error": error}, 400), unknown()]
    with pytest.raises(ServiceError, match="The import job request is not valid"):
        await jobs.start("j", "https://box/in", "https://box/out")
