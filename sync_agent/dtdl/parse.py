"""DTDL JSON to interfaces, with every diagnostic in one pass.

Documents are interfaces of DTDL v2 or v3. An interface with an error gives diagnostics and no
element, so what comes out is sound. Codes are the official parser's where it has one. Source: DTDL
v2 and v3 specification; Azure Digital Twins' restrictions stand apart, in ``adt_profile``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.dtmi import INTERFACE_ID_MAX, is_dtmi
from sync_agent.dtdl.elements import (
    ArraySchema,
    Command,
    Component,
    Content,
    EnumSchema,
    Geometry,
    Interface,
    MapSchema,
    ObjectSchema,
    Primitive,
    Property,
    Relationship,
    Schema,
    Telemetry,
)

CONTEXT_PREFIX = "dtmi:dtdl:context;"
VERSIONS = (2, 3)
SCHEMA_DEPTH_MAX = 5
TEXT_MAX = 512

_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """The counts and lengths a DTDL version allows (None: no limit of its own)."""

    name: int
    display_name: int
    contents: int
    extends: int
    fields: int | None
    enum_values: int | None


LIMITS: Mapping[int, Limits] = {
    2: Limits(name=64, display_name=64, contents=300, extends=2, fields=30, enum_values=100),
    3: Limits(
        name=512, display_name=512, contents=100_000, extends=1024, fields=None, enum_values=None
    ),
}


@dataclass(frozen=True, slots=True)
class ParseResult:
    """The sound interfaces and all findings, both in the documents' order."""

    interfaces: tuple[Interface, ...]
    diagnostics: tuple[Diagnostic, ...]


def parse_models(documents: Iterable[Any], *, source: str = "") -> ParseResult:
    """Read interface documents; ``source`` names where they come from."""
    interfaces: list[Interface] = []
    diagnostics: list[Diagnostic] = []
    seen: set[str] = set()
    for number, document in enumerate(documents):
        reader = _Reader(source=source or f"[{number}]")
        interface = reader.interface(document)
        if interface is not None and interface.id in seen:
            reader.report("duplicateDefinition", "/@id", f"{interface.id} is defined twice")
        if interface is not None and not reader.found:
            seen.add(interface.id)
            interfaces.append(interface)
        diagnostics += reader.found
    return ParseResult(tuple(interfaces), tuple(diagnostics))


