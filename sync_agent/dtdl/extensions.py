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
    MQTT,
    OVERRIDING,
    QUANTITATIVE_TYPES,
    REQUIREMENT,
    Context,
)
from sync_agent.dtdl.metamodel import GEOMETRIES, NUMBERS, Holds, Slot
from sync_agent.dtdl.mqtt import VERSIONS as MQTT_VERSIONS
from sync_agent.dtdl.mqtt import mqtt_types
from sync_agent.dtdl.quantities import FAMILY_NAMES, PREFIXES, family_of_type, family_of_unit
from sync_agent.dtdl.supplement import Supplement

CENTRAL_FIELDS: Mapping[str, tuple[str, ...]] = {
    "geopoint": ("lat", "lon", "alt"),
    "vector": ("x", "y", "z"),
}
"""The fields of the schemas IoT Central predefines, all of them numbers."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the extensions of a context define: types, units, schemas, and all their terms."""

    supplements: Mapping[str, Supplement]
    units: Mapping[str, str]
    schemas: frozenset[str]
    terms: frozenset[str]


@cache
def vocabulary(context: Context) -> Vocabulary:
    """Return what the extensions in force define."""
    schemas: frozenset[str] = frozenset()
    abstract = Supplement("SemanticType", _ANY, frozenset({context.version}), abstract=True)
    supplements = {abstract.name: abstract}
    units: Mapping[str, str] = {}
    if context.version == 2:
        supplements |= _quantitative(_V2_STANDS_ON, 2, later=False)
        units = family_of_unit(later=False)
    for extension in sorted(context.extensions):
        name, _, version = extension.partition(";")
        if name == QUANTITATIVE_TYPES:
            # Version 1 is for DTDL v3, version 2 for v4: in v3 the latter's types fit nowhere.
            supplements |= _quantitative(_V3_STANDS_ON, int(version) + 2, later=True)
            units = family_of_unit(later=True)
            schemas |= FAMILY_NAMES
        else:
            supplements |= {s.name: s for s in _ROWS[extension]}
            schemas |= CENTRAL_FIELDS.keys() if extension == IOT_CENTRAL else frozenset()
    terms = {*supplements, *units, *schemas} | {
        n for s in supplements.values() for n in s.slot_names
    }
    if units:
        terms |= PREFIXES | FAMILY_NAMES
    return Vocabulary(supplements, units, schemas, frozenset(terms))


def _quantitative(stands_on: frozenset[str], version: int, *, later: bool) -> dict[str, Supplement]:
    versions = frozenset({version})
    abstract = Supplement("QuantitativeType", stands_on, versions, abstract=True)
    return {abstract.name: abstract} | {
        name: Supplement(name, stands_on, versions, units=family, schemas=NUMBERS)
        for name, family in family_of_type(later=later).items()
    }


_VALUES = frozenset({"Property", "Telemetry"})
_V2_STANDS_ON = _VALUES
_V3_STANDS_ON = _VALUES | {"CommandRequest", "CommandResponse", "Field", "MapValue"}
_V2 = frozenset({2})
_V3 = frozenset({3})
_NAME_OF_ANOTHER = Slot(Holds.TEXT, required=True)
_VECTOR = frozenset({"vector"})
_ANY: frozenset[str] = frozenset()

_ROWS: Mapping[str, tuple[Supplement, ...]] = {
    **{
        f"{ANNOTATION};{version}": (
            Supplement("ValueAnnotation", _VALUES, _V3, {"annotates": _NAME_OF_ANOTHER}),
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
                {"overrides": _NAME_OF_ANOTHER},
                needs="ValueAnnotation",
            ),
        )
        for version in (1, 2)
    },
    **{f"{MQTT};{version}": mqtt_types(version) for version in MQTT_VERSIONS},
    f"{REQUIREMENT};1": (Supplement("Required", frozenset({"Field"}), _V3),),
    f"{REQUIREMENT};2": (Supplement("Required", frozenset({"Field", "Property"}), _V3),),
    IOT_CENTRAL: (
        Supplement(
            "AccelerationVector",
            _VALUES,
            _V2,
            units="AccelerationUnit",
            unit_required=False,
            schemas=_VECTOR,
        ),
        Supplement(
            "VelocityVector",
            _VALUES,
            _V2,
            units="VelocityUnit",
            unit_required=False,
            schemas=_VECTOR,
        ),
        Supplement("Event", _VALUES, _V2, schemas=NUMBERS | {"string"}),
        Supplement("Location", _VALUES, _V2, schemas=frozenset({*GEOMETRIES, "geopoint"})),
        Supplement("State", _VALUES, _V2, schemas=frozenset({"Enum"})),
    ),
}
