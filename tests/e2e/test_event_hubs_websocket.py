"""The real SDKs over AMQP in WebSockets, on the port that takes plain AMQP too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubProducerClient, TransportType
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.aio import EventHubProducerClient as AioProducerClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from sync_agent.stub.amqp.broker import EventHubBroker
from sync_agent.stub.amqp.frames import SASL_HEADER
from sync_agent.stub.amqp.websocket import MESSAGE_BYTES_MAX, PATH, SUBPROTOCOLS
from tests.e2e.event_hub_support import HUB, Limits, receive, running_broker, until


def over_websocket(broker: EventHubBroker) -> dict[str, Any]:
    return {
        "conn_str": broker.connection_string(HUB),
        "transport_type": TransportType.AmqpOverWebsocket,
        "custom_endpoint_address": f"sb://127.0.0.1:{broker.port}",
    }


@pytest.mark.filterwarnings("ignore:ssl=None is deprecated")  # the SDK says so to aiohttp
async def test_events_go_and_come_through_a_websocket() -> None:
    received: list[EventData] = []

    async def on_batch(_context: object, batch: list[EventData]) -> None:
        received.extend(batch)

    async with running_broker() as broker:
        options = over_websocket(broker)
        async with AioProducerClient.from_connection_string(**options) as producer:
            await producer.send_batch([EventData(b"a" * 300_000), EventData(b"small")])
        consumer = EventHubConsumerClient.from_connection_string(
            consumer_group="$Default", **options
        )
        async with consumer:
            task = asyncio.create_task(
                consumer.receive_batch(on_batch, starting_position="-1", prefetch=50)
            )
            await until(lambda: len(received) == 2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert sorted(len(event.body_as_str()) for event in received) == [5, 300_000]


async def test_the_synchronous_client_sends_through_a_websocket_what_plain_amqp_receives() -> None:
    async with running_broker() as broker:

        def send() -> None:
            with EventHubProducerClient.from_connection_string(**over_websocket(broker)) as client:
                client.send_batch([EventData(b"over 443")], partition_id="0")

        await asyncio.to_thread(send)
        (event,) = await receive(broker, 1, partition_id="0", starting_position="-1")
    assert event.body_as_str() == "over 443"


def opened(broker: EventHubBroker, path: str = PATH, **options: Any) -> connect:
    url = f"ws://127.0.0.1:{broker.port}{path}"
    return connect(url, subprotocols=SUBPROTOCOLS, proxy=None, max_size=None, **options)


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [("/", None, 404), (PATH, "http://evil.example", 403), (PATH, "null", 403)],
)
async def test_other_paths_and_pages_of_other_sites_are_turned_away(
    path: str, origin: str | None, status: int
) -> None:
    async with running_broker() as broker:
        with pytest.raises(InvalidStatus) as refusal:
            await opened(broker, path, origin=None if origin is None else Origin(origin))
    assert refusal.value.response.status_code == status


@pytest.mark.parametrize("path", [PATH, f"{PATH}/", f"{PATH}?sb-hc-id=1", PATH.upper()])
async def test_the_path_is_taken_as_each_sdk_writes_it(path: str) -> None:
    async with running_broker() as broker, opened(broker, path) as socket:
        await socket.send(SASL_HEADER)
        assert (await socket.recv(decode=False)).startswith(SASL_HEADER)


async def test_amqp_may_be_cut_into_messages_anywhere() -> None:
    async with running_broker() as broker, opened(broker) as socket:
        for byte in SASL_HEADER:
            await socket.send(bytes([byte]))
        answer = b""
        while len(answer) < len(SASL_HEADER):
            answer += await socket.recv(decode=False)
    assert answer.startswith(SASL_HEADER)


@pytest.mark.parametrize("message", ["text", b"x" * (MESSAGE_BYTES_MAX + 1), b"this is no AMQP"])
async def test_what_is_no_amqp_ends_its_connection_and_no_other(message: str | bytes) -> None:
    async with running_broker() as broker, opened(broker) as other:
        async with opened(broker) as socket:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(_until_closed(socket, message), 5)
        await other.send(SASL_HEADER)
        assert (await other.recv(decode=False)).startswith(SASL_HEADER)


async def _until_closed(socket: ClientConnection, message: str | bytes) -> None:
    await socket.send(message)
    while True:
        await socket.recv()


async def test_a_handshake_that_never_ends_is_cut_off() -> None:
    async with running_broker(limits=Limits(handshake_timeout_s=0.2)) as broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.write(b"GET /$servicebus/websocket HTTP/1.1\r\nHost: localhost\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await writer.wait_closed()
