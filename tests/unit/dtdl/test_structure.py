from __future__ import annotations

from typing import Any

import pytest

from sync_agent.dtdl.elements import EnumSchema, Primitive, Property
from sync_agent.dtdl.parse import parse_models
from tests.unit.dtdl.documents import codes, component, enum, interface, prop


def nested(depth: int) -> Any:
    schema: Any = "double"
    for _ in range(depth):
        schema = {"@type": "Array", "elementSchema": schema}
    return schema


def test_schemas_nest_five_deep_and_no_deeper() -> None:
    assert codes(interface(prop(schema=nested(5)))) == []
    assert codes(interface(prop(schema=nested(6)))) == ["excessiveDepthWide"]


def test_a_schema_may_be_declared_once_and_referred_to() -> None:
    shared = enum("on", "off", **{"@id": "dtmi:t:State;1"})
    document = interface(prop("a", "dtmi:t:State;1"), prop("b", "dtmi:t:State;1"), schemas=[shared])

    (thing,) = parse_models([document]).interfaces

    schema = EnumSchema(Primitive.STRING, ("on", "off"))
    assert thing.contents == {"a": Property("a", schema), "b": Property("b", schema)}


def test_a_schema_of_another_interface_cannot_be_referred_to() -> None:
    owner = interface(schemas=[enum("on", **{"@id": "dtmi:t:State;1"})], id="Owner")
    user = interface(prop(schema="dtmi:t:State;1"))

    assert codes(owner, user) == ["crossPartitionReference"]
    assert codes(user) == ["unresolvedReference"]


def test_a_name_is_used_once_by_reference_too() -> None:
    field = {"@id": "dtmi:t:F;1", "name": "x", "schema": "double"}
    box = {"@id": "dtmi:t:Box;1", "@type": "Object", "fields": [field]}
    twice = {"@type": "Object", "fields": ["dtmi:t:F;1", "dtmi:t:F;1"]}

    assert codes(interface(prop(schema=twice), schemas=[box])) == ["nonUniquePropertyValue"]


def test_a_reference_to_an_element_of_another_class_is_refused() -> None:
    other = interface(id="Other")

    assert codes(other, interface(prop(schema="dtmi:t:Other;1"))) == ["badType"]


def test_a_schema_inside_itself_is_refused() -> None:
    loop = {"@id": "dtmi:t:L;1", "@type": "Array", "elementSchema": "dtmi:t:L;1"}

    assert codes(interface(schemas=[loop])) == ["recursiveStructureWide"]


def test_schemas_that_refer_to_each_other_often_are_worked_out_once() -> None:
    levels = [
        {
            "@id": f"dtmi:t:L{level};1",
            "@type": "Object",
            "fields": [
                {"name": f"f{n}", "schema": f"dtmi:t:L{level + 1};1" if level < 4 else "double"}
                for n in range(100)
            ],
        }
        for level in range(5)
    ]

    assert codes(interface(prop(schema="dtmi:t:L0;1"), schemas=levels)) == ["excessiveCount"]


@pytest.mark.parametrize(
    ("geometry", "deep"), [("point", 3), ("lineString", 2), ("polygon", 1), ("multiPolygon", 0)]
)
def test_the_coordinates_of_a_geometry_count_as_nesting(geometry: str, deep: int) -> None:
    def within(levels: int) -> list[str]:
        schema: Any = geometry
        for _ in range(levels):
            schema = {"@type": "Object", "fields": [{"name": "x", "schema": schema}]}
        return codes(interface(prop(schema=schema)))

    assert within(deep) == []
    assert within(deep + 1) == ["excessiveDepthWide"]


def test_an_element_counts_as_often_as_it_is_referred_to() -> None:
    def shared(fields: int) -> list[str]:
        listed = [{"name": f"f{n}", "schema": "double"} for n in range(fields)]
        box = {"@id": "dtmi:t:Box;1", "@type": "Object", "fields": listed}
        values = [prop(f"p{n}", "dtmi:t:Box;1") for n in range(200)]
        return codes(interface(*values, schemas=[box]))

    assert shared(249) == []
    assert shared(250) == ["excessiveCount"]


def test_a_v2_property_holds_no_array_anywhere() -> None:
    inside = {"@type": "Object", "fields": [{"name": "x", "schema": nested(1)}]}

    for schema in (nested(1), inside, "point"):
        assert codes(interface(prop(schema=schema), version=2)) == ["excludedType"]
        assert codes(interface(prop(schema=schema))) == []
    telemetry = {"@type": "Telemetry", "name": "t", "schema": nested(1)}
    assert codes(interface(telemetry, version=2)) == []


def test_an_identifier_is_given_once() -> None:
    twice = prop(**{"@id": "dtmi:t:P;1"})

    assert codes(interface(), interface()) == ["duplicateDefinition"]
    assert codes(interface(twice, twice | {"name": "q"})) == ["duplicateDefinition"]


def test_an_interface_may_be_defined_inside_another() -> None:
    inner = interface(prop("q"), id="Inner")
    outer = interface(component("c", {k: v for k, v in inner.items() if k != "@context"}))

    parsed = parse_models([outer])

    assert parsed.diagnostics == ()
    assert [i.id for i in parsed.interfaces] == ["dtmi:t:Thing;1", "dtmi:t:Inner;1"]
    assert parsed.interfaces[0].nested == ("dtmi:t:Inner;1",)
