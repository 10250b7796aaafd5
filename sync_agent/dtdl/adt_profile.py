"""What Azure Digital Twins refuses in a model although DTDL allows it.

Source: Azure Digital Twins, "DTDL: service-specific notes": no commands; a component's interface
has no components of its own; a v2 interface neither extends nor contains a v3 one; inheritance at
most ten deep; an interface is at most 1 MiB of text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Command, Component, Interface
from sync_agent.dtdl.registry import ModelRegistry

EXTENDS_DEPTH_MAX = 10
TEXT_BYTES_MAX = 1_048_576
PROFILE = "adt"


def check_adt(registry: ModelRegistry, interface: Interface) -> tuple[Diagnostic, ...]:
    """Return what the service refuses of an interface; ``registry`` must hold it and its bases."""
    return tuple(_findings(registry, interface))


def _findings(registry: ModelRegistry, interface: Interface) -> Iterator[Diagnostic]:
    def finding(code: str, message: str, pointer: str = "", remedy: str = "") -> Diagnostic:
        return Diagnostic(f"{PROFILE}:{code}", message, interface.id, pointer, remedy=remedy)

    for name, content in registry.contents(interface.id).items():
        if isinstance(content, Command):
            yield finding("command", f"{name} is a command", "/contents", "remove it")
        if isinstance(content, Component) and content.schema in registry:
            inner = registry.contents(content.schema).values()
            if any(isinstance(item, Component) for item in inner):
                yield finding(
                    "nestedComponent", f"{content.schema}, a component here, has components itself"
                )
    for dependency in registry.dependencies(interface.id):
        if dependency in registry:
            version = registry.interface(dependency).dtdl_version
            if interface.dtdl_version == 2 < version:
                yield finding("mixedVersions", f"a v2 model cannot build on {dependency}, a v3 one")
    if _depth(registry, interface.id) > EXTENDS_DEPTH_MAX:
        yield finding("extendsTooDeep", f"inheritance is deeper than {EXTENDS_DEPTH_MAX}")
    if _extends_itself(registry, interface.id):
        yield finding("recursiveExtends", "the model extends itself over others")
    if len(json.dumps(interface.document, ensure_ascii=False).encode()) > TEXT_BYTES_MAX:
        yield finding("tooLarge", f"the model has more than {TEXT_BYTES_MAX} bytes")


def _depth(registry: ModelRegistry, model_id: str) -> int:
    depth, level, seen = 0, {model_id}, {model_id}
    while level:
        level = {
            base
            for model in level
            if model in registry
            for base in registry.interface(model).extends
            if base not in seen
        }
        seen |= level
        depth += bool(level)
    return depth


def _extends_itself(registry: ModelRegistry, model_id: str) -> bool:
    return any(
        model_id in registry.interface(ancestor).extends
        for ancestor in registry.ancestors(model_id)[1:]
    )
