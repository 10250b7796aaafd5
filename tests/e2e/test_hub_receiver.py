"""The agent's receiver, through the unmodified SDK, when the hub is not what it should be."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.amqp import AmqpAnnotatedMessage
from structlog.testing import capture_logs

from sync_agent.agent.presence import Absence, Presence
from sync_agent.azure import hub_receiver
from sync_agent.azure.hub_address import HubAddress
from sync_agent.azure.hub_receiver import HubReceiver
from sync_agent.errors import ServiceError
from sync_agent.ports.events import Event
from sync_agent.stub.amqp.broker import EventHubBroker
from tests.e2e.event_hub_support import HUB, HubOptions, consumer, running_broker, until

ONE = HubOptions(HUB, partitions=1)


class Reading:
    """A receiver at work: what came of its one partition, and what was told of the hub."""

    def __init__(self, broker: EventHubBroker, **options: Any) -> None:
        self.events: list[Event] = []
        self.told: list[tuple[str, str]] = []
        presence = Presence("the hub", away=self._away, back=self._back)
        defaults: dict[str, Any] = {
            "consumer_group": "$Default",
            "prefetch": 300,
            "batch_max_events": 10,
            "batch_max_wait_s": 0.05,
            "retry_for_s": 60.0,
        }
        self.receiver = HubReceiver(
            HubAddress(broker.connection_string(HUB)), watch=presence, **{**defaults, **options}
        )

    @property
    def bodies(self) -> list[bytes]:
        return [event.body for event in self.events]

    @asynccontextmanager
    async def running(self, after: Mapping[str, int]) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.receiver.run(self._take, after=after))
        try:
            yield task
        finally:
            await self.receiver.close()
            await asyncio.gather(task, return_exceptions=True)

    async def _take(self, _partition: str, events: Sequence[Event]) -> None:
        self.events += events

    def _away(self, absence: Absence) -> None:
        self.told.append(("away", absence.reason))

    def _back(self, absence: Absence) -> None:
        self.told.append(("back", absence.reason))


async def send(broker: EventHubBroker, *events: Any) -> None:
    client = EventHubProducerClient.from_connection_string(broker.connection_string(HUB))
    async with client:
        for event in events:
            await client.send_batch([event], partition_id="0")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a silent partition asked about sooner, yet not before the SDK has had its time."""
    monkeypatch.setattr(hub_receiver, "PROBE_AFTER_S", 3.0)
    monkeypatch.setattr(hub_receiver, "CLAIM_EVERY_S", 0.3)


@pytest.mark.slow
async def test_an_event_of_any_body_is_delivered_and_stops_nothing() -> None:
    async with running_broker(hub=ONE) as broker:
        strange = [
            AmqpAnnotatedMessage(value_body=7),
            AmqpAnnotatedMessage(value_body={"a": 1}),
            AmqpAnnotatedMessage(sequence_body=[1, "x"]),
            AmqpAnnotatedMessage(value_body="text"),
            AmqpAnnotatedMessage(data_body=[b"one", b"two"]),
        ]
        await send(broker, *strange, EventData(b"after"))
        reading = Reading(broker)
        async with reading.running({}):
            await until(lambda: len(reading.events) == 6)
    assert reading.bodies[3:] == [b"text", b"onetwo", b"after"]
    assert [event.sequence_number for event in reading.events] == [0, 1, 2, 3, 4, 5]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
async def test_a_hub_made_anew_is_read_from_its_beginning() -> None:
    async with running_broker(hub=ONE) as broker:
        await send(broker, EventData(b"first of the new hub"))
        reading = Reading(broker)
        async with reading.running({"0": 5_000}):  # where the old one stood
            await until(lambda: bool(reading.events))
    assert reading.bodies == [b"first of the new hub"]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
