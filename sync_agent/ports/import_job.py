"""What the agent needs to have the service load a file: its import jobs, and a place for the file.

The service allows one bulk job at a time and few questions about it, so an implementation waits as
it is asked to and tries again by itself. Implementations: ``azure.import_job``,
``azure.blob_container``. Every method raises from the ``ServiceError`` branch of ``errors``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ImportJob:
    """A job as the service tells it; ``error`` is why it failed, ``began`` when it was made."""

    id: str
    status: str
    error: str = ""
    began: str = ""

    @property
    def ended(self) -> bool:
        """Tell whether it does nothing any more."""
        return self.status in ("succeeded", "failed", "cancelled")


class ImportJobs(Protocol):
    """The import jobs of one twin service."""

    async def start(self, job_id: str, source: str, log: str) -> bool:
        """Start a job from one blob's address to another's; False: another bulk job is at work."""
        ...

    async def get(self, job_id: str) -> ImportJob | None:
        """Return a job, None when there is none of that id."""
        ...

    async def at_work(self) -> ImportJob | None:
        """Return the import job that is at work, None when there is none."""
        ...

    async def cancel(self, job_id: str) -> None:
        """Ask a job to stop; what it wrote stays."""
        ...


class BlobContainer(Protocol):
    """Where a job's input and log lie."""

    def address(self, name: str) -> str:
        """Return the address of a blob, without anything secret."""
        ...

    async def upload(self, name: str, lines: Iterator[bytes]) -> None:
        """Write a blob piece by piece, in place of what was there."""
        ...

    def lines(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the JSON objects of a blob, line by line; nothing when there is no such blob."""
        ...

    async def remove(self, name: str) -> None:
        """Delete a blob; it is no error when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class ImportService:
    """The jobs of a service with the container to use, None when the settings name none."""

    jobs: ImportJobs
    container: BlobContainer | None
