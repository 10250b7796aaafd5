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
        (typed("Temperature", unit="double"), 3, (QUANTITATIVE,), "badType"),
        (typed("Temperature", unit="dBm"), 2, (), "badDtmiOrTerm"),
        (typed("Temperature", unit=["kelvin", "kelvin"]), 2, (), "objectMultipleValues"),
        (typed("Temperature", unit={"a": 1}), 2, (), "refObjectNotAllowed"),
        (typed("Temperature"), 2, (), "missingSupplementalObjectProperty"),
        (typed("Temperature", unit="kelvin", schema="string"), 2, (), "notRequiredType"),
        (typed("Temperature", "Length", unit="kelvin"), 2, (), "conflictingSupplementalTypes"),
        (typed("QuantitativeType", unit="kelvin"), 2, (), "abstractSupplementalType"),
        (typed("Temperature", unit="kelvin"), 3, (), "typeUndefinedTerm"),
        (prop(unit="kelvin"), 2, (), "noTypeThatAllows"),
        (typed("Historized"), 3, (), "typeUndefinedTerm"),
        (typed("Historized"), 2, (HISTORIZATION,), "invalidCotypeVersion"),
        (typed("Schema"), 3, (), "typeIrrelevantDtmiOrTerm"),
        (typed("dtmi:a//b"), 2, (), "typeInvalidDtmi"),
        (typed("http://example.com/T"), 3, (), "typeNotDtmiNorTerm"),
        (typed("Telemetry"), 3, (), "multipleMaterialTypes"),
        (typed("ValueAnnotation"), 3, (ANNOTATION,), "missingSupplementalLiteralProperty"),
        (prop() | {"@type": 5}, 3, (), "badType"),
        (prop() | {"@type": []}, 3, (), "badType"),
        (prop() | {"@type": "Nothing"}, 3, (), "badType"),
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


def test_an_unknown_type_lets_unknown_properties_stand_where_it_is_allowed() -> None:
    strange = typed("Strange", colour="red")

    assert codes(interface(strange, version=2)) == []
    assert codes(interface(strange, extensions=(STRANGE,)), undefined=True) == []
    assert codes(interface(strange)) == ["typeUndefinedTerm", "propertyUndefinedTerm"]


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

    assert codes(interface(lone, extensions=(OVERRIDING,))) == ["missingCocotype"]