async def test_a_partition_that_another_reader_took_is_told_once_and_taken_up_again() -> None:
    async with running_broker(hub=ONE) as broker:
        reading = Reading(broker)
        with capture_logs() as said:
            async with reading.running({}):
                await send(broker, EventData(b"1"))
                await until(lambda: reading.bodies == [b"1"])
                async with consumer(broker) as other:
                    taking = asyncio.create_task(
                        other.receive_batch(_ignore, partition_id="0", owner_level=1)
                    )
                    await until(lambda: bool(said))
                    await send(broker, EventData(b"2"))
                    await asyncio.sleep(3)
                    taking.cancel()
                    await asyncio.gather(taking, return_exceptions=True)
                await until(lambda: reading.bodies == [b"1", b"2"])
    assert [entry["event"] for entry in said] == [
        "partition is not received",
        "partition is received again",
    ]
    assert "other readers" in said[0]["reason"]
    assert "event_hub.consumer_group" in said[0]["remedy"]
    assert not reading.told


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
async def test_a_hub_that_was_away_is_told_once_each_way_and_nothing_is_lost() -> None:
    async with running_broker(hub=ONE) as broker:
        port, log = broker.port, broker._namespace._log
        reading = Reading(broker)
        await send(broker, EventData(b"1"))
        working = reading.running({})
        task = await working.__aenter__()
        await until(lambda: reading.bodies == [b"1"])
    await until(lambda: bool(reading.told))
    await asyncio.sleep(2)
    async with running_broker(log, hub=ONE, port=port) as broker:
        await send(broker, EventData(b"2"))
        await until(lambda: reading.bodies == [b"1", b"2"])
        await asyncio.sleep(1)
        assert not task.done()
        await working.__aexit__(None, None, None)
    assert [kind for kind, _ in reading.told] == ["away", "back"]
    assert "cannot be reached" in reading.told[0][1]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
async def test_a_hub_that_stays_away_ends_the_run_with_one_error() -> None:
    async with running_broker(hub=ONE) as broker:
        reading = Reading(broker, retry_for_s=2.0)
        working = reading.running({})
        task = await working.__aenter__()
        await asyncio.sleep(0.5)
    with pytest.raises(ServiceError, match="cannot be reached"):
        await asyncio.wait_for(asyncio.shield(task), 30)
    await working.__aexit__(None, None, None)


# The SDK leaves the socket of a connection that never came about to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_hub_that_takes_connections_and_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_receiver, "PROBE_MAX_S", 0.3)
    async with silent_hub() as receiver:
        with pytest.raises(ServiceError, match="cannot be reached") as failure:
            await asyncio.wait_for(receiver.run(_take_nothing, after={}), 5)
        assert failure.value.retryable


# The SDK leaves the socket of a connection that never came about to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_stop_does_not_wait_for_a_hub_that_says_nothing() -> None:
    async with silent_hub() as receiver:
        running = asyncio.create_task(receiver.run(_take_nothing, after={}))
        await asyncio.sleep(0.1)
        await receiver.close()
        await asyncio.wait_for(running, 3)


async def test_an_event_handled_while_the_hub_is_asked_makes_no_new_hub_of_it() -> None:
    async with silent_hub() as receiver:
        receiver._handled = {"0": 10}

        class Asked:
            """A hub that answers, but not before its next event is handled."""

            async def get_partition_properties(self, _partition: str) -> dict[str, Any]:
                receiver._handled["0"] = 11
                return {"last_enqueued_sequence_number": 10, "is_empty": False}

        receiver._client = Asked()  # type: ignore[assignment]
        assert not await receiver._has_newer("0")
        assert receiver._handled == {"0": 11}


@asynccontextmanager
async def silent_hub() -> AsyncIterator[HubReceiver]:
    """Serve a port that takes connections and never answers; yield a receiver of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"Endpoint=sb://127.0.0.1:{server.getsockname()[1]};UseDevelopmentEmulator=true"
        yield HubReceiver(
            HubAddress(f"{place};SharedAccessKeyName=k;SharedAccessKey=x;EntityPath={HUB}"),
            consumer_group="$Default",
            prefetch=300,
            batch_max_events=10,
            batch_max_wait_s=0.05,
            retry_for_s=60.0,
        )


async def _take_nothing(_partition: str, _events: Sequence[Event]) -> None:
    """Take a batch that never comes."""


async def _ignore(_context: Any, _events: Any) -> None:
    """Take a partition and do nothing with it."""
