"""What DTDL's element classes are made of, by language version.

One table per version: a class has slots (its JSON properties), a slot says what may stand in it.
The reader walks a document along these tables, so a rule that can be said as a row is a row here
and no code. A further language version is a further table. Source: DTDL v2 and v3 specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache

VERSIONS = (2, 3)
SCHEMA_DEPTH_MAX = 5
EXTENDS_DEPTH_MAX = 10
ID_LENGTH_MAX = 2048
COMMENT_LENGTH_MAX = 512
DESCRIPTION_LENGTH_MAX = 512
NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?", re.ASCII)

PRIMITIVES = (
    "boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string",
    "time",
)  # fmt: skip
GEOMETRIES = (
    "point", "lineString", "polygon", "multiPoint", "multiLineString", "multiPolygon",
)  # fmt: skip
NUMBERS = frozenset({"double", "float", "integer", "long"})
COMMAND_TYPES = ("asynchronous", "synchronous")
CONTENTS = ("Command", "Component", "Property", "Relationship", "Telemetry")
COMPLEX_SCHEMAS = ("Array", "Enum", "Map", "Object")
PRIMITIVE_CLASSES = tuple(name[0].upper() + name[1:] for name in PRIMITIVES)
PREDEFINED: Mapping[str, str] = {
    **dict(zip(PRIMITIVES, PRIMITIVE_CLASSES, strict=True)),
    **dict.fromkeys(GEOMETRIES, "Object"),
    **dict.fromkeys(COMMAND_TYPES, "CommandType"),
}
"""The elements that the language itself defines, by their term: the class of each."""
ABSTRACT_CLASSES = frozenset({
    "ComplexSchema", "Content", "Entity", "NamedEntity", "NumericSchema", "PrimitiveSchema",
    "Schema", "SchemaField", "TemporalSchema",
})  # fmt: skip
# Classes that have elements, but none that a model may write.
BUILT_IN_CLASSES = frozenset({"CommandType", *PRIMITIVE_CLASSES})
_EXTENSIBLE_CLASSES = frozenset({"LatentType", "NamedLatentType", "Unit", "UnitAttribute"})
_LATER_CLASSES = frozenset({
    "Byte", "Bytes", "Decimal", "Short", "UnsignedByte", "UnsignedInteger", "UnsignedLong",
    "UnsignedShort", "Uuid",
})  # fmt: skip


class Holds(Enum):
    """What a slot holds."""

    TEXT = auto()
    LANGUAGE_MAP = auto()
    BOOLEAN = auto()
    INTEGER = auto()
    NUMBER = auto()
    ENUM_VALUE = auto()
    IDENTIFIER = auto()
    IRI = auto()
    DURATION = auto()
    ELEMENT = auto()


@dataclass(frozen=True, slots=True)
class Slot:
    """One JSON property of an element class (None: no limit).

    ``classes`` are the classes an element in it may have, ``terms`` the only terms it takes where
    there is such a list, ``by_reference`` that what it holds must have an identifier, ``named``
    that it must be named and cannot be written out, ``units`` the family of what it names,
    ``same_version`` that it may not be of an earlier language version, as otherwise it may,
    ``top`` that it is the document,
    ``unique`` which properties tell elements in it apart, ``distinct`` that its value does so.
    """

    holds: Holds
    required: bool = False
    many: bool = False
    classes: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    by_reference: bool = False
    named: bool = False
    units: str = ""
    same_version: bool = False
    top: bool = False
    length_max: int | None = None
    count_min: int = 0
    count_max: int | None = None
    low: int | None = None
    high: int | None = None
    pattern: re.Pattern[str] | None = None
    unique: tuple[str, ...] = ()
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class ElementClass:
    """A concrete class: its slots, and whether ``@type`` may be left out where it is clear."""

    name: str
    slots: Mapping[str, Slot]
    type_optional: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """The counts and lengths in which the versions differ (None: no limit)."""

    name: int
    display_name: int
    contents: int | None
    extends: int | None
    fields: int | None
    enum_values: int | None
    relationship_properties: int | None
    max_multiplicity: int | None
    at_least_one: int
    hierarchy: int | None
    hierarchy_size: int | None
    text_bytes: int | None


SIZED_SLOTS = frozenset({
    "contents", "elementSchema", "enumValues", "fields", "mapValue", "properties", "request",
    "response", "schema",
})  # fmt: skip
"""The slots whose elements count for ``Limits.hierarchy_size``."""

LIMITS: Mapping[int, Limits] = {
    2: Limits(
        name=64,
        display_name=64,
        contents=300,
        extends=2,
        fields=30,
        enum_values=100,
        relationship_properties=300,
        max_multiplicity=500,
        at_least_one=1,
        hierarchy=None,
        hierarchy_size=None,
        text_bytes=None,
    ),
    3: Limits(
        name=512,
        display_name=512,
        contents=None,
        extends=None,
        fields=None,
        enum_values=None,
        relationship_properties=None,
        max_multiplicity=None,
        at_least_one=0,
        hierarchy=1024,
        hierarchy_size=100_000,
        text_bytes=1_048_576,
    ),
}


@dataclass(frozen=True, slots=True)
class Metamodel:
    """All concrete classes of a version, and every term its context defines."""

    classes: Mapping[str, ElementClass]
    terms: frozenset[str] = field(repr=False)


@cache
def metamodel(version: int) -> Metamodel:
    """Return the tables of a language version, which must be one of ``VERSIONS``."""
    classes = {c.name: c for c in _classes(version)}
    slots = {name for c in classes.values() for name in c.slots}
    terms = {*classes, *ABSTRACT_CLASSES, *BUILT_IN_CLASSES, *slots, *PREDEFINED}
    return Metamodel(classes, frozenset(terms | _FURTHER_TERMS[version]))


@cache
def class_names() -> frozenset[str]:
    """Return the names of the classes of all versions of DTDL, in this library or not."""
    known = {name for version in VERSIONS for name in metamodel(version).classes}
    others = ABSTRACT_CLASSES | BUILT_IN_CLASSES | _EXTENSIBLE_CLASSES | _LATER_CLASSES
    return frozenset(known | others)


def _classes(version: int) -> list[ElementClass]:
    limits = LIMITS[version]
    texts = {
        "comment": Slot(Holds.TEXT, length_max=COMMENT_LENGTH_MAX),
        "description": Slot(Holds.LANGUAGE_MAP, length_max=DESCRIPTION_LENGTH_MAX),
        "displayName": Slot(Holds.LANGUAGE_MAP, length_max=limits.display_name),
    }
    name = Slot(Holds.TEXT, required=True, length_max=limits.name, pattern=NAME)
    named = {**texts, "name": name}
    schema = Slot(Holds.ELEMENT, required=True, classes=(*COMPLEX_SCHEMAS, *PRIMITIVE_CLASSES))
    writable = Slot(Holds.BOOLEAN)
    payload = {**named, "schema": schema}
    requests = ("CommandPayload", "CommandPayload") if version == 2 else _REQUESTS
    return [
        ElementClass("Interface", {**texts, **_interface_slots(limits)}),
        ElementClass("Property", {**named, "schema": schema, "writable": writable}),
        ElementClass("Telemetry", {**named, "schema": schema}),
        ElementClass("Relationship", {**named, "writable": writable, **_relationship(limits)}),
        ElementClass(
            "Component",
            {
                **named,
                "schema": Slot(
                    Holds.ELEMENT, required=True, classes=("Interface",), by_reference=True
                ),
            },
        ),
        ElementClass(
            "Command",
            {
                **named,
                "commandType": Slot(
                    Holds.ELEMENT,
                    classes=("CommandType",),
                    terms=COMMAND_TYPES,
                    by_reference=True,
                    same_version=True,
                ),
                "request": Slot(Holds.ELEMENT, classes=requests[:1], same_version=True),
                "response": Slot(Holds.ELEMENT, classes=requests[1:], same_version=True),
            },
        ),
        *(ElementClass(kind, payload, True) for kind in dict.fromkeys(requests)),
        ElementClass("Array", {**texts, "elementSchema": schema}),
        ElementClass("Map", {**texts, **_MAP_SLOTS}),
        ElementClass(
            "MapKey",
            {
                **named,
                "schema": Slot(
                    Holds.ELEMENT,
                    required=True,
                    classes=("String",),
                    terms=("string",),
                    by_reference=True,
                ),
            },
            True,
        ),
        ElementClass("MapValue", payload, True),
        ElementClass("Enum", {**texts, **_enum_slots(limits)}),
        ElementClass("EnumValue", {**named, "enumValue": _ENUM_VALUE}, True),
        ElementClass(
            "Object",
            {
                **texts,
                "fields": Slot(
                    Holds.ELEMENT,
                    many=True,
                    classes=("Field",),
                    same_version=True,
                    required=bool(limits.at_least_one),
                    count_min=limits.at_least_one,
                    count_max=limits.fields,
                    unique=("name",),
                ),
            },
        ),
        ElementClass("Field", payload, True),
    ]


def _interface_slots(limits: Limits) -> dict[str, Slot]:
    return {
        "contents": Slot(
            Holds.ELEMENT,
            many=True,
            classes=CONTENTS,
            count_max=limits.contents,
            unique=("name",),
        ),
        "extends": Slot(
            Holds.ELEMENT,
            many=True,
            classes=("Interface",),
            by_reference=True,
            count_max=limits.extends,
        ),
        "schemas": Slot(
            Holds.ELEMENT, many=True, classes=COMPLEX_SCHEMAS, by_reference=True, same_version=True
        ),
    }


def _relationship(limits: Limits) -> dict[str, Slot]:
    return {
        "target": Slot(Holds.IDENTIFIER, length_max=ID_LENGTH_MAX),
        "properties": Slot(
            Holds.ELEMENT,
            many=True,
            classes=("Property",),
            count_max=limits.relationship_properties,
            unique=("name",),
        ),
        "minMultiplicity": Slot(Holds.INTEGER, low=0, high=0),
        "maxMultiplicity": Slot(Holds.INTEGER, low=1, high=limits.max_multiplicity),
    }


def _enum_slots(limits: Limits) -> dict[str, Slot]:
    return {
        "enumValues": Slot(
            Holds.ELEMENT,
            many=True,
            classes=("EnumValue",),
            same_version=True,
            required=bool(limits.at_least_one),
            count_min=limits.at_least_one,
            count_max=limits.enum_values,
            unique=("name", "enumValue"),
        ),
        "valueSchema": Slot(
            Holds.ELEMENT,
            required=True,
            classes=PRIMITIVE_CLASSES,
            terms=("integer", "string"),
            by_reference=True,
        ),
    }


_REQUESTS = ("CommandRequest", "CommandResponse")
_ENUM_VALUE = Slot(Holds.ENUM_VALUE, required=True)
_MAP_SLOTS = {
    "mapKey": Slot(Holds.ELEMENT, required=True, classes=("MapKey",), same_version=True),
    "mapValue": Slot(Holds.ELEMENT, required=True, classes=("MapValue",), same_version=True),
}
_EVERYWHERE = {
    "CommandPayload", "SemanticUnit", "Unit", "UnitAttribute", "exponent", "languageMajorVersion",
    "symbol",
}  # fmt: skip
_FURTHER_TERMS = {
    2: _EVERYWHERE,
    3: _EVERYWHERE | {"DtdlExtension", "LatentType", "NamedLatentType", "metamodel", "model"},
}
