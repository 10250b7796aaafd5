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
    depth = _depth(registry, interface.id)
    if depth > EXTENDS_DEPTH_MAX:
        message = f"inheritance is {depth} deep, the most is {EXTENDS_DEPTH_MAX}"
        yield finding("excessiveDepthNarrow", message, "/extends")
    limits = LIMITS[interface.dtdl_version]
    if limits.hierarchy is not None and len(bases) > limits.hierarchy:
        message = f"the model extends {len(bases)} others, the most is {limits.hierarchy}"
        yield finding("excessiveCount", message, "/extends")
    count = sum(len(registry.interface(i).contents) for i in (interface.id, *bases))
    if limits.hierarchy_contents is not None and count > limits.hierarchy_contents:
        message = f"{count} contents with inherited ones, the most is {limits.hierarchy_contents}"
        yield finding("excessiveCount", message, "/contents")
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
