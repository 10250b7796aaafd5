"""Patches a second that the stub takes over HTTP: it in a process of its own, with a data folder.

The client is a bare connection per writer with its requests made before, so that nearly all that is
measured is the stub. A patch is what the agent writes: a value and its source time, on a link of
the telecom ontology.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop

ROOT = Path(__file__).resolve().parents[2]
LINK = "dtmi:telecom:transport:MicrowaveLink;1"
VERSION = "api-version=2023-10-31"
TWINS = 500
WRITERS = 8
PATCHES = 20_000
WAIT_S = 120.0

pytestmark = pytest.mark.bench


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A stub with its twins: process id and address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sync_agent", "stub", "--output", "json", "--data-dir", tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        place = urlsplit(json.loads(process.stdout.readline())["adt_url"]).netloc
        fill(place)
        yield process.pid, place
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_S)


def fill(place: str) -> None:
    models = [json.loads(f.read_text()) for f in (ROOT / "dtdl_models").rglob("*.json")]
    twin = {
        "$metadata": {"$model": LINK},
        "rslAtoZDbm": -40.5,
        "health": {"score": 90, "state": "healthy"},
        "forecast": {},
        "maintenance": {},
    }
    requests: list[tuple[str, str, Any]] = [("POST", "/models", models)]
    requests += [("PUT", f"/digitaltwins/link{number}", twin) for number in range(TWINS)]
    with closing(http.client.HTTPConnection(place, timeout=WAIT_S)) as connection:
        for method, path, body in requests:
            connection.request(method, f"{path}?{VERSION}", json.dumps(body))
            response = connection.getresponse()
            assert response.status < 300, response.read()
            response.read()


def patch_of(number: int) -> bytes:
    time_text = f"2026-01-01T00:00:00.{number % 1000:03d}Z"
    operations = [
        {"op": "add", "path": "/rslAtoZDbm", "value": -40 - number % 20},
        {"op": "add", "path": "/$metadata/rslAtoZDbm/sourceTime", "value": time_text},
    ]
    body = json.dumps(operations).encode()
    head = (
        f"PATCH /digitaltwins/link{number % TWINS}?{VERSION} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json-patch+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Writer(asyncio.Protocol):
    """Sends its patches one by one, each when the last was answered."""

    def __init__(self, requests: Iterable[bytes], statuses: Counter[bytes]) -> None:
        self._requests = iter(requests)
        self._statuses = statuses
        self._answer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._answer.endswith(b"\r\n\r\n"):  # what is taken has no body, all else is a failure
            self._statuses[self._answer[9:12]] += 1
            self._answer = b""
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the stub hung up"))

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is not None:
            self._transport.write(request)
        else:
            self.done.set_result(None)
            self._transport.close()


async def write_all(place: str, requests: Sequence[bytes]) -> Counter[bytes]:
    host, port = place.split(":")
    loop = asyncio.get_running_loop()
    statuses: Counter[bytes] = Counter()
    async with asyncio.timeout(WAIT_S):
        writers = [Writer(requests[first::WRITERS], statuses) for first in range(WRITERS)]
        for writer in writers:
            await loop.create_connection(lambda writer=writer: writer, host, int(port))  # type: ignore[misc]
        await asyncio.gather(*(writer.done for writer in writers))
    return statuses


def processor_time_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_patches_a_second_over_http(
    stub: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    pid, place = stub
    requests = [patch_of(number) for number in range(PATCHES)]
    began, used = time.perf_counter(), processor_time_s(pid)
    statuses = uvloop.run(write_all(place, requests))
    took, used = time.perf_counter() - began, processor_time_s(pid) - used
    assert statuses == {b"204": PATCHES}
    with capsys.disabled():
        sys.stdout.write(
            f"\n{PATCHES / took:,.0f} patches/s with {WRITERS} writers;"
            f" {PATCHES / used:,.0f} a second of the stub's own processor time\n"
        )
