from __future__ import annotations

from typing import Any

import pytest

from tests.unit.dtdl.documents import (
    ANNOTATION,
    HISTORIZATION,
    OVERRIDING,
    QUANTITATIVE,
    codes,
    interface,
    prop,
)

STRANGE = "dtmi:example:strange;1"


OPERATIONS = "dtmi:iotoperations:context;4"
QUANTITATIVE_3 = "dtmi:dtdl:extension:quantitativeTypes;3"


def typed(*types: str, **more: Any) -> dict[str, Any]:
    return prop() | {"@type": ["Property", *types], **more}


def test_a_semantic_type_takes_a_unit_of_its_family() -> None:
    good = typed("Temperature", unit="degreeCelsius")

    assert codes(interface(good, version=2)) == []
    assert codes(interface(good, extensions=(QUANTITATIVE,))) == []


@pytest.mark.parametrize(
    ("content", "version", "extensions", "code"),
    [
        (typed("Temperature", unit="metre"), 2, (), "notRequiredType"),
        (typed("Temperature", unit="metre"), 3, (QUANTITATIVE,), "wrongParent"),
        (typed("Temperature", unit="double"), 3, (QUANTITATIVE,), "wrongParent"),
        (typed("Temperature", unit="dBm"), 2, (), "badDtmiOrTerm"),
        (typed("Temperature", unit=["kelvin", "kelvin"]), 2, (), "objectMultipleValues"),
        (typed("Temperature", unit={"a": 1}), 2, (), "badType"),
        (typed("Temperature", unit={"a": 1}), 3, (QUANTITATIVE,), "refObjectNotAllowed"),
        (typed("Temperature", unit="deca"), 2, (), "badDtmiOrTerm"),
        (typed("Temperature", unit="deka"), 2, (), "notRequiredType"),
        (typed("Temperature", unit="dtmi:t:kelvin;1"), 2, (), "unresolvedReference"),
        (typed("Temperature"), 2, (), "missingSupplementalObjectProperty"),
        (typed("Temperature", unit="kelvin", schema="string"), 2, (), "notRequiredType"),
        (typed("Temperature", "Length", unit="kelvin"), 2, (), "conflictingSupplementalTypes"),
        (typed("QuantitativeType", unit="kelvin"), 2, (), "abstractSupplementalType"),
        (typed("Temperature", unit="kelvin"), 3, (), "typeUndefinedTerm"),
        (prop(unit="kelvin"), 2, (), "noTypeThatAllows"),
        (typed("Historized"), 3, (), "typeUndefinedTerm"),
        (typed("Historized"), 2, (HISTORIZATION,), "invalidCotypeVersion"),
        (typed("Schema"), 3, (), "badType"),
        (typed("String"), 3, (), "badType"),
        (typed("Uuid"), 3, (), "badType"),
        (typed("CommandRequest"), 2, (), "badType"),
        (typed("LengthUnit"), 2, (), "badType"),
        (typed("dtmi:dtdl:class:Property;2"), 3, (), "badType"),
        (typed("integer"), 3, (), "typeIrrelevantDtmiOrTerm"),
        (typed("dtmi:dtdl:class:Nothing;3"), 3, (), "typeIrrelevantDtmiOrTerm"),
        (typed("dtmi:standard:class:Nothing;2"), 2, (), "typeIrrelevantDtmiOrTerm"),
        (typed(""), 3, (), "typeUndefinedTerm"),
        (typed("SemanticUnit"), 2, (), "abstractSupplementalType"),
        (typed("AdjunctType"), 3, (), "abstractSupplementalType"),
        (typed("DecimalUnit"), 2, (), "invalidCotype"),
        (typed("Alias"), 3, (), "missingSupplementalObjectProperty"),
        (typed("Alias", aliasFor={"@type": "Array"}), 3, (), "refObjectNotAllowed"),
        (typed("Event"), 3, (OPERATIONS,), "invalidCotype"),
        (typed("Precise"), 3, (OPERATIONS,), "invalidCotypeVersion"),
        (typed("Temperature", unit="kelvin"), 3, (QUANTITATIVE_3,), "invalidCotypeVersion"),
        (typed("dtmi:a//b"), 2, (), "typeInvalidDtmi"),
        (typed("http://example.com/T"), 3, (), "typeNotDtmiNorTerm"),
        (typed("Telemetry"), 3, (), "multipleMaterialTypes"),
        (typed("ValueAnnotation"), 3, (ANNOTATION,), "missingSupplementalLiteralProperty"),
        (prop() | {"@type": 5}, 3, (), "badType"),
        (prop() | {"@type": []}, 3, (), "badType"),
        (prop() | {"@type": [["Property"]]}, 3, (), "badType"),
        (prop() | {"@type": "Nothing"}, 2, (), "badType"),
        (prop() | {"@type": "Nothing"}, 3, (), "typeUndefinedTerm"),
        (prop() | {"@type": "Field"}, 3, (), "badType"),
    ],
)
def test_types_that_do_not_go_together_are_named_by_their_code(
    content: dict[str, Any], version: int, extensions: tuple[str, ...], code: str
) -> None:
    assert code in codes(interface(content, version=version, extensions=extensions))


def test_a_semantic_type_stands_on_values_only() -> None:
    link = {"@type": ["Relationship", "Length"], "name": "l"}

    assert "invalidCotype" in codes(interface(link, version=2))


