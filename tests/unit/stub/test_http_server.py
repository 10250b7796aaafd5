"""The server between the wire and the application: what a client can make it hold."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

from sync_agent.stub import http_server
from sync_agent.stub.adt.app import AdtApp
from sync_agent.stub.http_server import PARSED_BYTES, HttpServer, listen

BUFFER = 64 * 1024
"""What the two sockets keep, so that a test sees what the server keeps."""

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST_REQUEST = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


class Answering:
    """An application whose answers have a size; it counts them, and the requests that wait."""

    def __init__(self, size: int, *, delay_s: float = 0) -> None:
        self.body = b"x" * size
        self.delay_s = delay_s
        self.answered = 0
        self.waiting_most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(self.delay_s)
        connection = receive.__self__.on_response.__self__
        self.waiting_most = max(self.waiting_most, len(connection.pipeline))
        headers = [(b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
        self.answered += 1


@asynccontextmanager
async def client_of(app: Answering) -> AsyncIterator[socket.socket]:
    listener = listen("127.0.0.1", 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    address = listener.getsockname()
    server = HttpServer(cast("AdtApp", app), listener)
    await server.start()
    client = socket.socket()
    try:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, address)
        yield client
    finally:
        client.close()
        await server.stop()


def send_while_it_is_taken(client: socket.socket, data: bytes) -> int:
    """Send the same again and again until nothing is taken any more; return how much was."""
    sent = 0
    client.settimeout(0.2)
    with suppress(TimeoutError, ConnectionError):
        while True:
            sent += client.send(data[sent % len(data) :])
    client.setblocking(False)
    return sent


async def read_to_the_end(client: socket.socket, pause_s: float = 0) -> int:
    loop, read = asyncio.get_running_loop(), 0
    with suppress(ConnectionError):
        while chunk := await loop.sock_recv(client, BUFFER):
            read += len(chunk)
            await asyncio.sleep(pause_s)
    return read


async def test_a_client_that_asks_on_without_reading_waits_until_it_reads() -> None:
    app = Answering(200)
    async with client_of(app) as client:
        padded = REQUEST[:-2] + b"X-Padding: " + b"x" * 1_000 + b"\r\n\r\n"
        sent = await asyncio.to_thread(send_while_it_is_taken, client, padded)
        assert sent < 2_000_000
        whole = sent // len(padded)
        assert app.answered < whole
        async with asyncio.timeout(5):
            while app.answered < whole:
                await asyncio.get_running_loop().sock_recv(client, BUFFER)


async def test_any_number_of_requests_may_be_sent_ahead_and_few_of_them_are_held() -> None:
    app = Answering(10)
    count = 5 * PARSED_BYTES // len(REQUEST)
    async with client_of(app) as client:
        sending = asyncio.create_task(
            asyncio.get_running_loop().sock_sendall(client, REQUEST * count)
        )
        async with asyncio.timeout(5):
            while app.answered < count:
                await asyncio.get_running_loop().sock_recv(client, BUFFER)
        await sending
    assert app.waiting_most <= PARSED_BYTES // len(REQUEST) + 1


async def test_a_request_that_waits_for_others_is_not_taken_for_a_slow_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_MAX_S", 0.1)
    app = Answering(10, delay_s=0.3)
    padded = REQUEST[:-2] + b"X-Padding: " + b"x" * (PARSED_BYTES // 2) + b"\r\n\r\n"
    async with client_of(app) as client:
        await asyncio.get_running_loop().sock_sendall(client, padded * 3)
        async with asyncio.timeout(5):
            while app.answered < 3:
                assert await asyncio.get_running_loop().sock_recv(client, BUFFER)


async def test_an_answer_nobody_reads_ends_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "UNREAD_MAX_S", 0.1)
    size = 4_000_000
    async with client_of(Answering(size)) as client:
        await asyncio.get_running_loop().sock_sendall(client, REQUEST)
        await asyncio.sleep(0.5)
        async with asyncio.timeout(5):
            assert await read_to_the_end(client) < size


async def test_an_answer_that_is_read_slowly_is_sent_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "UNREAD_MAX_S", 0.1)
    size = 2_000_000
    async with client_of(Answering(size)) as client:
        await asyncio.get_running_loop().sock_sendall(client, LAST_REQUEST)
        async with asyncio.timeout(10):
            assert await read_to_the_end(client, pause_s=0.02) > size


async def test_a_client_that_reads_no_more_for_a_while_gets_its_answer_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_MAX_S", 0.1)
    size = 2_000_000
    async with client_of(Answering(size)) as client:
        await asyncio.get_running_loop().sock_sendall(client, LAST_REQUEST)
        await asyncio.sleep(0.5)
        async with asyncio.timeout(5):
            assert await read_to_the_end(client) > size
