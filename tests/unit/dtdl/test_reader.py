from __future__ import annotations

from typing import Any

import pytest

from tests.unit.dtdl.documents import codes, component, enum, findings, interface, prop, without


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("text", "notJsonObject"),
        (None, "notJsonObject"),
        ([5], "notJsonObject"),
        (without(interface(), "@context"), "missingContext"),
        (without(interface(), "@id"), "missingTopLevelId"),
        (interface() | {"@graph": []}, "topLevelGraphDisallowed"),
        (interface() | {"@value": 1}, "topLevelKeywordDisallowed"),
        (interface() | {"@type": "Property"}, "typeNotRootable"),
        (interface() | {"@type": ["Interface", 5]}, "typeNotRootable"),
        (without(interface(), "@type"), "typeNotRootable"),
        (interface() | {"@type": ["Interface", "String"]}, "multipleMaterialTypes"),
        (interface() | {"@graph": 5}, "graphNotObject"),
        (interface() | {"@id": "dtmi:t:1x;1"}, "invalidId"),
        (interface() | {"@id": "dtmi:t:x;1#y"}, "invalidId"),
        (interface(version=2) | {"@id": "dtmi:t:x"}, "invalidId"),
        (interface() | {"@id": ["dtmi:t:x;1"]}, "idNotString"),
        (interface() | {"@id": ""}, "idNotString"),
        (interface() | {"@id": f"dtmi:{'x' * 124};1"}, "idTooLongForType"),
        (interface() | {"@id": "dtmi:dtdl:x;1"}, "reservedId"),
        (interface(prop(**{"@id": f"dtmi:{'x' * 2048};1"})), "idTooLong"),
        (interface(comment="x" * (1 << 20)), "partitionTooLarge"),
    ],
)
def test_a_document_that_is_no_model_is_named_by_its_code(document: Any, code: str) -> None:
    assert code in codes(document)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"@type": "Property", "schema": "double"}, "missingDtmiSegPropertyValue"),
        (
            {"@type": "Property", "schema": "double", "@id": "dtmi:a;1"},
            "missingLiteralProperty",
        ),
        ({"@type": "Property", "name": "p"}, "missingObjectProperty"),
        ({"@type": "Property", "name": "p", "schema": []}, "objectCountBelowMin"),
        (prop(colour="red"), "propertyUndefinedTerm"),
        (prop(target="dtmi:a;1"), "propertyIrrelevantDtmiOrTerm"),
        (prop() | {"dtmi:_a:b;1": 1}, "propertyInvalidDtmi"),
        (prop() | {"dtmi:dtdl:property:name;2": 1}, "propertyIrrelevantDtmiOrTerm"),
        (prop() | {"@graph": 5}, "graphNotObject"),
        ({"@value": 5}, "missingDtmiSegPropertyValue"),
        ({"@value": 5}, "keywordDisallowed"),
        ({"@id": "1", "@type": "Nothing"}, "invalidId"),
        ({"@id": "dtmi:t:Thing;1", "@type": "Nothing"}, "duplicateDefinition"),
        (prop(schema="dtmi:dtdl:class:Property;3"), "undefinedReservedId"),
        (prop(schema="dtmi:dtdl:class:Nothing;3"), "undefinedReservedId"),
        (prop(schema="dtmi:standard:unit:metre;2"), "badType"),
        (prop(schema="dtmi:a-b;1"), "badDtmiOrTerm"),
        (prop() | {"dtmi:a//b": 1}, "propertyInvalidDtmi"),
        (prop() | {"http://example.com/x": 1}, "propertyNotDtmiNorTerm"),
        (prop() | {"dtmi:dtdl:property:name;3": "q"}, "duplicatePropertyName"),
        (prop() | {"@graph": {}}, "graphDisallowed"),
        (prop(schema="XXX"), "badDtmiOrTerm"),
        (prop(schema="Schema"), "badType"),
        (prop(schema="dtmi:dtdl:x;1"), "undefinedReservedId"),
        (prop(schema={"@type": "String"}), "badType"),
        (prop(schema={"@id": "dtmi:a;1"}), "idReference"),
        (prop(schema=5), "refNotStringOrObject"),
        (prop(schema=["double", "string"]), "objectMultipleValues"),
        (prop(schema={"@type": "Map"}), "missingObjectProperty"),
        (component("c", {"@type": "Interface"}), "missingRequiredId"),
        ({"@type": "Relationship", "name": "r", "target": "urn:x"}, "identifierNotDtmi"),
        ({"@type": "Relationship", "name": "r", "target": 5}, "identifierNotString"),
        ({"@type": "Command", "name": "c", "commandType": "soon"}, "badDtmiOrTerm"),
        ({"@type": "Command", "name": "c", "request": prop()}, "badType"),
        ("double", "badType"),
        (5, "refNotStringOrObject"),
    ],
)
def test_a_content_that_cannot_be_is_named_by_its_code(content: Any, code: str) -> None:
    assert code in codes(interface(content))


