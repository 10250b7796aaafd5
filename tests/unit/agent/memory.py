"""An in-memory twin service for the agent's tests: it applies patches as the service does."""

from __future__ import annotations

from collections.abc import Sequence

from sync_agent.errors import NotFoundError, ServiceError
from sync_agent.twins.patch import PatchError, apply_patch
from sync_agent.twins.twin import Document, Twin


class MemoryTwins:
    """Twins by id; ``writes`` lists the patches; ``fail_next`` raises, before or after one."""

    def __init__(self, *twins: Twin) -> None:
        self.documents: dict[str, Document] = {}
        for twin in twins:
            document = {"$dtId": twin.id, **twin.to_document()}
            self.documents[twin.id] = document
        self.writes: list[tuple[str, list[Document]]] = []
        self.reads: list[str] = []
        self.fail_next: Exception | None = None
        self.fail_after_write = False

    async def get_twin(self, twin_id: str) -> Twin | None:
        self.reads.append(twin_id)
        document = self.documents.get(twin_id)
        return None if document is None else Twin.from_document(document)

    async def patch_twin(
        self, twin_id: str, patch: Sequence[Document], *, etag: str | None = None
    ) -> None:
        failure, self.fail_next = self.fail_next, None
        if failure is not None and not self.fail_after_write:
            raise failure
        if twin_id not in self.documents:
            raise NotFoundError(f"no twin {twin_id}", status=404)
        document = self.documents[twin_id]
        for operation in patch:
            parts = str(operation["path"]).split("/")
            if parts[1] == "$metadata":
                document["$metadata"].setdefault(parts[2], {})
        try:
            self.documents[twin_id] = apply_patch(document, patch)
        except PatchError as error:
            raise ServiceError(str(error), status=400) from error
        self.writes.append((twin_id, list(patch)))
        if failure is not None:
            raise failure
