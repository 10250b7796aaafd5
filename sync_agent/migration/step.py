"""What has to be written to take one twin, with its relationships, to another model.

The twin itself changes in one patch, model and values together, so at no moment is it invalid.
Relationships are writes of their own: what the new model would not allow goes before, what the old
one would not have allowed comes after. A step is a value that can be kept in a file; it knows every
value it replaces, so it can be taken back. A twin whose values do not fit is left alone, with the
reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum

from sync_agent.dtdl.elements import Component, Property, Schema
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.schema_change import converted
from sync_agent.dtdl.values import check_twin
from sync_agent.migration.edges import EdgeWrite, edge_writes
from sync_agent.migration.rules import Pair
from sync_agent.twins.patch import apply_patch
from sync_agent.twins.twin import Document, JsonValue, Relationship

Path = tuple[str, ...]


class CannotMigrateError(ValueError):
    """A twin whose values or relationships do not fit the new model; ``reasons`` say which."""

    def __init__(self, twin: str, reasons: Sequence[str]) -> None:
        """Keep the reasons."""
        super().__init__(f"{twin}: {'; '.join(reasons)}")
        self.twin = twin
        self.reasons = tuple(reasons)


class Change(StrEnum):
    """What happens to a value, as people read it."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    RETYPED = "retyped"
    CONVERTED = "converted"


