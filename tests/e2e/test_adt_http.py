"""The stub's HTTP on the wire: what an SDK never sends, and how quick and how bounded it is."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from sync_agent.stub import http_server
from sync_agent.stub.http_server import HEAD_BYTES_MAX
from sync_agent.stub.server import StubServer
from tests.stubs import running_stub
from tests.unit.stub.adt.plane import MODELS, ROOM

VERSION = "api-version=2023-10-31"
TWIN: dict[str, Any] = {"$metadata": {"$model": ROOM}, "thermostat": {}, "temperature": 1}


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with running_stub() as server:
        with closing(connection_to(server)) as connection:
            assert ask(connection, "POST", "/models", MODELS)[0] == 201
            assert ask(connection, "PUT", "/digitaltwins/room1", TWIN)[0] == 200
        yield server


@pytest.fixture
def connection(stub: StubServer) -> Iterator[http.client.HTTPConnection]:
    with closing(connection_to(stub)) as connection:
        yield connection


def address_of(stub: StubServer) -> tuple[str, int]:
    parts = urlsplit(stub.adt_url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def connection_to(stub: StubServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*address_of(stub), timeout=20)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **more: Any
) -> tuple[int, Any]:
    raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, f"{path}?{VERSION}", raw, **more)
    response = connection.getresponse()
    found = response.read()
    return response.status, json.loads(found) if found else None


def say(stub: StubServer, *parts: bytes) -> bytes:
    """Send bytes as they are and return all that comes back until the other side closes."""
    found = b""
    with socket.create_connection(address_of(stub), timeout=20) as wire:
        with suppress(OSError):  # it was refused before all of it was sent, or read
            for part in parts:
                wire.sendall(part)
        with suppress(ConnectionResetError):
            while chunk := wire.recv(65_536):
                found += chunk
    return found


def test_an_answer_does_not_wait_for_the_network_s_delays(
    connection: http.client.HTTPConnection,
) -> None:
    start = time.perf_counter()
    for _ in range(50):
        assert ask(connection, "GET", "/digitaltwins/room1")[0] == 200
    assert (time.perf_counter() - start) / 50 < 0.02  # with Nagle's algorithm it is 0.04


def test_many_requests_sent_at_once_are_answered_in_their_order(stub: StubServer) -> None:
    request = "GET /digitaltwins/{}?{} HTTP/1.1\r\nHost: localhost\r\nConnection: {}\r\n\r\n"
    asked = (("room1", "keep-alive"), ("nobody", "keep-alive"), ("room1", "close"))
    requests = "".join(request.format(name, VERSION, then) for name, then in asked)
    found = say(stub, requests.encode())
    assert re.findall(rb"HTTP/1\.1 (\d+)", found) == [b"200", b"404", b"200"]


def test_a_body_in_chunks_is_put_together(connection: http.client.HTTPConnection) -> None:
    text = json.dumps(TWIN).encode()
    pieces = iter([text[:10], text[10:20], text[20:]])
    connection.request(
        "PUT", f"/digitaltwins/chunks?{VERSION}", pieces, {"Content-Type": "application/json"}
    )
    assert connection.getresponse().status == 200


def test_a_huge_body_is_refused_before_it_is_read(stub: StubServer) -> None:
    head = f"PUT /digitaltwins/big?{VERSION} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    known = say(stub, f"{head}Content-Length: 500000000\r\n\r\n".encode(), b"x" * 200_000)
    assert known.startswith(b"HTTP/1.1 413 ")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    endless = say(stub, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *[chunk] * 20)
    assert endless.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /mod",
        b"GET /models HTTP/1.1\r\nHost: local",
        b"POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    ],
)
def test_a_client_that_is_too_slow_is_cut_off(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_MAX_S", 0.2)
    with socket.create_connection(address_of(stub), timeout=20) as wire:
        wire.sendall(sent)
        with suppress(ConnectionResetError):
            assert wire.recv(1) == b""


def test_a_client_that_rests_between_requests_is_not(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch, connection: http.client.HTTPConnection
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_MAX_S", 0.2)
    for _ in range(2):
        connection.request("GET", "/models?api-version=2023-10-31")
        assert connection.getresponse().read()
        time.sleep(0.4)


@pytest.mark.parametrize("part", ["path", "header"])
def test_a_head_that_does_not_end_is_cut_off(stub: StubServer, part: str) -> None:
    long = b"x" * (HEAD_BYTES_MAX + 1)
    start = b"GET /" + (long if part == "path" else b"models") + b" HTTP/1.1\r\nHost: localhost\r\n"
    found = say(stub, start, b"X-Long: " + long + b"\r\n\r\n")
    assert found == b"" or found.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /models HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /models HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"AMQP\x00\x01\x00\x00",
    ],
)
def test_what_is_no_http_ends_its_connection_and_no_other(
    stub: StubServer, connection: http.client.HTTPConnection, junk: bytes
) -> None:
    found = say(stub, junk)
    assert found == b"" or found.startswith(b"HTTP/1.1 4")
    assert ask(connection, "GET", "/digitaltwins/room1")[0] == 200


def test_a_request_for_a_web_socket_is_answered_as_a_request(stub: StubServer) -> None:
    lines = [
        f"GET /digitaltwins/room1?{VERSION} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade, close",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: x",
    ]
    found = say(stub, "\r\n".join([*lines, "", ""]).encode())
    assert found.startswith(b"HTTP/1.1 200 ")


H2C = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (f"CONNECT /digitaltwins/room1?{VERSION} HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (f"GET /digitaltwins/room1?{VERSION} HTTP/1.1\r\n{H2C}\r\n", 200),
    ],
)
def test_nobody_waits_for_an_answer_behind_a_request_to_speak_something_else(
    stub: StubServer, first: str, status: int
) -> None:
    second = f"GET /models?{VERSION} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    found = say(stub, (first + second).encode())  # until the connection ends
    assert re.findall(rb"HTTP/1\.1 (\d+)", found) == [str(status).encode()]


def test_a_client_that_leaves_in_the_middle_harms_nobody(
    stub: StubServer, connection: http.client.HTTPConnection
) -> None:
    for _ in range(20):
        with socket.create_connection(address_of(stub), timeout=20) as wire:
            wire.sendall(
                f"PUT /digitaltwins/x?{VERSION} HTTP/1.1\r\nHost: localhost\r\n"
                "Content-Length: 100\r\n\r\n{".encode()
            )
    assert ask(connection, "GET", "/digitaltwins/x")[0] == 404


def test_a_client_that_says_it_sends_no_more_gets_its_answer(stub: StubServer) -> None:
    request = f"GET /digitaltwins/room1?{VERSION} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    for _ in range(20):
        with socket.create_connection(address_of(stub), timeout=20) as wire:
            wire.sendall(request)
            wire.shutdown(socket.SHUT_WR)
            with wire.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 200")


def test_writers_side_by_side_lose_no_update_when_they_name_the_state_they_saw(
    stub: StubServer, connection: http.client.HTTPConnection
) -> None:
    ask(connection, "PUT", "/digitaltwins/counter", {**TWIN, "temperature": 0})
    lost: list[int] = []

    def count(times: int) -> None:
        with closing(connection_to(stub)) as mine:
            while times:
                twin = ask(mine, "GET", "/digitaltwins/counter")[1]
                value = twin["temperature"] + 1
                patch = [{"op": "replace", "path": "/temperature", "value": value}]
                given = {"If-Match": twin["$etag"]}
                status, _ = ask(mine, "PATCH", "/digitaltwins/counter", patch, headers=given)
                times -= status == 204
                lost.append(status != 204)

    writers = [threading.Thread(target=count, args=(25,)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert ask(connection, "GET", "/digitaltwins/counter")[1]["temperature"] == 100
