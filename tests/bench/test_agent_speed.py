"""Events a second through the agent, beside the bare SDK's receive loop on the same broker.

Both read the same events from the same stub in one run, so their ratio holds on any machine. The
agent does all of its work: decode, bind, coalesce, health windows, twin patches, commit.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub.aio import EventHubConsumerClient

from sync_agent.agent.compose import read_rules
from sync_agent.agent.replay import encode
from sync_agent.agent.runtime import Agent, Clock, Pace
from sync_agent.agent.state import StateStore
from sync_agent.azure.hub_address import HubAddress
from sync_agent.azure.hub_receiver import HubReceiver
from sync_agent.azure.hub_sender import HubSender
from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.ports.events import OutgoingEvent
from sync_agent.settings.settings import load_settings
from sync_agent.stub.amqp.broker import HubOptions
from sync_agent.stub.server import StubOptions
from sync_agent.telemetry.sample import Sample
from sync_agent.twins.twin import Twin
from tests.stubs import running_stub

HUB = "telemetry"
PARTITIONS = 2
LINKS = 200
MINUTES = 1_000
ROWS_PER_EVENT = 20
PREFETCH = 3_000
WAIT_S = 300.0
MODEL = "dtmi:bench:Link;1"

pytestmark = pytest.mark.bench


def events() -> list[OutgoingEvent]:
    found = []
    for minute in range(MINUTES):
        rows = [
            Sample(f"L{link}", minute * 60_000, {"rslAtoZDbm": -40.0 - (minute + link) % 9})
            for link in range(LINKS)
        ]
        for first in range(0, LINKS, ROWS_PER_EVENT):
            partition = str(first // ROWS_PER_EVENT % PARTITIONS)
            body = encode(rows[first : first + ROWS_PER_EVENT])
            found.append(OutgoingEvent(body, partition=partition))
    return found


async def bare(connection_string: str, expected: int) -> float:
    """Return how long the SDK alone takes to hand over all events."""
    received = 0
    began = time.perf_counter()
    client = EventHubConsumerClient.from_connection_string(
        connection_string, "$Default", eventhub_name=HUB
    )

    async def on_batch(_context: Any, batch: list[Any]) -> None:
        nonlocal received
        received += len(batch)

    async with client:
        receiving = asyncio.create_task(
            client.receive_batch(
                on_batch, starting_position="-1", prefetch=PREFETCH, max_batch_size=PREFETCH
            )
        )
        async with asyncio.timeout(WAIT_S):
            while received < expected:  # noqa: ASYNC110 - a count is watched, not an event
                await asyncio.sleep(0.01)
        took = time.perf_counter() - began
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
    return took


async def through_the_agent(
    store: AzureTwinStore, connection_string: str, folder: Path, rows: int
) -> tuple[float, int]:
    """Return how long the agent takes to have every row counted, and how many it applied."""
    state = StateStore(folder / "state.db")
    receiver = HubReceiver(
        HubAddress(connection_string, name=HUB),
        consumer_group="$Default",
        prefetch=PREFETCH,
        batch_max_events=PREFETCH,
        batch_max_wait_s=0.5,
        retry_for_s=10,
    )
    agent = Agent(
        twins=store,
        writer=store,
        receiver=receiver,
        inventory=None,
        state=state,
        rules=read_rules(load_settings(None, {}, {}).settings),
        pace=Pace(300, 1, 60, 90, 64),
        clock=Clock(time.monotonic, lambda: time.time_ns() // 1_000_000),
    )
    stop = asyncio.Event()
    began = time.perf_counter()
    running = asyncio.create_task(agent.run(stop))
    async with asyncio.timeout(WAIT_S):
        while state.tally().rows < rows and not running.done():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    took = time.perf_counter() - began
    stop.set()
    await running
    tally = state.tally()
    state.close()
    assert tally.rows == rows
    assert tally.dead_lettered == 0
    return took, tally.applied


async def test_the_agent_keeps_up_with_a_share_of_the_bare_receive_loop(tmp_path: Path) -> None:
    sending = events()
    rows = LINKS * MINUTES
    with running_stub(StubOptions(hubs=(HubOptions(HUB, PARTITIONS),))) as stub:
        connection_string = stub.event_hub_connection_string
        sender = HubSender(HubAddress(connection_string, name=HUB), retry_for_s=10)
        await sender.send(sending)
        await sender.close()
        async with AzureTwinStore(stub.adt_url, credential_for("none"), retry_for_s=10) as store:
            await store.create_models(
                [
                    {
                        "@context": "dtmi:dtdl:context;3",
                        "@id": MODEL,
                        "@type": "Interface",
                        "contents": [
                            {"@type": "Property", "name": "rslAtoZDbm", "schema": "double"}
                        ],
                    }
                ]
            )
            for link in range(LINKS):
                await store.put_twin(Twin(f"L{link}", MODEL))
            alone = await bare(connection_string, len(sending))
            took, applied = await through_the_agent(store, connection_string, tmp_path, rows)
    count = len(sending)
    print(  # noqa: T201 - the figures are what a benchmark is for
        f"\nbare SDK: {count / alone:,.0f} events/s, {rows / alone:,.0f} rows/s"
        f"\nagent:    {count / took:,.0f} events/s, {rows / took:,.0f} rows/s"
        f" ({applied:,} applied)"
        f"\nratio:    {alone / took:.2f} of the bare loop"
    )
    assert applied > 0
