from __future__ import annotations

from sync_agent.migration.outline import entries
from sync_agent.migration.step import Step, Target
from tests.unit.migration.radios import PAIR, radio, registry
from tests.unit.migration.test_step import edges


def outline(step: Step) -> list[tuple[str, str, object, object]]:
    return sorted((e.change.value, e.path, e.before, e.after) for e in entries(step))


def test_each_thing_that_happens_to_a_twin_is_one_entry_in_its_word() -> None:
    step = Target(PAIR, registry()).step(radio(), edges())

    assert outline(step) == [
        ("added", "component health", None, None),
        ("added", "vendor", None, "unknown"),
        ("converted", "length", 2.5, 2500.0),
        ("converted", "state", "up", "inService"),
        ("removed", "component ports", None, None),
        ("removed", "note", "roof", None),
        ("removed", "ports.count", 4, None),
        ("removed", "relationship old", "e2", None),
        ("renamed", "relationship feeds -> supplies", "e1", "e1"),
        ("renamed", "rsl -> rslDbm", -40.5, -40.5),
        ("retyped", "channel", "7", 7),
        ("retyped", "relationship backs", "e3", "e3"),
        ("retyped", "relationship backs", "e4", "e4"),
    ]


def test_a_twin_that_only_changes_its_model_has_no_entry() -> None:
    bare = {
        "$dtId": "r1",
        "health": {"$metadata": {}},
        "vendor": "x",
        "$metadata": {"$model": PAIR.old},
    }

    assert outline(Target(PAIR, registry()).step(bare)) == []
