"""Events that could not be used: how long they count, and how many are kept."""

from __future__ import annotations

from sync_agent.inventory.record import RecordDiagnostic
from sync_agent.sources.event_faults import ELEMENTS_MAX, KEPT_MAX, EventFaults

TOLD = RecordDiagnostic("partition 0 event 7", "is no JSON")
CELL, OTHER = ("entities", "c1"), ("relationships", "c1")


def test_a_fault_about_two_things_is_over_when_both_were_spoken_of() -> None:
    faults = EventFaults()
    faults.add(TOLD, about={CELL: None, OTHER: None})
    faults.heard(CELL, 1)
    assert faults.told() == (TOLD,)
    faults.heard(OTHER, 1)
    assert faults.told() == ()


def test_two_faults_about_one_thing_are_made_good_each_for_itself() -> None:
    later = RecordDiagnostic("partition 0 event 9", "is no JSON")
    faults = EventFaults()
    faults.add(TOLD, time_ms=1, about={CELL: None})
    faults.add(later, time_ms=5, about={CELL: None})
    faults.heard(CELL, 3)
    assert faults.told() == (later,)
    faults.heard(CELL, 5)
    assert faults.told() == ()


def test_some_parts_do_not_stand_for_all_of_a_thing() -> None:
    faults = EventFaults()
    faults.add(TOLD, about={CELL: None})
    faults.heard(CELL, 1, frozenset({"nCI"}))
    assert faults.told() == (TOLD,)


def test_a_fault_about_nothing_known_or_about_too_much_stays() -> None:
    faults = EventFaults()
    faults.add(TOLD)
    much = {("entities", str(n)): None for n in range(ELEMENTS_MAX + 1)}
    faults.add(TOLD, about=much)
    for key in much:
        faults.heard(key, 1)
    assert faults.told() == (TOLD, TOLD)


def test_room_that_a_mended_fault_leaves_is_used_again() -> None:
    faults = EventFaults()
    faults.add(TOLD, about={CELL: None})
    for _ in range(KEPT_MAX - 1):
        faults.add(TOLD)
    faults.heard(CELL, 1)
    faults.add(TOLD)
    assert len(faults.told()) == KEPT_MAX
    faults.add(TOLD)
    assert faults.told()[-1].message == (
        "1 more events could not be used; this is the last of them: is no JSON"
    )