@dataclass(slots=True)
class _Reader:
    """Reads one document; findings gather in ``found``."""

    source: str
    model: str = ""
    version: int = 3
    found: list[Diagnostic] = field(default_factory=list)
    schemas: dict[str, Any] = field(default_factory=dict)

    def report(self, code: str, pointer: str, message: str, remedy: str = "") -> None:
        self.found.append(Diagnostic(code, message, self.model, pointer, self.source, remedy))

    def interface(self, document: Any) -> Interface | None:
        if not isinstance(document, dict):
            self.report("notObject", "", "a model must be a JSON object")
            return None
        identifier = document.get("@id")
        if not isinstance(identifier, str) or not is_dtmi(identifier):
            given = "has no" if identifier is None else f"has {identifier!r}, which is no DTMI, as"
            self.report(
                "missingTopLevelId" if identifier is None else "invalidDtmi",
                "/@id",
                f"the model {given} @id",
                "give an @id such as dtmi:telecom:place:Site;1",
            )
            return None
        self.model = identifier
        if len(identifier) > INTERFACE_ID_MAX:
            self.report("idTooLong", "/@id", f"the id is longer than {INTERFACE_ID_MAX} characters")
        if not self._context(document.get("@context")):
            return None
        if "Interface" not in _as_list(document.get("@type")):
            self.report("notInterface", "/@type", "a top-level model must be an Interface")
            return None
        self._schemas(document.get("schemas"))
        limits = LIMITS[self.version]
        extends = self._extends(document.get("extends"))
        contents = self._contents(document.get("contents"))
        if len(contents) > limits.contents:
            self.report("contentsTooMany", "/contents", f"more than {limits.contents} contents")
        return Interface(
            id=identifier,
            dtdl_version=self.version,
            extends=extends,
            contents=contents,
            document=document,
            display_name=self._language_map(document, "displayName", limits.display_name, ""),
            description=self._language_map(document, "description", TEXT_MAX, ""),
        )

    def _context(self, context: Any) -> bool:
        terms = [term for term in _as_list(context) if isinstance(term, str)]
        versions = [t[len(CONTEXT_PREFIX) :] for t in terms if t.startswith(CONTEXT_PREFIX)]
        if not versions:
            self.report(
                "missingContext",
                "/@context",
                "the model has no @context of DTDL",
                f"give @context {CONTEXT_PREFIX}3",
            )
            return False
        if versions[0] not in [str(version) for version in VERSIONS]:
            self.report(
                "unsupportedContextVersion", "/@context", f"DTDL version {versions[0]} is not known"
            )
            return False
        self.version = int(versions[0])
        return True

    def _schemas(self, schemas: Any) -> None:
        for number, schema in enumerate(_as_list(schemas)):
            if isinstance(schema, dict) and isinstance(schema.get("@id"), str):
                self.schemas[schema["@id"]] = schema
            else:
                self.report(
                    "missingId",
                    f"/schemas/{number}",
                    "a schema in `schemas` needs an @id to refer to",
                )

    def _extends(self, extends: Any) -> tuple[str, ...]:
        bases = _as_list(extends)
        names = tuple(base for base in bases if isinstance(base, str))
        for number, base in enumerate(bases):
            if not isinstance(base, str) or not is_dtmi(base):
                self.report("badDtmi", f"/extends/{number}", f"{base!r} is not the id of a model")
        if self.model in names:
            self.report("recursiveExtends", "/extends", "the model extends itself")
        if len(names) > LIMITS[self.version].extends:
            self.report(
                "extendsTooMany", "/extends", f"more than {LIMITS[self.version].extends} bases"
            )
        return names

    def _contents(self, contents: Any) -> dict[str, Content]:
        result: dict[str, Content] = {}
        for number, item in enumerate(_as_list(contents)):
            pointer = f"/contents/{number}"
            if not isinstance(item, dict):
                self.report("notObject", pointer, "a content must be a JSON object")
                continue
            name = self._name(item, pointer)
            content = self._content(name, item, pointer)
            if content is None:
                continue
            if name in result:
                self.report("nonUniquePropertyValue", pointer, f"the name {name!r} is used twice")
            result[name] = content
        return result

    def _content(self, name: str, item: Mapping[str, Any], pointer: str) -> Content | None:
        types = [t for t in _as_list(item.get("@type")) if isinstance(t, str)]
        kind = next((t for t in types if t in _KINDS), None)
        if kind is None:
            self.report(
                "invalidType", f"{pointer}/@type", f"{name or 'content'} is of no kind of content"
            )
            return None
        unknown = sorted(k for k in item if k not in _KNOWN_KEYS[kind] and not _is_extension(k))
        for key in unknown:
            self.report(
                "improperPropertyName", f"{pointer}/{key}", f"{kind} {name!r} has no {key!r}"
            )
        self._language_map(item, "displayName", LIMITS[self.version].display_name, pointer)
        self._language_map(item, "description", TEXT_MAX, pointer)
        semantic = tuple(t for t in types if t != kind)
        return _KINDS[kind](self, name, item, pointer, semantic)

    def property(
        self, name: str, item: Mapping[str, Any], pointer: str, semantic: tuple[str, ...]
    ) -> Property:
        schema = self.schema(item.get("schema"), f"{pointer}/schema", name)
        if self.version == 2 and isinstance(schema, ArraySchema):
            self.report(
                "arrayProperty", f"{pointer}/schema", f"property {name!r} may not be an array in v2"
            )
        return Property(
            name, schema, semantic, str(item.get("unit") or ""), item.get("writable") is True
        )

    def telemetry(
        self, name: str, item: Mapping[str, Any], pointer: str, semantic: tuple[str, ...]
    ) -> Telemetry:
        schema = self.schema(item.get("schema"), f"{pointer}/schema", name)
        return Telemetry(name, schema, semantic, str(item.get("unit") or ""))

    def relationship(
        self, name: str, item: Mapping[str, Any], pointer: str, _: tuple[str, ...]
    ) -> Relationship:
        target = item.get("target", "")
        if target and (not isinstance(target, str) or not is_dtmi(target)):
            self.report("badDtmi", f"{pointer}/target", f"{target!r} is not the id of a model")
            target = ""
        if item.get("minMultiplicity") not in (None, 0):
            self.report("minMultiplicity", f"{pointer}/minMultiplicity", "only 0 is allowed")
        maximum = item.get("maxMultiplicity")
        if maximum is not None and (not _is_count(maximum) or maximum < 1):
            self.report("maxMultiplicity", f"{pointer}/maxMultiplicity", "must be at least 1")
            maximum = None
        properties: dict[str, Property] = {}
        for number, inner in enumerate(_as_list(item.get("properties"))):
            place = f"{pointer}/properties/{number}"
            content = (
                self._content(self._name(inner, place), inner, place)
                if isinstance(inner, dict)
                else None
            )
            if isinstance(content, Property):
                properties[content.name] = content
            elif content is not None or not isinstance(inner, dict):
                self.report("invalidType", place, "a relationship holds only properties")
        return Relationship(name, target, properties, maximum)

    def component(
        self, name: str, item: Mapping[str, Any], pointer: str, _: tuple[str, ...]
    ) -> Component | None:
        schema = item.get("schema")
        if not isinstance(schema, str):
            self.report(
                "missingRequiredProperty" if schema is None else "inlineInterface",
                f"{pointer}/schema",
                f"component {name!r} must name an interface by its id",
            )
            return None
        if not is_dtmi(schema):
            self.report("invalidSchema", f"{pointer}/schema", _no_schema(self.model, name, schema))
            return None
        return Component(name, schema)

    def command(
        self, name: str, _item: Mapping[str, Any], _pointer: str, _: tuple[str, ...]
    ) -> Command:
        return Command(name)

    def schema(self, schema: Any, pointer: str, name: str, depth: int = 0) -> Schema:
        """Read a schema; an unusable one is reported and stands as text."""
        if isinstance(schema, str):
            if schema in _PRIMITIVE_NAMES:
                return Primitive(schema)
            if schema in _GEOMETRY_NAMES:
                return Geometry(schema)
            if schema in self.schemas:
                if depth > SCHEMA_DEPTH_MAX:
                    self.report("excessiveDepth", pointer, f"deeper than {SCHEMA_DEPTH_MAX}")
                    return Primitive.STRING
                return self.schema(self.schemas[schema], pointer, name, depth)
            self.report("invalidSchema", pointer, _no_schema(self.model, name, schema))
            return Primitive.STRING
        if not isinstance(schema, dict):
            self.report("missingRequiredProperty", pointer, f"{name!r} needs a schema")
            return Primitive.STRING
        return self._complex(schema, pointer, name, depth + 1)

    def _complex(self, schema: Mapping[str, Any], pointer: str, name: str, depth: int) -> Schema:
        if depth > SCHEMA_DEPTH_MAX:
            self.report("excessiveDepth", pointer, f"schemas nest deeper than {SCHEMA_DEPTH_MAX}")
            return Primitive.STRING
        kinds = [t for t in _as_list(schema.get("@type")) if isinstance(t, str)]
        if "Array" in kinds:
            element = schema.get("elementSchema")
            return ArraySchema(self.schema(element, f"{pointer}/elementSchema", name, depth))
        if "Map" in kinds:
            return self._map(schema, pointer, name, depth)
        if "Enum" in kinds:
            return self._enum(schema, pointer, name)
        if "Object" in kinds:
            return self._object(schema, pointer, depth)
        self.report("invalidSchema", pointer, f"the schema of {name!r} is of no known kind")
        return Primitive.STRING

    def _map(self, schema: Mapping[str, Any], pointer: str, name: str, depth: int) -> MapSchema:
        key, value = schema.get("mapKey"), schema.get("mapValue")
        if not isinstance(key, dict) or not isinstance(value, dict):
            self.report(
                "missingRequiredProperty", pointer, f"map {name!r} needs mapKey and mapValue"
            )
            return MapSchema(Primitive.STRING)
        if key.get("schema") != "string":
            self.report("mapKey", f"{pointer}/mapKey", "the key of a map must be a string")
        return MapSchema(
            self.schema(value.get("schema"), f"{pointer}/mapValue/schema", name, depth)
        )

    def _enum(self, schema: Mapping[str, Any], pointer: str, name: str) -> EnumSchema:
        value_schema = schema.get("valueSchema")
        if value_schema not in ("string", "integer"):
            self.report(
                "valueSchema", f"{pointer}/valueSchema", f"enum {name!r} must be string or integer"
            )
            value_schema = "string"
        expected = str if value_schema == "string" else int
        values: list[str | int] = []
        for number, item in enumerate(_as_list(schema.get("enumValues"))):
            place = f"{pointer}/enumValues/{number}"
            value = item.get("enumValue") if isinstance(item, dict) else None
            if not isinstance(value, expected) or isinstance(value, bool):
                self.report("invalidEnumValue", place, f"the value must be of {value_schema}")
            elif value in values:
                self.report("nonUniquePropertyValue", place, f"the value {value!r} is used twice")
            else:
                values.append(value)
            if isinstance(item, dict):
                self._name(item, place)
        limit = LIMITS[self.version].enum_values
        if limit is not None and len(values) > limit:
            self.report("enumValuesTooMany", pointer, f"more than {limit} values")
        return EnumSchema(Primitive(value_schema), tuple(values))

    def _object(self, schema: Mapping[str, Any], pointer: str, depth: int) -> ObjectSchema:
        fields: dict[str, Schema] = {}
        for number, item in enumerate(_as_list(schema.get("fields"))):
            place = f"{pointer}/fields/{number}"
            if not isinstance(item, dict):
                self.report("notObject", place, "a field must be a JSON object")
                continue
            name = self._name(item, place)
            if name in fields:
                self.report("nonUniquePropertyValue", place, f"the name {name!r} is used twice")
            fields[name] = self.schema(item.get("schema"), f"{place}/schema", name, depth)
        limit = LIMITS[self.version].fields
        if limit is not None and len(fields) > limit:
            self.report("fieldsTooMany", pointer, f"more than {limit} fields")
        return ObjectSchema(fields)

    def _name(self, item: Mapping[str, Any], pointer: str) -> str:
        name = item.get("name")
        limit = LIMITS[self.version].name
        if not isinstance(name, str):
            self.report("missingRequiredProperty", pointer, "a name is missing")
            return ""
        if not _NAME.fullmatch(name) or len(name) > limit:
            self.report(
                "invalidName",
                f"{pointer}/name",
                f"{name!r} is not a name",
                f"letters, digits and _, first a letter, last no _, at most {limit}",
            )
        return name

    def _language_map(
        self, item: Mapping[str, Any], key: str, limit: int, pointer: str
    ) -> dict[str, str]:
        value = item.get(key)
        if value is None:
            return {}
        texts = {"en": value} if isinstance(value, str) else value
        if not isinstance(texts, dict) or not all(isinstance(t, str) for t in texts.values()):
            self.report("notLangString", f"{pointer}/{key}", f"{key} must be text")
            return {}
        if any(len(text) > limit for text in texts.values()):
            self.report("stringTooLong", f"{pointer}/{key}", f"{key} is longer than {limit}")
        return texts


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_extension(key: str) -> bool:
    # A term of an extension is spelled out as a DTMI or an IRI where its context is not given.
    return ":" in key


