"""Starting a broker: ports, keys, names, connection strings."""

from __future__ import annotations

import socket

import pytest
from azure.eventhub import parse_connection_string

from sync_agent.errors import AddressInUseError, SettingsError
from sync_agent.stub.amqp.broker import DEFAULT_KEY_NAME, EventHubBroker, HubOptions
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from tests.unit.stub.amqp.raw_client import running_broker


async def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        broker = EventHubBroker([HubOptions("hub")], log=MemoryEventLog(), port=port)
        with pytest.raises(AddressInUseError, match=str(port)):
            await broker.start()
        await broker.stop()


async def test_a_foreign_address_is_an_error_for_people() -> None:
    broker = EventHubBroker(
        [HubOptions("hub")], log=MemoryEventLog(), host="192.0.2.1", keys={"name": "key"}
    )
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
        await broker.start()


def test_the_public_key_is_refused_off_loopback() -> None:
    with pytest.raises(SettingsError, match="not loopback"):
        EventHubBroker([HubOptions("hub")], log=MemoryEventLog(), host="example.org")


@pytest.mark.parametrize(
    "hubs",
    [
        [HubOptions("")],
        [HubOptions("a/b")],
        [HubOptions("a"), HubOptions("A")],
        [HubOptions("a", partitions=0)],
        [HubOptions("a", partitions=100_000)],
    ],
)
def test_hubs_that_make_no_sense_are_refused(hubs: list[HubOptions]) -> None:
    with pytest.raises(SettingsError):
        EventHubBroker(hubs, log=MemoryEventLog())


async def test_the_connection_string_is_one_the_sdk_parses() -> None:
    async with running_broker() as broker:
        parsed = parse_connection_string(broker.connection_string("hub"))
        assert parsed.fully_qualified_namespace == f"127.0.0.1:{broker.port}"
        assert parsed.eventhub_name == "hub"
        assert parsed.shared_access_key_name == DEFAULT_KEY_NAME
        with pytest.raises(SettingsError, match="nobody"):
            broker.connection_string(key_name="nobody")
