"""What is remembered of one owner's twins at one service, in the file of the journal.

- the **baseline**: every managed twin and relationship as it was last made true. What differs from
  it in the service was changed behind the agent's back.
- **tombstones**: since when an element is not in the inventory any more, by a clock of our own.
- **accepted** differences: what drifted and shall stay.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from sync_agent.disk.sqlite_file import SqliteFile
from sync_agent.inventory.desired import DesiredGraph, Ownership
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import Path
from sync_agent.reconcile.change import Action, Change, Thing, edited, element_of
from sync_agent.reconcile.rules import Accepted
from sync_agent.twins.twin import Relationship, Twin

LOOKED_UP_MAX = 5_000

SCHEMA = """
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

_ENCODER = msgspec.json.Encoder()
_TWINS = msgspec.json.Decoder(Twin)
_RELATIONSHIPS = msgspec.json.Decoder(Relationship)


class _Rules(msgspec.Struct):
    """What a baseline needs of the mapping it was made under."""

    ownership: dict[str, list[tuple[Path, Ownership]]]
    relationship_properties: dict[str, list[str]]


class TwinMemory:
    """What is remembered of the twins of ``owner``; the file is the caller's."""

    def __init__(self, file: SqliteFile, instance: str, owner: Owner) -> None:
        self._file = file
        self._owner = owner
        self._scope = f"{instance} {owner.name}"

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
                    self._put_baseline(db, [change.thing])
                else:
                    self._edit_baseline(db, change)

    def rebaseline(
        self, desired: DesiredGraph, *, without: frozenset[str], touched: Iterable[str]
    ) -> None:
        """Store the graph that was made true; elements of ``without`` keep what is stored of them.

        Only the ``touched`` elements are written, and those that are not known yet. What was
        deleted is ``remember``'s matter.
        """
        things: dict[str, Thing] = {
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

    def baseline(self) -> DesiredGraph | None:
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
        ownership: dict[str, dict[Path, Ownership]] = {twin.model: {} for twin in twins}
        ownership |= {model: dict(of) for model, of in rules.ownership.items()}
        return DesiredGraph(
            owner=self._owner,
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

    def accept(self, element: str, differences: Mapping[Path, Accepted]) -> None:
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

    def accepted(self) -> dict[str, dict[Path, Accepted]]:
        """Return the accepted differences by element and path."""
        found: dict[str, dict[Path, Accepted]] = {}
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

    def _put_baseline(self, db: sqlite3.Connection, things: Sequence[Thing]) -> None:
        db.executemany(
            "INSERT OR REPLACE INTO baseline VALUES(?,?,?,?)",
            [
                (
                    self._scope,
                    element_of(thing),
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
