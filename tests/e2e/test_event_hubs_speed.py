"""How fast the broker is behind the real SDK, in a process of its own; prints the figures.

The bounds asserted are far below what is measured on two idle cores (see docs/stub-event-hubs.md):
they catch a collapse, not a busy machine.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext

from tests.e2e.event_hub_support import until

EVENTS = 60_000
BATCH = 500
BODY = "x" * 200
PROGRAM = """
import asyncio, sys
from pathlib import Path
from sync_agent.stub.amqp.broker import EventHubBroker, HubOptions
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from sync_agent.stub.amqp.sqlite_log import SqliteEventLog

async def main():
    log = SqliteEventLog(Path(sys.argv[1])) if sys.argv[1] else MemoryEventLog()
    broker = EventHubBroker([HubOptions("telemetry")], log=log)
    await broker.start()
    print(broker.connection_string("telemetry"), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def broker_process(path: str) -> AsyncIterator[tuple[str, int]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, path, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        yield line.decode().strip(), process.pid
    finally:
        process.kill()
        await process.wait()


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        pytest.skip("processor time of another process is read from /proc")
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def send_all(string: str) -> float:
    async with EventHubProducerClient.from_connection_string(string) as client:
        await client.send_event(EventData(BODY), partition_id="1")
        started = time.perf_counter()
        for _ in range(EVENTS // BATCH):
            batch = await client.create_batch(partition_id="0")
            for _ in range(BATCH):
                batch.add(EventData(BODY))
            await client.send_batch(batch)
        return EVENTS / (time.perf_counter() - started)


async def receive_all(string: str) -> float:
    count, first = 0, 0.0

    async def on_batch(context: PartitionContext, events: list[EventData]) -> None:
        nonlocal count, first
        first = first or time.perf_counter()
        count += len(events)

    client = EventHubConsumerClient.from_connection_string(string, "$Default")
    async with client:
        task = asyncio.create_task(
            client.receive_batch(
                on_batch,
                partition_id="0",
                starting_position="-1",
                prefetch=5_000,
                max_batch_size=5_000,
            )
        )
        await until(lambda: count >= EVENTS, 60)
        rate = EVENTS / (time.perf_counter() - first)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return rate


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_the_broker_is_not_what_limits_the_sdk(kind: str, tmp_path: Path) -> None:
    path = "" if kind == "memory" else str(tmp_path / "events.db")
    async with broker_process(path) as (string, pid):
        start = cpu_s(pid)
        sent = await send_all(string)
        middle = cpu_s(pid)
        received = await receive_all(string)
        end = cpu_s(pid)
    print(  # noqa: T201 - the figures are what the test is run for
        f"\n{kind}: sent {sent:,.0f}/s, received {received:,.0f}/s;"
        f" broker could take {EVENTS / max(middle - start, 0.01):,.0f}/s"
        f" and give {EVENTS / max(end - middle, 0.01):,.0f}/s of one core"
    )
    assert sent > 1_000
    assert received > 2_000
    assert EVENTS / max(middle - start, 0.01) > 10_000
    assert EVENTS / max(end - middle, 0.01) > 30_000
