from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.dtdl.values import check_twin
from sync_agent.migration.rules import Pair, Rules
from sync_agent.migration.step import CannotMigrateError, Step, Target
from sync_agent.migration.undo import undo_step
from sync_agent.twins.patch import apply_patch
from sync_agent.twins.twin import Document, Relationship
from tests.unit.migration.radios import NEW, OLD, PAIR, TIME, radio, registry


def patched(document: Document, step: Step) -> Document:
    """Apply a step's patch as the service does, which makes metadata for what it sets."""
    metadata = document["$metadata"] | {
        op["path"].split("/")[2]: {} for op in step.patch if op["path"].startswith("/$metadata/rsl")
    }
    return apply_patch({**document, "$metadata": metadata}, step.patch)


def plain(document: Document) -> Document:
    """Return what a twin holds, without bookkeeping."""
    return {
        name: plain(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if not name.startswith("$")
    }


def test_one_patch_takes_model_and_values_to_the_new_version() -> None:
    step = Target(PAIR, registry()).step(radio())

    result = patched(radio(), step)

    assert result["$metadata"]["$model"] == NEW
    assert plain(result) == {
        "rslDbm": -40.5,
        "length": 2500.0,
        "channel": 7,
        "state": "inService",
        "vendor": "unknown",
        "health": {},
    }
    assert check_twin(registry(), result) == ()


def test_a_renamed_reading_keeps_the_time_it_was_taken() -> None:
    step = Target(PAIR, registry()).step(radio())

    assert patched(radio(), step)["$metadata"]["rslDbm"] == {"sourceTime": TIME}


def test_what_was_there_before_stands_in_the_step() -> None:
    step = Target(PAIR, registry()).step(radio())

    assert {item.name: (item.before, item.after) for item in step.touched} == {
        "rslDbm": (None, -40.5),
        "rsl": (-40.5, None),
        "length": (2.5, 2500.0),
        "channel": ("7", 7),
        "state": ("up", "inService"),
        "note": ("roof", None),
        "vendor": (None, "unknown"),
        "ports.count": (4, None),
    }


def test_a_twin_without_a_value_gets_none() -> None:
    bare = {"$dtId": "r1", "ports": {"$metadata": {}}, "$metadata": {"$model": OLD}}

    result = patched(bare, Target(PAIR, registry()).step(bare))

    assert plain(result) == {"vendor": "unknown", "health": {}}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"channel": "seven"}, "channel"),
        ({"channel": "7.5"}, "channel"),
        ({"state": "odd"}, "state"),
    ],
)
def test_a_value_that_does_not_fit_leaves_the_twin_alone(values: Any, reason: str) -> None:
    with pytest.raises(CannotMigrateError) as caught:
        Target(PAIR, registry()).step(radio(**values))

    assert caught.value.twin == "r1"
    assert [r.split()[0] for r in caught.value.reasons] == [reason]


def edges() -> list[Relationship]:
    return [
        Relationship("e1", "r1", "feeds", "x", {"since": "2020"}),
        Relationship("e2", "r1", "old", "x"),
        Relationship("e3", "r1", "backs", "x", {"rank": "2", "memo": "m"}),
        Relationship("e4", "r1", "backs", "x", {"rank": "3"}),
    ]


def test_relationships_change_around_the_twin_so_that_they_are_valid_all_the_time() -> None:
    step = Target(PAIR, registry()).step(radio(), edges())

    assert [(w.action, w.edge.id, w.patch) for w in step.before] == [
        ("delete", "e1", ()),
        ("delete", "e2", ()),
        ("patch", "e3", ({"op": "remove", "path": "/rank"}, {"op": "remove", "path": "/memo"})),
        ("patch", "e4", ({"op": "remove", "path": "/rank"},)),
    ]
    assert [(w.action, w.edge.id, w.edge.name, w.patch) for w in step.after] == [
        ("put", "e1", "supplies", ()),
        ("patch", "e3", "backs", ({"op": "add", "path": "/rank", "value": 2},)),
        ("patch", "e4", "backs", ({"op": "add", "path": "/rank", "value": 3},)),
    ]


def test_a_relationship_the_new_model_lacks_needs_a_rule() -> None:
    rules = Rules(rename=PAIR.rules.rename, convert=PAIR.rules.convert)

    with pytest.raises(CannotMigrateError, match="the new model has no feeds"):
        Target(Pair(OLD, NEW, rules), registry()).step(radio(), edges()[:1])


def test_a_step_back_brings_every_value_back() -> None:
    step = Target(PAIR, registry()).step(radio())
    moved = patched(radio(), step)

    back = undo_step(PAIR, registry(), step, moved)

    assert plain(patched(moved, back)) == plain(radio())
    assert patched(moved, back)["$metadata"]["$model"] == OLD


def test_a_step_back_keeps_what_was_written_since() -> None:
    step = Target(PAIR, registry()).step(radio())
    moved = {**patched(radio(), step), "rslDbm": -55.0, "length": 3000.0, "channel": 9}

    back = plain(patched(moved, undo_step(PAIR, registry(), step, moved)))

    assert (back["rsl"], back["length"], back["channel"], back["note"]) == (-55.0, 3.0, "9", "roof")


def test_a_step_back_brings_relationships_back() -> None:
    step = Target(PAIR, registry()).step(radio(), edges())
    moved = patched(radio(), step)
    now = [
        Relationship("e1", "r1", "supplies", "x", {"since": "2020"}),
        Relationship("e3", "r1", "backs", "x", {"rank": 2}),
        Relationship("e4", "r1", "backs", "x", {"rank": 3}),
    ]

    back = undo_step(PAIR, registry(), step, moved, now)

    assert [(w.action, w.edge.id) for w in back.before] == [
        ("delete", "e1"),
        ("patch", "e3"),
        ("patch", "e4"),
    ]
    puts = {w.edge.id: (w.edge.name, w.edge.properties) for w in back.after if w.action == "put"}
    assert puts == {"e1": ("feeds", {"since": "2020"}), "e2": ("old", {})}
    assert [op for w in back.after if w.edge.id == "e3" for op in w.patch][-1] == {
        "op": "add", "path": "/memo", "value": "m",
    }  # fmt: skip


texts = st.none() | st.sampled_from(["7", "12", "0"])


@settings(deadline=None)
@given(
    rsl=st.none() | st.floats(-99, 0),
    length=st.none() | st.floats(0, 1e6),
    channel=texts,
    state=st.none() | st.sampled_from(["up", "down"]),
    note=st.none() | st.text(max_size=20),
)
def test_any_twin_that_is_valid_before_is_valid_after_and_comes_back_the_same(
    **values: Any,
) -> None:
    given_values = {name: value for name, value in values.items() if value is not None}
    document = {
        "$dtId": "r1",
        "ports": {"count": 4, "$metadata": {}},
        "$metadata": {"$model": OLD},
        **given_values,
    }
    assert check_twin(registry(), document) == ()

    step = Target(PAIR, registry()).step(document)
    moved = patched(document, step)
    back = patched(moved, undo_step(PAIR, registry(), step, moved))

    assert check_twin(registry(), moved) == ()
    assert plain(back) == plain(document)
