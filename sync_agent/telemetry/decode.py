"""Bytes of an event to samples: the agent's own JSON form.

One object or an array of them, UTF-8::

    {"element": "MW-17", "time": "2017-06-28T00:00:10Z", "labels": {"channel": "near-far"},
     "values": {"rsl_dbm": -47.0}}

``time`` may also be epoch milliseconds. A sample that cannot be read is a reject and leaves its
neighbours alone; only an event that is no JSON at all fails as a whole. Bounds: ``BODY_BYTES_MAX``,
``SAMPLES_MAX`` an event, ``VALUES_MAX`` a sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from sync_agent.errors import InputError
from sync_agent.telemetry.sample import Sample
from sync_agent.twins.time import TIME_MS_MAX, parse_time_ms
from sync_agent.twins.twin import JsonValue

BODY_BYTES_MAX = 1_048_576
SAMPLES_MAX = 10_000
VALUES_MAX = 1_000


class DecodeError(InputError):
    """An event whose body is not telemetry at all."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A sample that cannot be read: where it stood in its event, and why."""

    index: int
    reason: str
    element: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an event held, in its order."""

    samples: tuple[Sample, ...]
    rejects: tuple[Reject, ...] = ()


class _Wire(msgspec.Struct, frozen=True):
    element: str
    time: str | int
    values: dict[str, JsonValue]
    labels: dict[str, str] = {}


# The strict decoder is tried first: an event without a fault never pays for naming one.
_STRICT = msgspec.json.Decoder(list[_Wire])
_LOOSE = msgspec.json.Decoder()


def decode(body: bytes) -> Decoded:
    """Read the samples of one event.

    Raises:
        DecodeError: the body is too large, is not JSON, or holds too many samples.
    """
    if len(body) > BODY_BYTES_MAX:
        raise DecodeError(f"the event has {len(body)} bytes, the most is {BODY_BYTES_MAX}")
    try:
        wires: list[object] = list(_STRICT.decode(body))
    except (msgspec.ValidationError, UnicodeDecodeError):
        wires = _loosely(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DecodeError(f"the event is not JSON: {error}") from error
    if len(wires) > SAMPLES_MAX:
        raise DecodeError(f"the event holds {len(wires)} samples, the most is {SAMPLES_MAX}")
    samples, rejects = [], []
    for index, wire in enumerate(wires):
        try:
            samples.append(_sample(wire))
        except (ValueError, msgspec.ValidationError, OverflowError) as error:
            element = wire.get("element", "") if isinstance(wire, dict) else ""
            rejects.append(Reject(index, str(error), element if isinstance(element, str) else ""))
    return Decoded(tuple(samples), tuple(rejects))


def _loosely(body: bytes) -> list[object]:
    try:
        value = _LOOSE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"the event is not JSON: {error}") from error
    return value if isinstance(value, list) else [value]


def _sample(wire: object) -> Sample:
    if not isinstance(wire, _Wire):
        wire = msgspec.convert(wire, _Wire)
    if not wire.element:
        raise ValueError("`element` is empty")
    if len(wire.values) > VALUES_MAX:
        raise ValueError(f"{len(wire.values)} values in one sample, the most is {VALUES_MAX}")
    for name, value in wire.values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"value {name!r} is not a finite number")
    time_ms = wire.time if isinstance(wire.time, int) else parse_time_ms(wire.time)
    if not 0 <= time_ms <= TIME_MS_MAX:
        raise ValueError(f"`time` {time_ms} is outside 1970 to 9999")
    return Sample(wire.element, time_ms, wire.values, wire.labels)
