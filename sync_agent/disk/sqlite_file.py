"""A SQLite file that remembers something for good: of one version, changed whole or not at all.

Every error of SQLite becomes a ``StoreError`` that names the file and says what to do. The file is
in WAL mode, so any number may read while one writes; a writer waits ``wait_s`` for another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sync_agent.errors import StoreError


@dataclass(frozen=True, slots=True)
class FileKind:
    """What all files of a kind have in common.

    ``setting`` says where the file is, ``when_full`` what a full disk means for what it remembers.
    With ``synchronous`` FULL a commit survives a power cut, with NORMAL a killed process.
    """

    name: str
    setting: str
    version: int
    schema: str
    synchronous: Literal["NORMAL", "FULL"]
    wait_s: float
    when_full: str
    across_threads: bool = False


class SqliteFile:
    """An open file; the caller closes it."""

    def __init__(self, path: Path, kind: FileKind, *, readonly: bool = False) -> None:
        """Open the file, or make it, unless it is only to be read.

        Raises:
            StoreError: it cannot be opened or made, is damaged, or of another version.
        """
        self.path = path
        self._kind = kind
        try:
            if not readonly:
                path.parent.mkdir(parents=True, exist_ok=True)
            with self._translated():
                mode = "ro" if readonly else "rwc"
                self._db = self._connect(f"{path.absolute().as_uri()}?mode={mode}")
                try:
                    self._prepare(readonly)
                except BaseException:
                    self._db.close()
                    raise
        except OSError as error:
            raise self._failure(error.strerror or str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change what is in the file: all of it, or nothing where the block raises.

        Raises:
            StoreError: the file cannot be written.
        """
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._translated():
            return self._db.execute(sql, parameters).fetchall()

    def _connect(self, address: str) -> sqlite3.Connection:
        return sqlite3.connect(
            address,
            uri=True,
            isolation_level=None,
            timeout=self._kind.wait_s,
            check_same_thread=not self._kind.across_threads,
        )

    def _prepare(self, readonly: bool) -> None:
        kind = self._kind
        if not readonly:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA synchronous={kind.synchronous}")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and readonly:
            # Somebody is about to write it, or died before: it reads as one that holds nothing.
            self._db.close()
            self._db = self._connect(":memory:")
            self._db.executescript(f"{kind.schema}PRAGMA query_only=ON;")
        elif version == 0:
            # Two processes may find a new file at once, so a schema takes what is there already.
            self._db.executescript(
                f"BEGIN IMMEDIATE;{kind.schema}PRAGMA user_version={kind.version};COMMIT;"
            )
        elif version != kind.version:
            raise StoreError(
                f"{kind.name} {self.path} is of version {version}, this is {kind.version}",
                remedy=f"use the sync-agent that wrote it, or set {kind.setting} to a new file",
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(str(error)) from error

    def _failure(self, reason: str) -> StoreError:
        kind = self._kind
        remedy = f"check that the folder exists and may be written, or set {kind.setting}"
        if "full" in reason:
            remedy = f"free space on that disk; {kind.when_full}"
        return StoreError(f"{kind.name} {self.path}: {reason}", remedy=remedy)
