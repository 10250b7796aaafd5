"""A small AMQP client of the stub's own codec, to say on the wire what no SDK would say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sync_agent.stub.amqp import performatives as p
from sync_agent.stub.amqp.broker import (
    DEFAULT_KEY_NAME,
    LOOPBACK_KEYS,
    EventHubBroker,
    HubOptions,
)
from sync_agent.stub.amqp.codec import Described, Symbol, Timestamp, UByte, UInt, ULong, decode
from sync_agent.stub.amqp.encoder import described_list, encode
from sync_agent.stub.amqp.frames import AMQP_HEADER, SASL_FRAME, SASL_HEADER, FrameReader, frame
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from sync_agent.stub.amqp.message import sections
from sync_agent.stub.amqp.partition_log import EventLog
from sync_agent.stub.amqp.token import sign

WAIT_S = 5.0
NULL = b"\x40"
PLAIN = b"\0" + DEFAULT_KEY_NAME.encode() + b"\0" + LOOPBACK_KEYS[DEFAULT_KEY_NAME].encode()


class TriedBroker(EventHubBroker):
    """A broker that remembers the raw clients of its test, to close them at the end."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.clients: list[RawClient] = []


@asynccontextmanager
async def running_broker(
    log: EventLog | None = None, *, hub: HubOptions | None = None, **options: Any
) -> AsyncIterator[TriedBroker]:
    """Run a broker with one hub of two partitions in this event loop."""
    hub = hub or HubOptions("hub", 2)
    broker = TriedBroker([hub], log=log or MemoryEventLog(), **options)
    await broker.start()
    try:
        yield broker
    finally:
        for client in broker.clients:
            client.writer.transport.abort()
        await broker.stop()
        await asyncio.sleep(0)


def data_message(body: bytes, annotations: Mapping[str, object] | None = None) -> bytes:
    """Encode a message with a data section, and message annotations if given."""
    head = b""
    if annotations:
        entries = {Symbol(name): value for name, value in annotations.items()}
        head = b"\x00\x53\x72" + encode(entries)
    return head + b"\x00\x53\x75" + encode(body)


