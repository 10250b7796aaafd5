"""The form of a fault profile, and that the same seed gives the same faults."""

from __future__ import annotations

import pytest

from sync_agent.errors import InputError
from sync_agent.stub.adt.faults import Fault, FaultProfile, FaultSource
from sync_agent.stub.adt.operation import OPERATIONS

UPDATE = next(o for o in OPERATIONS if o.name == "DigitalTwins_Update")
READ = next(o for o in OPERATIONS if o.name == "DigitalTwins_GetById")

WHOLE = """
seed = 7
query_lag_s = 3.0
relationship_lag_s = 0.5
[limits]
patches = 50
[capacity]
twins = 3
[[fault]]
kind = "status"
operations = ["DigitalTwins_Update", "query"]
twin = "L1"
status = 503
retry_after_s = 2
probability = 0.5
skip = 3
times = 5
[event_hubs]
throttle_s = 2
"""


def test_a_profile_is_read_and_shown_as_it_is() -> None:
    profile = FaultProfile.parse(WHOLE, place="f.toml")
    assert profile.rate_limits().patches == 50
    assert profile.capacities().twins == 3
    assert FaultProfile.of(profile.document(), place="again") == profile


def test_strict_limits_are_those_the_service_publishes() -> None:
    limits = FaultProfile(strict_limits=True).rate_limits()
    assert (limits.creates_and_deletes, limits.patches, limits.twin_writes) == (500, 1000, 10)
    capacity = FaultProfile(strict_limits=True).capacities()
    assert (capacity.twins, capacity.relationships_of_twin) == (2_000_000, 50_000)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed = [", "is not TOML"),
        ("sed = 1", "unknown field `sed`"),
        ("query_lag_s = 11", "query_lag_s must be 0 to 10"),
        ("strict_limits = true\nlimits = { reads = 1 }", "are both set"),
        ("strict_limits = true\ncapacity = { twins = 1 }", "capacity are both set"),
        ("capacity = { rooms = 1 }", "capacity.rooms is none of"),
        ("capacity = { twins = -1 }", "capacity.twins must not be negative"),
        ("limits = { writes = 1 }", "limits.writes is none of"),
        ("limits = { reads = -1 }", "limits.reads must not be negative"),
        ('[[fault]]\nkind = "explode"', "Invalid enum value 'explode'"),
        ('[[fault]]\nkind = "status"\noperations = ["Patch"]', "fault 1: Patch is no operation"),
        ('[[fault]]\nkind = "status"\nstatus = 200', "status must be 400 to 599"),
        ('[[fault]]\nkind = "delay"', "delay_s must be above 0"),
        ('[[fault]]\nkind = "delay"\ndelay_s = 1\nprobability = 0', "probability must be"),
        ('[[fault]]\nkind = "delay"\ndelay_s = 1\ntimes = 0', "times at least 1"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(InputError, match=r".") as raised:
        FaultProfile.parse(text, place="f.toml")
    assert says in str(raised.value)


def hits(fault: Fault, count: int = 100, seed: int = 1) -> list[bool]:
    source = FaultSource(FaultProfile(seed=seed, fault=(fault,)))
    return [source.next(UPDATE, ("L1",)) is not None for _ in range(count)]


def test_a_fault_skips_then_strikes_so_many_times() -> None:
    fault = Fault("status", skip=2, times=3)
    assert hits(fault, 8) == [False, False, True, True, True, False, False, False]


def test_chance_comes_from_the_seed() -> None:
    fault = Fault("status", probability=0.3)
    assert hits(fault) == hits(fault)
    assert hits(fault) != hits(fault, seed=2)
    assert 15 <= sum(hits(fault)) <= 45


def test_a_fault_strikes_only_what_it_is_about() -> None:
    source = FaultSource(FaultProfile(fault=(Fault("status", operations=("patch",), twin="L1"),)))
    assert source.next(READ, ("L1",)) is None
    assert source.next(UPDATE, ("L2",)) is None
    assert source.next(None, ()) is None
    assert source.next(UPDATE, ("L1",)) is not None
