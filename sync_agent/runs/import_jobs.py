"""Has import jobs of the service done: one at a time, noted, waited for, tidied up after.

What a job is for is ``import_load``'s matter. A job is in the journal before its file is uploaded.
Whoever finds it there after a process was killed waits for it, since it does what was wanted
anyway, and tidies up; a lock beside the journal tells a job whose process lives. When a run is
broken off the job is cancelled. The file holds the inventory, so it goes when the job has ended,
and the log with it.

Bounds: ``TURN_WAIT_S`` for another's job, ``CANCEL_WAIT_S`` for one to stop; one question every
``POLL_MAX_S`` at the end, since the service answers few.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sync_agent.errors import GuardError, ServiceError
from sync_agent.ports.import_job import BlobContainer, ImportJob, ImportJobs, ImportService
from sync_agent.runs.import_notes import ImportNotes, Note
from sync_agent.runs.lease import file_lease

TURN_WAIT_S = 600.0
CANCEL_WAIT_S = 60.0
POLL_MIN_S = 1.0
POLL_MAX_S = 10.0

Say = Callable[[str], None]
"""Called with a sentence for the person who waits."""
Poll = Callable[[], Awaitable[None]]
"""Called between two questions about a job."""


def silent(_: str) -> None:
    """Say nothing."""


async def _nothing() -> None:
    """Do nothing between two questions."""


@dataclass(frozen=True, slots=True)
class ImportAccess:
    """How jobs are reached: ``connect`` opens the way, ``storage`` says if it has a container."""

    connect: Callable[[], AbstractAsyncContextManager[ImportService]]
    storage: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that has ended, and the entries of its log that say what went wrong."""

    job: ImportJob
    log: list[dict[str, object]] = field(default_factory=list)


class _NotStartedError(Exception):
    """A job was not started, for this reason."""

    def __init__(self, reason: ServiceError | GuardError) -> None:
        super().__init__(reason.message)
        self.reason = reason


class ImportWork:
    """The import jobs of one journal and one service."""

    def __init__(self, access: ImportAccess, journal: Path, instance: str, say: Say) -> None:
        self.access = access
        self._journal = journal
        self._instance = instance
        self._say = say

    async def settle_open(self) -> None:
        """Wait for jobs that are noted and not over, and tidy up after those of killed processes.

        Raises:
            ServiceError: the service cannot be asked.
        """
        with self._notes() as notes:
            left = notes.open()
            if not left:
                return
            async with self.access.connect() as service:
                for note in left:
                    await self._until_ended(service.jobs, note, f"of run {note.run}")
                with suppress(GuardError):  # a process that lives tidies up itself
                    async with self._alive():
                        for note in left:
                            await self._tidy(service.container, notes, note)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[ImportService]:
        """Connect, and wait until no other import job is at work.

        Raises:
            GuardError: another one is at work for too long.
            ServiceError: the service cannot be asked.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + TURN_WAIT_S
        async with self.access.connect() as service:
            said = False
            while (other := await service.jobs.at_work()) is not None:
                if loop.time() + POLL_MAX_S > until_s:
                    raise self._busy(f"the import job {other.id}, begun {other.began},")
                if not said:
                    self._say(f"waiting for the import job {other.id}, begun {other.began}")
                    said = True
                await asyncio.sleep(POLL_MAX_S)
            yield service

    async def have_done(
        self, service: ImportService, run: int, lines: Iterator[bytes], between: Poll = _nothing
    ) -> Ended:
        """Have a job load these lines, and return how it ended; ``between`` runs while it works.

        Raises:
            GuardError: another bulk job came in between; nothing was written.
            ServiceError: the file could not be stored, the job not be started or not be followed.
        """
        container = service.container
        if container is None:
            raise ValueError("there is no container")
        note = Note(f"sync-agent-{uuid.uuid4()}", run)
        with self._notes() as notes:
            async with self._alive():
                notes.add(note)
                try:
                    await self._start(service.jobs, container, note, lines)
                    job = await self._until_ended(service.jobs, note, "", between)
                except _NotStartedError as error:
                    with suppress(ServiceError):
                        await container.remove(note.source)
                    notes.strike(note)
                    raise error.reason from error
                except asyncio.CancelledError:
                    await self._break_off(service.jobs, container, notes, note)
                    raise
                log = await self._log(container, note)
                await self._tidy(container, notes, note)
        return Ended(job, log)

    # -- inside ---------------------------------------------------------------------------------

    def _notes(self) -> ImportNotes:
        return ImportNotes(self._journal, self._instance)

    def _alive(self) -> AbstractAsyncContextManager[None]:
        return file_lease(self._journal.with_name(f"{self._journal.name}.import.lock"))

    async def _start(
        self, jobs: ImportJobs, container: BlobContainer, note: Note, lines: Iterator[bytes]
    ) -> None:
        source, log = container.address(note.source), container.address(note.log)
        try:
            await container.upload(note.source, lines)
        except ServiceError as error:
            raise _NotStartedError(error) from error
        try:
            started = await jobs.start(note.job, source, log)
        except ServiceError as error:
            if error.retryable:  # nobody answered, so it may be at work: it stays noted
                raise
            raise _NotStartedError(error) from error
        if not started:
            raise _NotStartedError(self._busy("a bulk job"))
        self._say(f"import job {note.job} is at work")

    async def _until_ended(
        self, jobs: ImportJobs, note: Note, whose: str, between: Poll = _nothing
    ) -> ImportJob:
        wait_s, said = POLL_MIN_S, not whose
        while True:
            job = await jobs.get(note.job)
            if job is None:
                return ImportJob(note.job, "failed", "the service does not know the job any more")
            if job.ended:
                return job
            if not said:
                self._say(f"waiting for the import job {note.job}, {whose}")
                said = True
            await between()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, POLL_MAX_S)

    async def _log(self, container: BlobContainer, note: Note) -> list[dict[str, object]]:
        """Return what a job's log says went wrong; it only explains, so it may be missing."""
        try:
            lines = container.lines(note.log)
            return [entry async for entry in lines if entry.get("logType") == "Error"]
        except ServiceError as error:
            self._say(f"the log {note.log} cannot be read: {error.message}")
            return []

    async def _break_off(
        self, jobs: ImportJobs, container: BlobContainer, notes: ImportNotes, note: Note
    ) -> None:
        """Cancel a job and tidy up; what is not over in time stays noted."""
        self._say(f"cancelling the import job {note.job}")
        with suppress(ServiceError, TimeoutError):
            async with asyncio.timeout(CANCEL_WAIT_S):
                if await jobs.get(note.job) is not None:
                    await jobs.cancel(note.job)
                    await self._until_ended(jobs, note, "")
                await self._tidy(container, notes, note)

    async def _tidy(self, container: BlobContainer | None, notes: ImportNotes, note: Note) -> None:
        """Remove a job's blobs and strike it out; one that cannot be removed stays noted."""
        try:
            if container is None:
                raise ServiceError("import_job.container is not set")
            for name in (note.source, note.log):
                await container.remove(name)
        except ServiceError as error:
            self._say(f"{note.source} and {note.log} may still be stored: {error.message}")
        else:
            notes.strike(note)

    def _busy(self, what: str) -> GuardError:
        return GuardError(
            f"{what} is at work on {self._instance}, which does one at a time; nothing was written",
            remedy="wait until it has ended, or plan without import_job.container",
        )
