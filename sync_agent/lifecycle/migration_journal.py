"""The file a migration keeps: every step before it is made, and that it was made.

One JSON value a line. The first line says which models; then a line per step, on disk before the
step's first write, and one when it is done. So a killed run can be gone on with, and a finished one
taken back. A step back is written down in the same way, so an undo can be killed too. A last line
that was cut off by a kill says nothing was written for it, and is dropped.

Whoever has it open holds its lock: two processes that write one journal would spoil it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from pathlib import Path
from typing import Self

import msgspec

from sync_agent.disk.lock import LockTakenError, take_lock
from sync_agent.errors import GuardError, InputError, StoreError
from sync_agent.migration.rules import Pair
from sync_agent.migration.step import Step

FORMAT = "sync-agent migration journal, version 1"


class Direction(Enum):
    """Whether a step takes a twin along, or back."""

    FORTH = auto()
    BACK = auto()


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: the head, a step or step back about to be made, or twins whose steps are done."""

    head: str = ""
    instance: str = ""
    pair: Pair | None = None
    step: Step | None = None
    done: tuple[str, ...] = ()
    back: Step | None = None
    undone: tuple[str, ...] = ()


@dataclass(slots=True)
class MigrationJournal:
    """An open journal; make one with ``open_journal``. Use as a context manager."""

    path: Path
    pair: Pair
    _file: int
    _steps: dict[str, tuple[int, int]] = field(default_factory=dict)
    _back: dict[str, tuple[int, int]] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _end: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    @property
    def twins(self) -> tuple[str, ...]:
        """Return the ids of all twins with a step not taken back, in the order of their first."""
        return tuple(self._steps)

    def unfinished(self, direction: Direction) -> tuple[str, ...]:
        """Return the twins whose step was begun and not said to be done."""
        if direction is Direction.BACK:
            return tuple(self._back)
        return tuple(twin for twin in self._steps if twin not in self._done)

    def finished(self, twin: str) -> bool:
        """Tell whether the step of a twin was said to be done, and is not taken back."""
        return twin in self._done

    def step(self, direction: Direction, twin: str) -> Step:
        """Return the latest step of a twin.

        Raises:
            KeyError: it has none.
            StoreError: the file cannot be read.
        """
        if direction is Direction.FORTH:
            step = self._read(self._steps[twin]).step
        else:
            step = self._read(self._back[twin]).back
        if step is None:
            raise StoreError(f"{self.path} was changed while it was in use")
        return step

    def begin(self, direction: Direction, steps: Iterable[Step]) -> None:
        """Write steps down and wait until they are on disk.

        Raises:
            StoreError: they cannot be written; then no twin may be.
        """
        forth = direction is Direction.FORTH
        for step in steps:
            self._append(_Line(step=step) if forth else _Line(back=step))
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _failure(self.path, error) from error

    def finish(self, direction: Direction, twins: Iterable[str]) -> None:
        """Write down that the steps of these twins were made.

        Raises:
            StoreError: it cannot be written.
        """
        made = tuple(twins)
        if made:
            self._append(_Line(done=made) if direction is Direction.FORTH else _Line(undone=made))

    def load(self) -> None:
        """Take in what is in the file; used by ``open_journal``."""
        for place, line in _lines(self._file, self.path):
            self._take_in(_decoded(line, self.path, place), (place, len(line)))
            self._end = place + len(line)
        try:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            raise _failure(self.path, error) from error

    def _take_in(self, line: _Line, place: tuple[int, int]) -> None:
        """Keep what a line says, and where its step is."""
        if line.step is not None:
            self._steps[line.step.twin] = place
            self._done.discard(line.step.twin)
        if line.back is not None:
            self._back[line.back.twin] = place
        self._done.update(line.done)
        for twin in line.undone:
            self._steps.pop(twin, None)
            self._back.pop(twin, None)
            self._done.discard(twin)

    def _read(self, place: tuple[int, int]) -> _Line:
        try:
            line = os.pread(self._file, place[1], place[0])
        except OSError as error:
            raise _failure(self.path, error) from error
        return _decoded(line, self.path, place[0])

    def _append(self, line: _Line) -> None:
        """Write a line down and take it in."""
        data = msgspec.json.encode(line) + b"\n"
        try:
            written = os.write(self._file, data)
        except OSError as error:
            raise _failure(self.path, error) from error
        if written < len(data):
            raise StoreError(f"{self.path} cannot be written: the disk is full")
        self._take_in(line, (self._end, len(data)))
        self._end += len(data)


