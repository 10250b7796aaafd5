"""How long a test waits for a stub of its own: start and stop, beside an empty event loop."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import pytest

from sync_agent.stub.server import StubOptions, StubServer

TIMES = 50

pytestmark = pytest.mark.bench


async def one() -> tuple[float, float]:
    began = time.perf_counter()
    server = StubServer(StubOptions())
    await server.start()
    started = time.perf_counter()
    await server.stop()
    return started - began, time.perf_counter() - started


def test_the_start_of_a_stub(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(one())  # imports
    times = [asyncio.run(one()) for _ in range(TIMES)]
    with capsys.disabled():
        starts, stops = zip(*times, strict=True)
        print(  # noqa: T201 - a benchmark's figure
            f"\na stub: start {median(starts) * 1000:.1f} ms, stop {median(stops) * 1000:.1f} ms"
            f" (median of {TIMES}, longest start {max(starts) * 1000:.1f} ms)"
        )
