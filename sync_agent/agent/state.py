"""The agent's durable memory: positions, counts, health windows, transitions, dead letters, flags.

One SQLite file. What belongs together changes in one transaction: a batch's position moves with its
counts, its dead letters and the health windows it fed, so a process killed at any moment either
has the whole batch behind it or repeats it, and nothing is counted twice. Twin writes come
*before* the commit and are idempotent, so a repeat changes nothing visible.

Durability: WAL with ``synchronous=NORMAL``. A killed process loses nothing; a power cut may lose
the last commits, which moves the position back together with everything counted since, and the
events are read again. One process writes (a lock beside the file says which); any number may read.

Bounds: ``DEAD_LETTERS_MAX`` dead letters, after which the agent stops instead of dropping one;
``TRANSITIONS_MAX`` transitions and ``FLAG_EVENTS_MAX`` flag events, of which the oldest go first.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from sync_agent.agent.outcomes import (
    BatchOutcome,
    DeadLetter,
    FlagEvent,
    HealthRecord,
    Position,
    TransitionRecord,
)
from sync_agent.disk.lock import LockTakenError, open_locked
from sync_agent.disk.sqlite_file import FileKind, SqliteFile
from sync_agent.errors import StoreError
from sync_agent.telemetry.tally import Tally

DEAD_LETTERS_MAX = 1_000_000
TRANSITIONS_MAX = 5_000_000
FLAG_EVENTS_MAX = 1_000_000
LOCK_WAIT_S = 5.0

_SCHEMA = """
CREATE TABLE position(
    stream TEXT NOT NULL, partition TEXT NOT NULL, sequence_number INTEGER NOT NULL,
    watermark_ms INTEGER NOT NULL, rows INTEGER NOT NULL, applied INTEGER NOT NULL,
    coalesced INTEGER NOT NULL, missing INTEGER NOT NULL, dead_lettered INTEGER NOT NULL,
    PRIMARY KEY(stream, partition)) WITHOUT ROWID;
