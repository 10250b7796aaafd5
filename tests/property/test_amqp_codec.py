"""The AMQP codec against arbitrary values and arbitrary bytes."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

import pytest
from azure.eventhub._pyamqp._decode import decode_payload
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.stub.amqp.codec import DEPTH_MAX, Described, Symbol, decode, skip
from sync_agent.stub.amqp.condition import AmqpError
from sync_agent.stub.amqp.encoder import encode
from sync_agent.stub.amqp.frames import FrameReader
from sync_agent.stub.amqp.message import read_delivery, read_request, sections, stamp
from sync_agent.stub.amqp.performatives import decode_performative
from sync_agent.stub.amqp.selector import Position, parse_selector

symbols = st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=300),
    symbols,
    st.binary(max_size=300),
    st.uuids(),
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.dictionaries(st.text(max_size=9), inner, max_size=6),
        st.builds(Described, symbols, inner),
    ),
    max_leaves=20,
)


@given(values, st.binary(max_size=9))
def test_a_value_comes_back_from_its_bytes(value: object, rest: bytes) -> None:
    raw = encode(value)
    assert decode(raw + rest) == (value, len(raw))
    assert skip(raw + rest, 0) == len(raw)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    for reader in (decode, sections, read_request, decode_performative):
        with contextlib.suppress(AmqpError):
            reader(data)


@given(values, st.integers(0, 300), st.integers(0, 255))
def test_a_damaged_message_is_taken_whole_or_refused(value: object, at: int, byte: int) -> None:
    raw = bytearray(b"\x00\x53\x73\xc0\x03\x01\xa1\x00\x00\x53\x77" + encode(value))
    raw[at % len(raw)] = byte
    for message_format in (0, 0x80013700):
        try:
            delivery = read_delivery(bytes(raw), message_format)
        except AmqpError:
            continue
        for event in delivery.events:
            assert stamp(event, 1, 2, 3).endswith(event.bare)


@given(
    st.dictionaries(st.text(st.characters(codec="ascii"), max_size=9), scalars, max_size=5),
    st.binary(max_size=400),
    st.none() | st.text(min_size=1, max_size=128),
    st.integers(0, 2**62),
)
def test_a_stamped_event_is_what_the_sdk_reads(
    annotations: dict[str, Any], body: bytes, key: str | None, number: int
) -> None:
    entries: dict[object, object] = {Symbol(f"x-{name}"): v for name, v in annotations.items()}
    if key is not None:
        entries[Symbol("x-opt-partition-key")] = key
    entries[Symbol("x-opt-offset")] = "forged"
    payload = b"\x00\x53\x72" + encode(entries) + b"\x00\x53\x75" + encode(body)
    [event] = read_delivery(payload, 0).events
    message: Any = decode_payload(memoryview(stamp(event, number, number + 1, 1_700_000_000_000)))
    got = message.message_annotations
    assert got is not None
    assert got[b"x-opt-sequence-number"] == number
    assert got[b"x-opt-offset"] == str(number + 1).encode()
    assert got[b"x-opt-enqueued-time"] == 1_700_000_000_000
    assert got.get(b"x-opt-partition-key") == (None if key is None else key.encode())
    assert len(got) == len(entries) + 2 + (key is None and 0)
    assert b"".join(message.data) == body


@given(st.lists(st.binary(max_size=40), max_size=20), st.data())
def test_frames_survive_any_cut_of_the_stream(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(
        (8 + len(body)).to_bytes(4, "big") + b"\x02\x00\x00\x07" + body for body in bodies
    )
    reader = FrameReader(65_536)
    found: list[bytes] = []
    at = 0
    while at < len(stream):
        step = data.draw(st.integers(1, 60))
        reader.feed(stream[at : at + step])
        at += step
        while (frame := reader.frame()) is not None:
            assert frame.channel == 7
            found.append(frame.body)
    assert found == bodies


@given(st.text(max_size=300))
def test_any_selector_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(AmqpError):
        assert isinstance(parse_selector(text), Position)


@given(
    st.sampled_from(["x-opt-offset", "x-opt-sequence-number", "x-opt-enqueued-time"]),
    st.sampled_from([">", ">="]),
    st.integers(-1, 2**60),
)
def test_a_selector_as_the_sdks_write_it_is_understood(name: str, op: str, value: int) -> None:
    position = parse_selector(f"amqp.annotation.{name} {op} '{value}'")
    assert (position.kind.value, position.value) == (name, value)
    assert position.inclusive == (op == ">=")


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 1_000,
        b"\xc0\xff\x01" * 200,
        b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40",
        b"\xf0\x00\x00\x00\x05\x00\x00\xff\xff\x40",
        b"\xd0\x00\x00\x00\x04\x7f\xff\xff\xff",
        b"\xd1\x00\x00\x00\x05\x00\x00\x00\x01\x40",
        b"\xb1\xff\xff\xff\xff",
        b"\x73\xff\xff\xff\xff",
    ],
)
def test_values_that_claim_too_much_are_refused_at_once(data: bytes) -> None:
    with pytest.raises(AmqpError):
        decode(data)


def test_nesting_is_bounded() -> None:
    value: list[object] = []
    for _ in range(DEPTH_MAX + 1):
        value = [value]
    with pytest.raises(AmqpError, match="nested"):
        decode(encode(value))
    assert UUID(int=5) == decode(encode(UUID(int=5)))[0]
