"""Twin documents as the service keeps them: properties, components, and who changed what when.

``$metadata`` names the model and, for each property, when it was last written and, where the writer
said so, when it was measured (``sourceTime``). One write stamps one instant. A component has
metadata of its own. Everything here is a function from documents to documents; the caller gives
the time and the ETag. Source: recorded exchanges; Azure Digital Twins, "Twin JSON format".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_agent.dtdl.elements import Component, Content, Primitive
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.values import Violation, check_twin, check_value
from sync_agent.stub.adt.answers import patch_invalid, payload_invalid, twin_invalid
from sync_agent.twins.patch import (
    OPERATIONS,
    NoSuchPlaceError,
    PatchError,
    apply_patch,
    segments_of,
    unresolved,
)
from sync_agent.twins.twin import Document

TEXT_BYTES_MAX = 4_096
_LENGTHY = (str, dict, list)


def new_twin(
    twin_id: str, body: Mapping[str, Any], registry: ModelRegistry, *, now: str, etag: str
) -> Document:
    """Return the document a PUT makes; ``$dtId`` and ``$etag`` of the body are ignored.

    Raises:
        Refusal: the body does not conform to its model.
    """
    given = body.get("$metadata")
    if not isinstance(given, dict) or not isinstance(given.get("$model"), str):
        raise payload_invalid()
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
            metadata[name] = _new_stamp(name, now, given.get(name))
    document["$metadata"] = metadata
    _check(registry, document, written=body)
    return document


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
    try:
        plan = _read_patch(document, patch)
        result = apply_patch(document, plan.operations)
        metadata = result.pop("$metadata") | {"$lastUpdateTime": now}
        result["$metadata"] = metadata  # stands last, as the service has it
        if plan.model is not None:
            metadata["$model"] = plan.model
        _stamp_touched(result, plan, registry, now)
        for operation in plan.source_times:
            _write_source_time(result, operation)
    except NoSuchPlaceError as error:
        raise patch_invalid(_place_wording(document, error)) from error
    except PatchError as error:
        raise patch_invalid(str(error)) from error
    result["$etag"] = etag
    _check(registry, result, written=patch)
    return result


def component_of(document: Document, component: str) -> Document | None:
    """Return a component's document, None when the twin has none of that name.

    An object property is told from a component by its entry in the twin's own metadata.
    """
    if component.startswith("$") or component in document["$metadata"]:
        return None
    value = document.get(component)
    return value if isinstance(value, dict) else None


def without_times(document: Document) -> Document:
    """Return a document as 2020-10-31 has it: no ``$lastUpdateTime``, and no source times."""
    return {
        name: _older_metadata(value)
        if name == "$metadata" and isinstance(value, dict)
        else without_times(value)
        if isinstance(value, dict)
        else value
        for name, value in document.items()
        if name != "$lastUpdateTime"
    }


def refuse_source_times(patch: Sequence[Document]) -> None:
    """Refuse a patch that writes source times, as 2020-10-31 does.

    Raises:
        Refusal: it does.
    """
    for operation in patch:
        path = operation.get("path")
        if isinstance(path, str) and path.endswith("/sourceTime") and "/$metadata/" in path:
            raise patch_invalid(str(unresolved(path)))


def _older_metadata(metadata: Document) -> Document:
    return {
        name: {key: time for key, time in stamp.items() if key != "sourceTime"}
        if isinstance(stamp, dict)
        else stamp
        for name, stamp in metadata.items()
        if name != "$lastUpdateTime"
    }


def violation_wording(violation: Violation, *, owner: str = "") -> str:
    """Return what does not conform in the service's words; ``owner`` where none is named."""
    place = violation.owner or owner or "Twin"
    match violation.code:
        case "UnknownProperty":
            return f"{violation.path} does not appear on the DTDL for {place}."
        case "WrongType":
            return f"Expected value of type {violation.expected} for {violation.path} on {place}."
        case _:
            return violation.message


def too_long_text(written: Any, name: str = "") -> str | None:
    """Return a sentence about the first text in a JSON value that is too long, None if none is."""
    if isinstance(written, str):
        # No character has more than four bytes, so most texts need no encoding to be measured.
        if len(written) * 4 <= TEXT_BYTES_MAX or len(written.encode()) <= TEXT_BYTES_MAX:
            return None
        return f"The value of {name} is longer than {TEXT_BYTES_MAX} bytes."
    if isinstance(written, dict):
        for key, value in written.items():
            if isinstance(value, _LENGTHY) and (found := too_long_text(value, key)):
                return found
    elif isinstance(written, list):
        for value in written:
            if isinstance(value, _LENGTHY) and (found := too_long_text(value, name)):
                return found
    return None


def _check(registry: ModelRegistry, document: Document, *, written: Any) -> None:
    violations = check_twin(registry, document)
    if violations:
        raise twin_invalid([violation_wording(violation) for violation in violations])
    too_long = too_long_text(written)
    if too_long is not None:
        raise twin_invalid([too_long])


@dataclass(slots=True)
class _Plan:
    """A patch taken apart: what changes values, and what it says of metadata.

    ``touched`` are (component or "", property), each once, in order.
    """

    operations: list[Document] = field(default_factory=list)
    touched: dict[tuple[str, str], None] = field(default_factory=dict)
    source_times: list[_SourceTime] = field(default_factory=list)
    model: str | None = None


@dataclass(frozen=True, slots=True)
class _SourceTime:
    """An operation on the source time of a property of a component or ("") of the twin."""

    op: str
    owner: str
    name: str
    value: Any


