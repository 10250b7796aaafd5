from __future__ import annotations

from typing import Any

import pytest

from sync_agent.dtdl.elements import Relationship
from sync_agent.dtdl.parse import parse_models
from tests.unit.dtdl.documents import codes, enum, interface, prop

STRING, INTEGER, BOOLEAN = "xsd:string", "xsd:integer", "xsd:boolean"


@pytest.mark.parametrize(
    "value",
    [True, [True], {"@value": True}, [{"@value": True, "@type": BOOLEAN}], []],
)
def test_a_value_may_stand_plain_in_an_array_or_as_a_value_object(value: Any) -> None:
    assert codes(interface(prop(writable=value))) == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("true", "booleanNotBoolean"),
        (None, "booleanNotBoolean"),
        (1, "booleanNotBoolean"),
        ([True, True], "booleanMultipleValues"),
        ({}, "booleanObjectNoValue"),
        ({"@value": "x"}, "booleanValueNotBoolean"),
        ({"@value": True, "@type": INTEGER}, "booleanTypeNotBoolean"),
        ({"@value": True, "@type": [BOOLEAN, BOOLEAN]}, "literalTypeNotSingular"),
        ({"@value": True, "@id": "dtmi:a;1"}, "valueObjectId"),
        ({"@value": True, "@context": []}, "valueObjectContext"),
        ({"@value": True, "@graph": {}}, "valueObjectGraph"),
        ({"@value": True, "@graph": 1}, "graphNotObject"),
        ({"@value": True, "@type": True}, "literalTypeNotSingular"),
        ({"@type": BOOLEAN}, "booleanObjectNoValue"),
        ([[True], [True]], "booleanMultipleValues"),
        ({"@value": True, "@language": "en"}, "valueObjectLanguage"),
        ({"@value": True, "@other": 1}, "valueObjectKeyword"),
        ({"@value": True, "other": 1}, "valueObjectInvalidProp"),
    ],
)
def test_a_boolean_that_is_none_is_named_by_its_code(value: Any, code: str) -> None:
    assert code in codes(interface(prop(writable=value)))


def test_keywords_that_mean_nothing_are_let_through_in_v2_only() -> None:
    value = {"@value": True, "@other": 1}

    assert codes(interface(prop(writable=value), version=2)) == []
    assert codes(interface(prop() | {"@other": 1}, version=2)) == []
    assert codes(interface(prop() | {"@other": 1})) == ["keywordDisallowed"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (5, "stringNotString"),
        (["a", "b"], "dtmiSegPropertyNotStringOrNumber"),
        ([], "dtmiSegPropertyNotStringOrNumber"),
        (None, "dtmiSegPropertyNotStringOrNumber"),
        ({"@value": "a", "@type": INTEGER}, "dtmiSegPropertyNotStringOrNumber"),
        ("", "stringInvalid"),
        ("1st", "stringInvalid"),
        ("ends_", "stringInvalid"),
        ("dotted.name", "stringInvalid"),
        ("é", "stringInvalid"),
        ("a" * 513, "stringTooLong"),
        ({"@value": 5}, "stringValueNotString"),
    ],
)
def test_a_name_that_is_none_is_named_by_its_code(name: Any, code: str) -> None:
    assert code in codes(interface(prop() | {"name": name}))


@pytest.mark.parametrize(("version", "most"), [(2, 64), (3, 512)])
def test_a_name_is_as_long_as_the_version_allows(version: int, most: int) -> None:
    assert codes(interface(prop("a" * most), version=version)) == []
    assert codes(interface(prop("a" * (most + 1)), version=version)) == ["stringTooLong"]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (2**31, "integerNotInteger"),
        (-1, "valueBelowMin"),
        (0, "valueBelowMin"),
        ("5", "integerNotInteger"),
        (1.5, "integerNotInteger"),
        (True, "integerNotInteger"),
    ],
)
def test_a_multiplicity_is_a_whole_number_of_at_least_one(value: Any, code: str) -> None:
    link = {"@type": "Relationship", "name": "r", "maxMultiplicity": value}

    assert codes(interface(link)) == [code]


