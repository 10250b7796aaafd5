"""However samples are cut into batches and repeated, each twin ends with its newest readings."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sync_agent.telemetry.binding import Bound
from sync_agent.telemetry.coalesce import Reading, coalesce
from sync_agent.telemetry.decode import DecodeError, decode

Twins = dict[str, dict[str, Reading]]

bounds = st.builds(
    Bound,
    st.sampled_from(["L1", "L2"]),
    st.integers(0, 5),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3), max_size=2),
)


def write(twins: Twins, batch: list[Bound]) -> int:
    result = coalesce(batch, twins)
    for update in result.updates:
        twins.setdefault(update.element, {}).update(update.values)
    assert result.applied <= set(range(len(batch)))
    return len(result.applied)


def newest(samples: list[Bound]) -> Twins:
    twins: Twins = {}
    for sample in samples:
        for name, value in sample.readings.items():
            held = twins.setdefault(sample.element, {})
            if name not in held or held[name].time_ms <= sample.time_ms:
                held[name] = Reading(value, sample.time_ms)
    return twins


@given(st.lists(bounds, max_size=20), st.lists(st.integers(0, 20), max_size=5))
def test_the_newest_reading_wins_under_any_cut_into_batches(
    samples: list[Bound], cuts: list[int]
) -> None:
    twins: Twins = {}
    edges = sorted({0, len(samples), *(cut for cut in cuts if cut <= len(samples))})
    for start, end in pairwise(edges):
        write(twins, samples[start:end])
    assert twins == newest(samples)


@given(st.lists(bounds, max_size=20))
def test_a_batch_delivered_again_writes_nothing(samples: list[Bound]) -> None:
    twins: Twins = {}
    applied = write(twins, samples)
    assert coalesce(samples, twins).updates == ()
    assert write(twins, samples) == applied


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_body_makes_the_decoder_fail_with_anything_but_its_own_error(body: bytes) -> None:
    with suppress(DecodeError):
        decode(body)
