"""What Azure Digital Twins refuses in a model although DTDL allows it.

No commands; no interface defined inside another; of the extensions only version 1 of
QuantitativeTypes, Annotation, Historization and Overriding; at most 1 MiB of text a model. A model
may be fine in itself and not with what is deployed, so the rules between interfaces are checked
here too. Source: Azure Digital Twins documentation, service-specific notes on DTDL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from sync_agent.dtdl.contexts import ANNOTATION, HISTORIZATION, OVERRIDING, QUANTITATIVE_TYPES
from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Command, Interface
from sync_agent.dtdl.inheritance import check_inheritance
from sync_agent.dtdl.registry import ModelRegistry

EXTENSIONS = frozenset(
    f"{name};1" for name in (ANNOTATION, HISTORIZATION, OVERRIDING, QUANTITATIVE_TYPES)
)
TEXT_BYTES_MAX = 1_048_576
PROFILE = "adt"


def check_adt(registry: ModelRegistry, interface: Interface) -> tuple[Diagnostic, ...]:
    """Return what the service refuses of an interface; ``registry`` must hold it and its bases.

    Codes that start with ``adt:`` are the service's own rules, the others are DTDL's.
    """
    return (*check_inheritance(registry, interface.id), *_findings(interface))


def _findings(interface: Interface) -> Iterator[Diagnostic]:
    def finding(code: str, message: str, pointer: str, remedy: str) -> Diagnostic:
        return Diagnostic(f"{PROFILE}:{code}", message, interface.id, pointer, remedy=remedy)

    for name, content in interface.contents.items():
        if isinstance(content, Command):
            yield finding("command", f"{name} is a command", "/contents", "remove it")
    for model_id in interface.nested:
        message = f"{model_id} is defined inside this model"
        yield finding("inlineInterface", message, "", "make it a model of its own")
    for extension in interface.extensions:
        if extension not in EXTENSIONS:
            message = f"the extension {extension} is not taken"
            yield finding(
                "extension", message, "/@context", f"taken: {', '.join(sorted(EXTENSIONS))}"
            )
    size = len(json.dumps(interface.document, ensure_ascii=False).encode())
    if size > TEXT_BYTES_MAX:
        message = f"the model has {size} bytes, the most is {TEXT_BYTES_MAX}"
        yield finding("tooLarge", message, "", "make several models of it")
