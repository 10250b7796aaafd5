"""Patches a second that the stub takes over HTTP: it in a process of its own, with a data folder.

The client is a bare socket per writer, so that nearly all that is measured is the stub. A patch is
what the agent writes: a value and its source time, on a link of the telecom ontology.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

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


async def write(place: str, numbers: range, statuses: Counter[bytes]) -> None:
    host, port = place.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for number in numbers:
        writer.write(patch_of(number))
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        statuses[head.split(None, 2)[1]] += 1
    writer.close()
    await writer.wait_closed()


async def write_all(place: str) -> Counter[bytes]:
    statuses: Counter[bytes] = Counter()
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        for first in range(WRITERS):
            group.create_task(write(place, range(first, PATCHES, WRITERS), statuses))
    return statuses


def processor_time_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_patches_a_second_over_http(
    stub: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    pid, place = stub
    began, used = time.perf_counter(), processor_time_s(pid)
    statuses = asyncio.run(write_all(place))
    took, used = time.perf_counter() - began, processor_time_s(pid) - used
    assert statuses == {b"204": PATCHES}
    with capsys.disabled():
        sys.stdout.write(
            f"\n{PATCHES / took:,.0f} patches/s with {WRITERS} writers;"
            f" {PATCHES / used:,.0f} a second of the stub's own processor time\n"
        )
