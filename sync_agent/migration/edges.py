"""The relationships of a twin that changes its model: which writes, before and after the twin's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec import structs

from sync_agent.dtdl.elements import Relationship as Definition
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.schema_change import converted
from sync_agent.migration.rules import Pair
from sync_agent.twins.twin import Document, JsonValue, Relationship


@dataclass(frozen=True, slots=True)
class EdgeWrite:
    """One write: a relationship as it is (to delete) or shall be (to put), or a patch of one."""

    action: Literal["put", "delete", "patch"]
    edge: Relationship
    patch: tuple[Document, ...] = ()


def edges_matter(registry: ModelRegistry, pair: Pair) -> bool:
    """Tell whether the two models differ in relationships a twin of the old one can have."""
    before, after = registry.contents(pair.old), registry.contents(pair.new)
    return any(
        isinstance(content, Definition) and after.get(name) != content
        for name, content in before.items()
    )


def targets_matter(registry: ModelRegistry, pair: Pair) -> bool:
    """Tell whether the new model asks more of a far end than the old one did."""
    before, after = registry.contents(pair.old), registry.contents(pair.new)
    return any(
        isinstance(was, Definition)
        and isinstance(now := after.get(pair.rules.relationships.get(name) or name), Definition)
        and now.target not in ("", was.target)
        for name, was in before.items()
    )


def edge_writes(
    pair: Pair,
    registry: ModelRegistry,
    edges: Iterable[Relationship],
    target_models: Mapping[str, str],
    reasons: list[str],
) -> tuple[tuple[EdgeWrite, ...], tuple[EdgeWrite, ...]]:
    """Return the writes before and after the twin's own; what does not fit goes to ``reasons``."""
    before: list[EdgeWrite] = []
    after: list[EdgeWrite] = []
    counts: Counter[str] = Counter()
    definitions = registry.contents(pair.new)
    for edge in edges:
        name = pair.rules.relationships.get(edge.name, edge.name)
        if not name:
            before.append(EdgeWrite("delete", edge))
            continue
        definition = definitions.get(name)
        if not isinstance(definition, Definition):
            reasons.append(f"relationship {edge.id}: the new model has no {name}")
            continue
        counts[name] += 1
        limit = definition.max_multiplicity
        if limit is not None and counts[name] == limit + 1:
            reasons.append(f"it has more than {limit} relationships {name}")
        model = target_models.get(edge.target, "")
        if definition.target and model and not registry.is_of_model(model, definition.target):
            reasons.append(f"relationship {edge.id} leads to {edge.target}, which is a {model}")
        try:
            properties = _converted(definition, edge.properties)
        except ValueError as error:
            reasons.append(f"relationship {edge.id}: {error}")
            continue
        if name != edge.name:
            before.append(EdgeWrite("delete", edge))
            made = structs.replace(edge, name=name, properties=properties, etag="")
            after.append(EdgeWrite("put", made))
        elif properties != edge.properties:
            _replace_properties(edge, properties, before, after)
    return tuple(before), tuple(after)


def _converted(definition: Definition, properties: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    result = {}
    for name, value in properties.items():
        wanted = definition.properties.get(name)
        if wanted is not None:
            try:
                result[name] = converted(value, wanted.schema)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from error
    return result


def _replace_properties(
    edge: Relationship,
    properties: Mapping[str, JsonValue],
    before: list[EdgeWrite],
    after: list[EdgeWrite],
) -> None:
    """Take away what changes before the twin's own patch, and set it after that."""
    changed = [n for n, value in edge.properties.items() if properties.get(n) != value]
    removals: list[Document] = [{"op": "remove", "path": f"/{name}"} for name in changed]
    additions: list[Document] = [
        {"op": "add", "path": f"/{name}", "value": properties[name]}
        for name in changed
        if name in properties
    ]
    before.append(EdgeWrite("patch", edge, tuple(removals)))
    if additions:
        after.append(EdgeWrite("patch", edge, tuple(additions)))
