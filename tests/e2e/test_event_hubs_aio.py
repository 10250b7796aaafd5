"""The asynchronous azure-eventhub SDK, unmodified, against the broker over a real socket."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient, PartitionContext
from azure.eventhub.exceptions import EventDataSendError, EventHubError

from sync_agent.stub.amqp.broker import EventHubBroker
from sync_agent.stub.amqp.hashing import partition_for_key
from tests.e2e.event_hub_support import (
    HUB,
    HubOptions,
    consumer,
    receive,
    running_broker,
    until,
)


def producer(broker: EventHubBroker, **options: Any) -> EventHubProducerClient:
    options.setdefault("retry_total", 0)
    client: EventHubProducerClient = EventHubProducerClient.from_connection_string(
        broker.connection_string(HUB), **options
    )
    return client


async def send(broker: EventHubBroker, bodies: list[str], **where: Any) -> None:
    async with producer(broker) as client:
        batch = await client.create_batch(**where)
        for body in bodies:
            batch.add(EventData(body))
        await client.send_batch(batch)


def bodies(events: list[EventData]) -> list[str]:
    return [event.body_as_str() for event in events]


async def test_an_event_arrives_with_everything_its_sender_gave_it() -> None:
    event = EventData(b"\x00\x01 body")
    event.properties = {"site": "S1", "count": 7, "ratio": 0.5, "on": True, "raw": b"\xff"}
    event.content_type = "application/json"
    event.correlation_id = "c-1"
    event.message_id = "m-1"
    event.raw_amqp_message.annotations = {"x-vendor": "kept"}
    before = datetime.now(UTC) - timedelta(seconds=1)
    async with running_broker() as broker:
        async with producer(broker) as client:
            await client.send_event(event, partition_id="2")
        received: list[Any] = await receive(broker, 1, partition_id="2", starting_position="-1")
    [got] = received
    assert b"".join(got.body) == b"\x00\x01 body"
    assert got.properties == {
        b"site": b"S1",
        b"count": 7,
        b"ratio": 0.5,
        b"on": True,
        b"raw": b"\xff",
    }
    assert (got.content_type, got.correlation_id, got.message_id) == (
        *("application/json", "c-1", "m-1"),
    )
    assert got.raw_amqp_message.annotations[b"x-vendor"] == b"kept"
    assert (got.sequence_number, got.offset, got.partition_key) == (0, "0", None)
    assert before < got.enqueued_time < datetime.now(UTC) + timedelta(seconds=1)


async def test_events_of_a_partition_key_land_together_in_order() -> None:
    keys = [f"link-{n}" for n in range(8)]
    async with running_broker() as broker:
        async with producer(broker) as client:
            for key in keys:
                batch = await client.create_batch(partition_key=key)
                for n in range(5):
                    batch.add(EventData(f"{key}/{n}"))
                await client.send_batch(batch)
        seen: dict[str, list[str]] = {}

        async def on_batch(context: PartitionContext, events: list[EventData]) -> None:
            for event in events:
                key = (event.partition_key or b"").decode()
                assert context.partition_id == str(partition_for_key(key, 4))
                seen.setdefault(key, []).append(event.body_as_str())

        async with consumer(broker) as reader:
            task = asyncio.create_task(
                reader.receive_batch(on_batch, starting_position="-1", max_wait_time=1)
            )
            await until(lambda: sum(map(len, seen.values())) == 40)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert seen == {key: [f"{key}/{n}" for n in range(5)] for key in keys}


async def test_a_receiver_starts_where_its_position_says() -> None:
    async with running_broker() as broker:
        await send(broker, ["a", "b", "c"], partition_id="0")
        await asyncio.sleep(0.05)
        between = datetime.now(UTC)
        await asyncio.sleep(0.05)
        await send(broker, ["d", "e"], partition_id="0")
        everything = await receive(broker, 5, partition_id="0", starting_position="-1")
        assert bodies(everything) == ["a", "b", "c", "d", "e"]
        offset_of_b = everything[1].offset
        cases = [
            (offset_of_b, False, ["c", "d", "e"]),
            (offset_of_b, True, ["b", "c", "d", "e"]),
            (2, False, ["d", "e"]),
            (2, True, ["c", "d", "e"]),
            (between, False, ["d", "e"]),
        ]
        results = await asyncio.gather(
            *(
                receive(
                    broker,
                    len(expected),
                    group=f"group-{n}",
                    partition_id="0",
                    starting_position=position,
                    starting_position_inclusive=inclusive,
                )
                for n, (position, inclusive, expected) in enumerate(cases)
            )
        )
    assert [bodies(result) for result in results] == [expected for _, _, expected in cases]


@pytest.mark.slow
async def test_a_receiver_at_latest_sees_only_what_comes_after_it() -> None:
    async with running_broker() as broker:
        await send(broker, ["old"], partition_id="0")
        partition = broker._namespace.hub(HUB).partitions[0]
        task = asyncio.create_task(
            receive(broker, 1, partition_id="0", starting_position="@latest")
        )
        await until(lambda: bool(partition._readers))
        await send(broker, ["new"], partition_id="0")
        assert bodies(await task) == ["new"]


@pytest.mark.slow
async def test_two_consumer_groups_each_receive_everything() -> None:
    async with running_broker() as broker:
        await send(broker, ["a", "b"], partition_id="1")
        first, second = await asyncio.gather(
            receive(broker, 2, partition_id="1", starting_position="-1"),
            receive(broker, 2, group="agents", partition_id="1", starting_position="-1"),
        )
    assert bodies(first) == bodies(second) == ["a", "b"]


@pytest.mark.slow
async def test_a_higher_epoch_takes_a_partition_over_and_a_lower_one_is_refused() -> None:
    async with running_broker() as broker:
        errors: dict[str, Exception] = {}
        received: list[str] = []

        async def run(name: str, owner_level: int) -> None:
            async def on_batch(context: PartitionContext, events: list[EventData]) -> None:
                received.extend(f"{name}:{event.body_as_str()}" for event in events)

            async def on_error(context: PartitionContext | None, error: Exception) -> None:
                errors[name] = error

            async with consumer(broker) as client:
                await client.receive_batch(
                    on_batch,
                    partition_id="0",
                    owner_level=owner_level,
                    on_error=on_error,
                    starting_position="-1",
                )

        await send(broker, ["1"], partition_id="0")
        low = asyncio.create_task(run("low", 1))
        await until(lambda: received == ["low:1"])
        high = asyncio.create_task(run("high", 2))
        await until(lambda: "low" in errors and "high:1" in received)
        lower = asyncio.create_task(run("lower", 1))
        await until(lambda: "lower" in errors)
        for task in (low, high, lower):
            task.cancel()
        await asyncio.gather(low, high, lower, return_exceptions=True)
    assert "amqp:link:stolen" in str(errors["low"]).lower()
    assert "amqp:link:stolen" in str(errors["lower"]).lower()
    assert "high" not in errors


async def test_runtime_information_follows_the_partition() -> None:
    async with running_broker() as broker, producer(broker) as client:
        hub = await client.get_eventhub_properties()
        empty = await client.get_partition_properties("3")
        await send(broker, ["x", "y"], partition_id="3")
        full = await client.get_partition_properties("3")
    assert (hub["eventhub_name"], hub["partition_ids"]) == (HUB, ["0", "1", "2", "3"])
    assert abs(hub["created_at"].timestamp() - time.time()) < 60
    assert empty["is_empty"]
    assert empty["last_enqueued_sequence_number"] == -1
    assert not full["is_empty"]
    assert (full["beginning_sequence_number"], full["last_enqueued_sequence_number"]) == (0, 1)
    assert int(full["last_enqueued_offset"]) > 0
    assert abs(full["last_enqueued_time_utc"].timestamp() - time.time()) < 60


@pytest.mark.slow
async def test_last_enqueued_information_comes_with_events_when_asked_for() -> None:
    async with running_broker() as broker:
        await send(broker, ["a", "b", "c"], partition_id="0")
        tracked: list[Any] = []

        async def on_event(context: PartitionContext, event: Any) -> None:
            tracked.append(context.last_enqueued_event_properties)

        async with consumer(broker) as client:
            task = asyncio.create_task(
                client.receive(
                    on_event,
                    partition_id="0",
                    starting_position="-1",
                    track_last_enqueued_event_properties=True,
                )
            )
            await until(lambda: len(tracked) == 3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert {item["sequence_number"] for item in tracked} == {2}
    assert all(item["enqueued_time"] and item["retrieval_time"] for item in tracked)


async def test_a_large_event_crosses_frames_and_a_too_large_one_is_refused() -> None:
    large = bytes(range(256)) * 3_600
    async with running_broker() as broker:
        async with producer(broker) as client:
            await client.send_event(EventData(large), partition_id="0")
            with pytest.raises(EventDataSendError, match=r"size:\d+ bytes\) exceeds the limit"):
                await client.send_event(EventData(b"x" * 1_200_000), partition_id="0")
            await client.send_event(EventData(b"after"), partition_id="0")
        received: list[Any] = await receive(broker, 2, partition_id="0", starting_position="-1")
    first, second = received
    assert b"".join(first.body) == large
    assert second.body_as_str() == "after"


async def test_unknown_places_are_refused_by_name() -> None:
    hub = HubOptions(HUB, partitions=2)
    async with running_broker(hub=hub) as broker:
        string = broker.connection_string()
        unknown = EventHubProducerClient.from_connection_string(
            string, eventhub_name="nowhere", retry_total=0
        )
        async with unknown, producer(broker) as client:
            with pytest.raises(EventHubError, match="404"):
                await unknown.send_event(EventData(b""))
            with pytest.raises(EventHubError, match="404"):
                await unknown.get_eventhub_properties()
            with pytest.raises(EventHubError, match="Invalid partition 7"):
                await client.send_event(EventData(b""), partition_id="7")


async def test_a_key_that_may_only_listen_does_not_send() -> None:
    async with running_broker() as broker:
        string = broker.connection_string(HUB, key_name="ListenOnly")
        client = EventHubProducerClient.from_connection_string(string, retry_total=0)
        async with client:
            assert len(await client.get_partition_ids()) == 4
            with pytest.raises(EventHubError, match="'Send' claim"):
                await client.send_event(EventData("x"), partition_id="0")


@pytest.mark.slow
async def test_the_buffered_producer_and_the_broker_agree_on_partition_keys() -> None:
    async with running_broker() as broker:
        failures: list[object] = []

        async def on_success(events: list[Any], partition: str | None) -> None:
            pass

        async def on_error(events: list[Any], partition: str | None, error: Exception) -> None:
            failures.append(error)

        buffered = EventHubProducerClient.from_connection_string(
            broker.connection_string(HUB),
            buffered_mode=True,
            on_success=on_success,
            on_error=on_error,
            max_wait_time=1,
        )
        keys = [f"cell-{n}" for n in range(12)]
        async with buffered, producer(broker) as direct:
            for key in keys:
                await buffered.send_event(EventData("buffered"), partition_key=key)
                await direct.send_batch([EventData("direct")], partition_key=key)
            await buffered.flush(timeout=10)
        places: dict[bytes, set[str]] = {}

        async def on_event(context: PartitionContext, event: Any) -> None:
            places.setdefault(event.partition_key, set()).add(context.partition_id)
            counts.append(event)

        counts: list[EventData] = []
        async with consumer(broker) as client:
            task = asyncio.create_task(client.receive(on_event, starting_position="-1"))
            await until(lambda: len(counts) == 24)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert not failures
    assert len(places) == 12
    assert all(len(found) == 1 for found in places.values())


async def test_a_producer_goes_on_after_the_broker_was_replaced() -> None:
    async with running_broker() as broker:
        port = broker.port
        client = producer(broker, retry_total=3, retry_backoff_factor=0.1)
        await client.send_event(EventData(b"1"))
    async with running_broker(port=port) as broker, client:
        await client.send_event(EventData(b"2"))
        counts = [p.info().next_sequence for p in broker._namespace.hub(HUB).partitions]
    assert sum(counts) == 1