def test_a_whole_number_may_be_written_with_a_point() -> None:
    link = {"@type": "Relationship", "name": "r", "maxMultiplicity": 3.0}

    (thing,) = parse_models([interface(link)]).interfaces

    assert thing.contents["r"] == Relationship("r", max_multiplicity=3)


def test_multiplicities_keep_the_limits_of_their_version() -> None:
    def link(**more: int) -> dict[str, Any]:
        return {"@type": "Relationship", "name": "r", **more}

    assert codes(interface(link(maxMultiplicity=501), version=2)) == ["valueAboveRange"]
    assert codes(interface(link(maxMultiplicity=0), version=2)) == ["valueBelowRange"]
    assert codes(interface(link(maxMultiplicity=501))) == []
    assert codes(interface(link(minMultiplicity=1))) == ["valueNotExact"]
    assert codes(interface(link(minMultiplicity=0))) == []


@pytest.mark.parametrize(
    "text",
    ["x", {"en": "x", "sr-Latn-RS": "y"}, [{"@value": "x", "@language": "de"}], ["x"], {}, []],
)
def test_texts_may_stand_plain_or_by_language(text: Any) -> None:
    assert codes(interface(displayName=text)) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (5, "langStringElementNotStringOrObject"),
        (None, "langStringElementNotStringOrObject"),
        ({"English": "x"}, "langStringInvalidCode"),
        ({"en": 5}, "langStringValueNotString"),
        ({"@value": "x"}, "langMapObjKeyword"),
        ({"@value": "x", "@language": "en"}, "langTagValueInLangMap"),
        ([{"@value": 5}], "langStringElementValueNotString"),
        ([{"@language": "en"}], "langStringElementNoValue"),
        ([{"@value": "x", "@language": 5}], "langStringElementCodeNotString"),
        ([{"@value": "x", "@language": "English"}], "langStringElementInvalidCode"),
        ([{"@value": "x", "@type": "y"}], "langStringElementType"),
        ([{"@value": "x", "@language": ""}], "langStringElementCodeNotString"),
        ([["x"], [{"@value": 5}]], "langStringElementValueNotString"),
        ({"@value": 5, "@language": "en"}, "langMapObjKeyword"),
        ("\N{GRINNING FACE}" * 257, "langStringValueTooLong"),
        ([{"@value": "x", "@id": "y"}], "langStringElementId"),
        (["x", "y"], "langStringElementCodeNotUnique"),
        ("x" * 513, "langStringValueTooLong"),
    ],
)
def test_texts_by_language_that_are_none_are_named_by_their_code(text: Any, code: str) -> None:
    assert code in codes(interface(displayName=text))


def test_the_texts_come_out_by_language() -> None:
    (thing,) = parse_models(
        [interface(displayName="Thing", description=[{"@value": "Ding", "@language": "de"}])]
    ).interfaces

    assert (thing.display_name, thing.description) == ({"en": "Thing"}, {"de": "Ding"})


@pytest.mark.parametrize(
    ("values", "kind", "code"),
    [
        ((1, 2), "string", "nonConformantDatatype"),
        (("a",), "integer", "nonConformantDatatype"),
        (("a", "a"), "string", "nonUniquePropertyValue"),
        ((True,), "integer", "nonConformantDatatype"),
        ((1.5,), "integer", "nonConformantDatatype"),
        ((2**31,), "integer", "nonConformantDatatype"),
        ((None,), "integer", "literalNotValid"),
        (({"@value": "a", "@type": "string"},), "string", "literalNotValid"),
        (({"@value": "a", "@type": "xsd:decimal"},), "string", "numericValueNotNumeric"),
        (("a",), "double", "incorrectPropertyValue"),
        (("a",), "Enum", "badType"),
        (("a",), "dtmi:t:x;1", "unresolvedReference"),
    ],
)
def test_an_enum_has_values_of_its_kind_each_once(
    values: tuple[Any, ...], kind: str, code: str
) -> None:
    assert code in codes(interface(prop(schema=enum(*values, kind=kind))))
