import random

from sync_agent.agent.demo import samples_of, shipped_sample_mapping
from sync_agent.agent.replay import encode
from sync_agent.sample.faults import make_scenario
from sync_agent.sample.hour import sample_hour
from sync_agent.sample.operator import build_network
from sync_agent.telemetry.decode import decode


def test_what_is_sent_is_what_the_agent_reads() -> None:
    chance = random.Random(1)
    network = build_network(chance, 600)
    reports = list(sample_hour(network, make_scenario(network, chance, 0), chance))[:2_000]
    decoded = decode(encode(list(samples_of(reports))))
    assert decoded.rejects == ()
    assert [(s.element, s.time_ms, s.values) for s in decoded.samples] == [
        (r.element, r.time_ms, r.values) for r in reports
    ]


def test_the_mapping_comes_with_the_package() -> None:
    assert shipped_sample_mapping().is_file()
