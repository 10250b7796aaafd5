"""Do the rules of a mapping fit the models and the columns there are?

Done once per rule, before any record, so that a mistake in the mapping is said once and not once
per record. A rule that does not fit makes nothing; its elements are held.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from collections.abc import Mapping as Attributes
from dataclasses import dataclass, field

from sync_agent.dtdl.dtmi import path_of
from sync_agent.dtdl.elements import (
    Component,
    Content,
    MapSchema,
    ObjectSchema,
    Primitive,
    Property,
    Schema,
)
from sync_agent.dtdl.elements import Relationship as RelationshipElement
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import InputError
from sync_agent.inventory.paths import Path
from sync_agent.inventory.record import RecordDiagnostic
from sync_agent.inventory.rules import Mapping, PropertyRule, TwinRule
from sync_agent.inventory.rules_file import nearest

APPLY_MODELS = (
    "correct the id (ids are case-sensitive), or apply the models: sync-agent models apply"
)
NAMES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class TypedRule:
    """A property rule with the schema its values have to fit."""

    rule: PropertyRule
    schema: Schema


@dataclass(frozen=True, slots=True)
class TypedTwinRule:
    """A twin rule against its model: typed properties, components to create, and what is wrong."""

    rule: TwinRule
    properties: tuple[TypedRule, ...] = ()
    components: tuple[str, ...] = ()
    faults: tuple[RecordDiagnostic, ...] = field(default=())


def check_columns(
    mapping: Mapping,
    columns: Attributes[str, Collection[str]],
    open_kinds: Collection[str] = (),
) -> None:
    """Check that every scope and column the mapping names is there.

    Records of an open kind may lack any column. ``site.name`` is there where ``site`` is, since a
    part of something empty is empty.

    Raises:
        InputError: one is not; the message names those that are.
    """
    for scope, column, key in mapping.columns():
        known = columns.get(scope)
        if known is None:
            raise InputError(
                f"{key}: there is no {scope} in the source",
                place=mapping.where(key),
                remedy=f"the source has {_listed(columns)}",
            )
        if scope in open_kinds or column.partition(".")[0] in known:
            continue
        if column not in known:
            raise InputError(
                f"{key}: {scope} has no column {column!r}{nearest(column, known)}",
                place=mapping.where(key),
                remedy=f"{scope} has {_listed(known)}",
            )


def typed(rule: TwinRule, mapping: Mapping, registry: ModelRegistry) -> TypedTwinRule:
    """Return a twin rule with the schemas of its model, or with what keeps it from having them."""

    def fault(key: str, message: str, remedy: str) -> RecordDiagnostic:
        return RecordDiagnostic(f"{mapping.where(key)}: {key}", message, remedy)

    if rule.model not in registry or not registry.complete(rule.model):
        what = _unknown_model(rule.model, registry)
        return TypedTwinRule(rule, faults=(fault(f"{rule.key}.model", what, APPLY_MODELS),))
    faults = []
    properties = []
    if _schema_or_none(registry, rule.model, mapping.owner.marker) is not Primitive.STRING:
        marker = ".".join(mapping.owner.marker)
        message = f"{rule.model} has no text {marker} to bear the name of its owner"
        faults.append(fault(rule.key, message, "name one with marker, or add one to the model"))
    for prop in rule.properties:
        try:
            properties.append(TypedRule(prop, schema_at(registry, rule.model, prop.path)))
        except ValueError as error:
            faults.append(fault(prop.key, str(error), "name a property of the model"))
    contents = registry.contents(rule.model).items()
    components = tuple(name for name, content in contents if isinstance(content, Component))
    return TypedTwinRule(rule, tuple(properties), components, tuple(faults))


def placeholder_faults(mapping: Mapping, registry: ModelRegistry) -> Iterator[RecordDiagnostic]:
    """Yield the relationship rules whose placeholders are of a model that is not there."""
    for rule in mapping.relationships:
        for model in {rule.source_placeholder, rule.target_placeholder} - {"", None}:
            if model is not None and model not in registry:
                key = f"{rule.key}.placeholder"
                place = f"{mapping.where(key)}: {key}"
                yield RecordDiagnostic(place, _unknown_model(model, registry), APPLY_MODELS)


def schema_at(registry: ModelRegistry, model: str, path: Path) -> Schema:
    """Return the schema of the value at a path of a twin.

    Raises:
        ValueError: there is no property at the path.
    """
    contents = registry.contents(model)
    content = contents.get(path[0])
    owner, rest = model, path[1:]
    if isinstance(content, Component) and rest:
        owner = f"component {path[0]}"
        contents = registry.contents(content.schema)
        content, rest = contents.get(rest[0]), rest[1:]
    if not isinstance(content, Property):
        name = path[len(path) - len(rest) - 1]
        hint = nearest(name, tuple(_property_names(contents)))
        raise ValueError(f"{name} is no property of {owner}{hint}")
    schema = content.schema
    for name in rest:
        schema = _part_of(schema, name, ".".join(path))
    return schema


def relationship_of(registry: ModelRegistry, model: str, name: str) -> RelationshipElement:
    """Return the relationship a model declares under a name.

    Raises:
        ValueError: it declares none.
    """
    contents = registry.contents(model)
    content = contents.get(name)
    if isinstance(content, RelationshipElement):
        return content
    known = [n for n, c in contents.items() if isinstance(c, RelationshipElement)]
    raise ValueError(f"{model} has no relationship {name}{nearest(name, known)}")


def _part_of(schema: Schema, name: str, path: str) -> Schema:
    match schema:
        case MapSchema(value=value):
            return value
        case ObjectSchema(fields=fields) if name in fields:
            return fields[name]
        case ObjectSchema(fields=fields):
            raise ValueError(f"{path}: there is no field {name}{nearest(name, tuple(fields))}")
        case _:
            raise ValueError(f"{path}: only maps and objects have parts")


def _schema_or_none(registry: ModelRegistry, model: str, path: Path) -> Schema | None:
    try:
        return schema_at(registry, model, path)
    except ValueError:
        return None


def _unknown_model(model: str, registry: ModelRegistry) -> str:
    if model in registry:
        return f"a model that {model} is built on does not exist"
    versions = [i for i in registry.ids if path_of(i) == path_of(model)]
    hint = f", but {', '.join(versions)}" if versions else nearest(model, registry.ids)
    return f"there is no model {model}{hint}"


def _property_names(contents: Attributes[str, Content]) -> Iterator[str]:
    return (name for name, content in contents.items() if isinstance(content, Property))


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:NAMES_SHOWN]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") if shown else "nothing"
