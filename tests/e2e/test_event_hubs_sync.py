"""The synchronous azure-eventhub SDK, unmodified, against the broker over a real socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from azure.core.credentials import AccessToken, AzureSasCredential
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import AuthenticationError, EventHubError

from sync_agent.errors import StoreError
from sync_agent.stub.amqp.broker import DEFAULT_KEY_NAME, LOOPBACK_KEYS, EventHubBroker
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from sync_agent.stub.amqp.partition_log import Append
from sync_agent.stub.amqp.token import sign
from tests.e2e.event_hub_support import HUB, WAIT_S, running_broker


def send(broker: EventHubBroker, bodies: list[str], **where: Any) -> None:
    client = EventHubProducerClient.from_connection_string(
        broker.connection_string(HUB), retry_total=0
    )
    with client:
        batch = client.create_batch(**where)
        for body in bodies:
            batch.add(EventData(body))
        client.send_batch(batch)


def receive(client: EventHubConsumerClient, count: int, **options: object) -> list[EventData]:
    """Receive until ``count`` events are there, in a thread of the client's own."""
    events: list[EventData] = []
    thread = threading.Thread(
        target=client.receive_batch,
        args=(lambda context, batch: events.extend(batch),),
        kwargs={"max_wait_time": 0.5, **options},
    )
    thread.start()
    _until(lambda: len(events) >= count or not thread.is_alive())
    client.close()
    thread.join(WAIT_S)
    return events


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


async def test_batches_reach_a_receiver_of_all_partitions() -> None:
    async with running_broker() as broker:

        def run() -> list[EventData]:
            for partition in ("0", "1", "2", "3"):
                send(broker, [f"{partition}/{n}" for n in range(3)], partition_id=partition)
            client = EventHubConsumerClient.from_connection_string(
                broker.connection_string(HUB), "$Default"
            )
            return receive(client, 12, starting_position="-1")

        events = await asyncio.to_thread(run)
    assert sorted(event.body_as_str() for event in events) == sorted(
        f"{partition}/{n}" for partition in range(4) for n in range(3)
    )


@pytest.mark.slow
async def test_a_receiver_resumes_behind_the_offset_it_stopped_at() -> None:
    async with running_broker() as broker:

        def run() -> list[str]:
            send(broker, ["a", "b", "c"], partition_id="0")
            string = broker.connection_string(HUB)
            first = EventHubConsumerClient.from_connection_string(string, "$Default")
            seen = receive(first, 3, partition_id="0", starting_position="-1")
            second = EventHubConsumerClient.from_connection_string(string, "$Default")
            rest = receive(second, 1, partition_id="0", starting_position=seen[1].offset)
            return [event.body_as_str() for event in rest]

        assert await asyncio.to_thread(run) == ["c"]


async def test_runtime_information_and_the_buffered_producer_work_without_asyncio() -> None:
    async with running_broker() as broker:
        sent: list[int] = []

        def run() -> None:
            client = EventHubProducerClient.from_connection_string(
                broker.connection_string(HUB),
                buffered_mode=True,
                on_success=lambda events, partition: sent.append(len(events)),
                on_error=lambda events, partition, error: None,
                max_wait_time=0.2,
            )
            with client:
                assert client.get_partition_ids() == ["0", "1", "2", "3"]
                for n in range(20):
                    client.send_event(EventData(str(n)), partition_key=f"k{n}")
                client.flush(timeout=10)

        await asyncio.to_thread(run)
        partitions = broker._namespace.hub(HUB).partitions
        assert sum(partition.info().next_sequence for partition in partitions) == 20
    assert sum(sent) == 20


@pytest.mark.parametrize(
    ("key_name", "key", "reason"),
    [
        (DEFAULT_KEY_NAME, "not the key", "InvalidSignature"),
        ("nobody", "x", "no key named 'nobody'"),
    ],
)
async def test_a_wrong_key_is_refused_by_name(key_name: str, key: str, reason: str) -> None:
    async with running_broker() as broker:
        string = (
            f"Endpoint=sb://127.0.0.1:{broker.port};SharedAccessKeyName={key_name};"
            f"SharedAccessKey={key};EntityPath={HUB};UseDevelopmentEmulator=true"
        )
        client = EventHubProducerClient.from_connection_string(string, retry_total=0)
        with client, pytest.raises(AuthenticationError, match=reason):
            await asyncio.to_thread(client.send_event, EventData(b""))


