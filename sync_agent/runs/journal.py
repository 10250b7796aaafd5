"""The durable memory of what the agent changed in the twins, and what it has to know of them.

One SQLite file beside the agent's state, shared by every command that writes twins:

- **runs** and their **changes**. All changes of a run are stored before its first write, with what
  was there before; each one's outcome follows. A process killed in between leaves changes without
  an outcome, which may or may not have been made: whoever takes them back looks.
- the **baseline**: every managed twin and relationship as it was last made true. What differs from
  it in the service was changed behind the agent's back.
- **tombstones**: since when an element is not in the inventory any more, by a clock of our own.
- **accepted** differences.

Durability: WAL with ``synchronous=FULL`` - what is stored before a write survives a power cut.
Bounds: the newest ``RUNS_MAX`` runs are kept; outcomes are stored ``OUTCOMES_AT_ONCE`` at a time.
Everything is apart by the service's address, and what is remembered of twins by owner, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from sync_agent.disk.sqlite_file import FileKind, SqliteFile
from sync_agent.errors import InputError
from sync_agent.inventory.desired import DesiredGraph, Ownership
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import Path as PropertyPath
from sync_agent.reconcile.change import Action, Change, edited
from sync_agent.reconcile.rules import Accepted
from sync_agent.twins.twin import Relationship, Twin

RUNS_MAX = 500
OUTCOMES_AT_ONCE = 200
LOOKED_UP_MAX = 5_000
LOCK_WAIT_S = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run(
    id INTEGER PRIMARY KEY AUTOINCREMENT, instance TEXT NOT NULL, kind TEXT NOT NULL,
    began_ms INTEGER NOT NULL, ended_ms INTEGER, digest TEXT NOT NULL, owner BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS change(
    run INTEGER NOT NULL, number INTEGER NOT NULL, element TEXT NOT NULL, change BLOB NOT NULL,
    outcome TEXT NOT NULL DEFAULT '', PRIMARY KEY(run, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS baseline(
    scope TEXT NOT NULL, element TEXT NOT NULL, twin INTEGER NOT NULL, document BLOB NOT NULL,
    PRIMARY KEY(scope, element)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ownership(scope TEXT PRIMARY KEY, rules BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstone(
    scope TEXT NOT NULL, element TEXT NOT NULL, since_ms INTEGER NOT NULL,
    PRIMARY KEY(scope, element)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accepted(
    scope TEXT NOT NULL, element TEXT NOT NULL, path TEXT NOT NULL, actual BLOB NOT NULL,
    wanted BLOB NOT NULL, PRIMARY KEY(scope, element, path)) WITHOUT ROWID;
"""
_KIND = FileKind(
    name="journal",
    setting="state.journal",
    version=1,
    schema=_SCHEMA,
    synchronous="FULL",
    wait_s=LOCK_WAIT_S,
    when_full="the same again does the rest",
    across_threads=True,
)

_ENCODER = msgspec.json.Encoder()
_CHANGES = msgspec.json.Decoder(Change)
_TWINS = msgspec.json.Decoder(Twin)
_RELATIONSHIPS = msgspec.json.Decoder(Relationship)


@dataclass(frozen=True, slots=True)
class Run:
    """One application of a plan: ``kind`` is the command, ``outcomes`` counts its changes.

    An outcome is ``done``, ``already``, ``failed``, ``skipped``, or "" where none is known because
    the process ended before; ``ended_ms`` is None then.
    """

    id: int
    kind: str
    began_ms: int
    ended_ms: int | None
    digest: str
    owner: Owner
    outcomes: Mapping[str, int]


class _Rules(msgspec.Struct):
    """What a baseline needs of the mapping it was made under."""

    ownership: dict[str, list[tuple[PropertyPath, Ownership]]]
    relationship_properties: dict[str, list[str]]


