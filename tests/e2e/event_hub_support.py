"""What the Event Hubs end-to-end tests share: a running broker, and receiving through the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

from sync_agent.stub.amqp.broker import EventHubBroker, HubOptions, Limits
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from sync_agent.stub.amqp.partition_log import EventLog

HUB = "telemetry"
WAIT_S = 20.0


@asynccontextmanager
async def running_broker(
    log: EventLog | None = None, *, hub: HubOptions | None = None, **options: Any
) -> AsyncIterator[EventHubBroker]:
    """Run a broker with one hub in this event loop."""
    broker = EventHubBroker([hub or HubOptions(HUB)], log=log or MemoryEventLog(), **options)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


def consumer(broker: EventHubBroker, group: str = "$Default") -> EventHubConsumerClient:
    """Return an asynchronous consumer client that does not retry."""
    connection_string = broker.connection_string(HUB)
    return EventHubConsumerClient.from_connection_string(connection_string, group, retry_total=0)


async def until(condition: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not in time.
    """
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for is another client's state
            await asyncio.sleep(0.02)


async def receive(
    broker: EventHubBroker, count: int, *, group: str = "$Default", **options: Any
) -> list[EventData]:
    """Receive ``count`` events with a client of its own; ``options`` go to ``receive_batch``."""
    events: list[EventData] = []

    async def on_batch(context: PartitionContext, batch: list[EventData]) -> None:
        events.extend(batch)

    async with consumer(broker, group) as client:
        task = asyncio.create_task(client.receive_batch(on_batch, **options))
        try:
            await until(lambda: len(events) >= count or task.done())
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return events


__all__ = [
    "HUB",
    "WAIT_S",
    "HubOptions",
    "Limits",
    "consumer",
    "receive",
    "running_broker",
    "until",
]
