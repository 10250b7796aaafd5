"""Is this JSON value valid for this schema, and this document for its model?

Used wherever a value is about to be stored: inventory, patches, and the stub. Source: DTDL
specification, "Primitive schemas" and "Complex schemas"; Azure Digital Twins, "Twin document"
rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sync_agent.dtdl.elements import (
    ArraySchema,
    Component,
    Content,
    EnumSchema,
    Geometry,
    MapSchema,
    ObjectSchema,
    Primitive,
    Property,
    Relationship,
    Schema,
)
from sync_agent.dtdl.registry import ModelRegistry

DEPTH_MAX = 32
_LONG = 2**63
_INTEGER = 2**31
_DOUBLE_MAX = 1.7976931348623157e308
_FLOAT_MAX = 3.4028235e38

_OFFSET = r"(?:[Zz]|[+-]\d\d:\d\d)"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATE_TIME = re.compile(rf"\d{{4}}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?{_OFFSET}", re.ASCII)
_TIME = re.compile(rf"\d\d:\d\d:\d\d(?:\.\d+)?{_OFFSET}", re.ASCII)
_DURATION = re.compile(
    # Weeks go without years and months, and only the last number may have a fraction.
    r"-?P(?=.)(?:(?:\d+(?:\.\d+(?=Y$))?Y)?(?:\d+(?:\.\d+(?=M$))?M)?|\d+(?:\.\d+(?=W$))?W)"
    r"(?:\d+(?:\.\d+(?=D$))?D)?"
    r"(?:T(?=\d)(?:\d+(?:\.\d+(?=H$))?H)?(?:\d+(?:\.\d+(?=M$))?M)?(?:\d+(?:\.\d+)?S)?)?",
    re.ASCII,
)
_MAP_KEY = re.compile(r"[A-Za-z0-9_](?:.{0,510}[^\s])?", re.ASCII)

_GEOMETRY_DEPTH = {
    Geometry.POINT: ("Point", 1),
    Geometry.LINE_STRING: ("LineString", 2),
    Geometry.POLYGON: ("Polygon", 3),
    Geometry.MULTI_POINT: ("MultiPoint", 2),
    Geometry.MULTI_LINE_STRING: ("MultiLineString", 3),
    Geometry.MULTI_POLYGON: ("MultiPolygon", 4),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A part of a twin that its model does not allow.

    ``path`` is the name of the property or component (dotted inside one), ``owner`` the component
    it is on ("" for the twin itself), ``expected`` the schema's name where the type is wrong.
    """

    path: str
    message: str
    code: str
    owner: str = ""
    expected: str = ""


def check_value(schema: Schema, value: Any, depth: int = 0) -> str | None:
    """Return why a JSON value is not valid for a schema, or None when it is."""
    if depth > DEPTH_MAX:
        return f"is nested deeper than {DEPTH_MAX}"
    match schema:
        case Primitive():
            return _PRIMITIVES[schema](value)
        case Geometry():
            return _check_geometry(schema, value)
        case EnumSchema(values=allowed):
            if any(value == item and type(value) is type(item) for item in allowed):
                return None
            return f"{value!r} is not one of {', '.join(map(str, allowed))}"
        case ArraySchema(element=element):
            return _check_items(
                value,
                list,
                "an array",
                lambda: ((str(i), element, v) for i, v in enumerate(value)),
                depth,
            )
        case MapSchema(value=item):
            return _check_items(
                value, dict, "a map", lambda: ((k, item, v) for k, v in value.items()), depth
            )
        case ObjectSchema(fields=fields):
            if isinstance(value, dict):
                extra = next((k for k in value if k not in fields and not k.startswith("$")), None)
                if extra is not None:
                    return f"has no field {extra!r}"
            return _check_items(
                value,
                dict,
                "an object",
                lambda: ((k, fields[k], v) for k, v in value.items() if k in fields),
                depth,
            )


def schema_name(schema: Schema) -> str:
    """Return the schema's kind as DTDL spells it."""
    match schema:
        case Primitive() | Geometry():
            return schema.value
        case EnumSchema():
            return "enum"
        case ArraySchema():
            return "array"
        case MapSchema():
            return "map"
        case ObjectSchema():
            return "object"


def check_twin(registry: ModelRegistry, document: Mapping[str, Any]) -> tuple[Violation, ...]:
    """Check a whole twin document against its model: names, values and components.

    Codes: UnknownModel, UnknownProperty, WrongType, MissingComponent.
    """
    model = (document.get("$metadata") or {}).get("$model", "")
    if model not in registry or not registry.complete(model):
        message = f"{model} or one of its dependencies does not exist."
        return (Violation("$metadata.$model", message, "UnknownModel"),)
    found: list[Violation] = []
    _check_contents(registry, registry.contents(model), document, "", found)
    for name in registry.components(model):
        if name not in document:
            message = f"component {name} is not there; give at least an empty one"
            found.append(Violation(name, message, "MissingComponent"))
    return tuple(found)


