import pytest

from sync_agent.reconcile.change import MODEL_PATH, Edit, patch_of, rebase, same

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
