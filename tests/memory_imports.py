"""Import jobs and a container in memory, beside ``memory_service``, for tests of what uses them.

A job does all of its work when it is started and is seen at work once. ``refuse`` are elements it
refuses and why, ``gives_up_after`` how many entries it makes, ``outcome`` how it says it ended.
``fail`` holds errors to raise for an operation, in order.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sync_agent.errors import NotFoundError
from sync_agent.ports.import_job import BlobContainer, ImportJob, ImportService
from sync_agent.twins.twin import Relationship, Twin
from tests.memory_service import MemoryService

CONTAINER = "memory://box"


class MemoryImports:
    """The import jobs of a service in memory (ports ``ImportJobs`` and ``BlobContainer``)."""

    def __init__(self, twins: MemoryService) -> None:
        self.twins = twins
        self.blobs: dict[str, bytes] = {}
        self.jobs: dict[str, str] = {}
        self.loaded: list[str] = []
        self.cancelled: list[str] = []
        self.started = asyncio.Event()
        self.theirs: ImportJob | None = None
        self.refuses_start = False
        self.stays_at_work = False
        self.refuse: dict[str, str] = {}
        self.gives_up_after = 10**9
        self.outcome = "succeeded"
        self.error = ""
        self.fail: dict[str, list[Exception]] = defaultdict(list)
        self.container: BlobContainer | None = self

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ImportService]:
        yield ImportService(self, self.container)

    # -- ImportJobs

    async def start(self, job_id: str, source: str, log: str) -> bool:
        self._before("start")
        if self.refuses_start:
            return False
        self.jobs[job_id] = "running"
        self.started.set()
        await self._work(source.rpartition("/")[2], log.rpartition("/")[2])
        return True

    async def get(self, job_id: str) -> ImportJob | None:
        self._before("get")
        status = self.jobs.get(job_id)
        if status is None:
            return None
        if not self.stays_at_work:
            self.jobs[job_id] = self.outcome
        return ImportJob(job_id, status, self.error if status == "failed" else "")

    async def at_work(self) -> ImportJob | None:
        return self.theirs

    async def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)
        self.jobs[job_id] = "cancelled"

    # -- BlobContainer

    def address(self, name: str) -> str:
        return f"{CONTAINER}/{name}"

    async def upload(self, name: str, lines: Iterator[bytes]) -> None:
        self._before("upload")
        self.blobs[name] = b"".join(lines)

    async def lines(self, name: str) -> AsyncIterator[dict[str, Any]]:
        self._before("lines")
        for line in self.blobs.get(name, b"").splitlines():
            yield json.loads(line)

    async def remove(self, name: str) -> None:
        self._before("remove")
        self.blobs.pop(name, None)

    # -- inside

    def _before(self, operation: str) -> None:
        if self.fail[operation]:
            raise self.fail[operation].pop(0)

    async def _work(self, source: str, log: str) -> None:
        entries = [json.loads(line) for line in self.blobs[source].splitlines()]
        refused = []
        for entry in entries[2:]:
            if "Section" in entry:
                continue
            edge = entry.get("$relationshipId")
            element = f"{entry['$dtId']}/{edge}" if edge else entry["$dtId"]
            if element in self.refuse:
                error = {"code": "Refused", "message": self.refuse[element]}
                refused.append({"logType": "Error", "details": {"entity": element, "error": error}})
            elif len(self.loaded) < self.gives_up_after:
                with suppress(NotFoundError):  # an end that was refused
                    await self._put(entry)
                    self.loaded.append(element)
        self.blobs[log] = b"".join(json.dumps(line).encode() + b"\n" for line in refused)

    async def _put(self, entry: dict[str, Any]) -> None:
        id_ = entry.pop("$dtId")
        if "$relationshipId" in entry:
            await self.twins.put_relationship(
                Relationship.from_document({**entry, "$sourceId": id_})
            )
        else:
            await self.twins.put_twin(Twin.from_document({**entry, "$dtId": id_}))
