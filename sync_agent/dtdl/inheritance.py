"""Rules between interfaces: what one may extend and contain, seen over a registry.

Works on what is known: an interface that is missing is no fault here, it is for whoever deploys to
say that all must be there. Source: DTDL v2 and v3 specification, "Interface" and "Component".
"""

from __future__ import annotations

from collections.abc import Iterator

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Component, Content, Interface
from sync_agent.dtdl.metamodel import EXTENDS_DEPTH_MAX, LIMITS
from sync_agent.dtdl.registry import ModelRegistry


def check_inheritance(
    registry: ModelRegistry, model_id: str, source: str = ""
) -> tuple[Diagnostic, ...]:
    """Return what is wrong between an interface and those it builds on.

    ``registry`` must hold the interface; ``source`` says where it comes from.
    """
    return tuple(_findings(registry, registry.interface(model_id), source))


def _findings(registry: ModelRegistry, interface: Interface, source: str) -> Iterator[Diagnostic]:
    def finding(code: str, message: str, pointer: str) -> Diagnostic:
        return Diagnostic(code, message, interface.id, pointer, source)

    bases = [base for base in registry.ancestors(interface.id)[1:] if base in registry]
    if interface.id in interface.extends or any(
        interface.id in registry.interface(base).extends for base in bases
    ):
        yield finding("recursiveStructureNarrow", "the model extends itself", "/extends")
        return
    for code, message, pointer in _excesses(registry, interface, (interface.id, *bases)):
        yield finding(code, message, pointer)
    for name, first, second in _clashes(registry, (interface.id, *bases)):
        message = f"{name!r} comes from {first} and from {second}"
        yield finding("nonUniqueImportedPropertyValue", message, "/contents")
    for dependency in registry.dependencies(interface.id):
        if dependency in registry:
            version = registry.interface(dependency).dtdl_version
            if version > interface.dtdl_version:
                message = f"{dependency} is of DTDL v{version}, this of v{interface.dtdl_version}"
                yield finding("disallowedVersionReference", message, "")
    for component in _own_components(interface):
        inner = _component_in(registry, component.schema)
        if inner:
            message = f"the component {component.name} has the component {inner} inside"
            yield finding("excludedType", message, "/contents")


def _excesses(
    registry: ModelRegistry, interface: Interface, ids: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    """Yield code, message and place of what is more than the limits of the version allow."""
    limits = LIMITS[interface.dtdl_version]
    depth = _depth(registry, interface.id)
    if depth > EXTENDS_DEPTH_MAX:
        message = f"inheritance is {depth} deep, the most is {EXTENDS_DEPTH_MAX}"
        yield "excessiveDepthNarrow", message, "/extends"
    count = _bases(registry, interface.id, EXTENDS_DEPTH_MAX, {})
    if limits.hierarchy is not None and count > limits.hierarchy:
        message = f"{count} models are extended on all ways, the most is {limits.hierarchy}"
        yield "excessiveCount", message, "/extends"
    size = _size(registry, ids)
    if limits.hierarchy_size is not None and size > limits.hierarchy_size:
        message = f"{size} elements with inherited ones, the most is {limits.hierarchy_size}"
        yield "excessiveCount", message, "/contents"
    count = len(registry.contents(interface.id))
    if limits.contents is not None and count > limits.contents:
        message = f"{count} contents with inherited ones, the most is {limits.contents}"
        yield "objectCountAboveMax", message, "/contents"


def _bases(registry: ModelRegistry, model_id: str, deep: int, known: dict[str, int]) -> int:
    """Return how many models one extends, each as often as there are ways to it."""
    if model_id not in registry or deep < 0:
        return 0
    if model_id not in known:
        bases = registry.interface(model_id).extends
        known[model_id] = sum(1 + _bases(registry, base, deep - 1, known) for base in bases)
    return known[model_id]


def _size(registry: ModelRegistry, ids: tuple[str, ...]) -> int:
    """Return how many elements interfaces and the interfaces of their components are made of."""
    interfaces = [registry.interface(model_id) for model_id in ids]
    parts = [part.schema for i in interfaces for part in _own_components(i)]
    inside = (
        registry.interface(model_id).size
        for part in parts
        if part in registry
        for model_id in registry.ancestors(part)
    )
    return sum(interface.size for interface in interfaces) + sum(inside)


def _clashes(registry: ModelRegistry, ids: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    seen: dict[str, tuple[str, Content]] = {}
    for model_id in ids:
        for name, content in registry.interface(model_id).contents.items():
            if name in seen:
                yield name, seen[name][0], model_id
            else:
                seen[name] = (model_id, content)


def _depth(registry: ModelRegistry, model_id: str) -> int:
    """Return the length of the longest chain of ``extends``, cut where it is too long anyway."""
    level, depth = {model_id}, 0
    while depth <= EXTENDS_DEPTH_MAX:
        level = {
            base
            for model in level
            if model in registry
            for base in registry.interface(model).extends
        }
        if not level:
            break
        depth += 1
    return depth


def _own_components(interface: Interface) -> list[Component]:
    return [c for c in interface.contents.values() if isinstance(c, Component)]


def _component_in(registry: ModelRegistry, model_id: str) -> str:
    if model_id not in registry:
        return ""
    inner = registry.contents(model_id).values()
    return next((content.name for content in inner if isinstance(content, Component)), "")
