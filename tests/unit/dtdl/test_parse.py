from __future__ import annotations

from typing import Any

import pytest

from sync_agent.dtdl.adt_profile import check_adt
from sync_agent.dtdl.elements import Component, EnumSchema, MapSchema, Primitive, Property
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry


def interface(*contents: dict[str, Any], version: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "@context": f"dtmi:dtdl:context;{version}",
        "@id": "dtmi:t:Thing;1",
        "@type": "Interface",
        "contents": list(contents),
        **more,
    }


def codes(document: Any) -> list[str]:
    return [finding.code for finding in parse_models([document]).diagnostics]


def prop(name: str = "p", schema: Any = "double", **more: Any) -> dict[str, Any]:
    return {"@type": "Property", "name": name, "schema": schema, **more}


def test_an_interface_is_read_with_its_contents_and_texts() -> None:
    shared = {"@id": "dtmi:t:State;1", "@type": "Enum", "valueSchema": "string"}
    shared["enumValues"] = [{"name": "on", "enumValue": "on"}]  # type: ignore[assignment]
    tags = {
        "@type": "Map",
        "mapKey": {"name": "k", "schema": "string"},
        "mapValue": {"name": "v", "schema": "string"},
    }
    parsed = parse_models(
        [
            interface(
                prop("state", "dtmi:t:State;1"),
                prop("tags", tags),
                {"@type": ["Property", "Temperature"], "name": "t", "schema": "double"},
                {"@type": "Component", "name": "health", "schema": "dtmi:t:Health;1"},
                schemas=[shared],
                displayName={"en": "Thing"},
                description="what it is",
            )
        ]
    )
    assert parsed.diagnostics == ()
    (thing,) = parsed.interfaces
    assert thing.contents["state"] == Property("state", EnumSchema(Primitive.STRING, ("on",)))
    assert thing.contents["tags"] == Property("tags", MapSchema(Primitive.STRING))
    assert thing.contents["t"] == Property("t", Primitive.DOUBLE, ("Temperature",))
    assert thing.contents["health"] == Component("health", "dtmi:t:Health;1")
    assert (thing.display_name, thing.description) == ({"en": "Thing"}, {"en": "what it is"})


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("text", "notObject"),
        ({"@type": "Interface"}, "missingTopLevelId"),
        (interface() | {"@id": "dtmi:t:1x;1"}, "invalidDtmi"),
        ({k: v for k, v in interface().items() if k != "@context"}, "missingContext"),
        (interface(version=9), "unsupportedContextVersion"),
        (interface() | {"@type": "Property"}, "notInterface"),
        (interface(prop("1st")), "invalidName"),
        (interface(prop("ends_")), "invalidName"),
        (interface(prop("a"), prop("a")), "nonUniquePropertyValue"),
        (interface(prop(schema="XXX")), "invalidSchema"),
        (interface({"@type": "Property", "name": "p"}), "missingRequiredProperty"),
        (interface({"@type": "Nothing", "name": "p"}), "invalidType"),
        (interface(prop(colour="red")), "improperPropertyName"),
        (interface(extends="dtmi:t:Thing;1"), "recursiveExtends"),
        (interface(prop("a" * 65), version=2), "invalidName"),
        (
            interface(prop(schema={"@type": "Array", "elementSchema": "double"}), version=2),
            "arrayProperty",
        ),
    ],
)
def test_what_dtdl_does_not_allow_is_named_by_its_code(document: Any, code: str) -> None:
    assert code in codes(document)


def test_all_findings_come_in_one_pass_with_their_places() -> None:
    found = parse_models([interface(prop("1st"), prop(schema="XXX"))], source="x.json").diagnostics
    assert [(f.pointer, f.source) for f in found] == [
        ("/contents/0/name", "x.json"),
        ("/contents/1/schema", "x.json"),
    ]


def test_schemas_nest_five_deep_and_no_deeper() -> None:
    schema: Any = "double"
    for _ in range(5):
        schema = {"@type": "Array", "elementSchema": schema}
    assert codes(interface(prop(schema=schema))) == []
    assert "excessiveDepth" in codes(
        interface(prop(schema={"@type": "Array", "elementSchema": schema}))
    )


def test_what_azure_digital_twins_refuses_on_top_is_found() -> None:
    part = interface({"@type": "Component", "name": "c", "schema": "dtmi:t:Leaf;1"})
    part["@id"] = "dtmi:t:Part;1"
    leaf = interface() | {"@id": "dtmi:t:Leaf;1"}
    old = interface(version=2, extends="dtmi:t:Leaf;1") | {"@id": "dtmi:t:Old;1"}
    whole = interface(
        {"@type": "Component", "name": "part", "schema": "dtmi:t:Part;1"},
        {"@type": "Command", "name": "reset"},
    )
    registry = ModelRegistry(parse_models([part, leaf, old, whole]).interfaces)
    found = {f.code for i in registry.ids for f in check_adt(registry, registry.interface(i))}
    assert found == {"adt:command", "adt:nestedComponent", "adt:mixedVersions"}
