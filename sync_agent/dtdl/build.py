"""Sound nodes to the elements the rest of the product works with."""

from __future__ import annotations

from dataclasses import dataclass, field

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
from sync_agent.dtdl.extensions import CENTRAL_FIELDS
from sync_agent.dtdl.metamodel import GEOMETRIES, SIZED_SLOTS
from sync_agent.dtdl.nodes import Node
from sync_agent.dtdl.quantities import FAMILY_NAMES, PREFIX_FAMILIES, members


def interface_of(node: Node) -> Interface:
    """Return the interface of a node that has no finding."""
    inside = _inside(node)
    own = (inner.context.extensions for inner in inside if inner.partition is node)
    return Interface(
        id=node.id,
        dtdl_version=node.context.version,
        extends=tuple(_ids(node, "extends")),
        contents=_Builder().contents(node),
        document=node.json,
        display_name=node.literals.get("displayName", {}),
        description=node.literals.get("description", {}),
        extensions=tuple(sorted(node.context.extensions.union(*own))),
        nested=tuple(inner.id for inner in inside if inner.kind == "Interface"),
        size=_size(node, {}),
    )


def _ids(node: Node, slot: str) -> list[str]:
    return [item.id for item in node.elements.get(slot, ())]


def _inside(node: Node) -> list[Node]:
    """Return the elements written inside one, those of interfaces nested in it included."""
    found = list(node.children())
    for inner in found:  # grows while it is walked
        found += inner.children()
    return found


def _size(node: Node, known: dict[int, int]) -> int:
    """Return how many elements stand under one, each as often as it is referred to."""
    if id(node) not in known:
        known[id(node)] = sum(
            1 + (0 if inner.kind == "Interface" else _size(inner, known))
            for slot in node.elements.keys() & SIZED_SLOTS
            for inner in node.held(slot)
        )
    return known[id(node)]


@dataclass(slots=True)
class _Builder:
    """Builds the contents of one interface; a schema that is referred to often is built once."""

    built: dict[int, Schema] = field(default_factory=dict)

    def contents(self, node: Node) -> dict[str, Content]:
        return {content.name: self._content(content) for content in node.held("contents")}

    def _content(self, node: Node) -> Content:
        match node.kind:
            case "Property":
                return self._property(node)
            case "Telemetry":
                schema = self._schema_in(node)
                return Telemetry(node.name, schema, _semantic_types(node), _unit(node))
            case "Relationship":
                return Relationship(
                    node.name,
                    node.literals.get("target", ""),
                    {inner.name: self._property(inner) for inner in node.held("properties")},
                    node.literals.get("maxMultiplicity"),
                )
            case "Component":
                return Component(node.name, _ids(node, "schema")[0])
            case _:
                return Command(node.name)

    def _property(self, node: Node) -> Property:
        return Property(
            node.name,
            self._schema_in(node),
            _semantic_types(node),
            _unit(node),
            node.literals.get("writable", False),
        )

    def _schema_in(self, node: Node, slot: str = "schema") -> Schema:
        inner = next(node.held(slot))
        if id(inner) not in self.built:
            self.built[id(inner)] = self._schema(inner)
        return self.built[id(inner)]

    def _schema(self, node: Node) -> Schema:
        match node.kind:
            case "Array":
                return ArraySchema(self._schema_in(node, "elementSchema"))
            case "Map":
                return MapSchema(self._schema_in(next(node.held("mapValue"))))
            case "Enum":
                (value_schema,) = node.held("valueSchema")
                values = tuple(item.literals["enumValue"] for item in node.held("enumValues"))
                return EnumSchema(Primitive(value_schema.kind), values)
            case "Object":
                fields = {item.name: self._schema_in(item) for item in node.held("fields")}
                return ObjectSchema(fields)
            case kind:
                return _predefined(kind)


def _semantic_types(node: Node) -> tuple[str, ...]:
    return tuple(supplement.name for supplement in node.supplements)


def _unit(node: Node) -> str:
    return next((unit.kind for unit in node.held("unit")), "")


def _predefined(term: str) -> Schema:
    if term in GEOMETRIES:
        return Geometry(term)
    if term in FAMILY_NAMES or term in PREFIX_FAMILIES:
        return EnumSchema(Primitive.STRING, members(term))
    if term in CENTRAL_FIELDS:
        return ObjectSchema(dict.fromkeys(CENTRAL_FIELDS[term], Primitive.DOUBLE))
    return Primitive(term)