CREATE TABLE health(
    element TEXT PRIMARY KEY, model TEXT NOT NULL, stream TEXT NOT NULL, partition TEXT NOT NULL,
    window TEXT NOT NULL, published TEXT NOT NULL, revision INTEGER NOT NULL,
    written INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX health_unwritten ON health(element) WHERE written < revision;
CREATE TABLE transition(
    id INTEGER PRIMARY KEY, element TEXT NOT NULL, at_ms INTEGER NOT NULL, before TEXT NOT NULL,
    after TEXT NOT NULL, score REAL, worst_kpi TEXT NOT NULL, explanation TEXT NOT NULL);
CREATE INDEX transition_element ON transition(element, at_ms);
CREATE TABLE dead_letter(
    id INTEGER PRIMARY KEY, stream TEXT NOT NULL, partition TEXT NOT NULL,
    sequence_number INTEGER NOT NULL, element TEXT NOT NULL, reason TEXT NOT NULL,
    body BLOB NOT NULL, recorded_ms INTEGER NOT NULL);
CREATE TABLE flag(
    query TEXT NOT NULL, element TEXT NOT NULL, since_ms INTEGER NOT NULL,
    PRIMARY KEY(query, element)) WITHOUT ROWID;
CREATE TABLE flag_event(
    id INTEGER PRIMARY KEY, query TEXT NOT NULL, element TEXT NOT NULL, kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL);
"""
_KIND = FileKind(
    name="agent state",
    setting="state.path",
    version=1,
    schema=_SCHEMA,
    synchronous="NORMAL",
    wait_s=LOCK_WAIT_S,
    when_full="the agent goes on from its last position",
)


class StateStore:
    """The state file of one agent; ``stream`` names the hub and consumer group it follows."""

    def __init__(self, path: Path, *, stream: str = "", readonly: bool = False) -> None:
        """Open or create the file at ``path``.

        Raises:
            StoreError: it cannot be opened, is damaged, is of another version, or another agent
                is writing to it.
        """
        if readonly and not path.exists():
            raise StoreError(
                f"no agent state at {path}",
                remedy="start `sync-agent run` with this state path first, or set state.path",
            )
        self._stream = stream
        self._lock = None if readonly else _lock(path)
        try:
            self._file = SqliteFile(path, _KIND, readonly=readonly)
        except StoreError:
            self._unlock()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release its lock."""
        self._file.close()
        self._unlock()

    # -- what a batch changes -------------------------------------------------------------------

    def commit(self, outcome: BatchOutcome) -> None:
        """Store a batch's outcome and move its partition's position, all in one transaction."""
        tally = outcome.tally
        with self._file.transaction() as db:
            db.execute(
                "INSERT INTO position VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
                " sequence_number=excluded.sequence_number, watermark_ms=excluded.watermark_ms,"
                " rows=rows+excluded.rows, applied=applied+excluded.applied,"
                " coalesced=coalesced+excluded.coalesced, missing=missing+excluded.missing,"
                " dead_lettered=dead_lettered+excluded.dead_lettered",
                (
                    self._stream,
                    outcome.partition,
                    outcome.position.sequence_number,
                    outcome.position.watermark_ms,
                    tally.rows,
                    tally.applied,
                    tally.coalesced,
                    tally.missing,
                    tally.dead_lettered,
                ),
            )
            self._put_health(db, outcome.health)
            _put_transitions(db, outcome.transitions)
            self._put_dead_letters(db, outcome.dead_letters)

    def commit_health(
        self, health: Sequence[HealthRecord], transitions: Sequence[TransitionRecord]
    ) -> None:
        """Store windows that time closed, without any new event."""
        with self._file.transaction() as db:
            self._put_health(db, health)
            _put_transitions(db, transitions)

    def mark_health_written(self, written: Iterable[tuple[str, int]]) -> None:
        """Note that the twins of these elements show these revisions of their health."""
        with self._file.transaction() as db:
            db.executemany(
                "UPDATE health SET written=max(written, ?) WHERE element=?",
                [(revision, element) for element, revision in written],
            )

    def commit_flags(self, events: Sequence[FlagEvent]) -> None:
        """Store which elements entered and left the named queries."""
        with self._file.transaction() as db:
            for event in events:
                if event.kind == "entered":
                    db.execute(
                        "INSERT OR REPLACE INTO flag VALUES(?,?,?)",
                        (event.query, event.element, event.at_ms),
                    )
                else:
                    db.execute(
                        "DELETE FROM flag WHERE query=? AND element=?", (event.query, event.element)
                    )
                db.execute(
                    "INSERT INTO flag_event(query, element, kind, at_ms) VALUES(?,?,?,?)",
                    (event.query, event.element, event.kind, event.at_ms),
                )
            _trim(db, "flag_event", FLAG_EVENTS_MAX)

    # -- what is known --------------------------------------------------------------------------

    def positions(self) -> dict[str, Position]:
        """Return the position of each partition read so far."""
        rows = self._file.rows(
            "SELECT partition, sequence_number, watermark_ms FROM position WHERE stream=?",
            (self._stream,),
        )
        return {partition: Position(number, watermark) for partition, number, watermark in rows}

    def tally(self) -> Tally:
        """Return the counts of all events ever committed, over all streams and partitions."""
        rows = self._file.rows(
            "SELECT coalesce(sum(rows),0), coalesce(sum(applied),0), coalesce(sum(coalesced),0),"
            " coalesce(sum(missing),0), coalesce(sum(dead_lettered),0) FROM position"
        )
        return Tally(*next(iter(rows)))

    def health(self) -> list[HealthRecord]:
        """Return every element's window, by element id."""
        return self._health("WHERE stream=? ORDER BY element", (self._stream,))

    def unwritten_health(self, limit: int) -> list[HealthRecord]:
        """Return at most ``limit`` elements whose twin does not yet show their health."""
        return self._health("WHERE written < revision ORDER BY element LIMIT ?", (limit,))

    def unwritten_health_count(self) -> int:
        """Return how many twins do not yet show their health."""
        rows = self._file.rows("SELECT count(*) FROM health WHERE written < revision")
        return int(next(iter(rows))[0])

    def transitions(
        self, element: str | None = None, *, since_ms: int = 0
    ) -> list[TransitionRecord]:
        """Return health state changes in the order they were decided."""
        rows = self._file.rows(
            "SELECT element, at_ms, before, after, score, worst_kpi, explanation FROM transition"
            " WHERE at_ms >= ? AND (? IS NULL OR element = ?) ORDER BY id",
            (since_ms, element, element),
        )
        return [TransitionRecord(*row) for row in rows]

    def dead_letters(self, limit: int = 1000) -> list[DeadLetter]:
        """Return the newest dead letters, oldest of them first."""
        rows = self._file.rows(
            "SELECT partition, sequence_number, element, reason, body, recorded_ms FROM"
            " (SELECT * FROM dead_letter ORDER BY id DESC LIMIT ?) ORDER BY id",
            (limit,),
        )
        return [DeadLetter(*row) for row in rows]

    def flagged(self, query: str) -> dict[str, int]:
        """Return the elements a named query holds now, and since when (epoch ms)."""
        return dict(self._file.rows("SELECT element, since_ms FROM flag WHERE query=?", (query,)))

    def flag_events(self, query: str | None = None) -> list[FlagEvent]:
        """Return what entered and left the named queries, in order."""
        rows = self._file.rows(
            "SELECT query, element, kind, at_ms FROM flag_event WHERE ? IS NULL OR query = ?"
            " ORDER BY id",
            (query, query),
        )
        return [FlagEvent(*row) for row in rows]

    # -- inside ---------------------------------------------------------------------------------

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _health(self, where: str, parameters: Sequence[object]) -> list[HealthRecord]:
        rows = self._file.rows(
            f"SELECT element, model, partition, window, published, revision FROM health {where}",  # noqa: S608 - own words
            parameters,
        )
        return [
            HealthRecord(element, model, partition, json.loads(window), json.loads(shown), revision)
            for element, model, partition, window, shown, revision in rows
        ]

    def _put_health(self, db: sqlite3.Connection, records: Sequence[HealthRecord]) -> None:
        db.executemany(
            "INSERT INTO health VALUES(?,?,?,?,?,?,?,0) ON CONFLICT DO UPDATE SET"
            " model=excluded.model, stream=excluded.stream, partition=excluded.partition,"
            " window=excluded.window, published=excluded.published, revision=excluded.revision",
            [
                (
                    record.element,
                    record.model,
                    self._stream,
                    record.partition,
                    json.dumps(record.window, separators=(",", ":")),
                    json.dumps(record.published, separators=(",", ":")),
                    record.revision,
                )
                for record in records
            ],
        )

    def _put_dead_letters(self, db: sqlite3.Connection, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        db.executemany(
            "INSERT INTO dead_letter(stream, partition, sequence_number, element, reason, body,"
            " recorded_ms) VALUES(?,?,?,?,?,?,?)",
            [
                (
                    self._stream,
                    letter.partition,
                    letter.sequence_number,
                    letter.element,
                    letter.reason,
                    letter.body,
                    letter.recorded_ms,
                )
                for letter in letters
            ],
        )
        (count,) = db.execute("SELECT count(*) FROM dead_letter").fetchone()
        if count > DEAD_LETTERS_MAX:
            raise StoreError(
                f"the dead-letter store {self._file.path} holds its maximum of {DEAD_LETTERS_MAX}",
                remedy="mend the producer, then move the file away",
            )


def _put_transitions(db: sqlite3.Connection, transitions: Sequence[TransitionRecord]) -> None:
    if not transitions:
        return
    db.executemany(
        "INSERT INTO transition(element, at_ms, before, after, score, worst_kpi, explanation)"
        " VALUES(?,?,?,?,?,?,?)",
        [
            (t.element, t.at_ms, t.before, t.after, t.score, t.worst_kpi, t.explanation)
            for t in transitions
        ],
    )
    _trim(db, "transition", TRANSITIONS_MAX)


def _trim(db: sqlite3.Connection, table: str, keep: int) -> None:
    # Ids rise by one and are never reused within a table's life, so this is one index seek.
    statement = f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?"  # noqa: S608 - own table names
    db.execute(statement, (keep,))


def _lock(path: Path) -> int:
    """Take the writer's lock beside the state file, or say who else may hold it."""
    try:
        return open_locked(Path(f"{path}.lock"))
    except LockTakenError as error:
        raise StoreError(
            f"agent state {path} is in use by another sync-agent",
            remedy="stop that process, or give this one its own state.path",
        ) from error
    except OSError as error:
        raise StoreError(
            f"agent state {path}: {error.strerror}",
            remedy="check that the folder exists and may be written, or set state.path",
        ) from error
