from __future__ import annotations

import json

import pytest

from sync_agent.telemetry.decode import BODY_BYTES_MAX, SAMPLES_MAX, DecodeError, decode
from sync_agent.telemetry.sample import Sample


def body(*rows: object) -> bytes:
    return json.dumps(list(rows)).encode()


def row(**changes: object) -> dict[str, object]:
    return {"element": "L1", "time": 1000, "values": {"a": 1.5}, **changes}


def test_one_object_is_a_row_as_an_array_of_one_is() -> None:
    assert decode(json.dumps(row()).encode()) == decode(body(row()))
    assert decode(body(row())).samples == (Sample("L1", 1000, {"a": 1.5}),)


@pytest.mark.parametrize(
    ("time", "time_ms"),
    [
        ("2017-06-28T00:00:10Z", 1498608010000),
        ("2017-06-28T00:00:10.1234567Z", 1498608010123),
        ("2017-06-28T02:00:10+02:00", 1498608010000),
        ("2017-06-28T02:00:10+0200", 1498608010000),
        (1498608010000, 1498608010000),
    ],
)
def test_times_of_every_accepted_form_are_read(time: object, time_ms: int) -> None:
    assert decode(body(row(time=time))).samples[0].time_ms == time_ms


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"time": "2017-06-28T00:00:10"}, "with a zone"),
        ({"time": "2017-13-28T00:00:10Z"}, "month"),
        ({"time": -1}, "outside"),
        ({"time": True}, "time"),
        ({"element": ""}, "empty"),
        ({"element": 7}, "element"),
        ({"values": [1]}, "values"),
        ({"labels": {"a": 1}}, "labels"),
    ],
)
def test_a_row_that_cannot_be_read_leaves_its_neighbours_alone(
    change: dict[str, object], reason: str
) -> None:
    decoded = decode(body(row(), row(**change), row(element="L2")))
    assert [sample.element for sample in decoded.samples] == ["L1", "L2"]
    assert [reject.index for reject in decoded.rejects] == [1]
    assert reason in decoded.rejects[0].reason


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[NaN]",
        body(*[row()] * (SAMPLES_MAX + 1)),
        b" " * (BODY_BYTES_MAX + 1),
    ],
    ids=["empty", "text", "bytes", "deep", "nan", "too-many", "too-large"],
)
def test_a_body_that_is_no_telemetry_is_refused_whole(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(raw)
