"""JSON Patch as Azure Digital Twins takes it: ``add``, ``replace`` and ``remove`` on one document.

The whole patch applies or nothing does; operations apply in order. The given document is not
touched: what a path leads through is copied, and the result shares the rest with it, but nothing
with the patch. Paths and values are bounded in depth, so no document can exhaust the stack.
Source: RFC 6902; Azure Digital Twins REST, "Digital twins - Update"; messages as recorded from the
service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sync_agent.twins.twin import Document, JsonValue

OPERATIONS = ("add", "replace", "remove")
DEPTH_MAX = 64
"""How deep a path may point and a document may nest; DTDL's own bounds are far below."""
_INDEX_DIGITS_MAX = 9


_ABSENT: Final[Any] = object()


class PatchError(ValueError):
    """A patch that cannot be applied; the message is the service's, without its common tail."""


class NoSuchPlaceError(PatchError):
    """A path leads to a place that is not there: ``at`` is the first of its segments that is not.

    The message is that of relationships.
    """

    def __init__(self, path: str, segments: Sequence[str], at: int) -> None:
        super().__init__(
            f"The target location specified by path segment '{segments[at]}' was not found."
        )
        self.path = path
        self.segments = segments
        self.at = at


def segments_of(path: str) -> tuple[str, ...]:
    """Split a JSON pointer into its unescaped segments.

    >>> segments_of("/thermostat/set~1point")
    ('thermostat', 'set/point')

    Raises:
        PatchError: it does not start with a slash, or is too deep.
    """
    if not path.startswith("/") or path.count("/") > DEPTH_MAX:
        raise unresolved(path)
    segments = path[1:].split("/")
    if "~" in path:
        segments = [s.replace("~1", "/").replace("~0", "~") for s in segments]
    return tuple(segments)


def apply_patch(document: Document, patch: Sequence[Document]) -> Document:
    """Return the document with a patch applied.

    Raises:
        PatchError: an operation is unknown, lacks a part, or names a place that is not there.
    """
    result = document.copy()
    for operation in patch:
        _apply(result, operation)
    return result


def unresolved(path: object) -> PatchError:
    """Return the refusal of a path that leads to nothing a patch can change."""
    return PatchError(f"Could not resolve path {path}.")


def _apply(document: Document, operation: Document) -> None:
    op = operation.get("op")
    if not op:
        raise PatchError("Parameter op must not be empty.")
    name = str(op).lower()
    if name not in OPERATIONS:
        raise PatchError(f"Unsupported operation type {op}.")
    path = operation.get("path")
    if not isinstance(path, str) or not path:
        raise PatchError("Parameter path must not be empty.")
    segments = segments_of(path)
    target: Any = document
    for at, segment in enumerate(segments[:-1]):
        target = _step(target, segment)
        if target is _ABSENT:
            raise NoSuchPlaceError(path, segments, at)
    last = segments[-1]
    if name == "remove":
        was_there = _remove(target, last)
    elif name == "replace" and not _holds(target, last):
        was_there = False
    else:
        value = _copy(operation.get("value"), len(segments))
        was_there = _put(target, last, value, insert=name == "add")
    if not was_there:
        raise NoSuchPlaceError(path, segments, len(segments) - 1)


def _step(target: Any, segment: str) -> Any:
    """Go one step down, into a copy of what is there that takes its place; _ABSENT: nothing is."""
    place: Any = segment
    if isinstance(target, list):
        place = _index(target, segment)
    elif not isinstance(target, dict) or segment not in target:
        place = None
    if place is None:
        return _ABSENT
    inner = target[place]
    if isinstance(inner, dict | list):
        inner = target[place] = inner.copy()
    return inner


def _holds(target: Any, segment: str) -> bool:
    if isinstance(target, dict):
        return segment in target
    return isinstance(target, list) and _index(target, segment) is not None


def _put(target: Any, segment: str, value: JsonValue, *, insert: bool) -> bool:
    """Write a value; False where there is no place for it."""
    if isinstance(target, dict):
        target[segment] = value
    elif isinstance(target, list) and insert and segment in ("-", str(len(target))):
        target.append(value)
    elif isinstance(target, list) and (index := _index(target, segment)) is not None:
        target[index : index if insert else index + 1] = [value]
    else:
        return False
    return True


def _remove(target: Any, segment: str) -> bool:
    """Remove a value; False where there is none."""
    if isinstance(target, dict) and segment in target:
        del target[segment]
    elif isinstance(target, list) and (index := _index(target, segment)) is not None:
        del target[index]
    else:
        return False
    return True


def _index(target: list[Any], segment: str) -> int | None:
    """Return the place a segment names in an array, None when there is none (RFC 6901, 4)."""
    is_number = segment.isascii() and segment.isdigit() and len(segment) <= _INDEX_DIGITS_MAX
    if not is_number or (segment[0] == "0" and segment != "0"):
        return None
    return int(segment) if int(segment) < len(target) else None


def _copy(value: Any, depth: int) -> Any:
    # Several times as quick as copy.deepcopy, which keeps track of cycles; JSON has none.
    if depth > DEPTH_MAX:
        raise PatchError(f"A value is nested deeper than {DEPTH_MAX}.")
    if isinstance(value, dict):
        return {name: _copy(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_copy(inner, depth + 1) for inner in value]
    return value
