"""What the agent needs of a twin service: read, write, models; at most six methods each.

Implementations: ``azure.twin_store`` (azure-digitaltwins-core, against ADT or the stub). Every
method raises from the ``ServiceError`` branch of ``errors`` and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from sync_agent.twins.twin import Document, Relationship, Twin


class TwinReader(Protocol):
    """Reads by id (current at once) and by query (eventually consistent, up to 10 s behind)."""

    async def get_twin(self, twin_id: str) -> Twin | None:
        """Return the twin, or None when there is none of that id."""
        ...

    def query(self, text: str) -> AsyncIterator[Document]:
        """Yield the rows of an ADT query, page after page."""
        ...

    def relationships_of(self, twin_id: str) -> AsyncIterator[Relationship]:
        """Yield the twin's outgoing relationships."""
        ...


class TwinWriter(Protocol):
    """Writes one thing at a time; an ``etag`` makes the write conditional (``If-Match``)."""

    async def put_twin(self, twin: Twin, *, only_if_absent: bool = False) -> Twin:
        """Create or wholly replace a twin; ``only_if_absent`` refuses one that exists (412)."""
        ...

    async def patch_twin(
        self, twin_id: str, patch: Sequence[Document], *, etag: str | None = None
    ) -> None:
        """Apply a JSON Patch; all of it or nothing."""
        ...

    async def delete_twin(self, twin_id: str, *, etag: str | None = None) -> None:
        """Delete a twin that has no relationships left."""
        ...

    async def put_relationship(
        self, relationship: Relationship, *, only_if_absent: bool = False
    ) -> Relationship:
        """Create or wholly replace a relationship; both ends must exist."""
        ...

    async def patch_relationship(
        self,
        source: str,
        relationship_id: str,
        patch: Sequence[Document],
        *,
        etag: str | None = None,
        target: str | None = None,
    ) -> None:
        """Apply a JSON Patch to a relationship's properties.

        ``target`` is the twin it leads to, if the caller knows: the write counts against it too.
        """
        ...

    async def delete_relationship(
        self,
        source: str,
        relationship_id: str,
        *,
        etag: str | None = None,
        target: str | None = None,
    ) -> None:
        """Delete a relationship; ``target`` as above."""
        ...


class TwinStore(TwinReader, TwinWriter, Protocol):
    """A twin service as far as its twins go."""


class ModelStore(Protocol):
    """The deployed DTDL models."""

    def list_models(self) -> AsyncIterator[Document]:
        """Yield model metadata with the DTDL document under ``model``."""
        ...

    async def create_models(self, documents: Sequence[Document]) -> None:
        """Create models, all or none; at most 250 a call."""
        ...

    async def decommission_model(self, model_id: str) -> None:
        """Forbid new twins of a model."""
        ...

    async def delete_model(self, model_id: str) -> None:
        """Delete a model no other model refers to."""
        ...


class TwinService(TwinStore, ModelStore, Protocol):
    """A twin service with all of its ports."""
