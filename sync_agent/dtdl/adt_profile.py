"""What Azure Digital Twins makes of a model that DTDL allows: what it refuses, what it ignores.

Refused: commands; an interface defined inside another; extensions other than version 1 of
QuantitativeTypes, Annotation, Historization and Overriding; more text or more models than fit. A
model may be fine in itself and not with what is deployed, so the rules between interfaces are
checked here too. Ignored: whether something is writable (clients with the role may write
everything), and the values of telemetry, which pass through and are not stored. Source: Azure
Digital Twins documentation, "Service-specific DTDL notes" and "Service limits".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sync_agent.dtdl.contexts import ANNOTATION, HISTORIZATION, OVERRIDING, QUANTITATIVE_TYPES
from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Command, Interface, Property, Telemetry
from sync_agent.dtdl.inheritance import check_inheritance
from sync_agent.dtdl.registry import ModelRegistry


@dataclass(frozen=True, slots=True)
class Profile:
    """What a service takes of DTDL; codes of its own rules start with its name and a colon."""

    name: str
    extensions: frozenset[str]
    text_bytes_max: int
    models_max: int
    models_per_call_max: int


ADT = Profile(
    name="adt",
    extensions=frozenset(
        f"{name};1" for name in (ANNOTATION, HISTORIZATION, OVERRIDING, QUANTITATIVE_TYPES)
    ),
    text_bytes_max=1_048_576,
    models_max=10_000,
    models_per_call_max=250,
)


def check_adt(registry: ModelRegistry, interface: Interface) -> tuple[Diagnostic, ...]:
    """Return what the service refuses of an interface; ``registry`` must hold it and its bases.

    Codes that start with ``adt:`` are the service's own rules, the others are DTDL's.
    """
    return (*check_inheritance(registry, interface.id), *_refused(interface))


def check_adt_count(registry: ModelRegistry) -> tuple[Diagnostic, ...]:
    """Return a finding when an instance cannot hold so many models."""
    if len(registry) <= ADT.models_max:
        return ()
    message = f"{len(registry):,} models, an instance holds {ADT.models_max:,}"
    remedy = "delete versions no twin uses, or use a second instance"
    return (Diagnostic(f"{ADT.name}:tooMany", message, remedy=remedy),)


def ignored_by_adt(interfaces: Iterable[Interface]) -> Counter[str]:
    """Count what the service takes and does nothing with."""
    counts: Counter[str] = Counter()
    for interface in interfaces:
        for content in interface.contents.values():
            if isinstance(content, Telemetry):
                counts["telemetry"] += 1
            elif isinstance(content, Property) and content.writable:
                counts["writable"] += 1
    return counts


def _refused(interface: Interface) -> Iterator[Diagnostic]:
    def finding(code: str, message: str, pointer: str, remedy: str) -> Diagnostic:
        return Diagnostic(f"{ADT.name}:{code}", message, interface.id, pointer, remedy=remedy)

    for name, content in interface.contents.items():
        if isinstance(content, Command):
            yield finding("command", f"{name} is a command", "/contents", "remove it")
    for model_id in interface.nested:
        message = f"{model_id} is defined inside this model"
        yield finding("inlineInterface", message, "", "make it a model of its own")
    for extension in interface.extensions:
        if extension not in ADT.extensions:
            taken = ", ".join(sorted(ADT.extensions))
            message = f"the extension {extension} is not taken"
            yield finding("extension", message, "/@context", f"taken: {taken}")
    size = len(json.dumps(interface.document, ensure_ascii=False).encode())
    if size > ADT.text_bytes_max:
        message = f"the model has {size:,} bytes, the most is {ADT.text_bytes_max:,}"
        yield finding("tooLarge", message, "", "make several models of it")
