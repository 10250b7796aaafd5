from __future__ import annotations

import copy
from typing import Any

import pytest

from sync_agent.twins.patch import DEPTH_MAX, PatchError, apply_patch, segments_of

TWIN: dict[str, Any] = {
    "$dtId": "room1",
    "temperature": 21.5,
    "tags": {"a/b": 1, "c~d": 2},
    "levels": [1, 2, 3],
    "thermostat": {"setPoint": 20},
}


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    return apply_patch(TWIN, operations)


@pytest.mark.parametrize(
    ("operation", "path", "expected"),
    [
        ({"op": "add", "path": "/humidity", "value": 40}, ("humidity",), 40),
        ({"op": "add", "path": "/temperature", "value": 22}, ("temperature",), 22),
        ({"op": "replace", "path": "/temperature", "value": 23}, ("temperature",), 23),
        ({"op": "REPLACE", "path": "/temperature", "value": 23}, ("temperature",), 23),
        ({"op": "add", "path": "/thermostat/mode", "value": "eco"}, ("thermostat", "mode"), "eco"),
        ({"op": "replace", "path": "/tags/a~1b", "value": 9}, ("tags", "a/b"), 9),
        ({"op": "replace", "path": "/tags/c~0d", "value": 9}, ("tags", "c~d"), 9),
        ({"op": "add", "path": "/levels/-", "value": 4}, ("levels",), [1, 2, 3, 4]),
        ({"op": "add", "path": "/levels/3", "value": 4}, ("levels",), [1, 2, 3, 4]),
        ({"op": "add", "path": "/levels/0", "value": 0}, ("levels",), [0, 1, 2, 3]),
        ({"op": "replace", "path": "/levels/1", "value": 9}, ("levels",), [1, 9, 3]),
        ({"op": "remove", "path": "/levels/0"}, ("levels",), [2, 3]),
    ],
)
def test_an_operation_changes_the_place_it_names(
    operation: dict[str, Any], path: tuple[str, ...], expected: Any
) -> None:
    value: Any = patched(operation)
    for segment in path:
        value = value[segment]
    assert value == expected


def test_a_removed_property_is_gone() -> None:
    assert "temperature" not in patched({"op": "remove", "path": "/temperature"})


def test_operations_apply_in_order() -> None:
    result = patched(
        {"op": "replace", "path": "/temperature", "value": 1},
        {"op": "remove", "path": "/temperature"},
        {"op": "add", "path": "/temperature", "value": 2},
    )
    assert result["temperature"] == 2


def test_an_empty_patch_changes_nothing() -> None:
    assert patched() == TWIN


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"path": "/temperature"}, "Parameter op must not be empty."),
        ({"op": "", "path": "/temperature"}, "Parameter op must not be empty."),
        ({"op": "move", "path": "/temperature"}, "Unsupported operation type move."),
        ({"op": "add", "value": 1}, "Parameter path must not be empty."),
        ({"op": "add", "path": 5, "value": 1}, "Parameter path must not be empty."),
        ({"op": "add", "path": "temperature", "value": 1}, "Could not resolve path temperature."),
        (
            {"op": "remove", "path": "/humidity"},
            "The target location specified by path segment 'humidity' was not found.",
        ),
        (
            {"op": "replace", "path": "/humidity", "value": 1},
            "The target location specified by path segment 'humidity' was not found.",
        ),
        (
            {"op": "add", "path": "/garage/door", "value": 1},
            "The target location specified by path segment 'garage' was not found.",
        ),
        (
            {"op": "add", "path": "/temperature/unit", "value": 1},
            "The target location specified by path segment 'unit' was not found.",
        ),
        (
            {"op": "replace", "path": "/levels/3", "value": 1},
            "The target location specified by path segment '3' was not found.",
        ),
        (
            {"op": "remove", "path": "/levels/-"},
            "The target location specified by path segment '-' was not found.",
        ),
        (
            {"op": "remove", "path": "/levels/01"},
            "The target location specified by path segment '01' was not found.",
        ),
        (
            {"op": "remove", "path": "/levels/" + "9" * 5_000},
            f"The target location specified by path segment '{'9' * 5_000}' was not found.",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_the_service_s_words(
    operation: dict[str, Any], message: str
) -> None:
    with pytest.raises(PatchError) as caught:
        patched(operation)
    assert str(caught.value) == message


def test_a_patch_that_fails_leaves_the_document_as_it_was() -> None:
    before = copy.deepcopy(TWIN)
    with pytest.raises(PatchError):
        patched(
            {"op": "add", "path": "/thermostat/setPoint", "value": 1},
            {"op": "remove", "path": "/nowhere"},
        )
    assert before == TWIN


def test_document_and_patch_stay_as_they_are_however_often_a_place_is_written() -> None:
    before, value = copy.deepcopy(TWIN), {"inner": [1]}
    result = patched(
        {"op": "add", "path": "/thing", "value": value},
        {"op": "add", "path": "/thing/inner/-", "value": 2},
        {"op": "replace", "path": "/thing/inner/0", "value": 3},
        {"op": "add", "path": "/levels/-", "value": 4},
        {"op": "remove", "path": "/levels/0"},
        {"op": "replace", "path": "/thermostat/setPoint", "value": 5},
    )
    assert result["thing"] == {"inner": [3, 2]}
    assert result["levels"] == [2, 3, 4]
    assert value == {"inner": [1]}
    assert before == TWIN


def test_depth_is_bounded_in_paths_and_in_values() -> None:
    deep: Any = 1
    for _ in range(DEPTH_MAX + 2):
        deep = [deep]
    with pytest.raises(PatchError, match="nested deeper"):
        patched({"op": "add", "path": "/thing", "value": deep})
    grown = [{"op": "add", "path": "/a" * depth, "value": {}} for depth in range(1, 11)]
    inside = {"op": "add", "path": "/a" * 11, "value": deep[0][0][0]}
    with pytest.raises(PatchError, match="nested deeper"):
        patched(*grown, inside)
    with pytest.raises(PatchError, match="Could not resolve path"):
        segments_of("/a" * (DEPTH_MAX + 1))
