"""Small DTDL documents to make tests of."""

from __future__ import annotations

from typing import Any

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.parse import parse_models

ANNOTATION = "dtmi:dtdl:extension:annotation;1"
HISTORIZATION = "dtmi:dtdl:extension:historization;1"
OVERRIDING = "dtmi:dtdl:extension:overriding;1"
QUANTITATIVE = "dtmi:dtdl:extension:quantitativeTypes;1"


def interface(
    *contents: Any, version: int = 3, extensions: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    """Return an interface with these contents; ``id`` gives it another name than Thing."""
    return {
        "@context": [f"dtmi:dtdl:context;{version}", *extensions],
        "@id": f"dtmi:t:{more.pop('id', 'Thing')};1",
        "@type": "Interface",
        "contents": list(contents),
        **more,
    }


def prop(name: str = "p", schema: Any = "double", **more: Any) -> dict[str, Any]:
    """Return a property."""
    return {"@type": "Property", "name": name, "schema": schema, **more}


def component(name: str, schema: Any) -> dict[str, Any]:
    """Return a component."""
    return {"@type": "Component", "name": name, "schema": schema}


def enum(*values: Any, kind: str = "string", **more: Any) -> dict[str, Any]:
    """Return an enum of these values."""
    items = [{"name": f"v{n}", "enumValue": value} for n, value in enumerate(values)]
    return {"@type": "Enum", "valueSchema": kind, "enumValues": items, **more}


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a document that lacks a key."""
    return {k: v for k, v in document.items() if k != key}


def findings(*documents: Any, undefined: bool | None = None) -> list[Diagnostic]:
    """Return what is wrong with documents."""
    return list(parse_models(documents, undefined_extensions=undefined).diagnostics)


def codes(*documents: Any, undefined: bool | None = None) -> list[str]:
    """Return the codes of what is wrong with documents."""
    return [finding.code for finding in findings(*documents, undefined=undefined)]
