from __future__ import annotations

from typing import Any

import pytest

from tests.unit.dtdl.documents import ANNOTATION, OVERRIDING, QUANTITATIVE, codes, interface, prop

EXTENSIONS = (QUANTITATIVE, ANNOTATION, OVERRIDING)


def temperature(name: str = "target") -> dict[str, Any]:
    return prop(name, **{"@type": ["Property", "Temperature"], "unit": "degreeCelsius"})


def note(of: str = "target", name: str = "note") -> dict[str, Any]:
    return prop(name, "string", **{"@type": ["Property", "ValueAnnotation"], "annotates": of})


def override(
    of: str = "target",
    name: str = "unitOfTarget",
    what: str = "unit",
    schema: Any = "TemperatureUnit",
) -> dict[str, Any]:
    types = ["Property", "ValueAnnotation", "Override"]
    return prop(name, schema, **{"@type": types, "annotates": of, "overrides": what})


def of(*contents: Any) -> list[str]:
    return codes(interface(*contents, extensions=EXTENSIONS))


def test_a_property_may_annotate_and_override_a_sibling() -> None:
    assert of(temperature(), note(), override()) == []


def test_an_annotation_of_what_is_not_there_is_allowed() -> None:
    assert of(note("elsewhere")) == []


def test_a_relationship_cannot_be_annotated() -> None:
    relationship = {"@type": "Relationship", "name": "target"}

    assert of(relationship, note()) == ["notSiblingRequiredType"]


def test_an_annotation_cannot_be_annotated() -> None:
    assert of(temperature(), note(), note("note", "second")) == ["disallowedType"]


@pytest.mark.parametrize(
    ("contents", "code"),
    [
        ((prop("target"), override()), "noMatchingSupplementalProperty"),
        ((temperature(), override(what="schema")), "matchingPropertyNotSupplemental"),
        ((temperature(), override(schema="LengthUnit")), "siblingPropertyMismatch"),
        ((temperature(), override(), override(name="again")), "multipleReference"),
    ],
)
def test_an_override_fits_what_it_overrides(contents: tuple[Any, ...], code: str) -> None:
    assert of(*contents) == [code]


def test_annotation_and_annotated_may_meet_by_inheritance() -> None:
    base = interface(prop("target"), id="Base")
    derived = interface(override(), extensions=EXTENSIONS, extends="dtmi:t:Base;1")

    assert codes(base, derived) == ["noMatchingSupplementalProperty"]


def test_a_fault_of_the_base_is_not_told_again_for_what_extends_it() -> None:
    base = interface(prop("target"), override(), id="Base", extensions=EXTENSIONS)
    derived = interface(extends="dtmi:t:Base;1")

    assert codes(base, derived) == ["noMatchingSupplementalProperty"]


def test_two_overrides_may_come_from_base_and_derived_and_are_one_too_many() -> None:
    base = interface(temperature(), override(), id="Base", extensions=EXTENSIONS)
    derived = interface(override(name="again"), extensions=EXTENSIONS, extends="dtmi:t:Base;1")

    assert codes(base, derived) == ["multipleReference"]
