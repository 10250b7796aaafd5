"""Twin documents as the service keeps them: properties, components, and who changed what when.

``$metadata`` names the model and, for each property, when it was last written and, where the writer
said so, when it was measured (``sourceTime``). One write stamps one instant. A component has
metadata of its own. Source: recorded exchanges; Azure Digital Twins, "Twin JSON format".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_agent.dtdl.elements import Component
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.values import Violation, check_twin
from sync_agent.stub.adt.answers import bad_request, patch_invalid, twin_invalid
from sync_agent.twins.patch import PatchError, apply_patch, segments_of
from sync_agent.twins.twin import Document

TEXT_BYTES_MAX = 4_096


def new_twin(
    twin_id: str, body: Mapping[str, Any], registry: ModelRegistry, *, now: str, etag: str
) -> Document:
    """Return the document a PUT makes; ``$dtId`` and ``$etag`` of the body are ignored.

    Raises:
        Refusal: the body does not conform to its model.
    """
    given = body.get("$metadata")
    if not isinstance(given, dict) or not isinstance(given.get("$model"), str):
        raise bad_request("Payload is invalid.")
    model = given["$model"]
    contents = registry.contents(model) if model in registry else {}
    document: Document = {"$dtId": twin_id, "$etag": etag}
    metadata: Document = {"$model": model, "$lastUpdateTime": now}
    for name, value in body.items():
        if name.startswith("$"):
            continue
        if isinstance(contents.get(name), Component) and isinstance(value, dict):
            document[name] = _new_component(value, now)
        else:
            document[name] = value
            metadata[name] = _stamp(now, given.get(name))
    document["$metadata"] = metadata
    check_document(registry, document)
    return document


def check_document(registry: ModelRegistry, document: Document) -> None:
    """Check a twin against its model.

    Raises:
        Refusal: with a detail for each thing that does not conform.
    """
    violations = check_twin(registry, document)
    if violations:
        raise twin_invalid([_wording(violation) for violation in violations])
    long_text = _long_text(document)
    if long_text is not None:
        raise twin_invalid([f"The value of {long_text} is longer than {TEXT_BYTES_MAX} bytes."])


def patched_twin(
    document: Document,
    patch: Sequence[Document],
    registry: ModelRegistry,
    *,
    now: str,
    etag: str,
) -> Document:
    """Return the document a PATCH makes of a twin's; all of the patch applies or none.

    Raises:
        Refusal: the patch cannot be applied, or its result does not conform to the model.
    """
    plan = _read_patch(document, patch)
    try:
        result = apply_patch(document, plan.operations)
    except PatchError as error:
        raise patch_invalid(str(error)) from error
    metadata = result["$metadata"]
    metadata["$lastUpdateTime"] = now
    if plan.model is not None:
        metadata["$model"] = plan.model
    contents = registry.contents(metadata["$model"]) if metadata["$model"] in registry else {}
    for owner, name in plan.touched:
        if owner:
            _touch_component_property(result, owner, name, now)
        elif isinstance(contents.get(name), Component) and isinstance(result.get(name), dict):
            result[name] = _new_component(result[name], now)
            metadata.pop(name, None)
        else:
            _touch(metadata, name, now, present=name in result)
    for owner, name, source_time in plan.source_times:
        _set_source_time(result, owner, name, source_time)
    _reorder(result, etag)
    check_document(registry, result)
    return result


def component_of(document: Document, component: str) -> Document | None:
    """Return a component's document, None when the twin has none of that name."""
    value = document.get(component)
    if component.startswith("$") or component in document["$metadata"]:
        return None  # the service's own parts; object and map properties have metadata of their own
    return value if isinstance(value, dict) else None


