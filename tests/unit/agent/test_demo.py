import json
import random

from sync_agent.agent.demo import REPORTS_PER_EVENT, events_of, shipped_sample_mapping
from sync_agent.sample.faults import MINUTE_MS, make_scenario
from sync_agent.sample.hour import sample_hour
from sync_agent.sample.operator import build_network
from sync_agent.telemetry.decode import decode

START_MS = 1_700_000_040_000


def test_events_carry_every_report_once_and_the_agent_can_read_them() -> None:
    chance = random.Random(1)
    network = build_network(chance, 600)
    scenario = make_scenario(network, chance, START_MS)
    reports = list(sample_hour(network, scenario, chance))
    samples = [
        sample for events in events_of(reports) for e in events for sample in decode(e.body).samples
    ]
    assert sorted((s.element, s.time_ms) for s in samples) == sorted(
        (r.element, r.time_ms) for r in reports
    )


def test_an_element_keeps_its_lane_and_its_order() -> None:
    chance = random.Random(2)
    network = build_network(chance, 600)
    scenario = make_scenario(network, chance, START_MS)
    lanes: dict[str, set[str | None]] = {}
    newest: dict[str, int] = {}
    for events in events_of(sample_hour(network, scenario, chance)):
        minutes = set()
        for event in events:
            rows = json.loads(event.body)
            assert len(rows) <= REPORTS_PER_EVENT
            for row in rows:
                lanes.setdefault(row["element"], set()).add(event.partition_key)
                assert newest.get(row["element"], 0) < row["time"]
                newest[row["element"]] = row["time"]
                minutes.add(row["time"] // MINUTE_MS)
        assert len(minutes) == 1
    assert all(len(lane) == 1 for lane in lanes.values())


def test_the_mapping_comes_with_the_package() -> None:
    assert shipped_sample_mapping().is_file()
