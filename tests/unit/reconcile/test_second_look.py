from __future__ import annotations

from typing import Any

import pytest

from sync_agent.inventory.owner import Owner
from sync_agent.reconcile.change import MODEL_PATH, Action, Change, Edit
from sync_agent.reconcile.second_look import Left, StaleError, second_look
from sync_agent.twins.twin import Relationship, Twin

OURS = Owner("inventory")
TAGS = {"managedBy": "inventory"}
MODEL = "dtmi:test:Site;1"


def site(model: str = MODEL, etag: str = "seen", **properties: Any) -> Twin:
    return Twin("S1", model, {"label": "North", "tags": TAGS, **properties}, etag)


def link(target: str = "S2", etag: str = "seen", **properties: Any) -> Relationship:
    return Relationship("inventory.x", "S1", "dependsOn", target, {"weight": 1, **properties}, etag)


def look(
    change: Change, there: Twin | Relationship | None, *, replans: bool = False
) -> Left | None:
    return second_look(change, there, OURS, replans=replans)


RELABEL = Edit(("label",), "North", "Far north")
REWEIGH = Edit(("weight",), 1, 2)
UPDATES = [
    Change(Action.UPDATE, twin=site(), edits=(RELABEL,)),
    Change(Action.UPDATE, relationship=link(), edits=(REWEIGH,)),
]
CREATIONS = [Change(Action.CREATE, twin=site()), Change(Action.CREATE, relationship=link())]
DELETIONS = [Change(Action.DELETE, twin=site()), Change(Action.DELETE, relationship=link())]


@pytest.mark.parametrize("change", CREATIONS)
def test_a_creation_is_left_where_nothing_is(change: Change) -> None:
    assert look(change, None) == Left.whole(change)


@pytest.mark.parametrize("change", DELETIONS)
def test_nothing_is_left_of_a_deletion_where_nothing_is(change: Change) -> None:
    assert look(change, None) is None


@pytest.mark.parametrize("change", UPDATES)
def test_what_was_deleted_cannot_be_edited(change: Change) -> None:
    with pytest.raises(StaleError, match="deleted by someone else since the plan; plan again"):
        look(change, None, replans=True)


@pytest.mark.parametrize(
    ("change", "there"),
    [
        (UPDATES[0], site(label="Far north", etag="moved")),
        (UPDATES[1], link(weight=2, etag="moved")),
        (CREATIONS[0], site(floors=3)),
        (CREATIONS[1], link(more=3)),
    ],
)
def test_nothing_is_left_where_all_is_as_wanted(change: Change, there: Twin | Relationship) -> None:
    assert look(change, there) is None


def test_what_others_wrote_already_is_not_written_again() -> None:
    floors = Edit(("floors",), None, 3)
    change = Change(Action.UPDATE, twin=site(), edits=(RELABEL, floors))
    assert look(change, site(floors=3, etag="moved")) == Left(change, (RELABEL,), "moved")


@pytest.mark.parametrize(
    ("change", "there", "said"),
    [
        (UPDATES[0], site(label="by hand"), "changed by someone else since the plan: label"),
        (UPDATES[1], link(weight=9), "changed by someone else since the plan: weight"),
        (CREATIONS[0], site(label="by hand"), "made by someone else"),
        (CREATIONS[1], link(weight=9), "made by someone else"),
        (DELETIONS[0], site(label="by hand", etag="moved"), "the plan saw 'North'"),
        (DELETIONS[1], link(etag="moved"), "changed by someone else"),
    ],
)
def test_a_conflict_is_stale_and_otherwise_planned_anew(
    change: Change, there: Twin | Relationship, said: str
) -> None:
    with pytest.raises(StaleError, match=said):
        look(change, there)
    left = look(change, there, replans=True)
    assert left is not None
    assert left.etag == there.etag
    assert left.change.element == change.element
    assert [edit.after for edit in left.edits] == [e.after for e in left.change.edits]
    assert all(edit.before in ("by hand", 9) for edit in left.edits)
    assert left.change.action is (
        Action.DELETE if change.action is Action.DELETE else Action.UPDATE
    )


@pytest.mark.parametrize(
    ("change", "there", "said"),
    [
        (UPDATES[0], site(tags={"managedBy": "other"}), "handed to"),
        (DELETIONS[0], site(tags={}), "handed to"),
        (CREATIONS[0], site(label="x", tags={}), "made by"),
        (CREATIONS[0], site(model="dtmi:test:Router;1"), "made by"),
        (CREATIONS[1], link(target="S3"), "made by"),
    ],
)
def test_what_is_not_ours_is_left_alone_even_where_conflicts_are_planned_anew(
    change: Change, there: Twin | Relationship, said: str
) -> None:
    for replans in (False, True):
        with pytest.raises(StaleError, match=f"it was {said} someone else since the plan"):
            look(change, there, replans=replans)


def test_a_value_whose_holder_is_gone_cannot_be_planned_anew() -> None:
    score = Edit(("health", "score"), 1, 2)
    change = Change(Action.UPDATE, twin=site(health={"score": 1}), edits=(score,))
    with pytest.raises(StaleError, match="changed by someone else"):
        look(change, site(), replans=True)


def test_a_model_that_moved_on_is_a_conflict_like_any_value() -> None:
    change = Change(Action.UPDATE, twin=site(), edits=(Edit(MODEL_PATH, MODEL, "dtmi:test:B;1"),))
    with pytest.raises(StaleError, match="since the plan: model"):
        look(change, site(model="dtmi:test:C;1"))


def test_a_deletion_of_a_twin_goes_on_under_an_etag_that_moved_for_nothing() -> None:
    left = look(DELETIONS[0], site(etag="moved"))
    assert left == Left(DELETIONS[0], (), "moved")
