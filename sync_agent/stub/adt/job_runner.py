"""Import and delete jobs at work, in pieces, so that requests have their turns between.

The input is NDJSON: a header, then sections of models, twins and relationships, in that order. An
entry that is refused is written to the log and counted, and the job goes on; it has failed then.
Nothing is taken back, neither of a failed nor of a cancelled job. Imports send no notifications.
As on the service an import job is not started at once; here it waits ``START_S``.
Source: Azure Digital Twins, "Import models, twins, and relationships in bulk"; bulk limits.
Bounds: the service's on entries, ``FAULTS_MAX`` refused ones, ``PIECE`` entries a turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from sync_agent.stub.adt.answers import Refusal
from sync_agent.stub.adt.blob import BlobError, append_log, create_log, is_allowed, read_lines
from sync_agent.stub.adt.exchange import Asked, update_time
from sync_agent.stub.adt.jobs import DELETE, IMPORT, JobDb, JobStatus
from sync_agent.stub.adt.models import ModelOperations
from sync_agent.stub.adt.operation import API_VERSIONS
from sync_agent.stub.adt.relationships import RelationshipOperations
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.adt.twins import TwinOperations
from sync_agent.twins.twin import Document

PIECE = 500
START_S = 0.1
FAULTS_MAX = 1_000
SECTIONS = {"Models": 10_000, "Twins": 2_000_000, "Relationships": 10_000_000}
"""The sections in their order, with the most entries of each."""

FILE_VERSION = "1.0.0"
_BLOBS = ("inputBlobUri", "outputBlobUri")
_FOREIGN = "The stub opens blobs on loopback only, or on hosts given with --blob-host."
"""Whoever may start a job would otherwise choose what the stub connects to."""


class _StoppedError(Exception):
    """The job was cancelled."""


class _FailedError(Exception):
    """The job cannot go on; the text may begin with a code and a colon."""


@dataclass(slots=True)
class _Import:
    """An import while it runs: its job, its lines, its log, and what was refused."""

    job: Document
    lines: Iterator[bytes]
    log: list[Document] = field(default_factory=list)
    section: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    models: list[Document] = field(default_factory=list)
    faults: int = 0

    def note(self, details: Document, kind: str = "Info") -> None:
        """Add a line to the log."""
        self.log.append(
            {
                "timestamp": update_time(),
                "jobId": self.job["id"],
                "jobType": "Import",
                "logType": kind,
                "details": details,
            }
        )

    def refuse(self, entry: str, code: str, message: str) -> None:
        """Log and count an entry that was refused.

        Raises:
            _FailedError: there are too many.
        """
        self.faults += 1
        error = {"code": code, "message": message}
        self.note({"section": self.section, "entity": entry, "error": error}, "Error")
        if self.faults >= FAULTS_MAX:
            raise _FailedError(f"{FAULTS_MAX} entries were refused; the rest was not tried.")


class JobRunner:
    """Runs jobs one at a time on the event loop that calls ``start``."""

    def __init__(
        self,
        db: TwinDb,
        jobs: JobDb,
        turn: asyncio.Lock,
        models: ModelOperations,
        twins: TwinOperations,
        relationships: RelationshipOperations,
        blob_hosts: Collection[str],
    ) -> None:
        """Prepare; ``turn`` is held while the store is used, blobs are on loopback or these."""
        self._db = db
        self._jobs = jobs
        self._turn = turn
        self._models = models
        self._twins = twins
        self._relationships = relationships
        self._blob_hosts = blob_hosts
        self._running: set[asyncio.Task[None]] = set()
        self._asked = Asked(API_VERSIONS[-1])

    def start(self, kind: str, job: Document) -> None:
        """Run a job in the background."""
        work = self._import(job) if kind == IMPORT else self._delete(job)
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """End what runs; it has failed when the store is opened again."""
        for task in list(self._running):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # -- import ---------------------------------------------------------------------------------

    async def _import(self, job: Document) -> None:
        await asyncio.sleep(START_S)
        async with self._turn:
            if self._jobs.get(IMPORT, job["id"]) != job:
                return  # cancelled or deleted meanwhile
            if not all(is_allowed(job[name], self._blob_hosts) for name in _BLOBS):
                self._jobs.finish(IMPORT, job, JobStatus.FAILED, _FOREIGN)
                return
            # In the same turn: who calls it off from now on finds it at work, and it will notice.
            job["status"] = JobStatus.RUNNING.value
            self._jobs.put(IMPORT, job)
        await self._run_import(job)

    async def _run_import(self, job: Document) -> None:
        run = _Import(job, read_lines(job["inputBlobUri"]))
        status, fault = JobStatus.SUCCEEDED, ""
        try:
            await asyncio.to_thread(create_log, job["outputBlobUri"])
            run.note({"status": "Started"})
            await self._import_all(run)
            if run.faults:
                raise _FailedError(
                    f"{run.faults} entries were refused; the output blob names them."
                )
        except _StoppedError:
            status = JobStatus.CANCELLED
        except (_FailedError, BlobError) as error:
            status, fault = JobStatus.FAILED, str(error)
        run.note({"status": status.value.capitalize()}, "Error" if fault else "Info")
        try:
            await self._write_log(run)
        except BlobError as error:
            status, fault = JobStatus.FAILED, fault or str(error)
        async with self._turn:
            self._jobs.finish(IMPORT, job, status, fault)

    async def _import_all(self, run: _Import) -> None:
        number = 0
        while piece := await asyncio.to_thread(_decoded, run.lines, number):
            async with self._turn:
                self._stop_if_cancelled(run)
                failure = self._take_all(run, piece, number)
            number += len(piece)
            if failure is not None:
                raise failure
            await self._write_log(run)
        if number < 2:
            raise _FailedError("ValidationFailed: The input has no header.")
        async with self._turn:
            self._end_section(run)

    def _take_all(self, run: _Import, piece: list[Any], number: int) -> _FailedError | None:
        """Do what some lines say, in one transaction; what stands before a failure stays."""
        with self._db.writing():
            for at, entry in enumerate(piece, start=number + 1):
                try:
                    self._take(run, entry, at)
                except _FailedError as error:
                    return error
        return None

    def _take(self, run: _Import, entry: Any, number: int) -> None:
        """Do what one line says."""
        if isinstance(entry, _FailedError):
            raise entry
        if number <= 2:
            _check_header(entry, number)
        elif isinstance(entry, dict) and entry.keys() == {"Section"}:
            self._begin_section(run, entry["Section"])
        elif not run.section:
            raise _FailedError(f"ValidationFailed: Line {number} stands in no section.")
        else:
            run.counts[run.section] = run.counts.get(run.section, 0) + 1
            if run.counts[run.section] > SECTIONS[run.section]:
                most = SECTIONS[run.section]
                raise _FailedError(f"LimitExceeded: There are more than {most:,} {run.section}.")
            self._enter(run, entry, number)

    def _begin_section(self, run: _Import, name: Any) -> None:
        order = list(SECTIONS)
        if name not in order or (run.section and order.index(name) <= order.index(run.section)):
            raise _FailedError(f"ValidationFailed: The section {name} cannot stand there.")
        self._end_section(run)
        run.section = name
        run.note({"section": name, "status": "Started"})

    def _end_section(self, run: _Import) -> None:
        if run.section == "Models" and run.models:
            try:
                self._models.add_all(run.models)
            except Refusal as refusal:
                code = "DTDLParsingError" if refusal.code == "DTDLParserError" else refusal.code
                raise _FailedError(f"{code}: {refusal.message}") from refusal
            run.models = []
        if run.section:
            run.note({"section": run.section, "status": "Succeeded"})

    def _enter(self, run: _Import, entry: Any, number: int) -> None:
        """Write one model, twin or relationship."""
        if not isinstance(entry, dict):
            run.refuse(f"line {number}", "ValidationFailed", "The entry is no JSON object.")
            return
        if run.section == "Models":
            run.models.append(entry)
            return
        twin_id, edge_id = entry.get("$dtId"), entry.get("$relationshipId")
        names = (twin_id,) if run.section == "Twins" else (twin_id, edge_id)
        if not all(isinstance(name, str) and name for name in names):
            run.refuse(f"line {number}", "ValidationFailed", "The entry has no id.")
            return
        try:
            if run.section == "Twins":
                self._twins.put(str(twin_id), entry, self._asked, quiet=True)
            else:
                self._relationships.put(str(twin_id), str(edge_id), entry, self._asked, quiet=True)
        except Refusal as refusal:
            details = " ".join(str(detail["message"]) for detail in refusal.details)
            message = f"{refusal.message} {details}".strip()
            run.refuse("/".join(map(str, names)), refusal.code, message)

    def _stop_if_cancelled(self, run: _Import) -> None:
        known = self._jobs.get(IMPORT, run.job["id"])
        if known is None or known["status"] == JobStatus.CANCELLING:  # none after a snapshot
            raise _StoppedError

    async def _write_log(self, run: _Import) -> None:
        lines, run.log = run.log, []
        if lines:
            data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
            await asyncio.to_thread(append_log, run.job["outputBlobUri"], data)

    # -- delete ---------------------------------------------------------------------------------

    async def _delete(self, job: Document) -> None:
        deadline = job.pop("deadline")
        status, fault = JobStatus.SUCCEEDED, ""
        job["status"] = JobStatus.RUNNING.value
        async with self._turn:
            self._jobs.put(DELETE, job)
        while True:
            async with self._turn:
                if time.time() > deadline:
                    status, fault = JobStatus.FAILED, "TimeoutError: The time is over."
                    break
                with self._db.writing():
                    if not self._delete_piece():
                        break
            await asyncio.sleep(0)
        async with self._turn:
            self._jobs.finish(DELETE, job, status, fault)

    def _delete_piece(self) -> bool:
        """Delete some relationships, else some twins, else all models; False: nothing was left."""
        rows = self._db.fetch("SELECT source, id FROM relationships LIMIT ?", (PIECE,))
        if rows:
            for source, relationship_id in rows:
                self._db.delete_relationship(source, relationship_id)
            return True
        rows = self._db.fetch("SELECT id FROM twins LIMIT ?", (PIECE,))
        for (twin_id,) in rows:
            self._db.delete_twin(twin_id)
        if rows:
            return True
        models = self._db.models()
        for model in models:
            self._db.delete_model(model.id)
        return bool(models)


def _decoded(lines: Iterator[bytes], number: int) -> list[Any]:
    """Return the next lines as JSON, up to one that is none: a failure stands in its place.

    Raises:
        BlobError: the blob cannot be read.
    """
    entries: list[Any] = []
    for at, line in enumerate(islice(lines, PIECE), start=number + 1):
        try:
            entries.append(msgspec.json.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            entries.append(_FailedError(f"ValidationFailed: Line {at} is no JSON."))
            break
    return entries


def _check_header(entry: Any, number: int) -> None:
    if number == 1 and entry == {"Section": "Header"}:
        return
    if number == 2 and isinstance(entry, dict) and entry.get("fileVersion") == FILE_VERSION:
        return
    expected = (
        '{"Section": "Header"}' if number == 1 else f"a header with fileVersion {FILE_VERSION}"
    )
    raise _FailedError(f"ValidationFailed: Line {number} is not {expected}.")
