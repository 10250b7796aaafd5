"""The elements of a DTDL model as values: interfaces, their contents, and schemas.

Source: DTDL v2 and v3 specification. Only what the product acts on is kept; ``document`` of an
interface is the JSON it was read from, for upload and display.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias


class Primitive(StrEnum):
    """The primitive schemas of DTDL v2 and v3."""

    BOOLEAN = "boolean"
    DATE = "date"
    DATE_TIME = "dateTime"
    DOUBLE = "double"
    DURATION = "duration"
    FLOAT = "float"
    INTEGER = "integer"
    LONG = "long"
    STRING = "string"
    TIME = "time"


class Geometry(StrEnum):
    """The geospatial schemas, which hold GeoJSON geometries."""

    POINT = "point"
    LINE_STRING = "lineString"
    POLYGON = "polygon"
    MULTI_POINT = "multiPoint"
    MULTI_LINE_STRING = "multiLineString"
    MULTI_POLYGON = "multiPolygon"


@dataclass(frozen=True, slots=True)
class EnumSchema:
    """One of named values; ``value_schema`` is string or integer."""

    value_schema: Primitive
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ArraySchema:
    """A list of one kind of element."""

    element: Schema


@dataclass(frozen=True, slots=True)
class MapSchema:
    """Values by text key."""

    value: Schema


@dataclass(frozen=True, slots=True)
class ObjectSchema:
    """Named fields."""

    fields: Mapping[str, Schema]


Schema: TypeAlias = Primitive | Geometry | EnumSchema | ArraySchema | MapSchema | ObjectSchema


@dataclass(frozen=True, slots=True)
class Property:
    """A stored value of a twin or a relationship."""

    name: str
    schema: Schema
    semantic_types: tuple[str, ...] = ()
    unit: str = ""
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A value that is sent and not stored."""

    name: str
    schema: Schema
    semantic_types: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Relationship:
    """A kind of edge; ``target`` is the id of the interface it must lead to, "" for any."""

    name: str
    target: str = ""
    properties: Mapping[str, Property] = field(default_factory=dict)
    max_multiplicity: int | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """A part described by another interface, whose id is ``schema``."""

    name: str
    schema: str


@dataclass(frozen=True, slots=True)
class Command:
    """Something a device could be told to do; ADT refuses models that have one."""

    name: str


Content: TypeAlias = Property | Telemetry | Relationship | Component | Command


@dataclass(frozen=True, slots=True)
class Interface:
    """A model: ``contents`` are its own, by name, without what it inherits.

    ``extensions`` are the language extensions in force anywhere in it, ``nested`` the ids of
    interfaces that are defined inside its document, ``size`` how many elements its contents are
    made of.
    """

    id: str
    dtdl_version: int
    extends: tuple[str, ...]
    contents: Mapping[str, Content]
    document: Mapping[str, Any]
    display_name: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    size: int = 0
