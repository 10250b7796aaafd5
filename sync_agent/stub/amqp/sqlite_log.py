"""An event log in one SQLite file: durable across restart and kill -9.

One transaction holds all appends of a group, the retention they cause, and the counters of their
partitions, so after any crash numbers, events and counters agree. The file is in WAL mode with
``synchronous=NORMAL``: what was accepted survives the death of the process; a power cut may lose
the last moments but never tears the file. It is opened exclusively: a second process is refused.

An event's key is its partition's row number and its sequence number in one integer, so an append
goes to the end of a range of the table's own tree, a read walks it, and no other index is needed.
Offsets and times rise with the sequence number and are found by bisection over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import apsw

from sync_agent.errors import StoreError
from sync_agent.stub.amqp.partition_log import (
    Append,
    PartitionInfo,
    PartitionKey,
    Retention,
    Slice,
    StoredEvent,
    count_to_drop,
    known_sequence,
    number_events,
)
from sync_agent.stub.amqp.selector import Position, PositionKind

SCHEMA_VERSION = 1
SEQUENCE_BITS = 44
"""Room for 17 million million events in a partition and half a million partitions in a file."""

_SCHEMA = """
CREATE TABLE hubs(name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE partitions(
  id INTEGER PRIMARY KEY, hub TEXT NOT NULL, number INTEGER NOT NULL,
  first_sequence INTEGER NOT NULL, next_sequence INTEGER NOT NULL, next_offset INTEGER NOT NULL,
  last_offset INTEGER NOT NULL, last_enqueued_ms INTEGER NOT NULL, bytes INTEGER NOT NULL,
  UNIQUE(hub, number));
CREATE TABLE events(
  pk INTEGER PRIMARY KEY, offset INTEGER NOT NULL, enqueued_ms INTEGER NOT NULL,
  payload BLOB NOT NULL);
"""
_LOCATE = {
    PositionKind.OFFSET: "SELECT offset FROM events WHERE pk=?",
    PositionKind.ENQUEUED_MS: "SELECT enqueued_ms FROM events WHERE pk=?",
}
_INSERT_PARTITION = "INSERT INTO partitions VALUES(NULL,?,?,?,?,?,?,?,?)"
_UPDATE_PARTITION = (
    "UPDATE partitions SET first_sequence=?, next_sequence=?, next_offset=?, last_offset=?,"
    " last_enqueued_ms=?, bytes=? WHERE id=?"
)


class SqliteEventLog:
    """An ``EventLog`` in a file.

    Raises (constructor):
        StoreError: the file is in use by another process, damaged, of another version, or its
            folder cannot be written.
    """

    def __init__(self, path: Path, retention: Retention | None = None) -> None:
        self._path = path
        self._retention = retention or Retention()
        self._infos: dict[PartitionKey, PartitionInfo] = {}
        self._row_ids: dict[PartitionKey, int] = {}
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = apsw.Connection(str(path))
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def open_hub(self, hub: str, partitions: int, now_ms: int) -> int:
        """Make a hub's partitions known; return when the hub was first opened, in epoch ms."""
        with self._translated(), self._transaction():
            self._db.execute("INSERT OR IGNORE INTO hubs VALUES(?,?)", (hub, now_ms))
            new = [number for number in range(partitions) if (hub, number) not in self._infos]
            row_ids = {(hub, number): self._add_partition(hub, number) for number in new}
            created_ms = self._db.execute("SELECT created_ms FROM hubs WHERE name=?", (hub,)).get
        self._row_ids.update(row_ids)
        self._infos.update((key, PartitionInfo()) for key in row_ids)
        return int(created_ms)

    def append(self, appends: Sequence[Append], now_ms: int) -> None:
        """Number, stamp and keep the events of all appends, or none of them.

        Raises:
            StoreError: nothing was kept, for instance because the disk is full.
        """
        infos: dict[PartitionKey, PartitionInfo] = {}
        with self._translated(), self._transaction():
            for append in appends:
                info = infos.get(append.key) or self._infos[append.key]
                infos[append.key], stored = number_events(info, append.events, now_ms)
                self._insert(append.key, stored)
            for key, info in infos.items():
                infos[key] = self._trim(key, info)
                self._db.execute(_UPDATE_PARTITION, (*_columns(infos[key]), self._row_ids[key]))
        self._infos.update(infos)

    def read(self, key: PartitionKey, sequence: int, events_max: int, bytes_max: int) -> Slice:
        """Read on from a sequence number, or from the first retained event if that was dropped."""
        info = self._infos[key]
        first = max(sequence, info.first_sequence)
        payloads: list[bytes] = []
        if first >= info.next_sequence:
            return Slice(first, payloads)
        size = 0
        with self._translated():
            rows = self._db.execute(
                "SELECT payload FROM events WHERE pk BETWEEN ? AND ? ORDER BY pk LIMIT ?",
                (self._pk(key, first), self._pk(key, info.last_sequence), events_max),
            )
            for (payload,) in rows:
                payloads.append(payload)
                size += len(payload)
                if size >= bytes_max:
                    break
            rows.close(True)
        return Slice(first, payloads)

    def info(self, key: PartitionKey) -> PartitionInfo:
        """Return where a partition stands."""
        return self._infos[key]

    def locate(self, key: PartitionKey, position: Position) -> int:
        """Return the sequence number of the first event at or behind a position."""
        info = self._infos[key]
        known = known_sequence(info, position)
        if known is not None:
            return known
        query = _LOCATE[position.kind]
        wanted = position.value if position.inclusive else position.value + 1
        low, high = info.first_sequence, info.next_sequence
        with self._translated():
            while low < high:
                middle = (low + high) // 2
                if self._db.execute(query, (self._pk(key, middle),)).get < wanted:
                    low = middle + 1
                else:
                    high = middle
        return low

    def close(self) -> None:
        """Move the write-ahead log into the file and close it."""
        with self._translated():
            self._db.close()

    def _prepare(self) -> None:
        self._db.set_busy_timeout(0)
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        version = self._db.execute("PRAGMA user_version").get
        with self._transaction():
            if version == 0:
                self._db.execute(f"{_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise StoreError(
                    f"{self._path} holds events in format {version}, not {SCHEMA_VERSION}",
                    remedy="move the file away; a new one is made at the next start",
                )
            for row_id, hub, number, *columns in self._db.execute("SELECT * FROM partitions"):
                self._row_ids[hub, number] = row_id
                self._infos[hub, number] = PartitionInfo(*columns)

    def _add_partition(self, hub: str, number: int) -> int:
        self._db.execute(_INSERT_PARTITION, (hub, number, *_columns(PartitionInfo())))
        return self._db.last_insert_rowid()

    def _insert(self, key: PartitionKey, stored: Sequence[StoredEvent]) -> None:
        base = self._pk(key, 0)
        self._db.executemany(
            "INSERT INTO events VALUES(?,?,?,?)",
            (
                (base | event.sequence_number, event.offset, event.enqueued_ms, event.payload)
                for event in stored
            ),
        )

    def _trim(self, key: PartitionKey, info: PartitionInfo) -> PartitionInfo:
        low = self._pk(key, info.first_sequence)
        rows = self._db.execute(
            "SELECT length(payload) FROM events WHERE pk BETWEEN ? AND ? ORDER BY pk",
            (low, self._pk(key, info.last_sequence)),
        )
        count, dropped_bytes = count_to_drop(info, self._retention, (row[0] for row in rows))
        rows.close(True)
        if count == 0:
            return info
        self._db.execute("DELETE FROM events WHERE pk BETWEEN ? AND ?", (low, low + count - 1))
        return replace(
            info, first_sequence=info.first_sequence + count, bytes=info.bytes - dropped_bytes
        )

    def _pk(self, key: PartitionKey, sequence: int) -> int:
        return self._row_ids[key] << SEQUENCE_BITS | sequence

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has rolled back by itself when the disk is full
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except apsw.FullError as error:
            raise StoreError(
                f"the disk is full: {self._path} cannot grow", remedy="free some space and go on"
            ) from error
        except apsw.BusyError as error:
            raise StoreError(
                f"{self._path} is in use by another process",
                remedy="stop the other stub, or give this one a file of its own",
            ) from error
        except (apsw.Error, OSError) as error:
            raise StoreError(
                f"{self._path} cannot be used: {error}",
                remedy="check the disk and the folder's permissions; move a damaged file away",
            ) from error


def _columns(info: PartitionInfo) -> tuple[int, int, int, int, int, int]:
    return (
        info.first_sequence,
        info.next_sequence,
        info.next_offset,
        info.last_offset,
        info.last_enqueued_ms,
        info.bytes,
    )
