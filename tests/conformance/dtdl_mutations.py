"""DTDL documents, sound ones, and what becomes of them when one thing in them is another.

The changes are drawn from a seed: a part goes, comes twice or takes the place of another, a key
comes or gets another name, a value becomes one that is near a rule's edge.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from tests.unit.dtdl.documents import (
    ANNOTATION,
    HISTORIZATION,
    OVERRIDING,
    QUANTITATIVE,
    component,
    enum,
    interface,
    prop,
)

V2, V3 = "dtmi:dtdl:context;2", "dtmi:dtdl:context;3"
MQTT, REQUIREMENT = "dtmi:dtdl:extension:mqtt;1", "dtmi:dtdl:extension:requirement;1"
CENTRAL = "dtmi:iotcentral:context;2"
EXTENSIONS = [QUANTITATIVE, ANNOTATION, HISTORIZATION, OVERRIDING, MQTT, REQUIREMENT, CENTRAL]

Path = tuple[str | int, ...]


def _of(*types: str, name: str = "x", **more: Any) -> dict[str, Any]:
    return {"@type": list(types), "name": name, **more}


def _values(version: int) -> list[Any]:
    """Return the contents that both versions know."""
    map_ = {
        "@id": "dtmi:t:Map;1",
        "@type": "Map",
        "mapKey": {"name": "k", "schema": "string"},
        "mapValue": {"name": "v", "schema": "long"},
    }
    link = {"minMultiplicity": 0, "maxMultiplicity": 5, "properties": [prop("since", "date")]}
    part = interface(prop("q"), id="Part", version=version)
    contents = [
        prop("level", enum(1, 2, kind="integer"), writable=True, displayName={"en": "Level"}),
        _of("Telemetry", name="deep", schema={"@type": "Array", "elementSchema": "dtmi:t:Map;1"}),
        _of("Relationship", name="link", target="dtmi:t:Thing;1", **link),
        component("inner", {k: v for k, v in part.items() if k != "@context"}),
        _of("Command", name="run", request={"name": "r", "schema": "dtmi:t:Map;1"}),
        prop("box", {"@type": "Object", "fields": [{"name": "f", "schema": "time"}]}),
    ]
    texts: dict[str, Any] = {"description": "x", "comment": "y", "extends": "dtmi:t:Base;1"}
    base = interface(_of("Telemetry", name="old", schema="boolean"), id="Base", version=version)
    return [interface(*contents, version=version, schemas=[map_], **texts), base]


def _annotated() -> list[Any]:
    contents = [
        _of("Telemetry", "Temperature", "Historized", name="t", schema="double", unit="kelvin"),
        _of("Property", "ValueAnnotation", name="note", annotates="t", schema="string"),
    ]
    override = _of(
        "Property", "ValueAnnotation", "Override",
        name="unit", annotates="t", overrides="unit", schema="TemperatureUnit",
    )  # fmt: skip
    extensions = (QUANTITATIVE, ANNOTATION, OVERRIDING, HISTORIZATION)
    return [interface(*contents, override, extensions=extensions)]


def _messages() -> list[Any]:
    field = _of("Field", "Indexed", "Required", name="f", schema="integer", index=1)
    telemetry = _of("Telemetry", "Indexed", schema={"@type": "Object", "fields": [field]}, index=1)
    document = interface(telemetry, extensions=(MQTT, REQUIREMENT), payloadFormat="json")
    return [document | {"@type": ["Interface", "Mqtt"], "telemetryTopic": "a/{b}"}]


def _central() -> list[Any]:
    contents = [
        _of("Telemetry", "AccelerationVector", name="a", schema="vector", unit="gForce"),
        _of("Property", "Location", name="l", schema="geopoint"),
        _of("Telemetry", "State", name="s", schema=enum("on", "off")),
        _of("Property", "Length", name="d", schema="float", unit="metre"),
    ]
    return [interface(*contents, version=2, extensions=(CENTRAL,))]


SOUND = [_values(2), _values(3), _annotated(), _messages(), _central()]

_TEXTS = ["", "a b", "_a", "a_", "9a", "é", "x" * 64, "x" * 65, "x" * 512, "x" * 513, "unit"]
_IDS = [
    "dtmi:t:x", "dtmi:t:x;0", "dtmi:t:x;1.2", "dtmi:t:x;1#a", "dtmi:t:_x;1", "dtmi:dtdl:x;1",
    "dtmi:t::x;1", "urn:x", f"dtmi:t:{'x' * 119};1", f"dtmi:t:{'x' * 120};1", "dtmi:t:Base;1",
    "dtmi:t:Thing;1", "dtmi:t:Map;1", "dtmi:standard:unit:metre;2", None, 3,
]  # fmt: skip
_TYPES = [
    "Interface", "Property", "Telemetry", "Field", "Array", "String", "Schema", "Unit", "integer",
    "Temperature", "Length", "QuantitativeType", "SemanticType", "LengthUnit", "Historized",
    "ValueAnnotation", "Override", "Required", "Indexed", "Mqtt", "State", "Alias", "Nothing",
    "dtmi:dtdl:class:Property;2", "dtmi:dtdl:class:Property;3", "dtmi:t:Nothing;1", "a:b", "",
]  # fmt: skip
_SCHEMAS = [
    "integer", "point", "multiPolygon", "vector", "LengthUnit", "Property", "metre", "nothing",
    "dtmi:t:Map;1", "dtmi:t:Base;1", "dtmi:t:Nowhere;1", "dtmi:dtdl:instance:Schema:long;2",
    {"@type": "Array", "elementSchema": "dtmi:t:Map;1"}, {"@type": "Enum"}, {}, 5,
]  # fmt: skip
_KEYS = [
    "colour", "@graph", "@value", "@language", "unit", "name", "schema", "target", "fields",
    "extends", "index", "annotates", "comment", "displayName", "dtmi:dtdl:property:name;3",
    "dtmi:t:x;1", "http://example.com/x",
]  # fmt: skip
_LANGUAGES = ["en", "en-US", "EN", "english", "zh-Hans", "@value", "", "es-419", "x_y"]
_ODD_CONTEXTS = [
    "dtmi:dtdl:context;9", "dtmi:dtdl:context;03", "dtmi:dtdl:context", "dtmi:t:ext;1", "foo",
    "dtmi:dtdl:extension:annotation;9", "dtmi:dtdl:context;3#limits", {"a": "dtmi:t:x;1"}, 3, [],
]  # fmt: skip
_SCALARS: list[Any] = [None, True, -1, 0, 1, 501, 2**31, 1.5, "x", [], {}]


def mutations(seed: int, count: int) -> Iterator[list[Any]]:
    """Yield documents of which each differs in one thing from a sound one."""
    rng = random.Random(seed)
    for _ in range(count):
        documents = copy.deepcopy(rng.choice(SOUND))
        path = rng.choice([p for p in _paths(documents) if p])
        rng.choice([_fitting, _fitting, _fitting, _wrapped, _without, _with_key, _renamed, _twice])(
            rng, documents, path
        )
        yield documents


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _paths(inner, (*path, number))


def _at(documents: Any, path: Path) -> Any:
    for key in path:
        documents = documents[key]
    return documents


def _put(documents: Any, path: Path, value: Any) -> None:
    _at(documents, path[:-1])[path[-1]] = value


def _object(rng: random.Random, documents: Any) -> dict[str, Any]:
    objects = [o for p in _paths(documents) if isinstance(o := _at(documents, p), dict)]
    return rng.choice(objects)


def _fit(rng: random.Random, key: str | int, value: Any) -> Any:
    match key:
        case "@context":
            language = rng.choice([[V2], [V3], [V2, V3], [V3, V2], [CENTRAL, V2], []])
            odd = rng.sample(_ODD_CONTEXTS, rng.randint(0, 1))
            return [*language, *odd, *rng.sample(EXTENSIONS, rng.randint(0, 3))]
        case "@type":
            listed = value if isinstance(value, list) else [value]
            return rng.choice([rng.choice(_TYPES), [*listed, rng.choice(_TYPES)], [], None])
        case "@id" | "target" | "extends":
            return rng.choice(_IDS)
        case "schema" | "elementSchema" | "valueSchema":
            return rng.choice(_SCHEMAS)
        case "unit":
            return rng.choice(["metre", "kelvin", "gForce", "kilo", "nothing", "dtmi:t:x;1", {}])
        case "displayName" | "description":
            languages = {rng.choice(_LANGUAGES): rng.choice(_TEXTS) for _ in range(2)}
            tagged = [{"@value": "x", "@language": rng.choice(_LANGUAGES)}]
            return rng.choice([languages, tagged, rng.choice(_TEXTS)])
        case _:
            return rng.choice(_TEXTS if isinstance(value, str) else _SCALARS)


def _fitting(rng: random.Random, documents: Any, path: Path) -> None:
    _put(documents, path, _fit(rng, path[-1], _at(documents, path)))


def _wrapped(rng: random.Random, documents: Any, path: Path) -> None:
    value = _at(documents, path)
    typed = {"@value": value, "@type": f"xsd:{rng.choice(['string', 'integer', 'boolean'])}"}
    _put(documents, path, rng.choice([[value], [value, value], typed, *_SCALARS]))


def _without(rng: random.Random, documents: Any, path: Path) -> None:
    del _at(documents, path[:-1])[path[-1]]


def _with_key(rng: random.Random, documents: Any, path: Path) -> None:
    key = rng.choice([*_KEYS, "@context", "@id", "@type"])
    _object(rng, documents)[key] = _fit(rng, key, rng.choice(["x", 1]))


def _renamed(rng: random.Random, documents: Any, path: Path) -> None:
    of = _object(rng, documents)
    of[rng.choice(_KEYS)] = of.pop(rng.choice(list(of)))


def _twice(rng: random.Random, documents: Any, path: Path) -> None:
    lists = [v for p in _paths(documents) if isinstance(v := _at(documents, p), list) and v]
    chosen = rng.choice(lists)
    chosen.insert(rng.randint(0, len(chosen)), copy.deepcopy(rng.choice(chosen)))