class Journal:
    """The journal file, as far as it is about one service and one owner."""

    def __init__(self, path: Path, instance: str, owner: Owner | None = None) -> None:
        """Open or create the file; without an owner only runs can be read.

        Raises:
            StoreError: it cannot be opened, is damaged or of another version.
        """
        self._instance = instance
        self._scope = f"{instance} {owner.name}" if owner else ""
        self._file = SqliteFile(path, _KIND)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    # -- runs -----------------------------------------------------------------------------------

    def begin(
        self, kind: str, owner: Owner, changes: Sequence[Change], *, digest: str, now_ms: int
    ) -> int:
        """Store a run with all of its changes; return its number."""
        with self._file.transaction() as db:
            cursor = db.execute(
                "INSERT INTO run(instance, kind, began_ms, digest, owner) VALUES(?,?,?,?,?)",
                (self._instance, kind, now_ms, digest, _ENCODER.encode(owner)),
            )
            run = int(cursor.lastrowid or 0)
            db.executemany(
                "INSERT INTO change(run, number, element, change) VALUES(?,?,?,?)",
                (
                    (run, number, change.element, _ENCODER.encode(change))
                    for number, change in enumerate(changes)
                ),
            )
            db.execute("DELETE FROM change WHERE run <= ?", (run - RUNS_MAX,))
            db.execute("DELETE FROM run WHERE id <= ?", (run - RUNS_MAX,))
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

    def changes(self, run: int, outcomes: Sequence[str] = ("", "done")) -> list[Change]:
        """Return a run's changes with one of these outcomes, in order."""
        rows = self._file.rows(
            "SELECT outcome, change FROM change WHERE run=? ORDER BY number", (run,)
        )
        return [_CHANGES.decode(change) for outcome, change in rows if outcome in outcomes]

    # -- the baseline ---------------------------------------------------------------------------

    def remember(self, changes: Iterable[Change]) -> None:
        """Bring the baseline up to changes that are true now, and drop tombstones of the deleted.

        An edit of something that is not in the baseline leaves it out: nothing is known of the
        rest of it.
        """
        with self._file.transaction() as db:
            for change in changes:
                if change.action is Action.DELETE:
                    for table in ("baseline", "tombstone"):
                        self._drop(db, table, [change.element])
                elif change.action is Action.CREATE:
                    self._put_baseline(db, [change.twin or change.edge])
                else:
                    self._edit_baseline(db, change)

    def rebaseline(
        self, desired: DesiredGraph, *, without: frozenset[str], touched: Iterable[str]
    ) -> None:
        """Store the graph that was made true; elements of ``without`` keep what is stored of them.

        Only the ``touched`` elements are written, and those that are not known yet. What was
        deleted is ``remember``'s matter.
        """
        things: dict[str, Twin | Relationship] = {
            **desired.twins,
            **{f"{s}/{r}": edge for (s, r), edge in desired.relationships.items()},
        }
        with self._file.transaction() as db:
            wanted = {element for element in touched if element in things}
            wanted |= things.keys() - self._baselined(db, things)
            self._put_baseline(db, [things[e] for e in sorted(wanted - without)])
            rules = _Rules(
                {model: sorted(of.items()) for model, of in desired.ownership.items()},
                {n: sorted(of) for n, of in desired.relationship_properties.items()},
            )
            db.execute(
                "INSERT OR REPLACE INTO ownership VALUES(?,?)",
                (self._scope, _ENCODER.encode(rules)),
            )

    def baseline(self, owner: Owner) -> DesiredGraph | None:
        """Return the graph that was last made true, None when there never was one."""
        rows = self._file.rows("SELECT rules FROM ownership WHERE scope=?", (self._scope,))
        if not rows:
            return None
        rules = msgspec.json.decode(rows[0][0], type=_Rules)
        stored = self._file.rows(
            "SELECT twin, document FROM baseline WHERE scope=? ORDER BY element", (self._scope,)
        )
        twins = [_TWINS.decode(document) for twin, document in stored if twin]
        edges = [_RELATIONSHIPS.decode(document) for twin, document in stored if not twin]
        # Twins stay whose model the mapping does not speak of any more: nothing of them is owned.
        ownership: dict[str, dict[PropertyPath, Ownership]] = {twin.model: {} for twin in twins}
        ownership |= {model: dict(of) for model, of in rules.ownership.items()}
        return DesiredGraph(
            owner=owner,
            twins={twin.id: twin for twin in twins},
            relationships={edge.key: edge for edge in edges},
            ownership=ownership,
            relationship_properties={
                n: frozenset(of) for n, of in rules.relationship_properties.items()
            },
        )

    # -- tombstones and accepted differences ----------------------------------------------------

    def absent_since(self) -> dict[str, int]:
        """Return the tombstones."""
        return dict(
            self._file.rows("SELECT element, since_ms FROM tombstone WHERE scope=?", (self._scope,))
        )

    def mark_absent(self, absent: Iterable[str], back: Iterable[str], *, now_ms: int) -> None:
        """Set tombstones where there are none yet, and take them from what came back."""
        with self._file.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO tombstone VALUES(?,?,?)",
                [(self._scope, element, now_ms) for element in absent],
            )
            self._drop(db, "tombstone", back)

    def accept(self, element: str, differences: Mapping[PropertyPath, Accepted]) -> None:
        """Store differences that a person accepted."""
        with self._file.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO accepted VALUES(?,?,?,?,?)",
                [
                    (
                        self._scope,
                        element,
                        _ENCODER.encode(path).decode(),
                        _ENCODER.encode(difference.actual),
                        _ENCODER.encode(difference.wanted),
                    )
                    for path, difference in differences.items()
                ],
            )

    def accepted(self) -> dict[str, dict[PropertyPath, Accepted]]:
        """Return the accepted differences by element and path."""
        found: dict[str, dict[PropertyPath, Accepted]] = {}
        for element, path, actual, wanted in self._file.rows(
            "SELECT element, path, actual, wanted FROM accepted WHERE scope=?", (self._scope,)
        ):
            where = tuple(msgspec.json.decode(path))
            difference = Accepted(msgspec.json.decode(actual), msgspec.json.decode(wanted))
            found.setdefault(element, {})[where] = difference
        return found

    def forget_accepted(self, elements: Iterable[str]) -> None:
        """Drop the accepted differences of elements."""
        with self._file.transaction() as db:
            self._drop(db, "accepted", elements)

    # -- inside ---------------------------------------------------------------------------------

    def _put_baseline(self, db: sqlite3.Connection, things: Sequence[Twin | Relationship]) -> None:
        db.executemany(
            "INSERT OR REPLACE INTO baseline VALUES(?,?,?,?)",
            [
                (
                    self._scope,
                    thing.id if isinstance(thing, Twin) else "/".join(thing.key),
                    isinstance(thing, Twin),
                    _ENCODER.encode(thing),
                )
                for thing in things
            ],
        )

    def _edit_baseline(self, db: sqlite3.Connection, change: Change) -> None:
        for twin, document in db.execute(
            "SELECT twin, document FROM baseline WHERE scope=? AND element=?",
            (self._scope, change.element),
        ).fetchall():
            thing = (_TWINS if twin else _RELATIONSHIPS).decode(document)
            self._put_baseline(db, [edited(thing, change.edits)])

    def _baselined(self, db: sqlite3.Connection, elements: Collection[str]) -> set[str]:
        """Return which elements are in the baseline; few are looked up, many read with all."""
        select = "SELECT element FROM baseline WHERE scope=?"
        if len(elements) > LOOKED_UP_MAX:
            return {row[0] for row in db.execute(select, (self._scope,))}
        one = f"{select} AND element=?"
        return {e for e in elements if db.execute(one, (self._scope, e)).fetchone() is not None}

    def _drop(self, db: sqlite3.Connection, table: str, elements: Iterable[str]) -> None:
        db.executemany(
            f"DELETE FROM {table} WHERE scope=? AND element=?",  # noqa: S608 - own table names
            [(self._scope, element) for element in elements],
        )

    def _outcomes(self, run: int) -> dict[str, int]:
        return dict(
            self._file.rows(
                "SELECT outcome, count(*) FROM change WHERE run=? GROUP BY outcome", (run,)
            )
        )
