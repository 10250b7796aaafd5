"""Durability of the broker's file: kill -9 while sending, restart, read everything accepted."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from sync_agent.stub.amqp.broker import EventHubBroker
from sync_agent.stub.amqp.sqlite_log import SqliteEventLog
from tests.e2e.event_hub_support import HUB, receive, running_broker

PROGRAM = """
import asyncio, sys
from pathlib import Path
from sync_agent.stub.amqp.broker import EventHubBroker, HubOptions
from sync_agent.stub.amqp.sqlite_log import SqliteEventLog

async def main():
    broker = EventHubBroker([HubOptions("telemetry")], log=SqliteEventLog(Path(sys.argv[1])))
    await broker.start()
    print(broker.connection_string("telemetry"), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


# the SDK does not close its socket when the peer dies; collected here, not in a later test
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_what_was_accepted_survives_kill_9_and_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    string = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
    accepted = 0
    client = EventHubProducerClient.from_connection_string(string, retry_total=0)
    killer = asyncio.get_running_loop().call_later(1.5, os.kill, process.pid, signal.SIGKILL)
    try:
        async with client:
            while accepted < 100_000:
                await client.send_event(EventData(str(accepted)), partition_id="0")
                accepted += 1
    except EventHubError:
        pass
    finally:
        killer.cancel()
        if process.returncode is None:
            process.kill()
        await process.wait()
    del client
    gc.collect()
    assert 10 < accepted < 100_000

    log = SqliteEventLog(path)
    try:
        async with running_broker(log) as broker:
            kept = log.info((HUB, 0)).next_sequence
            assert kept in (accepted, accepted + 1)  # one may have been kept, its answer lost
            events = await receive(
                broker, kept, partition_id="0", starting_position="-1", prefetch=5_000
            )
            await _send(broker, "after")
            [after] = await receive(
                broker, 1, partition_id="0", starting_position=events[-1].offset
            )
    finally:
        log.close()
    assert [event.sequence_number for event in events] == list(range(kept))
    assert [event.body_as_str() for event in events] == [str(n) for n in range(kept)]
    offsets = [int(event.offset or -1) for event in [*events, after]]
    assert offsets == sorted(set(offsets))
    assert after.sequence_number == kept


async def _send(broker: EventHubBroker, body: str) -> None:
    client = EventHubProducerClient.from_connection_string(broker.connection_string(HUB))
    async with client:
        await client.send_event(EventData(body), partition_id="0")
