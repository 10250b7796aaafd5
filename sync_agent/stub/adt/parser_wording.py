"""Faults of uploaded models in the words of the service's DTDL parser, as far as they are recorded.

What no recording shows is told in our own words, behind the model's id and a JSON pointer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.registry import ModelRegistry

_NO_CONTEXT = (
    "In source, top-level JSON object has no @context specifier. Add a '@context' property whose"
    " value is a valid DTDL context specifier, such as 'dtmi:dtdl:context;2'."
)
_NO_ID = (
    "In source, top-level JSON element requires an identifer but none provided. Add an '@id'"
    " property whose value is a string that conforms to the DTMI syntax -- see"
    " https://github.com/Azure/digital-twin-model-identifier."
)
_LANGUAGE = "https://github.com/Azure/opendigitaltwins-dtdl/tree/master/DTDL."


def first_faults(models: Sequence[Any]) -> list[str]:
    """Return what the parser stops at before it reads a model's contents."""
    return [_NO_CONTEXT for m in models if isinstance(m, dict) and "@context" not in m][:1]


def wording(finding: Diagnostic, models: Sequence[Any]) -> str:
    """Return a finding about one of ``models`` in the parser's words where they are known."""
    match finding.code:
        case "missingTopLevelId":
            return _NO_ID
        case "missingContext":
            return _NO_CONTEXT
        case "badDtmiOrTerm" if finding.model:
            found = _content_at(finding, models)
            if found is not None:
                return _schema_wording(finding.model, *found)
    place = f"{finding.model} {finding.pointer}".strip()
    return f"{place}: {finding.message}." if place else f"{finding.message}."


def unresolved(registry: ModelRegistry, ids: Iterable[str]) -> str:
    """Return the parser's words for references to models that are nowhere."""
    places = ", ".join(f"{model_id} ({_places(registry, model_id)})" for model_id in ids)
    return f"DtmiResolverAsync failed to resolve requisite references to element(s): {places}"


def _places(registry: ModelRegistry, model_id: str) -> str:
    count = sum(model_id in registry.dependencies(user) for user in registry.ids)
    return f"referenced in {count} place{'' if count == 1 else 's'}"


def _content_at(finding: Diagnostic, models: Sequence[Any]) -> tuple[str, str] | None:
    """Return name and schema of the content a finding points at, if it is as plain as that."""
    match finding.pointer.split("/"):
        case ["", "contents", number, "schema"] if number.isdigit():
            # By its place, since two models may claim one id.
            model = next(m for n, m in enumerate(models) if finding.source == f"[{n}]")
            content: dict[str, Any] = model["contents"][int(number)]
            name, schema = content.get("name"), content.get("schema")
            return (name, schema) if isinstance(name, str) and isinstance(schema, str) else None
    return None


def _schema_wording(model_id: str, name: str, schema: str) -> str:
    content = f"{model_id} has 'contents' value with name '{name}' whose property 'schema'"
    return (
        f"{content} has value '{schema}' that is neither a valid DTMI reference nor a DTDL term."
        " Replace the value of property 'schema' with a valid DTMI reference or a term defined by"
        f" DTDL -- see {_LANGUAGE} | {content} has no valid value but one is required. Provide a"
        " value for 'schema' that is either an element definition or a DTMI reference."
    )