@pytest.mark.slow
async def test_an_expired_signature_and_one_for_another_hub_are_refused() -> None:
    async with running_broker() as broker:
        endpoint = f"127.0.0.1:{broker.port}"
        key = LOOPBACK_KEYS[DEFAULT_KEY_NAME]
        for resource, expires_s, reason in (
            (f"sb://{endpoint}/{HUB}", int(time.time()) - 60, "ExpiredToken"),
            (f"sb://{endpoint}/other", int(time.time()) + 600, "InvalidAudience"),
        ):
            signature = sign(resource, DEFAULT_KEY_NAME, key, expires_s)
            client = EventHubProducerClient(
                endpoint,
                HUB,
                AzureSasCredential(signature),
                use_tls=False,
                retry_total=0,
            )
            with client, pytest.raises(EventHubError, match=reason):
                await asyncio.to_thread(client.send_event, EventData(b""))


class AnyCredential:
    """A credential of Microsoft Entra ID, as far as a client can tell."""

    def __init__(self, token: str) -> None:
        self.token = token

    def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken(self.token, int(time.time()) + 3600)


@pytest.mark.parametrize(
    ("keys", "token", "welcome"),
    [
        (LOOPBACK_KEYS, "whatever", True),
        ({"own": "s3cret"}, "s3cret", True),
        ({"own": "s3cret"}, "whatever", False),
    ],
)
async def test_a_token_credential_is_taken_as_the_stub_is_keyed(
    keys: Mapping[str, str], token: str, *, welcome: bool
) -> None:
    async with running_broker(keys=keys) as broker:
        client = EventHubProducerClient(
            f"127.0.0.1:{broker.port}",
            HUB,
            AnyCredential(token),
            use_tls=False,
            retry_total=0,
        )
        with client:
            if welcome:
                await asyncio.to_thread(client.send_event, EventData(b"x"))
                return
            with pytest.raises(EventHubError, match="InvalidToken"):
                await asyncio.to_thread(client.send_event, EventData(b"x"))


class RefreshingCredential:
    """Signs tokens that claim to live ten seconds and counts them."""

    token_type = b"servicebus.windows.net:sastoken"

    def __init__(self) -> None:
        self.count = 0

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.count += 1
        expires_s = int(time.time()) + 10
        key = LOOPBACK_KEYS[DEFAULT_KEY_NAME]
        return AccessToken(sign(scopes[0], DEFAULT_KEY_NAME, key, expires_s), expires_s)


@pytest.mark.slow
async def test_a_token_is_refreshed_on_a_living_connection() -> None:
    credential = RefreshingCredential()
    async with running_broker() as broker:

        def run() -> int:
            client = EventHubProducerClient(
                f"127.0.0.1:{broker.port}", HUB, credential, use_tls=False, retry_total=0
            )
            sent = 0
            with client:
                started = time.monotonic()
                while time.monotonic() - started < 13:
                    client.send_event(EventData(b"x"))
                    sent += 1
                    time.sleep(0.2)
            return sent

        sent = await asyncio.to_thread(run)
        kept = sum(p.info().next_sequence for p in broker._namespace.hub(HUB).partitions)
    assert credential.count >= 2
    assert kept == sent


class FullLog(MemoryEventLog):
    """A log whose disk is full when told so."""

    is_full = False

    def append(self, appends: Sequence[Append], now_ms: int) -> None:
        if self.is_full:
            raise StoreError("the disk is full")
        super().append(appends, now_ms)


async def test_a_full_disk_reaches_the_sender_and_loses_nothing_it_accepted() -> None:
    log = FullLog()
    async with running_broker(log) as broker:

        def run() -> None:
            client = EventHubProducerClient.from_connection_string(
                broker.connection_string(HUB), retry_total=0
            )
            with client:
                client.send_event(EventData(b"1"), partition_id="0")
                log.is_full = True
                with pytest.raises(EventHubError, match="disk is full"):
                    client.send_event(EventData(b"2"), partition_id="0")
                log.is_full = False
                client.send_event(EventData(b"3"), partition_id="0")

        await asyncio.to_thread(run)
        assert log.info((HUB, 0)).next_sequence == 2
