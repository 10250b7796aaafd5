"""Digital twins and relationships as values, and their documents on the wire.

A twin's property bag is the one free-form dict in the house: names to JSON values, components
included as nested objects. Bookkeeping the service keeps (``$etag``, ``$metadata``) stands beside
the properties, never among them. Source: Azure Digital Twins REST, "Digital twins - Get by id".

They are made by the million, so they are structs of msgspec: four times quicker to make than frozen
dataclasses, and the garbage collector need not walk them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

JsonValue: TypeAlias = (
    Any  # None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]
)
Document: TypeAlias = dict[str, JsonValue]
Key: TypeAlias = tuple[str, str]
"""What identifies a relationship in the whole graph: its source, and its id there."""


def model_of(document: Mapping[str, JsonValue]) -> str:
    """Return the model of a twin's document, "" where it has none."""
    return (document.get("$metadata") or {}).get("$model") or ""


def key_of(document: Mapping[str, JsonValue]) -> Key:
    """Return what identifies a relationship's document in the whole graph."""
    return (document["$sourceId"], document["$relationshipId"])


class Twin(msgspec.Struct, frozen=True, gc=False):
    """One digital twin: id, model, and its properties and components.

    ``metadata`` is the document's ``$metadata`` as the service returned it (``{}`` for a twin that
    has not been written yet), ``etag`` its concurrency tag.
    """

    id: str
    model: str
    properties: Mapping[str, JsonValue] = msgspec.field(default_factory=dict)
    etag: str = ""
    metadata: Mapping[str, JsonValue] = msgspec.field(default_factory=dict)

    @classmethod
    def from_document(cls, document: Mapping[str, JsonValue]) -> Twin:
        """Read a twin from the document the service returns."""
        return cls(
            id=document["$dtId"],
            model=model_of(document),
            properties={k: v for k, v in document.items() if not k.startswith("$")},
            etag=document.get("$etag") or "",
            metadata=document.get("$metadata") or {},
        )

    def to_document(self) -> Document:
        """Return the body of a PUT that creates this twin."""
        return {"$metadata": {"$model": self.model}, **self.properties}

    def as_stored(self) -> Document:
        """Return the document the service has of this twin, as ``from_document`` reads it."""
        metadata = {**self.metadata, "$model": self.model}
        return {"$dtId": self.id, "$etag": self.etag, **self.properties, "$metadata": metadata}


class Relationship(msgspec.Struct, frozen=True, gc=False):
    """One relationship: an edge named ``name`` from twin ``source`` to twin ``target``.

    ``id`` is unique only within its source twin.
    """

    id: str
    source: str
    name: str
    target: str
    properties: Mapping[str, JsonValue] = msgspec.field(default_factory=dict)
    etag: str = ""

    @property
    def key(self) -> Key:
        """Return what identifies it in the whole graph."""
        return (self.source, self.id)

    @classmethod
    def from_document(cls, document: Mapping[str, JsonValue]) -> Relationship:
        """Read a relationship from the document the service returns."""
        return cls(
            id=document["$relationshipId"],
            source=document["$sourceId"],
            name=document["$relationshipName"],
            target=document["$targetId"],
            properties={k: v for k, v in document.items() if not k.startswith("$")},
            etag=document.get("$etag") or "",
        )

    def to_document(self) -> Document:
        """Return the body of a PUT that creates this relationship."""
        return {
            "$relationshipId": self.id,
            "$sourceId": self.source,
            "$relationshipName": self.name,
            "$targetId": self.target,
            **self.properties,
        }

    def as_stored(self) -> Document:
        """Return the document the service has of this relationship."""
        return {**self.to_document(), "$etag": self.etag}
