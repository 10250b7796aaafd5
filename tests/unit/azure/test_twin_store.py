"""The adapter against a service that misbehaves: what is tried again, what is not, what is said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sync_agent.azure import twin_store
from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.errors import (
    ConflictError,
    NotFoundError,
    PreconditionError,
    ServiceError,
    SettingsError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)
from sync_agent.ports.watch import Watch
from sync_agent.twins.twin import Twin

PATCH = [{"op": "add", "path": "/label", "value": "x"}]
TWIN = {"$dtId": "S1", "$etag": 'W/"1"', "$metadata": {"$model": "dtmi:test:Site;1"}}
RESET = "reset"


class Scripted:
    """A service that answers as it was told and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[web.Response | str] = []
        self.requests: list[web.BaseRequest] = []
        self.bodies: list[Any] = []
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.text())
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return answer

    def store(
        self, *, retry_for_s: float = 5.0, token: str | None = None, watch: Watch | None = None
    ) -> AzureTwinStore:
        auth = "none" if token is None else "token"
        credential = credential_for(auth, token)
        return AzureTwinStore(self.url, credential, retry_for_s=retry_for_s, watch=watch)


@pytest.fixture
async def service() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.answer)
    async with TestServer(app) as server:
        scripted.url = str(server.make_url("")).rstrip("/")
        yield scripted


def fault(status: int, code: str = "X", **headers: str) -> web.Response:
    body = {"error": {"code": code, "message": "what happened"}}
    return web.json_response(body, status=status, headers=headers)


def twin() -> web.Response:
    return web.json_response(TWIN)


def done() -> web.Response:
    return web.Response(status=204)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ServiceError),
        (401, UnauthorizedError),
        (403, UnauthorizedError),
        (404, NotFoundError),
        (409, ConflictError),
        (412, PreconditionError),
        (429, ThrottledError),
        (500, UnavailableError),
        (502, UnavailableError),
        (503, UnavailableError),
    ],
)
async def test_an_answer_becomes_the_error_of_its_status(
    service: Scripted, status: int, kind: type[ServiceError]
) -> None:
    service.answers = [fault(status, "SomeCode")]
    async with service.store(retry_for_s=0) as store:
        with pytest.raises(ServiceError) as raised:
            await store.patch_twin("S1", PATCH)
    assert type(raised.value) is kind
    assert raised.value.status == status
    if kind is not UnauthorizedError:
        assert raised.value.code == "SomeCode"
        assert "what happened" in raised.value.message
    assert len(service.requests) == 1


async def test_details_of_a_refusal_are_in_the_message(service: Scripted) -> None:
    inner = {"code": "ValidationFailed", "message": "floors does not appear on the DTDL for Twin."}
    outer = {"code": "ValidationFailed", "message": "Invalid twin specified", "details": [inner]}
    service.answers = [web.json_response({"error": outer}, status=400)]
    async with service.store() as store:
        with pytest.raises(ServiceError, match="floors does not appear on the DTDL"):
            await store.patch_twin("S1", PATCH)


async def test_an_answer_that_is_no_json_is_an_error_with_its_status(service: Scripted) -> None:
    service.answers = [web.Response(status=502, text="<html>bad gateway</html>")]
    async with service.store(retry_for_s=0) as store:
        with pytest.raises(UnavailableError) as raised:
            await store.get_twin("S1")
    assert raised.value.status == 502


