"""Which import jobs the runs of a journal have under way, so that the next process finds them.

A job is noted before its file is uploaded and struck out when it has ended and the file is gone.
What is left after a process was killed is waited for before anybody plans or writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sync_agent.runs.journal import Journal

_TABLE = """CREATE TABLE IF NOT EXISTS import_job(
    instance TEXT NOT NULL, job TEXT NOT NULL, run INTEGER NOT NULL,
    PRIMARY KEY(instance, job)) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class Note:
    """A job and the run it belongs to; its file and log are blobs named after it."""

    job: str
    run: int

    @property
    def source(self) -> str:
        """Return the name of the blob it reads."""
        return f"{self.job}.ndjson"

    @property
    def log(self) -> str:
        """Return the name of the blob it writes."""
        return f"{self.job}.log"


class ImportNotes(Journal):
    """The journal as far as its import jobs go; a table of its own in the same file."""

    def __init__(self, path: Path, instance: str) -> None:
        """Open or create the file; see ``Journal``."""
        super().__init__(path, instance)
        with self._file.transaction() as db:
            db.execute(_TABLE)

    def add(self, note: Note) -> None:
        """Note a job."""
        with self._file.transaction() as db:
            db.execute("INSERT INTO import_job VALUES(?,?,?)", (self._instance, note.job, note.run))

    def strike(self, note: Note) -> None:
        """Strike a job out."""
        with self._file.transaction() as db:
            db.execute(
                "DELETE FROM import_job WHERE instance=? AND job=?", (self._instance, note.job)
            )

    def open(self) -> list[Note]:
        """Return the jobs that were not struck out."""
        rows = self._file.rows(
            "SELECT job, run FROM import_job WHERE instance=?", (self._instance,)
        )
        return [Note(job, run) for job, run in rows]
