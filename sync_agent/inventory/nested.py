"""Attributes of a JSON object, its parts included: ``site.name`` is the name inside ``site``.

Nothing is copied: parts are looked up when a rule asks for them. A key that itself has dots wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sync_agent.twins.twin import JsonValue


class Nested(Mapping[str, JsonValue]):
    """A JSON object as a record's attributes; iterating gives its own keys only."""

    __slots__ = ("document",)

    def __init__(self, document: Mapping[str, JsonValue]) -> None:
        self.document = document

    def __getitem__(self, name: str) -> JsonValue:
        document = self.document
        if name in document:
            return document[name]
        value: JsonValue = document
        for part in name.split("."):
            if isinstance(value, Mapping):
                value = value[part]
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                raise KeyError(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a name, ``default`` where there is none."""
        value = self.document.get(name)
        if value is not None or "." not in name:
            return default if value is None else value
        try:
            return self[name]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        return iter(self.document)

    def __len__(self) -> int:
        return len(self.document)