def without_update_times(document: Document) -> Document:
    """Return a document as api-versions before 2022-05-31 show it."""
    return {
        name: without_update_times(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if name != "$lastUpdateTime"
    }


@dataclass(slots=True)
class _Plan:
    """A patch taken apart: plain operations, and what it says of metadata."""

    operations: list[Document] = field(default_factory=list)
    touched: dict[tuple[str, str], None] = field(default_factory=dict)
    source_times: list[tuple[str, str, Any]] = field(default_factory=list)
    model: str | None = None


def _read_patch(document: Document, patch: Sequence[Document]) -> _Plan:
    plan = _Plan()
    for operation in patch:
        path = operation.get("path")
        if not operation.get("op") or not isinstance(path, str) or not path.startswith("/"):
            plan.operations.append(operation)
            continue
        segments = segments_of(path)
        component = component_of(document, segments[0]) is not None
        owner = segments[0] if component and len(segments) > 1 else ""
        inner = segments[1:] if owner else segments
        if inner[0] == "$metadata":
            _read_metadata(plan, operation, owner, inner)
        elif inner[0].startswith("$"):
            raise patch_invalid(f"Could not resolve path {path}.")
        else:
            plan.operations.append(operation)
            plan.touched[owner, inner[0]] = None
    return plan


def _read_metadata(plan: _Plan, operation: Document, owner: str, inner: tuple[str, ...]) -> None:
    value = operation.get("value")
    match inner:
        case ("$metadata", "$model") if not owner and operation["op"] == "replace":
            plan.model = str(value)
        case ("$metadata", name, "sourceTime"):
            plan.source_times.append((owner, name, None if operation["op"] == "remove" else value))
        case _:
            raise patch_invalid(f"Could not resolve path {operation['path']}.")


def _set_source_time(document: Document, owner: str, name: str, source_time: Any) -> None:
    holder = document[owner] if owner else document
    stamp = holder["$metadata"].get(name)
    if stamp is None:
        raise patch_invalid(
            f"The target location specified by path segment '{name}' was not found."
        )
    if source_time is None:
        stamp.pop("sourceTime", None)
    else:
        stamp["sourceTime"] = source_time


def _touch_component_property(document: Document, owner: str, name: str, now: str) -> None:
    component = document[owner]
    metadata = component.setdefault("$metadata", {})
    present = name in component
    if present:
        # Recorded: a component's own time does not move when the property ends up removed.
        metadata["$lastUpdateTime"] = now
    _touch(metadata, name, now, present=present)
    component["$metadata"] = component.pop("$metadata")


def _touch(metadata: Document, name: str, now: str, *, present: bool) -> None:
    if not present:
        metadata.pop(name, None)
        return
    stamp: Document = {"lastUpdateTime": now}
    if "sourceTime" in metadata.get(name, {}):
        stamp["sourceTime"] = metadata[name]["sourceTime"]
    metadata[name] = stamp


def _new_component(value: Mapping[str, Any], now: str) -> Document:
    given = value.get("$metadata")
    source = given if isinstance(given, dict) else {}
    component = {name: v for name, v in value.items() if not name.startswith("$")}
    metadata: Document = {"$lastUpdateTime": now}
    metadata |= {name: _stamp(now, source.get(name)) for name in component}
    component["$metadata"] = metadata
    return component


def _stamp(now: str, given: Any) -> Document:
    stamp: Document = {"lastUpdateTime": now}
    if isinstance(given, dict) and isinstance(given.get("sourceTime"), str):
        stamp["sourceTime"] = given["sourceTime"]
    return stamp


def _reorder(document: Document, etag: str) -> None:
    """Put the parts in the service's order: ids first, metadata last."""
    document["$etag"] = etag
    document["$metadata"] = document.pop("$metadata")


def _wording(violation: Violation) -> str:
    owner = violation.owner or "Twin"
    match violation.code:
        case "UnknownProperty":
            return f"{violation.path} does not appear on the DTDL for {owner}."
        case "WrongType":
            return f"Expected value of type {violation.expected} for {violation.path} on {owner}."
        case _:
            return violation.message


def _long_text(value: Any, name: str = "") -> str | None:
    if isinstance(value, str):
        too_long = len(value) > TEXT_BYTES_MAX // 4 and len(value.encode()) > TEXT_BYTES_MAX
        return name if too_long else None
    if isinstance(value, list):
        return next((found for item in value if (found := _long_text(item, name))), None)
    items = value.items() if isinstance(value, dict) else ()
    return next((found for key, item in items if (found := _long_text(item, key))), None)
