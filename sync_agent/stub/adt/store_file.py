"""The file a stub's store is kept in: opened by one process, its tables, and what can go wrong.

A file of an older version is brought up to this one when it is opened.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from sync_agent.errors import StoreError

SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE models(
    pk INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
    uploaded TEXT NOT NULL, decommissioned INTEGER NOT NULL DEFAULT 0);
CREATE TABLE twins(
    pk INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, document BLOB NOT NULL);
CREATE INDEX twins_model ON twins(model);
CREATE TABLE relationships(
    pk INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
    target TEXT NOT NULL, document BLOB NOT NULL, UNIQUE(source, id));
CREATE INDEX relationships_source ON relationships(source, name);
CREATE INDEX relationships_target ON relationships(target, name);
"""
_ROUTES_AND_JOBS = """
CREATE TABLE event_routes(
    pk INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, endpoint TEXT NOT NULL, filter TEXT NOT NULL);
CREATE TABLE outbox(
    pk INTEGER PRIMARY KEY AUTOINCREMENT, hub TEXT NOT NULL, twin TEXT NOT NULL,
    properties BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE jobs(
    pk INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL,
    document TEXT NOT NULL, UNIQUE(kind, id));
"""
_STEPS = (_SCHEMA, _ROUTES_AND_JOBS)

BROKEN = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
)
"""What SQLite raises when the file or the disk is to blame, not the statement."""


def open_store(path: Path | None) -> apsw.Connection:
    """Open or make the file; ``None`` is a store in memory.

    Raises:
        StoreError: it is in use by another process, damaged, of another version, or its folder
            cannot be written.
    """
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        db = apsw.Connection(str(path) if path else ":memory:")
    except (apsw.Error, OSError) as error:
        raise failure(path, error) from error
    try:
        _prepare(db, path)
    except apsw.Error as error:
        db.close()
        raise failure(path, error) from error
    except BaseException:
        db.close()
        raise
    return db


def failure(path: Path | None, error: Exception) -> StoreError:
    """Return an error of SQLite or the system as one that says what to do."""
    match error:
        case apsw.FullError():
            remedy = "free space on its disk"
        case apsw.BusyError():
            remedy = "stop the other stub that uses it, or give this one another --data-dir"
        case _:
            remedy = "look at the folder and its disk, or give another --data-dir"
    return StoreError(f"the stub's store {path}: {error}", remedy=remedy)


def _prepare(db: apsw.Connection, path: Path | None) -> None:
    # One statement a call: apsw stops behind the first that gives a row.
    db.set_busy_timeout(0)
    # Else SQLite prepares a statement anew whenever a value its plan could rest on is bound,
    # which takes longer than most queries run; without ANALYZE no plan rests on any.
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    version = db.execute("PRAGMA user_version").get
    if 0 <= version < SCHEMA_VERSION:
        with db:
            steps = "".join(_STEPS[version:])
            db.execute(f"{steps} PRAGMA user_version={SCHEMA_VERSION}")
    elif version != SCHEMA_VERSION:
        raise StoreError(
            f"{path} holds twins in format {version}, not {SCHEMA_VERSION}",
            remedy="start with another --data-dir",
        )
