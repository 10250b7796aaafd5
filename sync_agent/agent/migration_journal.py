"""The file a migration keeps: every step before it is made, and that it was made.

One JSON value a line. The first line says which models; then a line per step, on disk before the
step's first write, and one when it is done. So a killed run can be gone on with, and a finished one
taken back. A last line that was cut off by a kill says nothing was written for it, and is dropped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from sync_agent.errors import InputError, StoreError
from sync_agent.migration.rules import Pair
from sync_agent.migration.step import Step

FORMAT = "sync-agent migration journal, version 1"


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: the head, a step about to be made, or the ids of twins whose steps are done."""

    head: str = ""
    instance: str = ""
    pair: Pair | None = None
    step: Step | None = None
    done: tuple[str, ...] = ()


@dataclass(slots=True)
class MigrationJournal:
    """An open journal; make one with ``open_journal``. Use as a context manager."""

    path: Path
    pair: Pair
    _file: int
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _end: int = 0

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        os.close(self._file)

    @property
    def twins(self) -> tuple[str, ...]:
        """Return the ids of all twins with a step, in the order of their first."""
        return tuple(self._places)

    def unfinished(self) -> tuple[str, ...]:
        """Return the twins whose step was begun and not said to be done."""
        return tuple(twin for twin in self._places if twin not in self._done)

    def step(self, twin: str) -> Step:
        """Return the latest step of a twin.

        Raises:
            KeyError: it has none.
            StoreError: the file cannot be read.
        """
        place, size = self._places[twin]
        try:
            line = os.pread(self._file, size, place)
        except OSError as error:
            raise _failure(self.path, error) from error
        step = _LINES.decode(line).step
        if step is None:
            raise StoreError(f"{self.path} was changed while it was in use")
        return step

    def begin(self, steps: Iterable[Step]) -> None:
        """Write steps down and wait until they are on disk.

        Raises:
            StoreError: they cannot be written; then no twin may be.
        """
        for step in steps:
            line = self._append(_Line(step=step))
            self._places[step.twin] = (self._end - len(line), len(line))
            self._done.discard(step.twin)
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _failure(self.path, error) from error

    def finish(self, twins: Iterable[str]) -> None:
        """Write down that these steps were made.

        Raises:
            StoreError: it cannot be written.
        """
        done = tuple(twins)
        if done:
            self._append(_Line(done=done))
            self._done.update(done)

    def _append(self, line: _Line) -> bytes:
        data = msgspec.json.encode(line) + b"\n"
        try:
            written = os.write(self._file, data)
        except OSError as error:
            raise _failure(self.path, error) from error
        if written < len(data):
            raise StoreError(f"{self.path} cannot be written: the disk is full")
        self._end += len(data)
        return data

    def load(self) -> None:
        """Take in what is in the file; used by ``open_journal``."""
        for place, line in _lines(self._file, self.path):
            read = _decoded(line, self.path, place)
            if read.step is not None:
                self._places[read.step.twin] = (place, len(line))
                self._done.discard(read.step.twin)
            self._done.update(read.done)
            self._end = place + len(line)
        try:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            raise _failure(self.path, error) from error


_LINES = msgspec.json.Decoder(_Line)


def open_journal(path: Path, pair: Pair, instance: str) -> MigrationJournal:
    """Open the journal of a migration: a new one, or the one a killed run left.

    Raises:
        InputError: the file is of another migration or no journal.
        StoreError: it cannot be made or read.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        is_new = os.fstat(file).st_size == 0
    except OSError as error:
        raise _failure(path, error) from error
    journal = MigrationJournal(path, pair, file)
    try:
        if is_new:
            journal._append(_Line(head=FORMAT, instance=instance, pair=pair))
            return journal
        _check_head(path, file, pair, instance)
        journal.load()
    except BaseException:
        os.close(file)
        raise
    return journal


def read_journal(path: Path, instance: str) -> MigrationJournal:
    """Open the journal of a migration that is to be taken back.

    Raises:
        InputError: there is no such file, or it is no journal of this instance.
        StoreError: it cannot be read.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND)
    except OSError as error:
        raise _failure(path, error) from error
    try:
        pair = _check_head(path, file, None, instance)
        journal = MigrationJournal(path, pair, file)
        journal.load()
    except BaseException:
        os.close(file)
        raise
    return journal


def _check_head(path: Path, file: int, pair: Pair | None, instance: str) -> Pair:
    first = next(_lines(file, path), (0, b""))[1]
    head = _decoded(first, path, 0) if first else _Line()
    if head.head != FORMAT or head.pair is None:
        raise InputError("is no migration journal", place=str(path), remedy="name another file")
    if head.instance != instance:
        remedy = "name the file of a migration of this instance"
        raise InputError(
            f"is of {head.instance}, not of {instance}", place=str(path), remedy=remedy
        )
    if pair is not None and head.pair != pair:
        raise InputError(
            f"is of the migration {head.pair.old} to {head.pair.new}, or of other rules",
            place=str(path),
            remedy="name another file with --journal",
        )
    return head.pair


def _lines(file: int, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each whole line with its place."""
    place = 0
    try:
        with os.fdopen(os.dup(file), "rb") as opened:
            opened.seek(0)
            for line in opened:
                if line.endswith(b"\n"):
                    yield place, line
                place += len(line)
    except OSError as error:
        raise _failure(path, error) from error


def _decoded(line: bytes, path: Path, place: int) -> _Line:
    try:
        return _LINES.decode(line)
    except msgspec.MsgspecError as error:
        remedy = "restore the file, or begin anew with another --journal"
        raise InputError(f"is damaged at byte {place}", place=str(path), remedy=remedy) from error


def _failure(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be used: {error.strerror}", remedy="check the folder, or use --journal"
    )
