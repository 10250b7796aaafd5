"""Types that are added to an element's own: semantic types and those of the extensions.

What such a type may stand on, which properties it brings and what it asks of the element is a row
here. Source: DTDL v2 specification; the DTDL v3 feature extensions QuantitativeTypes, Annotation,
Historization, Overriding, Requirement and MQTT; the IoT Central extension of v2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from sync_agent.dtdl.contexts import (
    ANNOTATION,
    HISTORIZATION,
    IOT_CENTRAL,
    IOT_OPERATIONS,
    MQTT,
    OVERRIDING,
    QUANTITATIVE_TYPES,
    REQUIREMENT,
    Context,
)
from sync_agent.dtdl.metamodel import GEOMETRIES, NUMBERS, PREDEFINED, Holds, Slot, metamodel
from sync_agent.dtdl.mqtt import VERSIONS as MQTT_VERSIONS
from sync_agent.dtdl.mqtt import mqtt_types
from sync_agent.dtdl.quantities import (
    PREFIX_FAMILIES,
    family_names,
    family_of_type,
    family_of_unit,
    prefixes,
)
from sync_agent.dtdl.supplement import Supplement

CENTRAL_FIELDS: Mapping[str, tuple[str, ...]] = {
    "geopoint": ("lat", "lon", "alt"),
    "vector": ("x", "y", "z"),
}
"""The fields of the schemas IoT Central predefines, all of them numbers."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a context defines beyond the language's classes, by term.

    ``supplements`` are the added types, ``units`` the family of each unit, ``elements`` the class
    of each predefined element, the language's own included, ``families`` the classes of units that
    stand in DTDL v2 beside the language's, and ``terms`` all of these and their properties.
    """

    supplements: Mapping[str, Supplement]
    units: Mapping[str, str]
    elements: Mapping[str, str]
    families: frozenset[str]
    terms: frozenset[str]


@cache
def vocabulary(context: Context) -> Vocabulary:
    """Return what a version of the language and the extensions in force define."""
    supplements = {s.name: s for s in _built_in(context.version)}
    units: Mapping[str, str] = {}
    elements = dict(PREDEFINED)
    families: frozenset[str] = frozenset()
    if context.version == 2:
        supplements |= _quantitative(2)
        units, families = family_of_unit(later=False), family_names(later=False) | PREFIX_FAMILIES
        elements |= {**dict.fromkeys(units, "Unit"), **_prefixes("UnitAttribute", later=False)}
    for extension in sorted(context.extensions):
        name, _, version = extension.partition(";")
        if name == QUANTITATIVE_TYPES:
            # Version 1 is for DTDL v3, the others for v4: in v3 the latter's types fit nowhere.
            # What DTDL v2 has itself it keeps.
            supplements = _quantitative(3 if version == "1" else 4) | supplements
            later = family_of_unit(later=True)
            units = units or later
            elements = {
                **dict.fromkeys(later, "EnumValue"),
                **_prefixes("EnumValue", later=True),
                **dict.fromkeys(family_names(later=True) | PREFIX_FAMILIES, "Enum"),
                **elements,
            }
        else:
            supplements |= {s.name: s for s in _ROWS[extension]}
            elements |= dict.fromkeys(CENTRAL_FIELDS if extension == IOT_CENTRAL else (), "Object")
    brought = {name for s in supplements.values() for name in s.slots}
    terms = frozenset({*supplements, *elements, *families, *brought})
    return Vocabulary(supplements, units, elements, families, terms)


def _built_in(version: int) -> list[Supplement]:
    """Return the types a version of the language brings itself."""
    versions = frozenset({version})
    types = [
        Supplement("SemanticType", _NOTHING, versions, abstract=True),
        Supplement("SemanticUnit", _NOTHING, versions, abstract=True),
    ]
    if version > 2:
        classes = frozenset(metamodel(version).classes)
        of_any = Slot(Holds.ELEMENT, required=True, named=True, classes=(*classes, *_BUILT_IN))
        types += [
            Supplement("AdjunctType", _NOTHING, versions, abstract=True),
            Supplement("Alias", classes, versions, {"aliasFor": of_any}),
        ]
    return types


def _prefixes(kind: str, *, later: bool) -> dict[str, str]:
    return dict.fromkeys(prefixes(later=later), kind)


def _quantitative(version: int) -> dict[str, Supplement]:
    """Return the semantic types for a language version, and what units are made of."""
    later, versions = version > 2, frozenset({version})
    stands_on, kind = (_V3_STANDS_ON, "EnumValue") if later else (_VALUES, "Unit")
    part = Slot(Holds.ELEMENT, required=True, named=later, classes=(kind,))
    prefix = Slot(Holds.ELEMENT, named=later, classes=(kind if later else "UnitAttribute",))
    types = [
        Supplement("QuantitativeType", stands_on, versions, abstract=True),
        Supplement("BinaryUnit", _of(kind), versions, {"baseUnit": part, "prefix": prefix}),
        Supplement("DecimalUnit", _of(kind), versions, {"baseUnit": part, "prefix": prefix}),
        Supplement("RatioUnit", _of(kind), versions, {"bottomUnit": part, "topUnit": part}),
    ]
    if later:
        symbol = {"symbol": Slot(Holds.TEXT, required=True)}
        exponent = {"exponent": Slot(Holds.INTEGER, required=True)}
        types += [
            Supplement("SymbolicUnit", _of(kind), versions, symbol),
            Supplement("UnitPrefix", _of(kind), versions, symbol | exponent),
        ]
    return {s.name: s for s in types} | {
        name: Supplement(
            name, stands_on, versions, _unit(family, kind), units=family, schemas=NUMBERS
        )
        for name, family in family_of_type(later=later).items()
    }


def _unit(family: str, kind: str, *, required: bool = True) -> dict[str, Slot]:
    named = kind == "EnumValue"
    slot = Slot(Holds.ELEMENT, required=required, named=named, units=family, classes=(kind,))
    return {"unit": slot}


def _of(*names: str) -> frozenset[str]:
    return frozenset(names)


_BUILT_IN = tuple(dict.fromkeys(PREDEFINED.values()))
_VALUES = frozenset({"Property", "Telemetry"})
_V3_STANDS_ON = _VALUES | {"CommandRequest", "CommandResponse", "Field", "MapValue"}
_V2 = frozenset({2})
_V3 = frozenset({3})
_V4 = frozenset({4})
_NAME_OF_ANOTHER = Slot(Holds.TEXT, required=True)
_VECTOR = frozenset({"vector"})
_VALUE_CLASSES = " ".join(sorted(_V3_STANDS_ON))
_NOTHING: frozenset[str] = frozenset()

_ROWS: Mapping[str, tuple[Supplement, ...]] = {
    **{
        f"{ANNOTATION};{version}": (
            Supplement(
                "ValueAnnotation",
                _VALUES,
                _V3,
                {"annotates": _NAME_OF_ANOTHER},
                origin=f"{ANNOTATION};{version}",
            ),
        )
        for version in (1, 2)
    },
    **{
        f"{HISTORIZATION};{version}": (Supplement("Historized", _VALUES, _V3),)
        for version in (1, 2)
    },
    **{
        f"{OVERRIDING};{version}": (
            Supplement(
                "Override",
                frozenset({"Property"}),
                _V3,
                {"overrides": Slot(Holds.IRI, required=True)},
                needs="ValueAnnotation",
                needs_of=f"{ANNOTATION};{version}",
            ),
        )
        for version in (1, 2)
    },
    **{f"{MQTT};{version}": mqtt_types(version) for version in MQTT_VERSIONS},
    f"{REQUIREMENT};1": (
        Supplement("Required", frozenset({"Field"}), _V3, origin=f"{REQUIREMENT};1"),
    ),
    f"{REQUIREMENT};2": (
        Supplement("Required", frozenset({"Field", "Property"}), _V3, origin=f"{REQUIREMENT};2"),
    ),
    IOT_CENTRAL: (
        Supplement(
            "AccelerationVector",
            _VALUES,
            _V2,
            _unit("AccelerationUnit", "Unit", required=False),
            units="AccelerationUnit",
            schemas=_VECTOR,
        ),
        Supplement(
            "VelocityVector",
            _VALUES,
            _V2,
            _unit("VelocityUnit", "Unit", required=False),
            units="VelocityUnit",
            schemas=_VECTOR,
        ),
        Supplement("Event", _VALUES, _V2, schemas=NUMBERS | {"string"}),
        Supplement("Location", _VALUES, _V2, schemas=frozenset({*GEOMETRIES, "geopoint"})),
        Supplement("State", _VALUES, _V2, schemas=frozenset({"Enum"})),
    ),
    # For DTDL v4: here its types are known, and fit nowhere.
    IOT_OPERATIONS: tuple(
        Supplement(name, frozenset(classes.split()), _V4)
        for name, classes in {
            "Composite": "Interface",
            "Congruence": "Array Enum Interface Map Object",
            "Detail": "Object",
            "Event": "Interface",
            "GroupMember": "Command",
            "HasCapability": "Relationship",
            "HasComponent": "Relationship",
            "Limited": _VALUE_CLASSES,
            "Precise": _VALUE_CLASSES,
            "Qualified": "Command Component Field Property Relationship Telemetry",
            "ScaledStatically": _VALUE_CLASSES,
            "Subject": "Field",
        }.items()
    ),
}