def _read_patch(document: Document, patch: Sequence[Document]) -> _Plan:
    plan = _Plan()
    for operation in patch:
        path, op = operation.get("path"), str(operation.get("op")).lower()
        if op not in OPERATIONS or not isinstance(path, str) or not path:
            plan.operations.append(operation)  # refused in its turn, when the patch is applied
            continue
        segments = segments_of(path)
        in_component = len(segments) > 1 and component_of(document, segments[0]) is not None
        owner = segments[0] if in_component else ""
        inner = segments[1:] if in_component else segments
        match inner:
            case ("$metadata", "$model") if op == "replace" and not owner:
                plan.model = _model_id(operation.get("value"))
            case ("$metadata", name, "sourceTime"):
                value = operation.get("value")
                plan.source_times.append(_SourceTime(op, owner, name, value))
            case (name, *_) if name.startswith("$"):
                raise unresolved(path)
            case _:
                plan.operations.append(operation)
                plan.touched[owner, inner[0]] = None
    return plan


def _place_wording(document: Document, missing: NoSuchPlaceError) -> str:
    """Return the service's words for a place a twin does not have; a relationship's are others.

    Source: a recorded component that is not there; of a property, Microsoft's exercise AZ-220 19
    and logs of users from 2020 to 2022, who all replace one that was never set.
    """
    *parents, last = missing.segments
    if missing.at < len(parents):
        return str(unresolved(missing.path))
    if not parents or (len(parents) == 1 and component_of(document, parents[0]) is not None):
        return f"{last} does not exist on component."
    return str(missing)


def _model_id(value: Any) -> str:
    if not isinstance(value, str):
        raise PatchError("The value of /$metadata/$model must be the id of a model.")
    return value


def _stamp_touched(result: Document, plan: _Plan, registry: ModelRegistry, now: str) -> None:
    metadata = result["$metadata"]
    model = metadata["$model"]
    contents = registry.contents(model) if model in registry else {}
    touched = plan.touched
    if plan.model is not None:
        touched = touched | dict.fromkeys(("", name) for name in _other_kinds(result, contents))
    for owner, name in touched:
        value = result.get(name)
        if owner:
            whole = ("", owner) in touched  # replaced as a whole, so stamped as a whole
            if not whole and isinstance(result.get(owner), dict):
                _stamp_in_component(result[owner], name, now)
        elif isinstance(contents.get(name), Component) and isinstance(value, dict):
            result[name] = _new_component(value, now)
            metadata.pop(name, None)
        else:
            _stamp(metadata, name, now, present=name in result)


def _other_kinds(result: Document, contents: Mapping[str, Content]) -> list[str]:
    """Return what was a property and is a component in a new model, and the other way round.

    A property has an entry in the metadata of the twin; a component has metadata of its own, which
    is taken from it.
    """
    metadata = result["$metadata"]
    names = [
        name
        for name in result
        if not name.startswith("$")
        and isinstance(contents.get(name), Component) is (name in metadata)
    ]
    for name in names:
        value = result[name]
        if isinstance(value, dict) and name not in metadata:
            result[name] = {key: inner for key, inner in value.items() if key != "$metadata"}
    return names


def _stamp_in_component(component: Document, name: str, now: str) -> None:
    metadata = component.pop("$metadata").copy()
    present = name in component
    if present:
        # Recorded: a component's own time does not move when the property ends up removed.
        metadata["$lastUpdateTime"] = now
    _stamp(metadata, name, now, present=present)
    component["$metadata"] = metadata


def _stamp(metadata: Document, name: str, now: str, *, present: bool) -> None:
    if not present:
        metadata.pop(name, None)
        return
    stamp: Document = {"lastUpdateTime": now}
    if "sourceTime" in metadata.get(name, {}):
        stamp["sourceTime"] = metadata[name]["sourceTime"]
    metadata[name] = stamp


def _write_source_time(document: Document, operation: _SourceTime) -> None:
    owner, name = operation.owner, operation.name
    holder = document.get(owner) if owner else document
    if not isinstance(holder, dict):
        raise _not_found(name)
    stamps = holder.get("$metadata")
    if not isinstance(stamps, dict) or not isinstance(stamps.get(name), dict):
        raise _not_found(name)
    metadata = stamps | {name: _with_source_time(stamps[name], operation)}
    if owner:
        document[owner] = holder | {"$metadata": metadata}
    else:
        document["$metadata"] = metadata


def _with_source_time(stamp: Document, operation: _SourceTime) -> Document:
    if operation.op == "remove":
        if "sourceTime" not in stamp:
            raise _not_found("sourceTime")
        return {key: time for key, time in stamp.items() if key != "sourceTime"}
    # The published examples replace the source time of a property that was added just before.
    fault = check_value(Primitive.DATE_TIME, operation.value)
    if fault is not None:
        raise PatchError(f"The sourceTime of {operation.name} {fault}.")
    return stamp | {"sourceTime": operation.value}


def _not_found(segment: str) -> PatchError:
    return PatchError(f"The target location specified by path segment '{segment}' was not found.")


def _new_component(value: Mapping[str, Any], now: str) -> Document:
    given = value.get("$metadata")
    stamps = given if isinstance(given, dict) else {}
    component = {name: inner for name, inner in value.items() if not name.startswith("$")}
    metadata: Document = {"$lastUpdateTime": now}
    metadata |= {name: _new_stamp(name, now, stamps.get(name)) for name in component}
    component["$metadata"] = metadata
    return component


def _new_stamp(name: str, now: str, given: Any) -> Document:
    stamp: Document = {"lastUpdateTime": now}
    if isinstance(given, dict) and given.get("sourceTime") is not None:
        fault = check_value(Primitive.DATE_TIME, given["sourceTime"])
        if fault is not None:
            raise twin_invalid([f"The sourceTime of {name} {fault}."])
        stamp["sourceTime"] = given["sourceTime"]
    return stamp
