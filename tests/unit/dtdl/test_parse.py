from __future__ import annotations

from sync_agent.dtdl.elements import (
    ArraySchema,
    Command,
    Component,
    EnumSchema,
    Geometry,
    MapSchema,
    ObjectSchema,
    Primitive,
    Property,
    Relationship,
    Telemetry,
)
from sync_agent.dtdl.parse import parse_documents, parse_models
from tests.unit.dtdl.documents import QUANTITATIVE, component, enum, interface, prop

MAP = {
    "@type": "Map",
    "mapKey": {"name": "k", "schema": "string"},
    "mapValue": {"name": "v", "schema": "integer"},
}


def test_an_interface_is_read_with_all_its_contents() -> None:
    document = interface(
        prop("state", "dtmi:t:State;1", writable=True),
        prop("tags", MAP),
        prop("where", "point"),
        prop("list", {"@type": "Array", "elementSchema": "dateTime"}),
        prop("box", {"@type": "Object", "fields": [{"name": "x", "schema": "float"}]}),
        {
            "@type": ["Telemetry", "Temperature"],
            "name": "t",
            "schema": "double",
            "unit": "kelvin",
        },
        {
            "@type": "Relationship",
            "name": "uses",
            "target": "dtmi:t:Other;1",
            "maxMultiplicity": 3,
            "properties": [prop("since", "date")],
        },
        component("health", "dtmi:t:Health;1"),
        {"@type": "Command", "name": "reset"},
        extensions=(QUANTITATIVE,),
        extends="dtmi:t:Base;1",
        schemas=[enum("on", **{"@id": "dtmi:t:State;1"})],
    )

    parsed = parse_models([document])

    assert parsed.diagnostics == ()
    (thing,) = parsed.interfaces
    assert thing.document is document
    assert (thing.dtdl_version, thing.extends) == (3, ("dtmi:t:Base;1",))
    assert thing.extensions == (QUANTITATIVE,)
    assert list(thing.contents.values()) == [
        Property("state", EnumSchema(Primitive.STRING, ("on",)), writable=True),
        Property("tags", MapSchema(Primitive.INTEGER)),
        Property("where", Geometry.POINT),
        Property("list", ArraySchema(Primitive.DATE_TIME)),
        Property("box", ObjectSchema({"x": Primitive.FLOAT})),
        Telemetry("t", Primitive.DOUBLE, ("Temperature",), "kelvin"),
        Relationship("uses", "dtmi:t:Other;1", {"since": Property("since", Primitive.DATE)}, 3),
        Component("health", "dtmi:t:Health;1"),
        Command("reset"),
    ]


def test_the_schemas_that_extensions_predefine_are_built() -> None:
    central = "dtmi:iotcentral:context;2"
    vector = {"@type": "Telemetry", "name": "v", "schema": "vector"}
    unit = prop("unit", "TemperatureUnit")

    (with_vector,) = parse_models([interface(vector, version=2, extensions=(central,))]).interfaces
    (with_unit,) = parse_models([interface(unit, extensions=(QUANTITATIVE,))]).interfaces

    numbers = ObjectSchema(dict.fromkeys("xyz", Primitive.DOUBLE))
    assert with_vector.contents["v"] == Telemetry("v", numbers)
    units = EnumSchema(Primitive.STRING, ("degreeCelsius", "degreeFahrenheit", "kelvin"))
    assert with_unit.contents["unit"] == Property("unit", units)


def test_a_faulty_interface_does_not_come_out_and_sound_ones_do() -> None:
    parsed = parse_documents(
        [
            ("good.json", interface(id="Good")),
            ("bad.json", interface(prop("1st"), id="Bad")),
            ("both.json", [interface(id="Fine"), interface(prop("_"), id="Worse")]),
        ]
    )

    assert [i.id for i in parsed.interfaces] == ["dtmi:t:Good;1", "dtmi:t:Fine;1"]
    assert [(d.source, d.model) for d in parsed.diagnostics] == [
        ("bad.json", "dtmi:t:Bad;1"),
        ("both.json", "dtmi:t:Worse;1"),
    ]


def test_a_finding_reads_as_a_line() -> None:
    (finding,) = parse_models([interface(prop("1st"))], source="x.json").diagnostics

    assert str(finding) == (
        "x.json dtmi:t:Thing;1 /contents/0/name: '1st' is no valid name [stringInvalid]"
    )