class RawClient:
    """One connection with one session; frames are (code, fields, payload)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.frames = FrameReader(1 << 21)
        self.heartbeats = 0
        self._tag = 0

    @classmethod
    async def connect(cls, broker: TriedBroker) -> RawClient:
        """Open a socket and say nothing."""
        client = cls(*await asyncio.open_connection("127.0.0.1", broker.port))
        broker.clients.append(client)
        return client

    @classmethod
    async def ready(
        cls,
        broker: TriedBroker,
        *,
        mechanism: str = "PLAIN",
        response: bytes = PLAIN,
        idle_timeout_ms: int = 0,
        window: int = 1_000,
    ) -> RawClient:
        """Connect, authenticate, open, and begin a session on channel 0."""
        client = await cls.connect(broker)
        await client.handshake(mechanism, response)
        client.open(idle_timeout_ms)
        assert (await client.next())[0] == p.OPEN
        client.begin(window)
        assert (await client.next())[0] == p.BEGIN
        return client

    async def handshake(self, mechanism: str, response: bytes) -> int:
        """Do the SASL exchange and the AMQP header; return the SASL outcome's code."""
        self.writer.write(SASL_HEADER)
        assert await self.header() == SASL_HEADER
        assert (await self.next())[0] == p.SASL_MECHANISMS
        init = described_list(p.SASL_INIT, (encode(Symbol(mechanism)), encode(response), NULL))
        self.writer.write(frame(0, init, SASL_FRAME))
        code, fields, _ = await self.next()
        assert code == p.SASL_OUTCOME
        if fields[0] == 0:
            self.writer.write(AMQP_HEADER)
            assert await self.header() == AMQP_HEADER
        return int(fields[0])

    async def header(self) -> bytes:
        """Read eight raw bytes."""
        return await asyncio.wait_for(self.reader.readexactly(8), WAIT_S)

    async def next(self, *, timeout_s: float = WAIT_S) -> tuple[int, list[Any], bytes]:
        """Read the next frame that is no heartbeat; those are counted."""
        async with asyncio.timeout(timeout_s):
            return await self._next()

    async def _next(self) -> tuple[int, list[Any], bytes]:
        while True:
            received = self.frames.frame()
            if received is not None and received.body:
                value, end = decode(received.body)
                assert isinstance(value, Described)
                assert isinstance(value.value, list)
                assert isinstance(value.descriptor, int)
                return value.descriptor, value.value, received.body[end:]
            if received is not None:
                self.heartbeats += 1
                continue
            data = await self.reader.read(65_536)
            if not data:
                raise EOFError
            self.frames.feed(data)

    async def expect(self, code: int) -> tuple[list[Any], bytes]:
        """Read frames until one of this code comes; return its fields and payload."""
        while True:
            got, fields, payload = await self.next()
            if got == code:
                return fields, payload

    async def nothing_comes(self, wait_s: float = 0.15) -> bool:
        """Tell whether no frame arrives within a while."""
        try:
            await self.next(timeout_s=wait_s)
        except TimeoutError:
            return True
        return False

    def send(self, body: bytes, channel: int = 0) -> None:
        """Send a performative."""
        self.writer.write(frame(channel, body))

    def open(self, idle_timeout_ms: int = 0) -> None:
        """Send open."""
        idle = encode(UInt(idle_timeout_ms))
        self.send(described_list(p.OPEN, (encode("raw"), NULL, NULL, NULL, idle)))

    def begin(self, window: int = 1_000, channel: int = 0) -> None:
        """Send begin."""
        numbers = [encode(UInt(number)) for number in (0, window, 1_000)]
        self.send(described_list(p.BEGIN, (NULL, *numbers)), channel)

    def attach(
        self,
        handle: int,
        *,
        receiver: bool,
        name: str = "",
        source: str = "here",
        target: str = "here",
        selector: str | None = None,
        settle: int = 2,
        properties: Mapping[str, object] | None = None,
    ) -> None:
        """Send attach; the address that matters is the source for a receiver, else the target."""
        filters = NULL
        kind = Symbol("apache.org:selector-filter:string")
        if selector is not None:
            filters = encode({kind: Described(kind, selector)})
        fields = (
            *(encode(name or f"link-{handle}"), encode(UInt(handle)), encode(receiver)),
            *(encode(UByte(settle)), encode(UByte(0))),
            described_list(p.SOURCE, (encode(source), *[NULL] * 6, filters)),
            described_list(p.TARGET, (encode(target),)),
            *(NULL, NULL, encode(UInt(0)), NULL, NULL, NULL),
            encode({Symbol(key): value for key, value in (properties or {}).items()}),
        )
        self.send(described_list(p.ATTACH, fields))

    def flow(
        self,
        handle: int | None,
        credit: int,
        *,
        delivery_count: int = 0,
        seen: int = 0,
        window: int = 1_000,
        drain: bool = False,
    ) -> None:
        """Send flow; ``seen`` is the number of transfer frames received so far."""
        session = [encode(UInt(number)) for number in (seen, window, 0, 1_000)]
        link = [NULL] * 5
        if handle is not None:
            link = [
                *(encode(UInt(handle)), encode(UInt(delivery_count)), encode(UInt(credit))),
                *(NULL, encode(drain)),
            ]
        self.send(described_list(p.FLOW, (*session, *link)))

    def transfer(
        self,
        handle: int,
        payload: bytes,
        *,
        settled: bool = False,
        more: bool = False,
        aborted: bool = False,
        message_format: int = 0,
        new: bool = True,
    ) -> int:
        """Send one frame of a delivery; return its delivery id."""
        self._tag += new
        number = encode(UInt(self._tag)) if new else NULL
        fields = (
            *(encode(UInt(handle)), number, encode(b"t"), encode(UInt(message_format))),
            *(encode(settled), encode(more), NULL, NULL, NULL, encode(aborted)),
        )
        self.send(described_list(p.TRANSFER, fields) + payload)
        return self._tag

    def detach(self, handle: int) -> None:
        """Send a closing detach."""
        self.send(described_list(p.DETACH, (encode(UInt(handle)), encode(True))))

    async def receiver(
        self, handle: int, partition: int = 0, *, group: str = "$Default", **options: Any
    ) -> list[Any]:
        """Attach a receiver of a partition; return the fields of the server's attach."""
        address = f"hub/ConsumerGroups/{group}/Partitions/{partition}"
        self.attach(handle, receiver=True, source=address, **options)
        return (await self.expect(p.ATTACH))[0]

    async def sender(self, handle: int, address: str = "hub/Partitions/0") -> list[Any]:
        """Attach a sender; return the fields of the server's attach."""
        self.attach(handle, receiver=False, target=address)
        return (await self.expect(p.ATTACH))[0]

    async def request(
        self, node: str, properties: Mapping[str, object], body: object = None
    ) -> tuple[dict[str, Any], Any]:
        """Ask a node over links 10 and 11, attached at first use; return properties and body."""
        if not getattr(self, "_asked", False):
            self._asked = True
            self.attach(10, receiver=False, target=node)
            self.attach(11, receiver=True, source=node)
            await self.expect(p.ATTACH)
            await self.expect(p.ATTACH)
            self.flow(11, 100)
        message = (
            described_list(0x73, (encode(ULong(1)),))
            + b"\x00\x53\x74"
            + encode(dict(properties))
            + encode(Described(ULong(0x77), body))
        )
        self.transfer(10, message)
        _, payload = await self.expect(p.TRANSFER)
        parts = {part.code: part.value for part in sections(payload)}
        return parts[0x74], parts[0x77]  # type: ignore[return-value]

    async def put_token(
        self, audience: str, *, life_s: int = 600, key_name: str = DEFAULT_KEY_NAME
    ) -> dict[str, Any]:
        """Put a token for an audience; return the answer's properties."""
        expires_s = int(time.time()) + life_s
        key = LOOPBACK_KEYS[DEFAULT_KEY_NAME]
        token = sign(audience, key_name, key, expires_s)
        properties = {
            "operation": "put-token",
            "type": "servicebus.windows.net:sastoken",
            "name": audience,
            "expiration": Timestamp(expires_s * 1000),
        }
        return (await self.request("$cbs", properties, token))[0]

    def close(self) -> None:
        """Close the socket without a word."""
        self.writer.close()


def condition(fields: list[Any], at: int) -> str:
    """Return the condition of the error in a performative's field."""
    error = fields[at]
    assert isinstance(error, Described)
    assert isinstance(error.value, list)
    return str(error.value[0])