def test_units_beyond_those_of_v2_need_the_extension() -> None:
    late = typed("Current", unit="kiloampere")

    assert codes(interface(late, version=2)) == ["badDtmiOrTerm"]
    assert codes(interface(late, extensions=(QUANTITATIVE,))) == []


def test_v2_keeps_its_own_semantic_types_beside_the_extension() -> None:
    assert codes(interface(typed("Mass", unit="gram"), version=2, extensions=(QUANTITATIVE,))) == []


def test_an_unknown_type_lets_unknown_properties_stand_where_it_is_allowed() -> None:
    strange = typed("Strange", colour="red")

    assert codes(interface(strange, version=2)) == []
    assert codes(interface(strange, extensions=(STRANGE,)), undefined=True) == []
    assert codes(interface(strange)) == ["typeUndefinedTerm"]


def test_an_unknown_property_needs_an_unknown_type_too() -> None:
    plain, field = prop(colour="red"), {"name": "x", "schema": "double", "colour": "red"}
    boxed = prop(schema={"@type": "Object", "fields": [field]})

    assert codes(interface(plain, version=2)) == ["noTypeThatAllows"]
    assert codes(interface(boxed, version=2)) == ["inferredTypeDoesNotAllow"]
    assert codes(interface(plain, extensions=(STRANGE,)), undefined=True) == ["noTypeThatAllows"]


def test_a_type_named_twice_is_one_type() -> None:
    twice = typed("Temperature", "dtmi:standard:class:Temperature;2", unit="kelvin")

    assert codes(interface(twice, version=2)) == []


def test_a_dtmi_names_a_type_whose_context_is_not_in_force() -> None:
    historized = typed("dtmi:dtdl:extension:historization:v1:Historized")

    assert codes(interface(historized)) == []
    assert codes(interface(historized, version=2)) == ["typeInvalidDtmi"]


def test_an_alias_stands_for_any_other_element() -> None:
    alias = typed("Alias", name="other", aliasFor="dtmi:t:p;1")

    assert codes(interface(alias, prop(**{"@id": "dtmi:t:p;1"}))) == []
    assert codes(interface(typed("Alias", aliasFor="dtmi:t:Thing;1"))) == []


def test_units_of_ones_own_may_be_defined_in_an_enum() -> None:
    value = {"@type": ["EnumValue", "SymbolicUnit"], "name": "jiffy", "enumValue": 1}
    own = {"@type": "Enum", "valueSchema": "integer", "enumValues": [value | {"symbol": "j"}]}
    lacking = own | {"enumValues": [value]}

    assert codes(interface(prop(schema=own), extensions=(QUANTITATIVE,))) == []
    assert codes(interface(prop(schema=lacking), extensions=(QUANTITATIVE,))) == [
        "missingSupplementalLiteralProperty"
    ]


def test_a_type_may_be_spelled_out_as_its_dtmi() -> None:
    temperature = "dtmi:standard:class:Temperature;2"
    spelled = prop() | {
        "@type": ["dtmi:dtdl:class:Property;2", temperature],
        "unit": "dtmi:standard:unit:kelvin;2",
    }

    assert codes(interface(spelled, version=2)) == []


def test_an_annotation_names_a_value_beside_it() -> None:
    def annotated(target: str, *more: str) -> list[str]:
        note = typed("ValueAnnotation", *more, name="note", schema="string", annotates=target)
        contents = [
            {"@type": "Command", "name": "reset"},
            {"@type": "Telemetry", "name": "level", "schema": "double"},
            note,
        ]
        return codes(interface(*contents, extensions=(ANNOTATION, OVERRIDING)))

    assert annotated("level") == []
    assert annotated("reset") == ["notSiblingRequiredType"]
    assert annotated("note") == ["disallowedType"]


def test_an_override_must_be_an_annotation_too() -> None:
    lone = typed("Override", overrides="unit")

    assert "missingCocotype" in codes(interface(lone, extensions=(OVERRIDING,)))


def test_an_override_needs_the_annotation_of_its_own_version() -> None:
    level = {"@type": ["Telemetry", "Length"], "name": "level", "schema": "double", "unit": "metre"}
    note = typed(
        "ValueAnnotation", "Override", schema="LengthUnit", annotates="level", overrides="unit"
    )

    def with_annotation(*versions: int) -> list[str]:
        named = tuple(f"dtmi:dtdl:extension:annotation;{version}" for version in versions)
        return codes(interface(level, note, extensions=(QUANTITATIVE, OVERRIDING, *named)))

    assert with_annotation(1) == with_annotation(2, 1) == []
    assert with_annotation(2) == with_annotation(1, 2) == ["missingCocotype"]


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        (5, "identifierNotString"),
        ([], "identifierCountBelowMin"),
        (..., "missingSupplementalIdentifierProperty"),
        ("nothing", "identifierNotUri"),
        ("dtmi:t:x;1", "noMatchingSupplementalProperty"),
    ],
)
def test_what_an_override_names_is_a_term_or_an_iri(overrides: Any, code: str) -> None:
    given = {} if overrides is ... else {"overrides": overrides}
    note = typed("ValueAnnotation", "Override", annotates="level", **given)
    level = {"@type": "Telemetry", "name": "level", "schema": "double"}

    assert code in codes(interface(level, note, extensions=(ANNOTATION, OVERRIDING)))