def _no_schema(model: str, name: str, schema: str) -> str:
    return (
        f"{name!r} of {model} has the schema {schema!r}, which is neither an id nor a known schema"
    )


_PRIMITIVE_NAMES = frozenset(primitive.value for primitive in Primitive)
_GEOMETRY_NAMES = frozenset(geometry.value for geometry in Geometry)
_Read = Callable[[_Reader, str, Mapping[str, Any], str, tuple[str, ...]], Content | None]
_KINDS: Mapping[str, _Read] = {
    "Property": _Reader.property,
    "Telemetry": _Reader.telemetry,
    "Relationship": _Reader.relationship,
    "Component": _Reader.component,
    "Command": _Reader.command,
}
_COMMON_KEYS = frozenset({"@id", "@type", "name", "comment", "description", "displayName"})
_KNOWN_KEYS: Mapping[str, frozenset[str]] = {
    "Property": _COMMON_KEYS | {"schema", "unit", "writable", "annotates"},
    "Telemetry": _COMMON_KEYS | {"schema", "unit", "annotates"},
    "Relationship": _COMMON_KEYS
    | {"target", "properties", "minMultiplicity", "maxMultiplicity", "writable"},
    "Component": _COMMON_KEYS | {"schema"},
    "Command": _COMMON_KEYS | {"request", "response", "commandType"},
}


def iter_models(value: Any) -> Iterator[Any]:
    """Yield the models of a JSON file, which holds one or an array of them."""
    yield from value if isinstance(value, list) else [value]
