"""Import jobs through azure-digitaltwins-core, whose generated layer alone has them.

The service answers few requests about jobs (recorded: one in 6 to 14 seconds, with the wait in
``Retry-After``), so each is asked for gently and again for ``PATIENCE_S``. A 429 that names no wait
is another matter: a bulk job is at work, and there is only one at a time. A start whose answer got
lost is looked at before it is repeated. Source: Azure Digital Twins REST, "Import jobs"; recorded
exchanges.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from azure.digitaltwins.core._generated.models import ImportJob as SdkJob

from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.errors import NotFoundError, ServiceError, ThrottledError, UnreachableError
from sync_agent.ports.import_job import ImportJob

PATIENCE_S = 300.0
RETRY_WAIT_S = 5.0

Answer = TypeVar("Answer")


class AzureImportJobs:
    """The import jobs of one instance (port ``ImportJobs``)."""

    def __init__(self, store: AzureTwinStore) -> None:
        self._store = store

    async def start(self, job_id: str, source: str, log: str) -> bool:
        """Start a job from one blob's address to another's; False: another bulk job is at work."""
        job = SdkJob(input_blob_uri=source, output_blob_uri=log)
        try:
            await self._ask(lambda jobs: jobs.add(job_id, job), repeat_reset=False)
        except ServiceError as error:
            if _busy(error):
                return False
            arrived = isinstance(error, UnreachableError) and await self.get(job_id) is not None
            if not arrived:
                raise
        return True

    async def get(self, job_id: str) -> ImportJob | None:
        """Return a job, None when there is none of that id."""
        try:
            return _job(await self._ask(lambda jobs: jobs.get_by_id(job_id)))
        except NotFoundError:
            return None

    async def at_work(self) -> ImportJob | None:
        """Return the import job that is at work, None when there is none."""
        for job in await self._ask(_all):
            if not _job(job).ended:
                return _job(job)
        return None

    async def cancel(self, job_id: str) -> None:
        """Ask a job to stop; what it wrote stays."""
        await self._ask(lambda jobs: jobs.cancel(job_id))

    async def _ask(
        self, work: Callable[[Any], Awaitable[Answer]], *, repeat_reset: bool = True
    ) -> Answer:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await self._store.generated(lambda layer: work(layer.import_jobs))
            except ServiceError as error:
                wait_s = error.retry_after_s or RETRY_WAIT_S
                lost = isinstance(error, UnreachableError) and not repeat_reset
                late = time.monotonic() + wait_s > until
                if not error.retryable or _busy(error) or lost or late:
                    raise
            await asyncio.sleep(wait_s)


def _busy(error: ServiceError) -> bool:
    """Tell whether a refusal says that a bulk job is at work: it names no time to wait."""
    return isinstance(error, ThrottledError) and error.retry_after_s is None


async def _all(jobs: Any) -> list[SdkJob]:
    return [job async for job in jobs.list()]


def _job(job: SdkJob) -> ImportJob:
    error = job.error
    said = f"{error.code}: {error.message}" if error is not None else ""
    began = job.created_date_time.isoformat(timespec="seconds") if job.created_date_time else ""
    return ImportJob(str(job.id), str(job.status).lower(), said, began)
