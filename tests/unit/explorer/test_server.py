"""One origin for Explorer: what it serves, where calls go, and whom it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from sync_agent.errors import AddressInUseError, InputError, UnauthorizedError
from sync_agent.explorer import server as explorer_server
from sync_agent.explorer.server import ExplorerOptions, ExplorerServer
from sync_agent.stub.server import StubOptions, StubServer
from tests.stubs import running_stub

MODELS = "/api/proxy/models?api-version=2021-06-30-preview"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    folder = tmp_path / "build"
    (folder / "static").mkdir(parents=True)
    (folder / "index.html").write_text("<p>Explorer</p>")
    (folder / "static" / "app.js").write_text("run()")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with running_stub() as server:
        yield server


async def no_token() -> str | None:
    return None


@asynccontextmanager
async def serving(
    options: ExplorerOptions, token: Any = no_token
) -> AsyncIterator[tuple[ExplorerServer, aiohttp.ClientSession]]:
    async with ExplorerServer(options, token) as server, aiohttp.ClientSession() as client:
        yield server, client


async def test_a_build_is_served_and_unknown_paths_are_its_own_matter(
    build: Path, stub: StubServer
) -> None:
    async with serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, client):
        for path, text in (("/", "Explorer"), ("/static/app.js", "run()"), ("/graph", "Explorer")):
            async with client.get(server.url + path) as answer:
                assert answer.status == 200
                assert text in await answer.text()


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/static/%2e%2e/%2e%2e/secret.txt", "//secret.txt"],
)
async def test_no_path_leads_out_of_the_build(build: Path, stub: StubServer, path: str) -> None:
    async with (
        serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, client),
        client.get(URL(server.url + path, encoded=True)) as answer,
    ):
        assert "secret" not in await answer.text()


@pytest.mark.parametrize("path", ["/%00", "/" + "a" * 5000, "/%ff", "/" + "a/" * 2500])
async def test_a_path_no_file_can_have_is_explorer_s_own_matter(
    build: Path, stub: StubServer, path: str
) -> None:
    async with (
        serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, client),
        client.get(URL(server.url + path, encoded=True)) as answer,
    ):
        assert answer.status == 200
        assert "Explorer" in await answer.text()


async def test_a_failed_sign_in_is_an_answer_without_the_token(
    build: Path, stub: StubServer
) -> None:
    async def token() -> str | None:
        raise UnauthorizedError("twins refuses the credentials", remedy="sign in")

    async with (
        serving(ExplorerOptions(stub.adt_url, folder=build), token) as (server, client),
        client.get(server.url + MODELS) as answer,
    ):
        assert answer.status == 401
        message = (await answer.json())["error"]["message"]
        assert message == "twins refuses the credentials: sign in"


async def test_a_body_that_is_too_large_or_never_ends_is_refused(
    build: Path, stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer_server, "BODY_BYTES_MAX", 1024)
    monkeypatch.setattr(explorer_server, "REQUEST_WAIT_S", 0.2)

    async def never_ending() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    async with serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, client):
        for body, status in ((b" " * 1025, 413), (never_ending(), 408)):
            async with client.post(f"{server.url}/api/proxy/query", data=body) as answer:
                assert answer.status == status
                assert "message" in (await answer.json())["error"]


async def test_calls_go_on_to_the_instance_whatever_host_they_name(
    build: Path, stub: StubServer
) -> None:
    async with serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, client):
        headers = {"x-adt-host": "169.254.169.254", "Authorization": "Bearer undefined"}
        async with client.get(server.url + MODELS, headers=headers) as answer:
            assert await answer.json() == {"value": [], "nextLink": None}
        async with client.post(
            f"{server.url}/api/proxy/query?api-version=2021-06-30-preview",
            json={"query": "SELECT nothing"},
        ) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["code"] == "SqlQueryError"
            assert answer.headers["x-ms-error-code"] == "SqlQueryError"


async def test_ids_keep_their_escapes(build: Path, stub: StubServer) -> None:
    async with serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, client):
        url = f"{server.url}/api/proxy/digitaltwins/a%2Fb%20c?api-version=2021-06-30-preview"
        async with client.get(URL(url, encoded=True)) as answer:
            assert "exists with the ID a/b c." in (await answer.json())["error"]["message"]


async def test_the_agent_s_token_goes_in_place_of_the_browser_s(build: Path) -> None:
    async def token() -> str | None:
        return "s3cret"

    options = StubOptions(token="s3cret", keys={"k": "s3cret"})
    with running_stub(options) as stub:
        explorer = ExplorerOptions(stub.adt_url, folder=build)
        async with serving(explorer, token) as (server, client):
            headers = {"Authorization": "Bearer undefined"}
            async with client.get(server.url + MODELS, headers=headers) as answer:
                assert answer.status == 200
                assert "s3cret" not in str(answer.headers)


@pytest.mark.parametrize("path", ["Graph/v1.0/me", "rbac/roleAssignments", "%47raph/v1.0/me"])
async def test_other_services_are_not_here(build: Path, stub: StubServer, path: str) -> None:
    async with (
        serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, client),
        client.get(URL(f"{server.url}/api/proxy/{path}", encoded=True)) as answer,
    ):
        assert answer.status == 404
        assert "other services" in (await answer.json())["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_pages_and_names_of_others_are_refused(
    build: Path, stub: StubServer, headers: dict[str, str]
) -> None:
    async with (
        serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, client),
        client.get(server.url + MODELS, headers=headers) as answer,
    ):
        assert answer.status == 403
        assert "error" in await answer.json()


async def test_its_own_page_is_answered(build: Path, stub: StubServer) -> None:
    async with serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, client):
        headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
        async with client.get(server.url + MODELS, headers=headers) as answer:
            assert answer.status == 200
            assert not [name for name in answer.headers if name.lower().startswith("access-")]


async def test_twins_that_cannot_be_reached_are_an_answer(build: Path) -> None:
    async with (
        serving(ExplorerOptions("http://127.0.0.1:1", folder=build)) as (server, client),
        client.get(server.url + MODELS) as answer,
    ):
        assert answer.status == 502
        assert (await answer.json())["error"]["code"] == "BadGateway"


async def test_an_explorer_that_runs_is_passed_on(stub: StubServer) -> None:
    options = ExplorerOptions(stub.adt_url, upstream=f"{stub.adt_url}/")
    async with serving(options) as (server, client):
        async with client.get(f"{server.url}/models?api-version=2023-10-31") as answer:
            assert (await answer.json())["value"] == []
        async with client.get(server.url + MODELS) as answer:
            assert answer.status == 200


async def test_the_connect_page_names_the_instance_and_nothing_can_end_its_script(
    build: Path,
) -> None:
    instance = 'https://x.example/</script><script>alert("1")'
    async with (
        serving(ExplorerOptions(instance, folder=build)) as (server, client),
        client.get(f"{server.url}/connect") as answer,
    ):
        text = await answer.text()
    assert text.count("</script>") == 1
    assert "alert" in text


async def test_a_folder_without_a_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no index"):
        async with ExplorerServer(ExplorerOptions("http://x", folder=tmp_path), no_token):
            pass


async def test_a_port_that_is_taken_is_named(build: Path, stub: StubServer) -> None:
    async with serving(ExplorerOptions(stub.adt_url, folder=build)) as (server, _):
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(AddressInUseError, match=f"port {port}"):
            async with ExplorerServer(
                ExplorerOptions(stub.adt_url, folder=build, port=port), no_token
            ):
                pass
