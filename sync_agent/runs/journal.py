"""The durable memory of what the agent changed in the twins, and what it has to know of them.

One SQLite file beside the agent's state, shared by every command that writes twins:

- **runs** and their **changes**. All changes of a run are stored before its first write, with what
  was there before; each one's outcome follows. A process killed in between leaves changes without
  an outcome, which may or may not have been made: whoever takes them back looks. While a run is
  under way its process holds a lock beside the journal; one with neither lock nor end broke off.
- what is remembered of an owner's twins: ``twin_memory``.

Durability: WAL with ``synchronous=FULL`` - what is stored before a write survives a power cut.
Bounds: the newest ``RUNS_MAX`` runs are kept; outcomes are stored ``OUTCOMES_AT_ONCE`` at a time.
Everything is apart by the service's address, and what is remembered of twins by owner, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import msgspec

from sync_agent.disk.lock import LockTakenError, is_locked, open_locked
from sync_agent.disk.sqlite_file import FileKind, SqliteFile
from sync_agent.errors import InputError, StoreError
from sync_agent.inventory.owner import Owner
from sync_agent.reconcile.change import Change
from sync_agent.reconcile.undo import was_made_later
from sync_agent.runs import twin_memory
from sync_agent.runs.twin_memory import TwinMemory

RUNS_MAX = 500
OUTCOMES_AT_ONCE = 200
LOCK_WAIT_S = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run(
    id INTEGER PRIMARY KEY AUTOINCREMENT, instance TEXT NOT NULL, kind TEXT NOT NULL,
    began_ms INTEGER NOT NULL, ended_ms INTEGER, digest TEXT NOT NULL, owner BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS change(
    run INTEGER NOT NULL, number INTEGER NOT NULL, element TEXT NOT NULL, change BLOB NOT NULL,
    outcome TEXT NOT NULL DEFAULT '', PRIMARY KEY(run, number)) WITHOUT ROWID;
"""
_KIND = FileKind(
    name="journal",
    setting="state.journal",
    version=1,
    schema=_SCHEMA + twin_memory.SCHEMA,
    synchronous="FULL",
    wait_s=LOCK_WAIT_S,
    when_full="the same again does the rest",
    across_threads=True,
)

_ENCODER = msgspec.json.Encoder()
_CHANGES = msgspec.json.Decoder(Change)


class RunState(StrEnum):
    """Whether a run came to its end; one that broke off was killed or cancelled."""

    ENDED = "ended"
    UNDER_WAY = "under way"
    BROKEN_OFF = "broken off"


@dataclass(frozen=True, slots=True)
class Run:
    """One application of a plan: ``kind`` is the command, ``outcomes`` counts its changes.

    An outcome is ``done``, ``already``, ``failed``, ``skipped``, or "" where none is known: it is
    yet to come, or the run was over before. ``ended_ms`` is None unless it came to its end.
    """

    id: int
    kind: str
    began_ms: int
    ended_ms: int | None
    state: RunState
    digest: str
    owner: Owner
    outcomes: Mapping[str, int]


