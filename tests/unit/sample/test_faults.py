import random
from collections import Counter

import pytest

from sync_agent.sample.faults import (
    FADE_FAULT_DB,
    LASTING_MINUTES,
    MINUTE_MS,
    MINUTES,
    FaultKind,
    Scenario,
    make_scenario,
)
from sync_agent.sample.network import Kind, SampleNetwork
from sync_agent.sample.operator import build_network

START_MS = 1_700_000_040_000


@pytest.fixture(scope="module", params=range(8))
def story(request: pytest.FixtureRequest) -> tuple[SampleNetwork, Scenario]:
    chance = random.Random(request.param)
    network = build_network(chance, 1_500)
    return network, make_scenario(network, chance, START_MS)


def test_every_kind_of_fault_is_there_under_any_seed(
    story: tuple[SampleNetwork, Scenario],
) -> None:
    kinds = Counter(fault.kind for fault in story[1].faults)
    assert set(kinds) == set(FaultKind)
    assert kinds[FaultKind.CONGESTION] == 6
    assert kinds[FaultKind.SITE_DARK] == 3
    assert kinds[FaultKind.MAINS_FAILURE] == kinds[FaultKind.BATTERY_DISCHARGE] == 2
    assert kinds[FaultKind.BUS_LOW] == 1


def test_a_fault_lasts_and_lies_within_the_hour(story: tuple[SampleNetwork, Scenario]) -> None:
    network, scenario = story
    for fault in scenario.faults:
        assert fault.element in network.by_id
        assert fault.start_ms >= START_MS
        assert fault.end_ms <= START_MS + MINUTES * MINUTE_MS
        assert fault.end_ms - fault.start_ms >= LASTING_MINUTES * MINUTE_MS


def test_a_rain_fault_is_a_link_that_fades_by_the_limit_or_more(
    story: tuple[SampleNetwork, Scenario],
) -> None:
    network, scenario = story
    faulted = {f.element for f in scenario.faults if f.kind is FaultKind.RAIN_FADE}
    for link in network.by_kind[Kind.MICROWAVE]:
        nominal = link.number("nominalRslAtoZDbm")
        levels = [
            nominal - values["rslAtoZDbm"]
            for values in scenario.replaced.get(link.id, {}).values()
            if values is not None
        ]
        # A level is given to 0.1 dB and has some noise on it.
        deep = sum(fade >= FADE_FAULT_DB + 1.0 for fade in levels)
        some = sum(fade >= FADE_FAULT_DB - 1.0 for fade in levels)
        if link.id in faulted:
            assert some >= LASTING_MINUTES
        else:
            assert deep <= LASTING_MINUTES  # spikes


def test_fewer_minutes_than_last_are_no_fault() -> None:
    scenario = Scenario(START_MS)
    scenario.fault("X", FaultKind.RAIN_FADE, [4, 5])
    assert scenario.faults == []
    scenario.fault("X", FaultKind.RAIN_FADE, [6, 4, 5])
    (fault,) = scenario.faults
    assert (fault.start_ms, fault.end_ms) == (
        START_MS + 4 * MINUTE_MS,
        START_MS + 7 * MINUTE_MS,
    )
