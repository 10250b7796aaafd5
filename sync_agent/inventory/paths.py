"""Places inside a twin's property bag: a property, or a property of a component, or a map's entry.

A path is a tuple of names, at most ``DEPTH_MAX`` long; on paper its names are joined with dots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from sync_agent.twins.twin import Document, JsonValue

Path: TypeAlias = tuple[str, ...]
DEPTH_MAX = 3


def value_at(bag: Mapping[str, JsonValue], path: Path) -> JsonValue:
    """Return the value at a path, None when there is none."""
    value: JsonValue = bag
    for name in path:
        if type(value) is not dict and not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def put_at(bag: Document, path: Path, value: JsonValue) -> None:
    """Set the value at a path, making the maps on the way."""
    for name in path[:-1]:
        bag = bag.setdefault(name, {})
    bag[path[-1]] = value