_LINES = msgspec.json.Decoder(_Line)


def journal_file(folder: Path, pair: Pair, instance: str) -> Path:
    """Return which file of a folder a migration keeps: the one it kept before, or a new one.

    Raises:
        GuardError: a migration of these models by other rules is running.
        InputError: one was cut off, or a file of that name is no journal.
        StoreError: a file cannot be read.
    """
    name = f"{_slug(pair.old)}-to-{_slug(pair.new)}"
    for number in count(1):
        path = folder / (f"{name}.ndjson" if number == 1 else f"{name}-{number}.ndjson")
        if not path.exists() or not path.stat().st_size or _is_of(path, pair, instance):
            return path
    raise AssertionError


def _is_of(path: Path, pair: Pair, instance: str) -> bool:
    """Tell whether a file is of a migration; refuse when one by other rules is not at an end."""
    with _opened(path, os.O_RDWR | os.O_APPEND) as journal:
        kept_by, known = _head(path, journal._file)
        if kept_by != instance or known == pair:
            return kept_by == instance
        _lock(path, journal._file)
        journal.load()
        if any(journal.unfinished(direction) for direction in Direction):
            raise InputError(
                "is of a migration of these models by other rules, which was cut off",
                place=str(path),
                remedy="go on with it by running it again with its rules, or take it back first:"
                f" `sync-agent models migrate --undo {path}`",
            )
    return False


def open_journal(path: Path, pair: Pair, instance: str) -> MigrationJournal:
    """Open the journal of a migration: a new one, or the one a killed run left.

    Raises:
        GuardError: another process has it open.
        InputError: the file is of another migration or no journal.
        StoreError: it cannot be made or read.
    """
    return _in_use(_opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, pair), instance, pair)


def read_journal(path: Path, instance: str) -> MigrationJournal:
    """Open the journal of a migration that is to be taken back.

    Raises:
        GuardError: another process has it open.
        InputError: there is no such file, or it is no journal of this instance.
        StoreError: it cannot be read.
    """
    return _in_use(_opened(path, os.O_RDWR | os.O_APPEND), instance)


def _in_use(journal: MigrationJournal, instance: str, pair: Pair | None = None) -> MigrationJournal:
    """Lock a journal and take in what it says; a new one of a pair gets its head."""
    path, file = journal.path, journal._file
    try:
        _lock(path, file)
        if pair is not None and os.fstat(file).st_size == 0:
            journal._append(_Line(head=FORMAT, instance=instance, pair=pair))
        else:
            journal.pair = _check_head(path, file, instance, pair)
            journal.load()
    except BaseException:
        os.close(file)
        raise
    return journal


def _opened(path: Path, flags: int, pair: Pair | None = None) -> MigrationJournal:
    try:
        if flags & os.O_CREAT:
            path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, flags, 0o600)
    except OSError as error:
        raise _failure(path, error) from error
    return MigrationJournal(path, pair or Pair("", ""), file)


def _lock(path: Path, file: int) -> None:
    try:
        take_lock(file)
    except LockTakenError as error:
        raise GuardError(
            f"a migration that keeps {path} is running", remedy="wait until it is done"
        ) from error
    except OSError as error:
        raise _failure(path, error) from error


def _head(path: Path, file: int) -> tuple[str, Pair]:
    first = next(_lines(file, path), (0, b""))[1]
    head = _decoded(first, path, 0) if first else _Line()
    if head.head != FORMAT or head.pair is None:
        raise InputError("is no migration journal", place=str(path), remedy="name another file")
    return head.instance, head.pair


def _check_head(path: Path, file: int, instance: str, pair: Pair | None = None) -> Pair:
    kept_by, known = _head(path, file)
    if kept_by != instance:
        remedy = "name the file of a migration of this instance"
        raise InputError(f"is of {kept_by}, not of {instance}", place=str(path), remedy=remedy)
    if pair is not None and known != pair:
        raise InputError(
            f"is of the migration {known.old} to {known.new}, or of other rules",
            place=str(path),
            remedy="name another folder with --journal",
        )
    return known


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


def _slug(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", model.removeprefix("dtmi:"))


def _failure(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be used: {error.strerror}", remedy="check the folder, or use --journal"
    )
