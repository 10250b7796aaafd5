import pytest

from sync_agent.reconcile.change import (
    MODEL_PATH,
    Action,
    Change,
    Edit,
    element_of,
    moved,
    patch_of,
    rebase,
    same,
    same_edge,
    same_kind,
)
from sync_agent.twins.twin import Relationship, Twin

EDIT = Edit(("tags", "a"), "old", "new")


def test_numbers_of_one_value_are_the_same_and_true_is_no_number() -> None:
    assert same(5, 5.0)
    assert same({"a": [1, 2]}, {"a": [1.0, 2]})
    assert not same(True, 1)
    assert not same([True], [1])
    assert not same({"a": 1}, {"b": 1})
    assert not same([1, 2], [2, 1])
    assert not same("1", 1)


def test_edits_become_add_and_remove_and_only_the_model_is_replaced() -> None:
    edits = [
        Edit(MODEL_PATH, "dtmi:a;1", "dtmi:b;1"),
        Edit(("label",), None, "x"),
        Edit(("tags", "a/b~c"), "y", None),
    ]
    assert patch_of(edits) == [
        {"op": "replace", "path": "/$metadata/$model", "value": "dtmi:b;1"},
        {"op": "add", "path": "/label", "value": "x"},
        {"op": "remove", "path": "/tags/a~1b~0c"},
    ]


@pytest.mark.parametrize(
    ("tags", "left"),
    [
        ({"a": "old", "b": "other's"}, (EDIT,)),
        ({"a": "new"}, ()),
        ({"a": "third"}, None),
        ({}, None),
    ],
    ids=["others' values moved", "made already", "the value itself moved", "it is gone"],
)
def test_an_edit_stands_as_long_as_the_value_it_replaces_does(
    tags: dict[str, str], left: tuple[Edit, ...] | None
) -> None:
    assert rebase([EDIT], {"tags": tags}) == left


def test_an_edit_under_something_that_went_away_is_stale() -> None:
    assert rebase([Edit(("tags", "a"), None, "x")], {}) is None


EDGE = Relationship("x.1", "A", "dependsOn", "B", {"weight": 1})


@pytest.mark.parametrize(
    ("wanted", "there", "kind", "whole"),
    [
        (EDGE, EDGE, True, True),
        (EDGE, Relationship("x.1", "A", "dependsOn", "B", {"weight": 1.0}), True, True),
        (EDGE, Relationship("x.1", "A", "dependsOn", "B", {"weight": 2}), True, False),
        (EDGE, Relationship("x.1", "A", "dependsOn", "C", {"weight": 1}), False, False),
        (EDGE, Relationship("x.1", "A", "feeds", "B", {"weight": 1}), False, False),
    ],
)
def test_a_relationship_is_told_by_name_and_target_and_then_by_its_properties(
    wanted: Relationship, there: Relationship, kind: bool, whole: bool
) -> None:
    document = there.to_document()
    document |= {"$relationshipId": "x.1", "$sourceId": "A"}
    assert (same_kind(document, wanted), same_edge(document, wanted)) == (kind, whole)


def test_a_twin_is_told_by_its_model() -> None:
    twin = Twin("A", "dtmi:m;1", {"x": 1})
    assert same_kind(Twin("A", "dtmi:m;1").as_stored(), twin)
    assert not same_kind(Twin("A", "dtmi:m;2", {"x": 1}).as_stored(), twin)


def test_an_edit_moved_where_there_is_neither_what_was_nor_what_is_wanted() -> None:
    edits = [Edit((name,), 1, 2) for name in ("was", "is", "other", "gone")]
    found = moved(edits, {"was": 1.0, "is": 2, "other": True})
    assert [edit.name for edit in found] == ["other", "gone"]


def test_an_element_is_named_by_what_makes_it_one() -> None:
    assert element_of(Twin("A", "dtmi:m;1")) == "A"
    assert element_of(EDGE) == "A/x.1"
    change = Change(Action.DELETE, relationship=EDGE)
    assert (change.element, change.thing) == ("A/x.1", EDGE)
