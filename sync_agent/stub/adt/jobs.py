"""The operations on import and delete jobs; ``job_runner`` does the work.

A job is kept as its document. One bulk job runs at a time, as on the service; a second one is
refused with the service's doubly encoded body. What was under way when the stub died has failed.
Until an import job starts it can be deleted, or cancelled on the spot.
Source: Azure Digital Twins REST, "Import jobs" and "Delete jobs"; recorded exchanges.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import Refusal, bad_request
from sync_agent.stub.adt.blob import is_blob_uri
from sync_agent.stub.adt.exchange import Answer, Asked, Page, check_id, update_time, whole_number
from sync_agent.stub.adt.random_ids import new_uuid
from sync_agent.stub.adt.store import TwinDb
from sync_agent.twins.twin import Document

JOBS_PER_PAGE = 100
KEPT_DAYS = 30
TIMEOUT_MINUTES = range(15, 1441)
TIMEOUT_DEFAULT = 720
IMPORT, DELETE = "import", "delete"
_NAMING = (
    "https://docs.microsoft.com/en-us/rest/api/storageservices/"
    "naming-and-referencing-containers--blobs--and-metadata"
)


class JobStatus(StrEnum):
    """Where a job stands; a delete job is never cancelled."""

    NOT_STARTED = "notstarted"
    RUNNING = "running"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


_AT_WORK = (JobStatus.RUNNING, JobStatus.CANCELLING)
_FIELDS = (
    "id",
    "inputBlobUri",
    "outputBlobUri",
    "createdDateTime",
    "lastActionDateTime",
    "finishedDateTime",
    "purgeDateTime",
    "status",
    "error",
)


class JobInProgressError(Exception):
    """A second bulk job: answered with a text of JSON inside JSON, as recorded."""

    def body(self) -> bytes:
        """Return the answer's body."""
        message = (
            "Cannot start another job while one is in progress. Please wait for it to complete"
            " before starting another one."
        )
        inner = msgspec.json.encode({"error": {"code": "TooManyRequests", "message": message}})
        return msgspec.json.encode(inner.decode())


class JobDb:
    """The jobs of one store."""

    def __init__(self, db: TwinDb) -> None:
        """Serve the jobs of ``db``; those that were under way have failed."""
        self._db = db
        for kind, _, job in self._rows("status IN ('notstarted','running','cancelling')"):
            self.finish(kind, job, JobStatus.FAILED, "The stub ended while the job ran.")

    def get(self, kind: str, job_id: str) -> Document | None:
        """Return a job, None when there is none of that id."""
        rows = self._rows("kind = ? AND id = ?", kind, job_id)
        return rows[0][2] if rows else None

    def page(self, kind: str, asked: Asked) -> Page[Document]:
        """Return a page of jobs in the order they were made."""
        size = asked.page_of(JOBS_PER_PAGE)
        rows = self._rows("kind = ? AND pk > ? LIMIT ?", kind, asked.after(), size + 1)
        return Page.cut([(pk, job) for _, pk, job in rows], size)

    def put(self, kind: str, job: Document) -> None:
        """Keep a job as it is now, its fields in the service's order."""
        kept = {name: job[name] for name in _FIELDS if name in job}
        with self._db.writing():
            self._db.change(
                "INSERT INTO jobs(kind, id, document) VALUES(?,?,?) ON CONFLICT(kind, id)"
                " DO UPDATE SET document = excluded.document",
                (kind, job["id"], msgspec.json.encode(kept).decode()),
            )

    def delete(self, kind: str, job_id: str) -> None:
        """Forget a job."""
        with self._db.writing():
            self._db.change("DELETE FROM jobs WHERE kind = ? AND id = ?", (kind, job_id))

    def in_progress(self) -> bool:
        """Tell whether a job runs or waits."""
        return bool(self._rows("status IN ('notstarted','running','cancelling') LIMIT 1"))

    def finish(self, kind: str, job: Document, status: JobStatus, fault: str = "") -> None:
        """Note how a job ended; ``fault`` may begin with a code and a colon."""
        now = _now()
        job |= {"finishedDateTime": now, "status": status.value}
        if kind == IMPORT:
            job["lastActionDateTime"] = now
        if fault:
            code, _, message = fault.partition(": ")
            if not message or " " in code:
                code, message = "JobFailed", fault
            job["error"] = {"code": code, "message": message}
        self.put(kind, job)

    def _rows(self, where: str, *parameters: Any) -> list[tuple[str, int, Document]]:
        """Return kind, place and document of jobs, the oldest first."""
        limit = ""
        if " LIMIT " in where:
            where, limit = where.split(" LIMIT ")
            limit = f" LIMIT {limit}"
        where = where.replace("status", "json_extract(document, '$.status')")
        sql = f"SELECT kind, pk, document FROM jobs WHERE {where} ORDER BY pk{limit}"  # noqa: S608 - fixed texts
        rows = self._db.fetch(sql, parameters)
        return [(kind, pk, msgspec.json.decode(text)) for kind, pk, text in rows]


