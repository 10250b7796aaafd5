from __future__ import annotations

from typing import Any

import pytest

from sync_agent.dtdl.elements import (
    ArraySchema,
    EnumSchema,
    Geometry,
    MapSchema,
    ObjectSchema,
    Primitive,
    Schema,
)
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.values import check_twin, check_value

STATES = EnumSchema(Primitive.STRING, ("on", "off"))
PLACE = ObjectSchema({"city": Primitive.STRING, "floor": Primitive.INTEGER})


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (Primitive.BOOLEAN, [True, False], [1, "true", None]),
        (Primitive.DOUBLE, [1, 1.5, -0.0], [True, "1", None, float("inf"), float("nan"), 10**400]),
        (Primitive.FLOAT, [1.5, 3.4e38], [3.5e38, "1"]),
        (Primitive.INTEGER, [0, 2**31 - 1, -(2**31)], [True, 1.5, 5.0, "1", 2**31]),
        (Primitive.LONG, [2**40, -(2**63)], [2**63, 0.5]),
        (Primitive.STRING, ["", "é"], [1, None, []]),
        (Primitive.DATE, ["2026-01-31"], ["2026-02-30", "2026-1-1", "20260131", "2026-W01-1", 1]),
        (
            Primitive.DATE_TIME,
            ["2026-01-31T08:15:00Z", "2026-01-31T08:15:00.1234567+01:00"],
            ["2026-01-31", "2026-01-31T25:00:00Z", "2026-01-31T08:15:00", "soon"],
        ),
        (Primitive.TIME, ["08:15:00Z", "08:15:00.123-01:00"], ["8:15", "24:00:01Z", "08:15:00"]),
        (
            Primitive.DURATION,
            ["PT15M", "P1Y2M3DT4H5M6.7S", "P2W", "P2W3DT1H", "P1.5Y", "PT1.5H"],
            ["P", "PT", "15M", "", "P1Y2W", "P1.5Y2M", "PT1.5H2M"],
        ),
        (STATES, ["on"], ["ON", None, 1]),
        (EnumSchema(Primitive.INTEGER, (0, 1)), [0, 1], [True, 1.0, "1", 2]),
        (ArraySchema(Primitive.INTEGER), [[], [1, 2]], [[1, "2"], "1", {}]),
        (MapSchema(Primitive.STRING), [{}, {"a": "b"}], [{"a": 1}, [], {"": "x"}]),
        (PLACE, [{"city": "X"}, {}], [{"town": "X"}, {"floor": "1"}, []]),
        (
            Geometry.POINT,
            [{"type": "Point", "coordinates": [1, 2]}],
            [{"type": "Point", "coordinates": [1]}, {"type": "Polygon", "coordinates": []}, "x"],
        ),
    ],
)
def test_values_are_checked_by_their_schema(
    schema: Schema, good: list[Any], bad: list[Any]
) -> None:
    assert [check_value(schema, value) for value in good] == [None] * len(good)
    assert all(check_value(schema, value) for value in bad)


def test_a_fault_inside_a_value_says_where() -> None:
    assert check_value(ArraySchema(PLACE), [{"floor": "x"}]) == (
        "at 0: at floor: must be a whole number, not text"
    )


REGISTRY = ModelRegistry(
    parse_models(
        [
            {
                "@context": "dtmi:dtdl:context;3",
                "@id": "dtmi:t:A;1",
                "@type": "Interface",
                "contents": [
                    {"@type": "Property", "name": "p", "schema": "double"},
                    {"@type": "Telemetry", "name": "t", "schema": "double"},
                    {"@type": "Component", "name": "c", "schema": "dtmi:t:C;1"},
                ],
            },
            {
                "@context": "dtmi:dtdl:context;3",
                "@id": "dtmi:t:C;1",
                "@type": "Interface",
                "contents": [{"@type": "Property", "name": "q", "schema": "string"}],
            },
        ]
    ).interfaces
)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"p": 1, "c": {"q": "x", "$metadata": {}}}, []),
        ({"c": {}}, []),
        ({"p": "x", "c": {}}, [("WrongType", "p", "")]),
        ({"t": 1, "c": {}}, [("UnknownProperty", "t", "")]),
        ({"c": {"z": 1, "q": 2}}, [("UnknownProperty", "z", "c"), ("WrongType", "q", "c")]),
        ({"p": 1}, [("MissingComponent", "c", "")]),
        ({"c": 5}, [("WrongType", "c", "")]),
    ],
)
def test_a_twin_is_checked_against_its_model_components_included(
    document: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    found = check_twin(REGISTRY, {"$metadata": {"$model": "dtmi:t:A;1"}, **document})
    assert [(v.code, v.path, v.owner) for v in found] == expected


def test_a_twin_of_an_unknown_model_says_so() -> None:
    (violation,) = check_twin(REGISTRY, {"$metadata": {"$model": "dtmi:t:No;1"}})
    assert violation.message == "dtmi:t:No;1 or one of its dependencies does not exist."
