"""What a step does to a twin, as people read it: one entry a value, component and relationship.

A value that moves is one entry, and so is a relationship that is deleted under one name and made
under another: that is how they are written, and not what happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sync_agent.migration.step import Change, Step
from sync_agent.twins.twin import JsonValue


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happens to a twin; ``before`` and ``after`` are values (None: none)."""

    change: Change
    path: str
    before: JsonValue = None
    after: JsonValue = None


def entries(step: Step) -> Iterator[Entry]:
    """Yield what a step does, in the order of its writes."""
    yield from _values(step)
    yield from _components(step)
    yield from _relationships(step)


def _values(step: Step) -> Iterator[Entry]:
    before = {item.path: item.before for item in step.touched}
    moved = {item.source for item in step.touched if item.source}
    for item in step.touched:
        if item.source:
            path = f"{'.'.join(item.source)} -> {item.name}"
            yield Entry(item.change, path, before.get(item.source, item.after), item.after)
        elif item.path not in moved or item.after is not None:
            yield Entry(item.change, item.name, item.before, item.after)


def _components(step: Step) -> Iterator[Entry]:
    values = {item.path for item in step.touched}
    for operation in step.patch:
        name = str(operation["path"])[1:]
        if operation["op"] == "add" and operation["value"] == {"$metadata": {}}:
            yield Entry(Change.ADDED, f"component {name}")
        elif operation["op"] == "remove" and "/" not in name and (name,) not in values:
            yield Entry(Change.REMOVED, f"component {name}")


def _relationships(step: Step) -> Iterator[Entry]:
    made = {write.edge.key: write.edge for write in step.after if write.action == "put"}
    for write in step.before:
        name = f"relationship {write.edge.name}"
        now = made.get(write.edge.key)
        if write.action == "patch":
            yield Entry(Change.RETYPED, name, write.edge.id, write.edge.id)
        elif now is None:
            yield Entry(Change.REMOVED, name, write.edge.id)
        else:
            yield Entry(Change.RENAMED, f"{name} -> {now.name}", write.edge.id, now.id)