class JobOperations:
    """The operations on jobs; ``start`` is called with each new job's kind and document."""

    def __init__(self, jobs: JobDb, start: Callable[[str, Document], None]) -> None:
        """Serve the jobs of one store."""
        self._jobs = jobs
        self._start = start

    def page(self, kind: str, asked: Asked) -> Page[Document]:
        """Return a page of jobs."""
        return self._jobs.page(kind, asked)

    def get(self, kind: str, job_id: str) -> Answer:
        """Return a job."""
        return Answer(200, self._job(kind, job_id))

    def start_import(self, job_id: str, body: Any) -> Answer:
        """Create an import job and start it."""
        if not isinstance(body, dict):
            raise answers.payload_invalid()
        check_id(job_id)
        for name in ("inputBlobUri", "outputBlobUri"):
            _check_uri(body.get(name))
        if self._jobs.in_progress():
            raise JobInProgressError
        if self._jobs.get(IMPORT, job_id) is not None:
            raise bad_request(f"An import job with the id {job_id} exists.", "ValidationFailed")
        now, purge = _now_and_purge()
        job: Document = {
            "id": job_id,
            "inputBlobUri": body["inputBlobUri"],
            "outputBlobUri": body["outputBlobUri"],
            "createdDateTime": now,
            "lastActionDateTime": now,
            "purgeDateTime": purge,
            "status": JobStatus.NOT_STARTED.value,
        }
        self._jobs.put(IMPORT, job)
        self._start(IMPORT, job)
        return Answer(201, job)

    def cancel_import(self, job_id: str) -> Answer:
        """Ask an import job to stop; one that has ended stays as it is."""
        job = self._job(IMPORT, job_id)
        if job["status"] == JobStatus.NOT_STARTED:
            self._jobs.finish(IMPORT, job, JobStatus.CANCELLED)
        elif job["status"] == JobStatus.RUNNING:
            job |= {"status": JobStatus.CANCELLING.value, "lastActionDateTime": _now()}
            self._jobs.put(IMPORT, job)
        return Answer(200, job)

    def delete_import(self, job_id: str) -> Answer:
        """Forget an import job that is not at work."""
        job = self._job(IMPORT, job_id)
        if job["status"] in _AT_WORK:
            raise bad_request(f"The import job {job_id} has not ended.", "ValidationFailed")
        self._jobs.delete(IMPORT, job_id)
        return Answer(204)

    def start_delete(self, operation_id: str | None, timeout: str) -> Answer:
        """Create a delete job and start it."""
        minutes = whole_number(timeout) if timeout else TIMEOUT_DEFAULT
        if minutes is None or minutes not in TIMEOUT_MINUTES:
            raise bad_request("timeoutInMinutes must be 15 to 1440.", "ValidationFailed")
        job_id = operation_id or new_uuid()
        check_id(job_id)
        if self._jobs.in_progress():
            raise JobInProgressError
        if self._jobs.get(DELETE, job_id) is not None:
            raise bad_request(f"The Operation-Id {job_id} already exists.", "ValidationFailed")
        now, purge = _now_and_purge()
        job = {
            "id": job_id,
            "createdDateTime": now,
            "purgeDateTime": purge,
            "status": JobStatus.NOT_STARTED.value,
        }
        self._jobs.put(DELETE, job)
        self._start(DELETE, {**job, "deadline": time.time() + minutes * 60})
        return Answer(202, job)

    def _job(self, kind: str, job_id: str) -> Document:
        job = self._jobs.get(kind, job_id)
        if job is None:
            code = "JobNotFound" if kind == IMPORT else "DeleteJobNotFound"
            raise _not_found(job_id, code)
        return job


def _check_uri(uri: Any) -> None:
    if not is_blob_uri(uri):
        shown = "" if uri is None else uri
        raise bad_request(
            f"Azure Storage Blob URI '{shown}' failed validation. Invalid URI: The format of the"
            f" URI could not be determined. Please check: {_NAMING}"
        )


def _not_found(job_id: str, code: str) -> Refusal:
    return Refusal(
        404,
        code,
        f"There is no job available that matches the provided id {job_id}. Check that the Job ID"
        " provided is valid by doing a Jobs_List API call.",
    )


def _now() -> str:
    """Return now as the service stamps jobs: seven digits of a second and an offset."""
    return f"{update_time()[:-1]}+00:00"


def _now_and_purge() -> tuple[str, str]:
    now = _now()
    day = date.fromisoformat(now[:10]) + timedelta(days=KEPT_DAYS)
    return now, f"{day}{now[10:]}"
