from __future__ import annotations

from typing import Any

import pytest

from sync_agent.dtdl.compatibility import Comparison, Verdict, compare
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from tests.unit.dtdl.documents import QUANTITATIVE, component, enum, interface, prop

OLD, NEW = "dtmi:t:Thing;1", "dtmi:t:Thing;2"
OTHERS = [
    interface(id="Site"),
    interface(id="Tower", extends="dtmi:t:Site;1"),
    interface(prop("count", "integer"), id="Part"),
    {**interface(prop("count", "string"), id="Part"), "@id": "dtmi:t:Part;2"},
]


def compared(old: list[Any], new: list[Any], **more: Any) -> Comparison:
    """Compare two versions of a model with these contents; ``more`` is of the new one."""
    models = [
        interface(*old, extensions=(QUANTITATIVE,), extends=more.pop("was", [])),
        {**interface(*new, extensions=(QUANTITATIVE,), **more), "@id": NEW},
    ]
    parsed = parse_models([*OTHERS, *models])
    assert not parsed.diagnostics, parsed.diagnostics
    registry = ModelRegistry(parsed.interfaces)
    return compare(registry, OLD, registry, NEW)


def relationship(**more: Any) -> dict[str, Any]:
    return {"@type": "Relationship", "name": "r", **more}


def test_the_same_contents_differ_in_nothing() -> None:
    comparison = compared([prop("a"), relationship()], [prop("a"), relationship()])

    assert comparison.differences == ()
    assert comparison.verdict is Verdict.COMPATIBLE


def test_texts_and_writable_change_nothing_about_twins() -> None:
    assert compared([prop("a")], [prop("a", writable=True, displayName="A")]).differences == ()


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ([], [prop("a")], "compatible"),
        ([], [relationship()], "compatible"),
        ([], [component("c", "dtmi:t:Part;1")], "migratable"),
        ([prop("a")], [], "migratable"),
        ([component("c", "dtmi:t:Part;1")], [], "migratable"),
        ([relationship()], [], "breaking"),
        ([{"@type": "Telemetry", "name": "a", "schema": "double"}], [], "compatible"),
        ([component("c", "dtmi:t:Part;1")], [component("c", "dtmi:t:Part;2")], "migratable"),
        ([prop("a")], [relationship(name="a")], "migratable"),
        ([relationship(name="a")], [prop("a")], "breaking"),
    ],
)
def test_what_comes_and_goes(old: list[Any], new: list[Any], verdict: str) -> None:
    assert compared(old, new).verdict.word == verdict


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("integer", "long", "compatible"),
        ("integer", "double", "compatible"),
        ("date", "string", "compatible"),
        ("double", "string", "migratable"),
        ("double", "integer", "migratable"),
        ("string", "double", "migratable"),
        ("string", "dateTime", "migratable"),
        ("boolean", "double", "breaking"),
        ("string", {"@type": "Map", "mapKey": {"name": "k", "schema": "string"},
                    "mapValue": {"name": "v", "schema": "string"}}, "breaking"),
        (enum("a", "b"), enum("a", "b", "c"), "compatible"),
        (enum("a", "b"), enum("a"), "migratable"),
        (enum("a", "b"), "string", "compatible"),
        ("string", enum("a", "b"), "migratable"),
        ({"@type": "Array", "elementSchema": "integer"},
         {"@type": "Array", "elementSchema": "double"}, "compatible"),
        ({"@type": "Object", "fields": [{"name": "x", "schema": "double"}]},
         {"@type": "Object", "fields": [{"name": "x", "schema": "double"},
                                        {"name": "y", "schema": "double"}]}, "compatible"),
        ({"@type": "Object", "fields": [{"name": "x", "schema": "double"},
                                        {"name": "y", "schema": "double"}]},
         {"@type": "Object", "fields": [{"name": "x", "schema": "double"}]}, "migratable"),
    ],
)  # fmt: skip
def test_a_property_of_another_schema(old: Any, new: Any, verdict: str) -> None:
    comparison = compared([prop("a", old)], [prop("a", new)])

    assert comparison.verdict.word == verdict
    assert [d.path for d in comparison.differences] == ["a"]


def test_another_unit_breaks_because_the_number_means_something_else() -> None:
    def length(unit: str) -> dict[str, Any]:
        return prop("a", **{"@type": ["Property", "Length"], "unit": unit})

    (difference,) = compared([length("metre")], [length("kilometre")]).differences

    assert difference.verdict is Verdict.BREAKING
    assert difference.reason == "its unit was metre and is kilometre"


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ({"target": "dtmi:t:Tower;1"}, {"target": "dtmi:t:Site;1"}, "compatible"),
        ({"target": "dtmi:t:Tower;1"}, {}, "compatible"),
        ({"target": "dtmi:t:Site;1"}, {"target": "dtmi:t:Tower;1"}, "breaking"),
        ({}, {"target": "dtmi:t:Site;1"}, "breaking"),
        ({"maxMultiplicity": 1}, {}, "compatible"),
        ({}, {"maxMultiplicity": 1}, "breaking"),
        ({"properties": []}, {"properties": [prop("p")]}, "compatible"),
        ({"properties": [prop("p")]}, {"properties": []}, "migratable"),
        ({"properties": [prop("p", "string")]}, {"properties": [prop("p")]}, "migratable"),
    ],
)
def test_a_relationship_of_another_shape(old: Any, new: Any, verdict: str) -> None:
    assert compared([relationship(**old)], [relationship(**new)]).verdict.word == verdict


def test_a_twin_that_no_longer_is_of_a_model_breaks_what_relies_on_it() -> None:
    lost = compared([], [], was=["dtmi:t:Tower;1"], extends="dtmi:t:Site;1")
    gained = compared([], [], extends="dtmi:t:Site;1")

    assert [(d.path, d.verdict.word) for d in lost.differences] == [("extends", "breaking")]
    assert [(d.path, d.verdict.word) for d in gained.differences] == [("extends", "compatible")]


def test_inherited_contents_count_as_the_models_own() -> None:
    comparison = compared([prop("count", "integer")], [], extends="dtmi:t:Part;1")

    assert [d.path for d in comparison.differences] == ["extends"]
