"""A twin service in memory, for tests of what writes to one: all three ports, ETags, refusals.

It keeps the same contract as the real adapter (``tests/contract``); queries run in the reference
interpreter. ``fail`` holds errors to raise for an operation on an element, in order; ``lag`` makes
a new twin unlinkable for so many tries, as the service sometimes does.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import (
    ConflictError,
    NotFoundError,
    PreconditionError,
    ServiceError,
)
from sync_agent.query.checks import check
from sync_agent.query.interpreter import run
from sync_agent.query.parser import parse
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.patch import PatchError, apply_patch
from sync_agent.twins.twin import Document, Relationship, Twin


def patched(document: Document, patch: Sequence[Document]) -> Document:
    try:
        return apply_patch(document, patch)
    except PatchError as error:
        raise ServiceError(str(error), status=400, code="JsonPatchInvalid") from error


class MemoryService:
    """Twins, relationships and models of one instance; ``log`` lists the writes made."""

    def __init__(self, models: Sequence[Document] = ()) -> None:
        self.graph = TwinGraph()
        self.models: dict[str, Document] = {m["@id"]: m for m in models}
        self.decommissioned: set[str] = set()
        self.log: list[tuple[str, str]] = []
        self.fail: dict[tuple[str, str], list[Exception]] = defaultdict(list)
        self.fail_after: dict[tuple[str, str], list[Exception]] = defaultdict(list)
        self.lag: dict[str, int] = {}
        self._versions = 0
        self._registry = ModelRegistry()

    # -- TwinReader

    async def get_twin(self, twin_id: str) -> Twin | None:
        document = self.graph.twin(twin_id)
        return None if document is None else Twin.from_document(copy.deepcopy(document))

    async def query(self, text: str) -> AsyncIterator[Document]:
        query = parse(text)
        check(query)
        for row in list(run(query, self.graph, self.registry)):
            yield copy.deepcopy(row)

    async def relationships_of(self, twin_id: str) -> AsyncIterator[Relationship]:
        for document in list(self.graph.outgoing(twin_id)):
            yield Relationship.from_document(copy.deepcopy(document))

    # -- TwinWriter

    async def put_twin(self, twin: Twin, *, only_if_absent: bool = False) -> Twin:
        self._before("put", twin.id)
        if only_if_absent and self.graph.twin(twin.id) is not None:
            raise PreconditionError("it exists", status=412)
        document = {"$dtId": twin.id, "$etag": self._etag(), **copy.deepcopy(twin.to_document())}
        self.graph.put_twin(document)
        self._after("put", twin.id)
        return Twin.from_document(document)

    async def patch_twin(
        self, twin_id: str, patch: Sequence[Document], *, etag: str | None = None
    ) -> None:
        self._before("patch", twin_id)
        document = self._there(twin_id, etag)
        self.graph.put_twin({**patched(document, patch), "$etag": self._etag()})
        self._after("patch", twin_id)

    async def delete_twin(self, twin_id: str, *, etag: str | None = None) -> None:
        self._before("delete", twin_id)
        self._there(twin_id, etag)
        if any(self.graph.outgoing(twin_id)) or any(self.graph.incoming(twin_id)):
            raise ServiceError("it has edges", status=400, code="RelationshipsNotDeleted")
        self.graph.remove_twin(twin_id)
        self._after("delete", twin_id)

    async def put_relationship(
        self, relationship: Relationship, *, only_if_absent: bool = False
    ) -> Relationship:
        element = "/".join(relationship.key)
        self._before("put", element)
        for end in (relationship.source, relationship.target):
            if self.graph.twin(end) is None or self.lag.get(end, 0) > 0:
                self.lag[end] = self.lag.get(end, 1) - 1
                raise NotFoundError(f"no twin {end}", status=404)
        if only_if_absent and self.graph.relationship(*relationship.key) is not None:
            raise PreconditionError("it exists", status=412)
        document = {**copy.deepcopy(relationship.to_document()), "$etag": self._etag()}
        self.graph.put_relationship(document)
        self._after("put", element)
        return Relationship.from_document(document)

    async def patch_relationship(
        self,
        source: str,
        relationship_id: str,
        patch: Sequence[Document],
        *,
        etag: str | None = None,
        target: str | None = None,
    ) -> None:
        element = f"{source}/{relationship_id}"
        self._before("patch", element)
        document = self._edge(source, relationship_id, etag)
        self.graph.put_relationship({**patched(document, patch), "$etag": self._etag()})
        self._after("patch", element)

    async def delete_relationship(
        self,
        source: str,
        relationship_id: str,
        *,
        etag: str | None = None,
        target: str | None = None,
    ) -> None:
        element = f"{source}/{relationship_id}"
        self._before("delete", element)
        self._edge(source, relationship_id, etag)
        self.graph.remove_relationship(source, relationship_id)
        self._after("delete", element)

    # -- ModelStore

    @property
    def registry(self) -> ModelRegistry:
        if set(self._registry.ids) != set(self.models):
            self._registry = ModelRegistry(parse_models(self.models.values()).interfaces)
        return self._registry

    async def list_models(self) -> AsyncIterator[Document]:
        for id_, model in list(self.models.items()):
            yield {"id": id_, "decommissioned": id_ in self.decommissioned, "model": model}

    async def create_models(self, documents: Sequence[Document]) -> None:
        for document in documents:
            if document["@id"] in self.models:
                raise ConflictError("it exists", status=409)
        self.models.update({d["@id"]: d for d in documents})

    async def decommission_model(self, model_id: str) -> None:
        if model_id not in self.models:
            raise NotFoundError("no such model", status=404)
        self.decommissioned.add(model_id)

    async def delete_model(self, model_id: str) -> None:
        if self.models.pop(model_id, None) is None:
            raise NotFoundError("no such model", status=404)

    # -- inside

    def _etag(self) -> str:
        self._versions += 1
        return f'W/"{self._versions:032x}"'

    def _there(self, twin_id: str, etag: str | None) -> Document:
        document = self.graph.twin(twin_id)
        if document is None:
            raise NotFoundError(f"no twin {twin_id}", status=404)
        if etag is not None and etag != document["$etag"]:
            raise PreconditionError("it changed", status=412)
        return document

    def _edge(self, source: str, relationship_id: str, etag: str | None) -> Document:
        document = self.graph.relationship(source, relationship_id)
        if document is None:
            raise NotFoundError("no such relationship", status=404)
        if etag is not None and etag != document["$etag"]:
            raise PreconditionError("it changed", status=412)
        return document

    def _before(self, operation: str, element: str) -> None:
        if self.fail[operation, element]:
            raise self.fail[operation, element].pop(0)

    def _after(self, operation: str, element: str) -> None:
        self.log.append((operation, element))
        if self.fail_after[operation, element]:
            raise self.fail_after[operation, element].pop(0)
