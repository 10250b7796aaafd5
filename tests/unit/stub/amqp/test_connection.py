"""Connections on the wire: handshake, SASL, heartbeats, bad frames, closing."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress

import pytest

from sync_agent.stub.amqp import performatives as p
from sync_agent.stub.amqp.broker import Limits
from sync_agent.stub.amqp.encoder import described_list, encode
from sync_agent.stub.amqp.frames import AMQP_HEADER, SASL_HEADER, frame
from tests.unit.stub.amqp.raw_client import (
    NULL,
    PLAIN,
    RawClient,
    condition,
    running_broker,
)


async def test_a_client_without_sasl_is_shown_the_sasl_header_and_closed() -> None:
    async with running_broker() as broker:
        client = await RawClient.connect(broker)
        client.writer.write(AMQP_HEADER)
        assert await client.header() == SASL_HEADER
        assert await client.reader.read() == b""


@pytest.mark.parametrize(
    ("mechanism", "response", "code"),
    [
        ("ANONYMOUS", b"", 0),
        ("MSSBCBS", b"", 0),
        ("PLAIN", PLAIN, 0),
        ("PLAIN", PLAIN + b"x", 1),
        ("PLAIN", b"\0nobody\0", 1),
        ("PLAIN", b"", 1),
        ("EXTERNAL", b"", 1),
    ],
)
async def test_sasl_lets_in_who_may_come_in(mechanism: str, response: bytes, code: int) -> None:
    async with running_broker() as broker:
        client = await RawClient.connect(broker)
        assert await client.handshake(mechanism, response) == code
        client.close()


async def test_heartbeats_come_as_often_as_the_peer_asks() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker, idle_timeout_ms=200)
        with pytest.raises(TimeoutError):
            await client.next(timeout_s=0.5)
        assert client.heartbeats >= 3


async def test_a_silent_peer_is_closed_and_one_with_heartbeats_is_not() -> None:
    async with running_broker(limits=Limits(idle_timeout_s=0.15)) as broker:
        silent = await RawClient.ready(broker)
        lively = await RawClient.ready(broker)
        for _ in range(10):
            lively.writer.write(frame(0, b""))
            await asyncio.sleep(0.06)
        fields, _ = await silent.expect(p.CLOSE)
        assert condition(fields, 0) == "amqp:connection:forced"
        assert await lively.nothing_comes(0.05)


async def test_a_peer_that_never_finishes_the_handshake_is_dropped() -> None:
    async with running_broker(limits=Limits(handshake_timeout_s=0.1)) as broker:
        client = await RawClient.connect(broker)
        client.writer.write(SASL_HEADER[:4])
        assert await asyncio.wait_for(client.reader.read(), 2) == b""


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("too large", struct.pack(">IBBH", 70_000, 2, 0, 0), "amqp:connection:framing-error"),
        ("bad offset", struct.pack(">IBBH", 12, 9, 0, 0) + bytes(4), "amqp:connection:framing"),
        ("sasl late", frame(0, b"\x00\x53\x41\xc0\x01\x00", 1), "amqp:connection:framing-error"),
        ("garbage", frame(0, b"\xff\xff\xff"), "amqp:decode-error"),
        ("no list", frame(0, b"\x00\x53\x14\x41"), "amqp:decode-error"),
        ("unknown", frame(0, described_list(0x19, (NULL,))), "amqp:not-implemented"),
        ("no session", frame(9, described_list(p.DETACH, (encode(1),))), "amqp:not-allowed"),
        ("bad field", frame(0, described_list(p.DETACH, (encode("x"),))), "amqp:invalid-field"),
        ("negative", frame(0, described_list(p.DETACH, (encode(-1),))), "amqp:invalid-field"),
    ],
)
async def test_a_bad_frame_closes_its_connection_with_a_condition(
    name: str, raw: bytes, expected: str
) -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        bystander = await RawClient.ready(broker)
        client.writer.write(raw)
        fields, _ = await client.expect(p.CLOSE)
        assert condition(fields, 0).startswith(expected)
        with pytest.raises(EOFError):
            await client.next()
        assert (await bystander.sender(0))[0] == "link-0"


async def test_a_close_is_answered_and_the_socket_closed() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        client.send(p.close())
        fields, _ = await client.expect(p.CLOSE)
        assert fields[0] is None
        with pytest.raises(EOFError):
            await client.next()


async def test_a_stopping_broker_says_so_to_its_clients() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await broker.stop()
        fields, _ = await client.expect(p.CLOSE)
        assert condition(fields, 0) == "amqp:connection:forced"


async def test_connections_beyond_the_maximum_are_closed_at_once() -> None:
    async with running_broker(limits=Limits(connections_max=1)) as broker:
        await RawClient.ready(broker)
        second = await RawClient.connect(broker)
        assert await asyncio.wait_for(second.reader.read(), 2) == b""


async def test_a_peer_that_asks_without_reading_is_not_read_without_end() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        [connection] = broker._connections
        attempts = 0
        while connection._is_reading and attempts < 2_000:
            client.attach(1, receiver=False, name="n" * 60_000, target="nowhere")
            attempts += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(client.writer.drain(), 0.05)
            await asyncio.sleep(0)
        assert not connection._is_reading
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < 6 * 1024 * 1024