def check_relationship(
    relationship: Relationship, properties: Mapping[str, Any]
) -> tuple[Violation, ...]:
    """Check the properties of an edge against the relationship its model declares."""
    found: list[Violation] = []
    for name, value in properties.items():
        _check_property(relationship.properties.get(name), name, value, "", found)
    return tuple(found)


def _check_contents(
    registry: ModelRegistry,
    contents: Mapping[str, Content],
    document: Mapping[str, Any],
    owner: str,
    found: list[Violation],
) -> None:
    for name, value in document.items():
        if name.startswith("$"):
            continue
        content = contents.get(name)
        if not isinstance(content, Component) or owner:
            _check_property(content, name, value, owner, found)
        elif isinstance(value, dict):
            _check_contents(registry, registry.contents(content.schema), value, name, found)
        else:
            message = f"{name} must be an object"
            found.append(Violation(name, message, "WrongType", expected="object"))


def _check_property(
    content: Content | None, name: str, value: Any, owner: str, found: list[Violation]
) -> None:
    if not isinstance(content, Property):
        message = f"{name} is no property of {owner or 'the model'}"
        found.append(Violation(name, message, "UnknownProperty", owner))
        return
    fault = check_value(content.schema, value)
    if fault is not None:
        expected = schema_name(content.schema)
        found.append(Violation(name, f"{name} {fault}", "WrongType", owner, expected))


def _check_items(
    value: Any,
    kind: type,
    kind_name: str,
    items: Callable[[], Iterator[tuple[str, Schema, Any]]],
    depth: int,
) -> str | None:
    if not isinstance(value, kind):
        return f"must be {kind_name}, not {_kind(value)}"
    for name, schema, item in items():
        if kind is dict and kind_name == "a map" and not _MAP_KEY.fullmatch(name):
            return f"has the key {name!r}, which a map does not allow"
        fault = check_value(schema, item, depth + 1)
        if fault is not None:
            return f"at {name}: {fault}"
    return None


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "an array"
        case _:
            return "an object"


def _text(expected: str, valid: Callable[[str], bool]) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if isinstance(value, str) and valid(value):
            return None
        shown = repr(value[:60]) if isinstance(value, str) else _kind(value)
        return f"must be {expected}, not {shown}"

    return check


def _check_boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {_kind(value)}"


def _real(bound: float) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"must be a number, not {_kind(value)}"
        if isinstance(value, float) and not math.isfinite(value):
            return "must be a finite number"
        return None if abs(value) <= bound else f"must be a number of {-bound} to {bound}"

    return check


def _whole(bound: int) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            given = value if isinstance(value, float) else _kind(value)
            return f"must be a whole number, not {given}"
        return None if -bound <= value < bound else f"must be {-bound} to {bound - 1}, not {value}"

    return check


def _is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and _parses(date.fromisoformat, text)


def _is_date_time(text: str) -> bool:
    return _DATE_TIME.fullmatch(text) is not None and _parses(datetime.fromisoformat, text.upper())


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None and _parses(time.fromisoformat, text.upper())


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


_PRIMITIVES: Mapping[Primitive, Callable[[Any], str | None]] = {
    Primitive.BOOLEAN: _check_boolean,
    Primitive.DATE: _text("a date such as 2026-01-31", _is_date),
    Primitive.DATE_TIME: _text("a date-time such as 2026-01-31T08:15:00Z", _is_date_time),
    Primitive.DOUBLE: _real(_DOUBLE_MAX),
    Primitive.DURATION: _text(
        "a duration such as PT15M", lambda text: _DURATION.fullmatch(text) is not None
    ),
    Primitive.FLOAT: _real(_FLOAT_MAX),
    Primitive.INTEGER: _whole(_INTEGER),
    Primitive.LONG: _whole(_LONG),
    Primitive.STRING: _text("text", lambda _: True),
    Primitive.TIME: _text("a time such as 08:15:00Z", _is_time),
}


def _check_geometry(schema: Geometry, value: Any) -> str | None:
    type_name, depth = _GEOMETRY_DEPTH[schema]
    if not isinstance(value, dict) or value.get("type") != type_name:
        return f"must be a GeoJSON {type_name}"
    if not _is_position_list(value.get("coordinates"), depth):
        return f"has coordinates that are not those of a GeoJSON {type_name}"
    return None


def _is_position_list(value: Any, depth: int) -> bool:
    if not isinstance(value, list):
        return False
    if depth == 1:
        return 2 <= len(value) <= 3 and all(_is_number(v) for v in value)
    return all(_is_position_list(item, depth - 1) for item in value)


def _is_number(value: Any) -> bool:
    return _PRIMITIVES[Primitive.DOUBLE](value) is None
