from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from time import time

import pytest
from aiohttp import web

from sync_agent.errors import (
    NotFoundError,
    ServiceError,
    SettingsError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)
from sync_agent.ports.watch import Watch
from sync_agent.sources import http_client
from sync_agent.sources.http_client import HttpClient, anonymous, basic, bearer


class Wire:
    """Answers in order, and what was asked."""

    def __init__(self, *answers: web.Response) -> None:
        self.answers = list(answers)
        self.asked: list[web.BaseRequest] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        return self.answers.pop(0)


@asynccontextmanager
async def client_of(
    wire: Wire,
    *,
    retry_for_s: float = 5,
    timeout_s: float = 5,
    token: str = "",
    watch: Watch | None = None,
) -> AsyncIterator[HttpClient]:
    runner = web.ServerRunner(web.Server(wire.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    authorize = bearer(lambda: token) if token else anonymous
    url = f"http://127.0.0.1:{port}/"
    async with HttpClient(
        url, authorize, timeout_s=timeout_s, retry_for_s=retry_for_s, watch=watch
    ) as client:
        yield client
    await runner.cleanup()


def answer(status: int = 200, body: str = "[1]", **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=status, text=body, headers=named)


async def test_an_answer_is_json_with_its_headers() -> None:
    wire = Wire(answer(206, '{"a": 1}', X_Total_Count="7"))
    async with client_of(wire, token="secret") as client:
        got = await client.get("things", {"limit": 5})
    assert (got.status, got.body, got.headers["x-total-count"]) == (206, {"a": 1}, "7")
    assert wire.asked[0].headers["Authorization"] == "Bearer secret"
    assert wire.asked[0].query["limit"] == "5"


async def test_throttling_and_failures_are_tried_again() -> None:
    wire = Wire(answer(429, Retry_After="0"), answer(503), answer(500), answer())
    async with client_of(wire) as client:
        assert (await client.get("x")).body == [1]
    assert len(wire.asked) == 4


async def test_being_told_not_to_wait_makes_no_storm() -> None:
    wire = Wire(*(answer(503, Retry_After="0") for _ in range(100)))
    async with client_of(wire, retry_for_s=0.5) as client:
        with pytest.raises(UnavailableError):
            await client.get("x")
    assert len(wire.asked) < 6


async def test_a_wait_until_a_date_is_kept() -> None:
    wire = Wire(answer(503, Retry_After=formatdate(time() - 5, usegmt=True)), answer())
    async with client_of(wire) as client:
        assert (await client.get("x")).body == [1]


async def test_a_wait_longer_than_allowed_is_not_waited() -> None:
    async with client_of(Wire(answer(429, Retry_After="900"))) as client:
        with pytest.raises(ThrottledError) as raised:
            await client.get("x")
    assert raised.value.retry_after_s == 900


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, UnauthorizedError),
        (403, UnauthorizedError),
        (404, NotFoundError),
        (400, ServiceError),
        (502, UnavailableError),
    ],
)
async def test_a_refusal_is_told_by_its_kind_and_never_repeats_the_body(
    status: int, kind: type[ServiceError]
) -> None:
    async with client_of(Wire(answer(status, "the password is x")), retry_for_s=0) as client:
        with pytest.raises(kind) as raised:
            await client.get("x")
    assert raised.value.status == status
    assert "password" not in raised.value.message


async def test_a_redirect_is_not_followed() -> None:
    wire = Wire(answer(301, Location="https://elsewhere.example/x?token=1"))
    async with client_of(wire) as client:
        with pytest.raises(ServiceError, match="redirects are not followed") as raised:
            await client.get("x")
    assert raised.value.remedy.endswith("https://elsewhere.example/x")


async def test_a_token_does_not_follow_a_redirect_and_its_secrets_are_not_told() -> None:
    elsewhere = Wire()
    async with client_of(elsewhere) as other:
        address = f"{other.url}/x".replace("http://", "http://user:secret@")
        async with client_of(Wire(answer(302, Location=address)), token="t0") as client:
            with pytest.raises(ServiceError) as raised:
                await client.get("x")
        assert raised.value.remedy.endswith(f"{other.url}/x")
    assert elsewhere.asked == []


async def test_an_answer_that_breaks_off_is_told() -> None:
    cut = web.Response(body=b"[1, 2", headers={"Content-Encoding": "gzip"})
    async with client_of(Wire(cut), retry_for_s=0) as client:
        with pytest.raises(UnreachableError, match="broke off its answer") as raised:
            await client.get("x")
    assert "\n" not in raised.value.message


async def test_a_service_that_is_too_slow_is_told() -> None:
    async def drip(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    wire = Wire()
    wire.handle = drip  # type: ignore[method-assign]
    async with client_of(wire, retry_for_s=0, timeout_s=0.2) as client:
        with pytest.raises(UnreachableError, match=r"did not answer within 0\.2 s"):
            await client.get("x")


@pytest.mark.parametrize("token", ["a\nb", "a\r\nHost: b", "a\0"])
async def test_a_token_that_cannot_be_sent_is_a_mistake_in_the_settings(token: str) -> None:
    async with client_of(Wire(), token=token) as client:
        with pytest.raises(SettingsError, match="line break"):
            await client.get("x")


@pytest.mark.parametrize("body", ["<html>", '{"a": ', "[" * 100_000, "\udcff"])
async def test_what_is_no_json_is_refused(body: str) -> None:
    raw = web.Response(body=body.encode(errors="surrogateescape"))
    async with client_of(Wire(raw)) as client:
        with pytest.raises(ServiceError, match="answered no JSON"):
            await client.get("x")


async def test_an_answer_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "BODY_BYTES_MAX", 10)
    async with client_of(Wire(answer(body="[" + "1," * 50 + "1]"))) as client:
        with pytest.raises(ServiceError, match="more than 10 bytes"):
            await client.get("x")


async def test_a_service_that_is_not_there_is_told() -> None:
    async with HttpClient("http://127.0.0.1:1", anonymous, timeout_s=1, retry_for_s=0) as client:
        with pytest.raises(UnreachableError, match="cannot be reached"):
            await client.get("x")


def test_a_token_does_not_go_out_unencrypted() -> None:
    with pytest.raises(SettingsError, match="is not https"):
        HttpClient("http://netbox.example", bearer(lambda: "t"), timeout_s=1, retry_for_s=0)
    HttpClient("http://netbox.example", anonymous, timeout_s=1, retry_for_s=0)


def test_a_user_signs_in_with_a_password() -> None:
    assert basic("me", lambda: "pw")() == {"Authorization": "Basic bWU6cHc="}


async def test_the_watch_hears_of_every_request() -> None:
    heard: list[str] = []

    class Ear:
        def ended(self, began_s: float, error: ServiceError | None = None) -> None:
            heard.append(type(error).__name__ if error else "answered")

    wire = Wire(answer(503), answer(), answer(404))
    async with client_of(wire, watch=Ear()) as client:
        await client.get("x")
        with pytest.raises(NotFoundError):
            await client.get("x")
    assert heard == ["UnavailableError", "answered", "NotFoundError"]
