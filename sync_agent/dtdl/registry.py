"""Models that know each other: inheritance, contents, model tests and upload order.

A registry is immutable; adding or removing models gives a new one. What is derived (ancestors,
flattened contents) is worked out once per model and kept, so a lookup in a hot path is a dict
access.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sync_agent.dtdl.dtmi import path_of, version_of
from sync_agent.dtdl.elements import Component, Content, Interface
from sync_agent.errors import ModelError


class ModelRegistry:
    """A set of interfaces by id."""

    def __init__(self, interfaces: Iterable[Interface] = ()) -> None:
        self._interfaces = {interface.id: interface for interface in interfaces}
        self._ancestors: dict[str, tuple[str, ...]] = {}
        self._contents: dict[str, Mapping[str, Content]] = {}
        self._components: dict[str, tuple[str, ...]] = {}
        self._complete: set[str] = set()

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._interfaces

    def __len__(self) -> int:
        return len(self._interfaces)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of all models, in the order they were added."""
        return tuple(self._interfaces)

    def with_interfaces(self, more: Iterable[Interface]) -> ModelRegistry:
        """Return a registry that also has these; one of the same id is replaced."""
        return ModelRegistry([*self._interfaces.values(), *more])

    def without(self, ids: Iterable[str]) -> ModelRegistry:
        """Return a registry that lacks these."""
        gone = set(ids)
        return ModelRegistry(i for i in self._interfaces.values() if i.id not in gone)

    def interface(self, model_id: str) -> Interface:
        """Return a model.

        Raises:
            ModelError: there is none of that id.
        """
        try:
            return self._interfaces[model_id]
        except KeyError:
            raise ModelError(
                f"there is no model {model_id}",
                remedy="apply the models first, or correct the id (ids are case-sensitive)",
            ) from None

    def ancestors(self, model_id: str) -> tuple[str, ...]:
        """Return the model itself and all it extends, nearest first; missing bases are left out."""
        known = self._ancestors.get(model_id)
        if known is None:
            order = [self.interface(model_id).id]
            for current in order:  # grows while it is walked: breadth first, safe on a cycle
                bases = self._interfaces[current].extends
                known_bases = dict.fromkeys(b for b in bases if b in self._interfaces)
                order += [base for base in known_bases if base not in order]
            known = self._ancestors[model_id] = tuple(order)
        return known

    def is_of_model(self, model_id: str, of: str, *, exact: bool = False) -> bool:
        """Tell whether a twin of ``model_id`` is of model ``of`` in the sense of IS_OF_MODEL.

        ``X;4`` is matched by version 4 and later of ``X``, and by what extends such a version; with
        ``exact`` only by the very id. Source: adt query language, "IS_OF_MODEL".
        """
        if exact:
            return model_id == of
        path, version = path_of(of), _version(of)
        candidates = self.ancestors(model_id) if model_id in self else (model_id,)
        return any(path_of(c) == path and _version(c) >= version for c in candidates)

    def contents(self, model_id: str) -> Mapping[str, Content]:
        """Return all contents by name, inherited ones included; the nearest definition wins."""
        known = self._contents.get(model_id)
        if known is None:
            merged: dict[str, Content] = {}
            for ancestor in self.ancestors(model_id):
                for name, content in self._interfaces[ancestor].contents.items():
                    merged.setdefault(name, content)
            known = self._contents[model_id] = merged
        return known

    def components(self, model_id: str) -> tuple[str, ...]:
        """Return the names of all components, inherited ones included."""
        known = self._components.get(model_id)
        if known is None:
            contents = self.contents(model_id).items()
            known = tuple(name for name, content in contents if isinstance(content, Component))
            self._components[model_id] = known
        return known

    def dependencies(self, model_id: str) -> tuple[str, ...]:
        """Return what a model refers to and cannot be without: bases and component interfaces."""
        interface = self.interface(model_id)
        components = (c.schema for c in interface.contents.values() if isinstance(c, Component))
        return tuple(dict.fromkeys((*interface.extends, *components)))

    def missing(self) -> tuple[str, ...]:
        """Return ids that models depend on but that are not here."""
        needed = (d for model_id in self._interfaces for d in self.dependencies(model_id))
        return tuple(sorted({d for d in needed if d not in self._interfaces}))

    def complete(self, model_id: str) -> bool:
        """Tell whether a model and all it depends on, directly or not, are here."""
        if model_id in self._complete:
            return True
        pending, seen = [model_id], {model_id}
        while pending:
            current = pending.pop()
            if current not in self._interfaces:
                return False
            fresh = set(self.dependencies(current)) - seen
            seen |= fresh
            pending += fresh
        self._complete |= seen
        return True

    def upload_order(self) -> tuple[str, ...]:
        """Return all ids, each after what it depends on (those in a circle in their order)."""
        return tuple(model for group in self.upload_groups() for model in group)

    def upload_groups(self) -> tuple[tuple[str, ...], ...]:
        """Return all ids in groups, each after what it depends on.

        A group is a model alone, or models that need each other and so must be created together.
        """
        search = _Groups(self)
        for model in self._interfaces:
            search.visit(model)
        position = {model: number for number, model in enumerate(self._interfaces)}
        return tuple(tuple(sorted(group, key=position.__getitem__)) for group in search.groups)


class _Groups:
    """Strongly connected models, in the order of dependency (Tarjan's algorithm, no recursion)."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._number: dict[str, int] = {}
        self._lowest: dict[str, int] = {}
        self._open: dict[str, None] = {}
        self.groups: list[list[str]] = []

    def visit(self, root: str) -> None:
        if root in self._number:
            return
        path = [(root, self._enter(root))]
        while path:
            model, needed = path[-1]
            step = next(needed, None)
            if step is None:
                path.pop()
                self._leave(model)
                if path:
                    above = path[-1][0]
                    self._lowest[above] = min(self._lowest[above], self._lowest[model])
            elif step not in self._number:
                path.append((step, self._enter(step)))
            elif step in self._open:
                self._lowest[model] = min(self._lowest[model], self._number[step])

    def _enter(self, model: str) -> Iterator[str]:
        self._number[model] = self._lowest[model] = len(self._number)
        self._open[model] = None
        return (d for d in self._registry.dependencies(model) if d in self._registry)

    def _leave(self, model: str) -> None:
        if self._lowest[model] != self._number[model]:
            return
        group: list[str] = []
        while not group or group[-1] != model:
            group.append(self._open.popitem()[0])
        self.groups.append(group)


def _version(model_id: str) -> tuple[int, int]:
    try:
        return version_of(model_id)
    except ValueError:
        return (0, 0)