async def test_throttling_is_waited_out_for_as_long_as_the_service_asks(service: Scripted) -> None:
    gateway = {"error": {"statusCode": 429, "message": "Maximum request rate limit reached."}}
    throttled = web.json_response(gateway, status=429, headers={"Retry-After": "1"})
    service.answers = [throttled, done()]
    async with service.store() as store:
        began = time.monotonic()
        await store.patch_twin("S1", PATCH)
    assert 1.0 <= time.monotonic() - began < 3.0
    assert len(service.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_failure_is_tried_again(service: Scripted, status: int) -> None:
    service.answers = [fault(status), fault(status), twin()]
    async with service.store() as store:
        assert await store.get_twin("S1") is not None
    assert len(service.requests) == 3


async def test_trying_again_has_an_end(service: Scripted) -> None:
    service.answers = [fault(503) for _ in range(100)]
    async with service.store(retry_for_s=0.5) as store:
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            await store.patch_twin("S1", PATCH)
    assert time.monotonic() - began < 5.0


async def test_a_patch_whose_answer_got_lost_is_repeated(service: Scripted) -> None:
    service.answers = [RESET, done()]
    async with service.store() as store:
        await store.patch_twin("S1", PATCH)
    assert service.bodies[0] == service.bodies[1]


async def test_a_conditional_write_whose_answer_got_lost_is_left_to_the_caller(
    service: Scripted,
) -> None:
    service.answers = [RESET, done()]
    async with service.store() as store:
        with pytest.raises(UnreachableError):
            await store.patch_twin("S1", PATCH, etag='W/"1"')
    assert len(service.requests) == 1
    assert service.requests[0].headers["If-Match"] == 'W/"1"'


@pytest.mark.parametrize("write", ["create", "delete"])
async def test_no_conditional_write_is_sent_twice_without_the_callers_knowledge(
    service: Scripted, write: str
) -> None:
    service.answers = [twin(), RESET, twin()]
    async with service.store() as store:
        await store.get_twin("S1")  # so that there is a connection to use again
        work: Awaitable[Twin | None]
        if write == "create":
            work = store.put_twin(Twin("S1", "dtmi:x;1"), only_if_absent=True)
        else:
            work = store.delete_twin("S1", etag='W/"1"')
        with pytest.raises(UnreachableError):
            await work
    assert len(service.requests) == 2


async def test_a_page_that_failed_is_asked_for_again_and_no_row_comes_twice(
    service: Scripted,
) -> None:
    first = web.json_response({"value": [{"n": 1}, {"n": 2}], "continuationToken": "t"})
    second = web.json_response({"value": [{"n": 3}], "continuationToken": None})
    service.answers = [first, fault(503), RESET, second]
    async with service.store() as store:
        rows = [row async for row in store.query("SELECT * FROM digitaltwins")]
    assert rows == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert {r.headers["max-items-per-page"] for r in service.requests} == {"1000"}


async def test_a_request_that_is_never_answered_is_told_early_and_has_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(twin_store, "REQUEST_MAX_S", 0.3)
    monkeypatch.setattr(twin_store, "LATE_AFTER_S", 0.1)
    heard: list[str] = []

    class Ear:
        def ended(self, began_s: float, error: ServiceError | None = None) -> None:
            heard.append(error.message if error else "answered")

    held = asyncio.Event()

    async def never(request: web.BaseRequest) -> web.Response:
        await held.wait()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", never)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        store = AzureTwinStore(url, credential_for("none"), retry_for_s=0, watch=Ear())
        async with store:
            with pytest.raises(UnreachableError, match="no answer in time"):
                await store.get_twin("S1")
        held.set()
    assert [reason.partition(" (")[2] for reason in heard] == [
        "no answer for 0.1 s)",
        "no answer in time)",
    ]


async def test_nobody_listening_is_told_with_the_address(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with AzureTwinStore(url, credential_for("none"), retry_for_s=0) as store:
        with pytest.raises(UnreachableError) as raised:
            await store.get_twin("S1")
    assert f"127.0.0.1:{unused_tcp_port} cannot be reached" in raised.value.message
    assert "adt.url" in raised.value.remedy


async def test_each_request_says_who_asks_and_has_an_id_of_its_own(service: Scripted) -> None:
    service.answers = [web.json_response(TWIN), web.Response(status=204)]
    async with service.store() as store:
        assert await store.get_twin("S1") == Twin.from_document(TWIN)
        await store.patch_twin("S1", PATCH)
    headers = [request.headers for request in service.requests]
    assert all(given["User-Agent"].startswith("sync-agent azsdk-python") for given in headers)
    first, second = (UUID(given["x-ms-client-request-id"]) for given in headers)
    assert first != second


async def test_the_token_is_sent_and_never_shown(service: Scripted) -> None:
    service.answers = [
        web.json_response({"statusCode": 401, "message": "Unauthorized"}, status=401)
    ]
    async with service.store(token="secret-token") as store:
        with pytest.raises(UnauthorizedError) as raised:
            await store.get_twin("S1")
    assert service.requests[0].headers["Authorization"] == "Bearer secret-token"
    assert "secret" not in f"{raised.value} {raised.value.remedy}"


@pytest.mark.parametrize(
    "url", ["http://twins.example", "http://10.0.0.1:80", "http://127.evil.example"]
)
def test_plain_http_beyond_this_machine_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="is not https"):
        AzureTwinStore(url, credential_for("none"), retry_for_s=0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"])
def test_plain_http_to_this_machine_is_allowed(url: str) -> None:
    AzureTwinStore(url, credential_for("none"), retry_for_s=0)


async def test_the_watch_hears_of_every_request(service: Scripted) -> None:
    heard: list[str] = []

    class Ear:
        def ended(self, began_s: float, error: ServiceError | None = None) -> None:
            heard.append(type(error).__name__ if error else "answered")

    service.answers = [fault(503), RESET, done(), fault(404)]
    async with service.store(watch=Ear()) as store:
        await store.patch_twin("S1", PATCH)
        assert await store.get_twin("S2") is None
    assert heard == ["UnavailableError", "UnreachableError", "answered", "NotFoundError"]