def test_names_are_used_once() -> None:
    assert codes(interface(prop("a"), prop("a"))) == ["nonUniquePropertyValue"]


def test_a_field_may_leave_out_its_type_but_not_have_another() -> None:
    def of(**more: Any) -> dict[str, Any]:
        field = {"name": "x", "schema": "double", **more}
        return interface(prop(schema={"@type": "Object", "fields": [field]}))

    assert codes(of()) == []
    assert codes(of(**{"@type": "Field"})) == []
    assert codes(of(**{"@type": "Property"})) == ["badType"]
    assert codes(of(target="dtmi:a;1")) == ["propertyIrrelevantDtmiOrTerm"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (interface(*(prop(f"p{n}") for n in range(301)), version=2), "objectCountAboveMax"),
        (
            interface(prop(schema=enum(*map(str, range(101)))), version=2),
            "objectCountAboveMax",
        ),
        (interface(prop(schema=enum()), version=2), "objectCountBelowMin"),
        (
            interface(extends=[f"dtmi:t:{c};1" for c in "abc"], version=2),
            "objectCountAboveMax",
        ),
    ],
)
def test_counts_that_v2_limits_are_free_in_v3(document: dict[str, Any], code: str) -> None:
    assert codes(document) == [code]
    assert codes(document | {"@context": "dtmi:dtdl:context;3"}) == []


def test_an_element_may_be_of_an_earlier_version_than_what_holds_it() -> None:
    old = prop() | {"@context": "dtmi:dtdl:context;2"}
    new = prop() | {"@context": "dtmi:dtdl:context;3"}

    assert codes(interface(old)) == []
    assert codes(interface(new, version=2)) == ["disallowedVersionDefinition"]
    old_schema = enum("a") | {"@context": "dtmi:dtdl:context;2", "@id": "dtmi:t:E;1"}
    assert codes(interface(schemas=[old_schema])) == ["disallowedVersionDefinition"]


def test_a_schema_of_the_language_may_be_named_as_another_version_has_it() -> None:
    def with_schema(schema: str, version: int) -> list[str]:
        return codes(interface(prop(schema=schema), version=version))

    assert with_schema("dtmi:dtdl:instance:Schema:double;2", 3) == []
    assert with_schema("dtmi:dtdl:instance:Schema:double;3", 2) == []
    assert with_schema("dtmi:standard:schema:geospatial:point;2", 3) == []
    assert "disallowedVersionReference" in with_schema("dtmi:standard:schema:geospatial:point;3", 2)


def test_an_array_in_an_array_of_elements_is_no_other_array() -> None:
    assert codes(interface() | {"contents": [[prop("a")], [[prop("b")]], []]}) == []


def test_all_findings_come_in_one_pass_with_their_places() -> None:
    field = prop() | {"@type": "Field"}
    found = findings(interface(prop("1st"), prop(schema="XXX"), field))

    assert [(f.code, f.pointer, f.model, f.source) for f in found] == [
        ("stringInvalid", "/contents/0/name", "dtmi:t:Thing;1", "[0]"),
        ("badDtmiOrTerm", "/contents/1/schema", "dtmi:t:Thing;1", "[0]"),
        ("badType", "/contents/2/@type", "dtmi:t:Thing;1", "[0]"),
    ]


def test_places_are_json_pointers() -> None:
    document = interface() | {"contents": prop() | {"a/b~c": 1}}

    assert [f.pointer for f in findings([document])] == ["/0/contents/a~1b~0c"]


def test_json_that_nests_without_end_is_a_finding() -> None:
    schema: Any = "double"
    for _ in range(500):
        schema = {"@type": "Array", "elementSchema": schema}

    assert "excessiveDepthWide" in codes(interface(prop(schema=schema)))


def test_arrays_that_nest_without_end_are_a_finding() -> None:
    value: Any = []
    for _ in range(900):
        value = [value]

    assert codes(interface(prop(schema=value))) == ["refNotStringOrObject"]
    assert codes(interface(comment=value)) == ["stringNotString"]
    assert codes(value) == ["notJsonObject"]