@dataclass(frozen=True, slots=True)
class Touched:
    """A value the step changes: what stood there and what stands there then (None: nothing).

    ``source`` is where the value stood when that was another place; ``by_rule`` tells whether a
    rule changed it.
    """

    path: Path
    before: JsonValue
    after: JsonValue
    source_time: str = ""
    source: Path = ()
    by_rule: bool = False

    @property
    def change(self) -> Change:
        """Return in a word what happens."""
        if self.after is None:
            return Change.REMOVED
        if self.source:
            return Change.RENAMED
        if self.before is None:
            return Change.ADDED
        return Change.CONVERTED if self.by_rule else Change.RETYPED

    @property
    def name(self) -> str:
        """Return the path as people write it."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Step:
    """The writes for one twin, in this order: ``before``, the twin's ``patch``, ``after``."""

    twin: str
    etag: str
    patch: tuple[Document, ...]
    touched: tuple[Touched, ...]
    before: tuple[EdgeWrite, ...] = ()
    after: tuple[EdgeWrite, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """The pair of models with what steps need of them."""

    pair: Pair
    registry: ModelRegistry

    def step(
        self,
        document: Document,
        edges: Iterable[Relationship] = (),
        target_models: Mapping[str, str] | None = None,
    ) -> Step:
        """Return the step of one twin, given its document and outgoing relationships.

        ``target_models`` are the models of the twins at their far ends, as far as the new model
        asks for any.

        Raises:
            CannotMigrateError: the result would not be valid.
        """
        reasons: list[str] = []
        touched = list(self._touched(document, reasons))
        patch = self._patch(document, touched)
        writes = edge_writes(self.pair, self.registry, edges, target_models or {}, reasons)
        if not reasons:
            result = apply_patch(_with_places(document, patch), patch)
            reasons += [v.message for v in check_twin(self.registry, result)]
        if reasons:
            raise CannotMigrateError(document["$dtId"], reasons)
        before, after = writes
        etag = document.get("$etag") or ""
        return Step(document["$dtId"], etag, tuple(patch), tuple(touched), before, after)

    def _touched(self, document: Document, reasons: list[str]) -> Iterator[Touched]:
        rules = self.pair.rules
        wanted = dict(properties_of(self.registry, self.pair.new))
        values = dict(_values(document, self._components()))
        source_of = {_path(new): _path(old) for old, new in rules.rename.items()}
        used: set[Path] = set()
        for path, schema in wanted.items():
            source = source_of.get(path, path)
            name = ".".join(path)
            if source in values:
                used.add(source)
                value = values[source]
                if name in rules.convert:
                    value = rules.convert[name].of(value)
            elif name in rules.set:
                value = rules.set[name]
            else:
                continue
            try:
                value = converted(value, schema)
            except ValueError as error:
                reasons.append(f"{name} {error}")
                continue
            if path != source or path not in values or not _same(value, values[path]):
                moved = _source_time(document, source) if source in values else ""
                came_from = source if source != path and source in values else ()
                by_rule = name in rules.convert
                yield Touched(path, values.get(path), value, moved, came_from, by_rule)
        for path, value in values.items():
            if path not in wanted:
                yield Touched(path, value, None)

    def _components(self) -> frozenset[str]:
        return frozenset(
            name
            for model in (self.pair.old, self.pair.new)
            for name, content in self.registry.contents(model).items()
            if isinstance(content, Component)
        )

    def _patch(self, document: Document, touched: Sequence[Touched]) -> list[Document]:
        operations: list[Document] = [
            {"op": "replace", "path": "/$metadata/$model", "value": self.pair.new}
        ]
        contents = self.registry.contents(self.pair.new)
        wanted = {n for n, content in contents.items() if isinstance(content, Component)}
        gone = {n for n in self._components() - wanted if isinstance(document.get(n), dict)}
        operations += [{"op": "remove", "path": _pointer((name,))} for name in sorted(gone)]
        for name in sorted(wanted):
            if not isinstance(document.get(name), dict):
                value: Document = {"$metadata": {}}
                operations.append({"op": "add", "path": _pointer((name,)), "value": value})
        for item in touched:
            if item.after is not None:
                operations += _set(item)
            elif item.path[0] not in gone:
                operations.append({"op": "remove", "path": _pointer(item.path)})
        return operations


def _set(item: Touched) -> Iterator[Document]:
    yield {"op": "add", "path": _pointer(item.path), "value": item.after}
    if item.source_time:
        *owner, name = item.path
        place = _pointer((*owner, "$metadata", name, "sourceTime"))
        yield {"op": "add", "path": place, "value": item.source_time}


def properties_of(registry: ModelRegistry, model: str) -> Iterator[tuple[Path, Schema]]:
    """Yield every property of a model by path, those of its components too."""
    for name, content in registry.contents(model).items():
        if isinstance(content, Property):
            yield (name,), content.schema
        elif isinstance(content, Component):
            for inner, part in registry.contents(content.schema).items():
                if isinstance(part, Property):
                    yield (name, inner), part.schema


def _values(document: Document, components: frozenset[str]) -> Iterator[tuple[Path, JsonValue]]:
    for name, value in document.items():
        if name.startswith("$"):
            continue
        if name in components and isinstance(value, dict):
            yield from (
                ((name, inner), part) for inner, part in value.items() if not inner.startswith("$")
            )
        else:
            yield (name,), value


def _source_time(document: Document, path: Path) -> str:
    *owner, name = path
    holder = document.get(owner[0]) if owner else document
    metadata = (holder or {}).get("$metadata") or {}
    return str((metadata.get(name) or {}).get("sourceTime") or "")


def _with_places(document: Document, patch: Sequence[Document]) -> Document:
    """Return the document with empty metadata where the patch sets a source time.

    The service makes such an entry when the value is written; the plain patch does not.
    """
    copy = deepcopy(document)
    for operation in patch:
        *owner, metadata, name, last = ("", "", "", *str(operation["path"]).split("/")[1:])
        if metadata == "$metadata" and last == "sourceTime":
            holder = copy
            for part in filter(None, owner):
                holder = holder.setdefault(part, {})
            holder.setdefault("$metadata", {}).setdefault(name, {})
    return copy


def _path(name: str) -> Path:
    return tuple(name.split("."))


def _pointer(path: Path) -> str:
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in path)


def _same(one: JsonValue, other: JsonValue) -> bool:
    return type(one) is type(other) and bool(one == other)