class Journal:
    """The journal file, as far as it is about one service."""

    def __init__(self, path: Path, instance: str, *, readonly: bool = False) -> None:
        """Open the file, or create it if it may be written.

        Raises:
            StoreError: it cannot be opened, is damaged or of another version.
        """
        self._instance = instance
        self._under_way: dict[int, int] = {}  # runs of ours, with the handles of their locks
        self._file = SqliteFile(path, _KIND, readonly=readonly)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in list(self._under_way):
            self._give_back(run)
        self._file.close()

    def memory(self, owner: Owner) -> TwinMemory:
        """Return what is remembered of an owner's twins."""
        return TwinMemory(self._file, self._instance, owner)

    def begin(
        self, kind: str, owner: Owner, changes: Sequence[Change], *, digest: str, now_ms: int
    ) -> int:
        """Store a run with all of its changes; return its number.

        It counts as under way until it is ended, or this journal is closed, or the process dies.
        """
        with self._file.transaction() as db:
            cursor = db.execute(
                "INSERT INTO run(instance, kind, began_ms, digest, owner) VALUES(?,?,?,?,?)",
                (self._instance, kind, now_ms, digest, _ENCODER.encode(owner)),
            )
            run = int(cursor.lastrowid or 0)
            self._under_way[run] = self._locked(run)
            db.executemany(
                "INSERT INTO change(run, number, element, change) VALUES(?,?,?,?)",
                (
                    (run, number, change.element, _ENCODER.encode(change))
                    for number, change in enumerate(changes)
                ),
            )
            db.execute("DELETE FROM change WHERE run <= ?", (run - RUNS_MAX,))
            db.execute("DELETE FROM run WHERE id <= ?", (run - RUNS_MAX,))
        with suppress(OSError):  # it is there if that run was killed
            self._lock_file(run - RUNS_MAX).unlink()
        return run

    def replace(self, run: int, number: int, change: Change) -> None:
        """Store what a change became when it was planned anew, before it is made."""
        with self._file.transaction() as db:
            db.execute(
                "UPDATE change SET change=? WHERE run=? AND number=?",
                (_ENCODER.encode(change), run, number),
            )

    def settle(self, run: int, outcomes: Iterable[tuple[int, str]]) -> None:
        """Store outcomes of changes by their number."""
        with self._file.transaction() as db:
            db.executemany(
                "UPDATE change SET outcome=? WHERE run=? AND number=?",
                [(outcome, run, number) for number, outcome in outcomes],
            )

    def end(self, run: int, *, now_ms: int) -> None:
        """Note that a run came to its end, whatever that was."""
        with self._file.transaction() as db:
            db.execute("UPDATE run SET ended_ms=? WHERE id=?", (now_ms, run))
        self._give_back(run)

    def runs(self, limit: int = RUNS_MAX) -> list[Run]:
        """Return the newest runs, newest first."""
        rows = self._file.rows(
            "SELECT id, kind, began_ms, ended_ms, digest, owner FROM run WHERE instance=?"
            " ORDER BY id DESC LIMIT ?",
            (self._instance, limit),
        )
        return [
            Run(
                number,
                kind,
                began_ms,
                ended_ms,
                self._state(number, ended_ms),
                digest,
                msgspec.json.decode(owner, type=Owner),
                self._outcomes(number),
            )
            for number, kind, began_ms, ended_ms, digest, owner in rows
        ]

    def run(self, number: int) -> Run:
        """Return one run.

        Raises:
            InputError: there is none of that number.
        """
        for run in self.runs():
            if run.id == number:
                return run
        raise InputError(
            f"there is no run {number} in {self._file.path}",
            remedy="list them with sync-agent runs; state.journal says which journal is read",
        )

    def owners(self) -> list[Owner]:
        """Return whose changes there are, the newest first."""
        found = dict.fromkeys(run.owner for run in self.runs())
        return list(found)

    def made(self, run: int) -> list[Change]:
        """Return the changes a run made, or may have made without a word of it, in order."""
        rows = self._file.rows(
            "SELECT outcome, change FROM change WHERE run=? AND outcome IN ('', 'done')"
            " ORDER BY number",
            (run,),
        )
        after = self._done_next(run) if any(not outcome for outcome, _ in rows) else {}
        found = [(outcome, _CHANGES.decode(change)) for outcome, change in rows]
        return [
            change
            for outcome, change in found
            if outcome or not was_made_later(change, after.get(change.element, ()))
        ]

    # -- inside ---------------------------------------------------------------------------------

    def _lock_file(self, run: int) -> Path:
        return self._file.path.with_name(f"{self._file.path.name}.run-{run}.lock")

    def _locked(self, run: int) -> int:
        path = self._lock_file(run)
        try:
            return open_locked(path)
        except LockTakenError as error:  # the journal was removed, and numbers began anew
            raise StoreError(
                f"another run {run} holds {path}", remedy="wait until it is done"
            ) from error
        except OSError as error:
            raise _lock_failure(path, error) from error

    def _give_back(self, run: int) -> None:
        handle = self._under_way.pop(run, None)
        if handle is not None:
            with suppress(OSError):  # an empty file that stays does no harm
                self._lock_file(run).unlink()
            os.close(handle)

    def _state(self, run: int, ended_ms: int | None) -> RunState:
        if ended_ms is not None:
            return RunState.ENDED
        path = self._lock_file(run)
        try:
            return RunState.UNDER_WAY if is_locked(path) else RunState.BROKEN_OFF
        except OSError as error:
            raise _lock_failure(path, error) from error

    def _done_next(self, run: int) -> dict[str, list[Change]]:
        """Return what was done next to each element of which a run does not say what it did."""
        rows = self._file.rows(
            "SELECT run, element, change FROM change JOIN run ON run.id = run"
            " WHERE run > ? AND outcome = 'done' AND instance = ?"
            " AND element IN (SELECT element FROM change WHERE run = ? AND outcome = '')"
            " ORDER BY run, number",
            (run, self._instance, run),
        )
        first: dict[str, int] = {}
        found: dict[str, list[Change]] = {}
        for later, element, change in rows:
            if first.setdefault(element, later) == later:
                found.setdefault(element, []).append(_CHANGES.decode(change))
        return found

    def _outcomes(self, run: int) -> dict[str, int]:
        return dict(
            self._file.rows(
                "SELECT outcome, count(*) FROM change WHERE run=? GROUP BY outcome", (run,)
            )
        )


def _lock_failure(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"lock {path}: {error.strerror}",
        remedy="check its folder and who may read it, or set state.journal",
    )
