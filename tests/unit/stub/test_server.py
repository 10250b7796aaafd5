from __future__ import annotations

import asyncio
import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sync_agent.errors import AddressInUseError, SettingsError, StoreError
from sync_agent.stub.server import ADT_FILE, EVENTS_FILE, StubOptions, StubServer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def status_of(url: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", "/models?api-version=2023-10-31")
    status = connection.getresponse().status
    connection.close()
    return status


async def test_it_says_where_it_is_and_serves_there() -> None:
    async with StubServer(StubOptions()) as server:
        assert server.adt_url.startswith("http://127.0.0.1:")
        assert "UseDevelopmentEmulator=true" in server.event_hub_connection_string
        assert await asyncio.to_thread(status_of, server.adt_url) == 200


async def test_it_serves_on_ipv6_too() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 loopback here")
    async with StubServer(StubOptions(host="::1")) as server:
        assert server.adt_url.startswith("http://[::1]:")
        assert await asyncio.to_thread(status_of, server.adt_url) == 200


@pytest.mark.parametrize("which", ["adt_port", "event_hub_port"])
async def test_a_port_that_is_taken_is_named_and_everything_else_let_go(
    tmp_path: Path, which: str
) -> None:
    options = StubOptions(tmp_path, adt_port=free_port(), event_hub_port=free_port())
    taken: int = getattr(options, which)
    with socket.create_server(("127.0.0.1", taken)):
        with pytest.raises(AddressInUseError, match=str(taken)) as caught:
            await StubServer(options).start()
        assert "another port" in caught.value.remedy
    async with StubServer(options) as server:
        assert server.adt_url.endswith(f":{options.adt_port}")


async def test_its_address_is_free_again_as_soon_as_it_has_stopped() -> None:
    port = free_port()
    for _ in range(3):
        server = StubServer(StubOptions(adt_port=port))
        await server.start()
        assert await asyncio.to_thread(status_of, server.adt_url) == 200
        await server.stop()
        await server.stop()


async def test_one_folder_serves_one_stub(tmp_path: Path) -> None:
    async with StubServer(StubOptions(data_dir=tmp_path / "new" / "folder")):
        assert (tmp_path / "new" / "folder" / ADT_FILE).exists()
        assert (tmp_path / "new" / "folder" / EVENTS_FILE).exists()
        with pytest.raises(StoreError):
            await StubServer(StubOptions(data_dir=tmp_path / "new" / "folder")).start()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_it_keeps_to_loopback(host: str, token: str | None) -> None:
    with pytest.raises(SettingsError, match="without a token") as caught:
        StubServer(StubOptions(host=host, token=token))
    assert "--token" in caught.value.remedy


async def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    options = StubOptions(host="192.0.2.1", token="t", keys={"k": "v"})
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
        await StubServer(options).start()


def test_a_token_is_not_shown_with_the_options() -> None:
    assert "s3cret" not in repr(StubOptions(token="s3cret"))


def test_there_is_no_connection_string_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        _ = StubServer(StubOptions()).event_hub_connection_string
