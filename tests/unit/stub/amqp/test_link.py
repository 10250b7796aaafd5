"""Links on the wire: sending, receiving, credit, windows, positions, ownership, access."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from sync_agent.errors import StoreError
from sync_agent.stub.amqp import performatives as p
from sync_agent.stub.amqp.broker import DEFAULT_KEY_NAME, LOOPBACK_KEYS, HubOptions, Limits
from sync_agent.stub.amqp.codec import Described
from sync_agent.stub.amqp.encoder import encode
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from sync_agent.stub.amqp.message import BATCH_FORMAT, sections
from sync_agent.stub.amqp.partition_log import Append, Retention
from tests.unit.stub.amqp.raw_client import RawClient, condition, data_message, running_broker


def body_of(payload: bytes) -> bytes:
    [body] = [part.value for part in sections(payload) if part.code == 0x75]
    assert isinstance(body, bytes)
    return body


async def send(client: RawClient, handle: int, payload: bytes, **options: Any) -> list[Any]:
    """Send one delivery and return its disposition."""
    client.transfer(handle, payload, **options)
    return (await client.expect(p.DISPOSITION))[0]


async def test_a_delivery_is_accepted_and_comes_back_out() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await client.sender(0)
        fields = await send(client, 0, data_message(b"hello"))
        assert isinstance(fields[4], Described)
        assert fields[4].descriptor == p.ACCEPTED
        await client.receiver(1)
        client.flow(1, 10)
        fields, payload = await client.expect(p.TRANSFER)
        assert len(fields) == 11
        assert body_of(payload) == b"hello"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00\x53\x75",
        b"not a message",
        data_message(b"x")[:-1],
        b"\x00\x53\x73\xc1\x01\x00",
        b"\x00\x53\x75\x43",
        b"\x00\x53\x77\xe0\x02\x11\x40",  # an array of 17 nulls, which take no room
        b"\x00\x53\x99\x40",
        data_message(b"x", {"x-opt-partition-key": 7}),
        data_message(b"x", {"x-opt-partition-key": "k" * 200}),
    ],
)
async def test_a_malformed_message_is_rejected_and_the_link_lives_on(payload: bytes) -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await client.sender(0)
        fields = await send(client, 0, payload)
        assert isinstance(fields[4], Described)
        assert fields[4].descriptor == p.REJECTED
        fields = await send(client, 0, data_message(b"good"))
        assert isinstance(fields[4], Described)
        assert fields[4].descriptor == p.ACCEPTED
        assert broker._namespace.hub("hub").partitions[0].info().next_sequence == 1


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"\x00\x53\x75\x40", [(0x75, None)]),  # what JavaScript's SDK makes of null
        (b"\x00\x53\x77\x40", [(0x77, None)]),
        (b"\x00\x53\x73" + encode(["m"]), []),  # properties alone
    ],
)
async def test_a_message_may_carry_nothing(sent: bytes, body: list[tuple[int, object]]) -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await client.sender(0)
        fields = await send(client, 0, sent)
        assert fields[4] == Described(p.ACCEPTED, [])
        await client.receiver(1)
        client.flow(1, 1)
        _, payload = await client.expect(p.TRANSFER)
        assert [(s.code, s.value) for s in sections(payload) if 0x75 <= s.code <= 0x77] == body


@pytest.mark.parametrize(("mode", "settled"), [(0, False), (1, True), (2, False)])
async def test_who_wants_to_settle_what_it_receives_does(mode: int, settled: bool) -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await fill(client, 2)
        assert (await client.receiver(1, settle=mode))[3] == mode
        client.flow(1, 10)
        transfers = [(await client.expect(p.TRANSFER))[0] for _ in range(2)]
        assert [fields[4] for fields in transfers] == [settled, settled]
        assert transfers[0][2] != transfers[1][2]


async def test_the_answer_to_an_attach_has_properties() -> None:
    # azure-eventhub before 5.11.1 adds those of the answer to its own.
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        assert (await client.sender(0))[13] == {}
        assert (await client.receiver(1))[13] == {}


async def test_an_empty_batch_is_rejected_whole() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await client.sender(0)
        broken = b"".join(b"\x00\x53\x75" + encode(body) for body in (data_message(b"1"), b"?"))
        hollow = b"".join(b"\x00\x53\x75" + encode(body) for body in (data_message(b"1"), None))
        for payload in (b"", broken, hollow):
            fields = await send(client, 0, payload, message_format=BATCH_FORMAT)
            assert isinstance(fields[4], Described)
            assert fields[4].descriptor == p.REJECTED
        assert broker._namespace.hub("hub").partitions[0].info().is_empty


async def test_an_aborted_delivery_leaves_nothing_behind() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await client.sender(0)
        client.transfer(0, data_message(b"abc")[:4], more=True)
        client.transfer(0, b"", aborted=True, new=False)
        await send(client, 0, data_message(b"whole"))
        await client.receiver(1)
        client.flow(1, 10)
        _, payload = await client.expect(p.TRANSFER)
        assert body_of(payload) == b"whole"


async def test_a_message_beyond_the_maximum_is_rejected_and_the_link_lives_on() -> None:
    async with running_broker(limits=Limits(message_bytes_max=1_000)) as broker:
        client = await RawClient.ready(broker)
        await client.sender(0)
        client.transfer(0, b"x" * 900, more=True)
        client.transfer(0, b"y" * 200, more=True, new=False)
        client.transfer(0, b"z" * 900, new=False)
        fields, _ = await client.expect(p.DISPOSITION)
        assert isinstance(fields[4], Described)
        assert isinstance(fields[4].value, list)
        assert fields[4].descriptor == p.REJECTED
        assert condition(fields[4].value, 0) == "amqp:link:message-size-exceeded"
        assert "(delivery-id:1, size:2000 bytes) exceeds the limit (1000 bytes)" in str(fields[4])
        fields = await send(client, 0, data_message(b"good"))
        assert fields[4] == Described(p.ACCEPTED, [])


async def test_unfinished_messages_of_all_clients_share_a_bounded_room() -> None:
    async with running_broker(limits=Limits(unfinished_bytes_max=1_000)) as broker:
        first, second = await RawClient.ready(broker), await RawClient.ready(broker)
        await first.sender(0)
        await second.sender(0)
        first.transfer(0, b"x" * 900, more=True)
        await asyncio.sleep(0.05)
        second.transfer(0, b"y" * 200, more=True)
        fields, _ = await second.expect(p.DETACH)
        assert condition(fields, 2) == "amqp:resource-limit-exceeded"
        first.close()  # whatever way a link ends, its room is free again
        await asyncio.sleep(0.05)
        second.detach(0)
        await second.sender(0)
        for _ in range(3):
            second.transfer(0, data_message(b"y" * 800), more=True)
            second.transfer(0, b"", new=False)
            fields, _ = await second.expect(p.DISPOSITION)
            assert fields[4] == Described(p.ACCEPTED, [])


async def test_a_settled_delivery_that_cannot_be_kept_detaches_the_link() -> None:
    class FullLog(MemoryEventLog):
        def append(self, appends: Any, now_ms: int) -> None:
            raise StoreError("the disk is full")

    async with running_broker(FullLog()) as broker:
        client = await RawClient.ready(broker)
        await client.sender(0)
        client.transfer(0, data_message(b"x"), settled=True)
        fields, _ = await client.expect(p.DETACH)
        assert condition(fields, 2) == "amqp:resource-limit-exceeded"


async def fill(client: RawClient, count: int) -> None:
    await client.sender(0)
    batch = b"".join(
        b"\x00\x53\x75" + encode(data_message(str(number).encode())) for number in range(count)
    )
    await send(client, 0, batch, message_format=BATCH_FORMAT)


async def test_no_more_events_come_than_there_is_credit_for() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await fill(client, 10)
        await client.receiver(1)
        assert await client.nothing_comes()
        client.flow(1, 3)
        bodies = [body_of((await client.expect(p.TRANSFER))[1]) for _ in range(3)]
        assert bodies == [b"0", b"1", b"2"]
        assert await client.nothing_comes()
        client.flow(1, 1, delivery_count=3, seen=3)
        assert body_of((await client.expect(p.TRANSFER))[1]) == b"3"


async def test_the_session_window_holds_frames_back_until_it_is_renewed() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker, window=2)
        await fill(client, 5)
        await client.receiver(1)
        client.flow(1, 100, window=2)
        for _ in range(2):
            await client.expect(p.TRANSFER)
        assert await client.nothing_comes()
        client.flow(None, 0, seen=2, window=50)
        rest = [body_of((await client.expect(p.TRANSFER))[1]) for _ in range(3)]
        assert rest == [b"2", b"3", b"4"]


async def test_a_large_event_crosses_a_window_smaller_than_its_frames() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker, window=2)
        await client.sender(0)
        body = bytes(300_000)
        message = data_message(body)
        for at in range(0, len(message), 60_000):
            more = at + 60_000 < len(message)
            client.transfer(0, message[at : at + 60_000], more=more, new=at == 0)
        await client.expect(p.DISPOSITION)
        await client.receiver(1)
        client.flow(1, 1, window=2)
        received, seen, more = b"", 0, True
        while more:
            fields, payload = await client.expect(p.TRANSFER)
            received += payload
            seen, more = seen + 1, fields[5]
            client.flow(None, 0, seen=seen, window=1)
        assert seen == 5
        assert body_of(received) == body


async def test_drain_sends_what_is_there_and_gives_the_rest_of_the_credit_back() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await fill(client, 2)
        await client.receiver(1)
        client.flow(1, 100, drain=True)
        for _ in range(2):
            await client.expect(p.TRANSFER)
        fields, _ = await client.expect(p.FLOW)
        assert (fields[4], fields[5], fields[6], fields[8]) == (1, 100, 0, True)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, b"0"),
        ("amqp.annotation.x-opt-offset > '-1'", b"0"),
        ("amqp.annotation.x-opt-sequence-number > '1'", b"2"),
        ("amqp.annotation.x-opt-sequence-number >= '1'", b"1"),
        ("amqp.annotation.x-opt-enqueued-time > '0'", b"0"),
    ],
)
async def test_a_selector_chooses_the_first_event(selector: str | None, expected: bytes) -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await fill(client, 4)
        await client.receiver(1, selector=selector)
        client.flow(1, 1)
        assert body_of((await client.expect(p.TRANSFER))[1]) == expected


async def test_a_receiver_at_latest_sees_only_what_comes_after_it() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await fill(client, 4)
        await client.receiver(1, selector="amqp.annotation.x-opt-offset > '@latest'")
        client.flow(1, 10)
        assert await client.nothing_comes()
        client.transfer(0, data_message(b"new"))
        assert body_of((await client.expect(p.TRANSFER))[1]) == b"new"


async def test_a_slow_receiver_holds_no_more_than_a_bounded_buffer_and_loses_nothing() -> None:
    async with running_broker() as broker:
        sender = await RawClient.ready(broker)
        await sender.sender(0)
        body = bytes(50_000)
        for _ in range(400):
            await send(sender, 0, data_message(body))
        slow = await RawClient.ready(broker, window=100_000)
        await slow.receiver(1)
        slow.flow(1, 1_000, window=100_000)
        await asyncio.sleep(0.3)
        for connection in broker._connections:
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() < 3 * 1024 * 1024
        count = 0
        for _ in range(400):
            _, payload = await slow.expect(p.TRANSFER)
            count += body_of(payload) == body
        assert count == 400


async def test_consumer_groups_receive_independently() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        await fill(client, 2)
        for handle, group in ((1, "$Default"), (2, "agents")):
            await client.receiver(handle, group=group)
            client.flow(handle, 10, seen=2 * (handle - 1))
            bodies = [body_of((await client.expect(p.TRANSFER))[1]) for _ in range(2)]
            assert bodies == [b"0", b"1"]


async def test_a_position_that_was_dropped_starts_at_the_first_retained_event() -> None:
    log = MemoryEventLog(Retention(events_max=3))
    async with running_broker(log) as broker:
        client = await RawClient.ready(broker)
        await fill(client, 10)
        await client.receiver(1, selector="amqp.annotation.x-opt-sequence-number > '1'")
        client.flow(1, 1)
        assert body_of((await client.expect(p.TRANSFER))[1]) == b"7"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"source": "nowhere/ConsumerGroups/g/Partitions/0"}, "amqp:not-found"),
        ({"source": "hub/ConsumerGroups/other/Partitions/0"}, "amqp:not-found"),
        ({"source": "hub/Partitions/0"}, "amqp:not-found"),
        ({"source": "hub/ConsumerGroups/g/Partitions/2"}, "com.microsoft:argument-out-of-range"),
        ({"source": "hub/ConsumerGroups/g/Partitions/x"}, "com.microsoft:argument-out-of-range"),
        ({"selector": "amqp.annotation.x-opt-offset > '999'"}, "com.microsoft:argument-error"),
        ({"selector": "1 = 1"}, "com.microsoft:argument-error"),
        ({"properties": {"com.microsoft:epoch": -4}}, "com.microsoft:argument-error"),
    ],
)
async def test_a_receiver_that_makes_no_sense_is_refused(
    where: dict[str, Any], expected: str
) -> None:
    async with running_broker(hub=HubOptions("hub", 2, consumer_groups=("g",))) as broker:
        client = await RawClient.ready(broker)
        where = {"source": "hub/ConsumerGroups/g/Partitions/0", **where}
        client.attach(1, receiver=True, **where)
        fields, _ = await client.expect(p.ATTACH)
        assert fields[5] is None
        fields, _ = await client.expect(p.DETACH)
        assert condition(fields, 2) == expected
        await client.receiver(1, group="$DEFAULT")


@pytest.mark.parametrize("address", ["nowhere", "hub/Publishers/p", ""])
async def test_a_sender_to_nowhere_is_refused(address: str) -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        fields = await client.sender(1, address)
        assert fields[6] is None
        fields, _ = await client.expect(p.DETACH)
        assert condition(fields, 2) == "amqp:not-found"


async def test_a_group_shares_a_partition_up_to_its_maximum() -> None:
    async with running_broker(limits=Limits(receivers_max=2)) as broker:
        client = await RawClient.ready(broker)
        await client.receiver(1)
        await client.receiver(2)
        await client.receiver(3)
        fields, _ = await client.expect(p.DETACH)
        assert condition(fields, 2) == "amqp:resource-limit-exceeded"
        await client.receiver(3, group="other")
        client.detach(1)
        await client.expect(p.DETACH)
        assert (await client.receiver(4))[5] is not None


@pytest.mark.parametrize(
    ("first", "second", "winner", "words"),
    [
        (None, 0, 2, "New receiver 'nil' with higher epoch of '0' is created"),
        (0, None, 1, "At least one receiver for the endpoint is created with epoch of '0'"),
        (1, 2, 2, "hence current receiver 'nil' with epoch '1' is getting disconnected"),
        (2, 1, 1, "Receiver 'nil' with a higher epoch of '2' already exists"),
        (1, 1, 2, "New receiver 'nil' with higher epoch of '1' is created"),
    ],
)
async def test_the_stronger_epoch_owns_the_partition(
    first: int | None, second: int | None, winner: int, words: str
) -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        for handle, epoch in ((1, first), (2, second)):
            properties = {} if epoch is None else {"com.microsoft:epoch": epoch}
            source = "hub/ConsumerGroups/g/Partitions/0"
            client.attach(handle, receiver=True, source=source, properties=properties)
        fields, _ = await client.expect(p.DETACH)
        assert condition(fields, 2) == "amqp:link:stolen"
        assert words in str(fields[2])
        assert fields[0] == 3 - winner


async def test_a_lost_connection_frees_its_partitions() -> None:
    async with running_broker(limits=Limits(receivers_max=1)) as broker:
        first = await RawClient.ready(broker)
        await first.receiver(1)
        first.writer.transport.abort()
        await asyncio.sleep(0.05)
        second = await RawClient.ready(broker)
        assert (await second.receiver(1))[5] is not None


async def test_no_link_opens_without_a_token_and_an_expired_one_closes_it() -> None:
    now = [1_000_000_000.0]
    async with running_broker(clock=lambda: now[0]) as broker:
        client = await RawClient.ready(broker, mechanism="ANONYMOUS", response=b"")
        await client.sender(0)
        fields, _ = await client.expect(p.DETACH)
        assert condition(fields, 2) == "amqp:unauthorized-access"
        assert (await client.put_token("sb://any/hub"))["status-code"] == 202
        await client.sender(0)
        await send(client, 0, data_message(b"x"))
        now[0] += 10_000_000_000
        fields, _ = await client.expect(p.DETACH)
        assert condition(fields, 2) == "amqp:unauthorized-access"


@pytest.mark.parametrize(
    ("key", "sends", "listens"), [("SendOnly", True, False), ("ListenOnly", False, True)]
)
@pytest.mark.parametrize("way", ["plain", "token"])
async def test_a_key_that_opens_less_opens_no_more(
    key: str, sends: bool, listens: bool, way: str
) -> None:
    async with running_broker() as broker:
        if way == "plain":
            response = b"\0" + key.encode() + b"\0" + LOOPBACK_KEYS[DEFAULT_KEY_NAME].encode()
            client = await RawClient.ready(broker, response=response)
        else:
            client = await RawClient.ready(broker, mechanism="ANONYMOUS", response=b"")
            assert (await client.put_token("sb://h/hub", key_name=key))["status-code"] == 202
        question = {"operation": "READ", "type": "com.microsoft:eventhub", "name": "hub"}
        assert ((await client.sender(0))[6] is not None) == sends
        assert ((await client.receiver(1))[5] is not None) == listens
        if way == "plain":  # links 10 and 11 lead to $cbs otherwise
            assert (await client.request("$management", question))[0]["status-code"] == 200


async def test_what_a_refused_client_lacks_is_named() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker, mechanism="ANONYMOUS", response=b"")
        await client.put_token("sb://h/hub", key_name="ListenOnly")
        await client.sender(0)
        fields, _ = await client.expect(p.DETACH)
        assert condition(fields, 2) == "amqp:unauthorized-access"
        assert "'Send' claim(s) are required to perform this operation" in str(fields[2])


@pytest.mark.parametrize(("before", "after", "kept"), [(1, 0, 0), (0, 1, 1)])
async def test_a_connection_is_reset_before_or_after_a_delivery_is_kept(
    before: int, after: int, kept: int
) -> None:
    async with running_broker() as broker:
        partition = broker._namespace.hub("hub").partitions[0]
        broker.reset_sends(before=before, after=after)
        client = await RawClient.ready(broker)
        await client.sender(0)
        client.transfer(0, data_message(b"1"))
        client.transfer(0, data_message(b"2"))
        with pytest.raises((EOFError, ConnectionError)):
            await client.expect(p.DISPOSITION)
        assert partition.info().next_sequence in (kept, 2 * kept)
        again = await RawClient.ready(broker)
        await again.sender(0)
        assert (await send(again, 0, data_message(b"3")))[4] == Described(p.ACCEPTED, [])


async def test_a_token_for_one_hub_does_not_open_another() -> None:
    async with running_broker(hub=HubOptions("other")) as broker:
        client = await RawClient.ready(broker, mechanism="ANONYMOUS", response=b"")
        assert (await client.put_token("sb://any/hub"))["status-code"] == 202
        await client.sender(0, "other")
        fields, _ = await client.expect(p.DETACH)
        assert condition(fields, 2) == "amqp:unauthorized-access"


@pytest.mark.parametrize(
    ("properties", "body", "status"),
    [
        ({"operation": "put-token", "type": "saml", "name": "sb://x/hub"}, "t", 401),
        ({"operation": "delete-token"}, None, 501),
        ({"operation": "put-token", "type": "amqp:sastoken", "name": "sb://x/hub"}, 7, 400),
        ({"operation": "put-token", "type": "amqp:sastoken", "name": "sb://x/hub"}, "t", 401),
    ],
)
async def test_cbs_says_what_it_does_not_take(
    properties: dict[str, object], body: object, status: int
) -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        answer, _ = await client.request("$cbs", properties, body)
        assert answer["status-code"] == status
        assert answer["status-description"]
        # With a condition azure-eventhub would show neither status nor description.
        assert "error-condition" not in answer


_CONDITIONS = {  # JavaScript's SDK goes by these, not by the status
    400: "com.microsoft:argument-out-of-range",
    401: "amqp:unauthorized-access",
    404: "amqp:not-found",
    501: "amqp:not-implemented",
}


@pytest.mark.parametrize(
    ("properties", "status"),
    [
        ({"operation": "READ", "type": "com.microsoft:eventhub", "name": "HUB"}, 200),
        ({"operation": "READ", "type": "com.microsoft:eventhub", "name": "no"}, 404),
        ({"operation": "READ", "type": "com.microsoft:consumergroup", "name": "hub"}, 501),
        ({"operation": "DELETE", "type": "com.microsoft:eventhub", "name": "hub"}, 501),
        (
            {
                "operation": "READ",
                "type": "com.microsoft:partition",
                "name": "hub",
                "partition": "9",
            },
            400,
        ),
        (
            {
                "operation": "READ",
                "type": "com.microsoft:eventhub",
                "name": "hub",
                "security_token": "junk",
            },
            401,
        ),
    ],
)
async def test_management_answers_with_a_status(properties: dict[str, object], status: int) -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        answer, _ = await client.request("$management", properties)
        assert answer["status-code"] == status
        assert answer.get("error-condition") == _CONDITIONS.get(status)


async def test_a_transfer_on_no_link_ends_the_session() -> None:
    async with running_broker() as broker:
        client = await RawClient.ready(broker)
        client.transfer(7, data_message(b"x"))
        fields, _ = await client.expect(p.END)
        assert condition(fields, 0) == "amqp:session:unattached-handle"
        client.transfer(7, data_message(b"discarded"))
        client.send(p.end())
        client.begin()
        await client.expect(p.BEGIN)


async def test_events_of_two_connections_in_one_turn_are_one_commit() -> None:
    commits: list[int] = []

    class CountingLog(MemoryEventLog):
        def append(self, appends: Sequence[Append], now_ms: int) -> None:
            commits.append(len(appends))
            super().append(appends, now_ms)

    async with running_broker(CountingLog()) as broker:
        client = await RawClient.ready(broker)
        await client.sender(0)
        for number in range(20):
            client.transfer(0, data_message(str(number).encode()))
        for _ in range(20):
            await client.expect(p.DISPOSITION)
    assert sum(commits) == 20
    assert len(commits) < 20
