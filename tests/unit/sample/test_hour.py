import random

import pytest

from sync_agent.sample.faults import (
    MINUTE_MS,
    MINUTES,
    FaultKind,
    Scenario,
    make_scenario,
)
from sync_agent.sample.hour import Report, report_count, sample_hour
from sync_agent.sample.network import SampleNetwork
from sync_agent.sample.operator import build_network

START_MS = 1_700_000_040_000


@pytest.fixture(scope="module")
def hour() -> tuple[SampleNetwork, Scenario, list[Report]]:
    chance = random.Random(4)
    network = build_network(chance, 700)
    scenario = make_scenario(network, chance, START_MS)
    return network, scenario, list(sample_hour(network, scenario, chance))


def test_reports_come_in_the_order_of_their_time(
    hour: tuple[SampleNetwork, Scenario, list[Report]],
) -> None:
    times = [report.time_ms for report in hour[2]]
    assert times == sorted(times)
    assert times[0] >= START_MS
    assert times[-1] < START_MS + (MINUTES + 1) * MINUTE_MS


def test_the_number_of_reports_is_known_before(
    hour: tuple[SampleNetwork, Scenario, list[Report]],
) -> None:
    network, scenario, reports = hour
    assert len(reports) == report_count(network, scenario)


def test_an_element_reports_once_a_minute(
    hour: tuple[SampleNetwork, Scenario, list[Report]],
) -> None:
    seen = {(report.element, report.time_ms // MINUTE_MS) for report in hour[2]}
    assert len(seen) == len(hour[2])


def test_a_silent_element_says_nothing_during_its_fault(
    hour: tuple[SampleNetwork, Scenario, list[Report]],
) -> None:
    _, scenario, reports = hour
    silent = [fault for fault in scenario.faults if fault.kind is FaultKind.SILENCE]
    assert len(silent) == 2
    for fault in silent:
        times = [report.time_ms for report in reports if report.element == fault.element]
        assert times
        assert not [t for t in times if fault.start_ms <= t < fault.end_ms]


def test_injected_values_replace_the_ordinary_ones(
    hour: tuple[SampleNetwork, Scenario, list[Report]],
) -> None:
    _, scenario, reports = hour
    for report in reports:
        minute = (report.time_ms - START_MS) // MINUTE_MS
        values = scenario.replaced.get(report.element, {}).get(minute)
        if values:
            assert {name: report.values[name] for name in values} == values


def test_the_same_seed_gives_the_same_hour() -> None:
    hours = []
    for _ in range(2):
        chance = random.Random(9)
        network = build_network(chance, 600)
        hours.append(list(sample_hour(network, make_scenario(network, chance, 0), chance)))
    assert hours[0] == hours[1]
