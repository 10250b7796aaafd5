"""A folder of files as an inventory: CSV, NDJSON, JSON, GeoJSON and GraphML.

A scope is a file (``sites.csv``), a part of one (``backbone.graphml#nodes``), or all files a
pattern fits (``*.graphml#edges``). It was read whole when every line of each of its files was: a
file that is not there, is no text or cannot be opened leaves a gap, and the others are read all the
same. Only files inside the folder are read: a link that leads out of it is a fault.

A source that is kept reads a file again only when its size, its times or the file itself are not
what they were; one that was written less than ``SETTLED_S`` ago always, because times are coarse,
and one that could not be read to its end, because that need not be the file's fault.

Bounds: ``RECORDS_MAX`` a folder, ``FILES_MAX`` a pattern; those of each kind of file are in its own
module. Memory is that of the records; up to ``KEPT_MAX`` of them stay for the next reading.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os.path import realpath
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from sync_agent.errors import InputError
from sync_agent.inventory.record import (
    Coverage,
    Record,
    RecordDiagnostic,
    Records,
    SourceRead,
    Table,
)
from sync_agent.inventory.rules_file import nearest
from sync_agent.sources.csv_file import CsvFile
from sync_agent.sources.graphml_file import PARTS, GraphmlFile
from sync_agent.sources.json_lines import JsonFile, JsonLinesFile
from sync_agent.twins.collector import collector_resting

RECORDS_MAX = 5_000_000
FILES_MAX = 10_000
KEPT_MAX = 250_000
SETTLED_S = 2.0
_WILD = "*?["
_ENDINGS = (".csv", ".tsv", ".ndjson", ".jsonl", ".json", ".geojson", ".graphml")

Stamp = tuple[int, int, int, int]


class _File(Protocol):
    """A file of any kind while it is read."""

    path: Path
    digest: hashlib._Hash
    open: bool
    columns: tuple[str, ...]
    faults: list[RecordDiagnostic]

    def records(self) -> Iterator[Record | Table]:
        """Yield its records, the rows of a table some in a go."""
        ...


@dataclass(frozen=True, slots=True)
class _ReadFile:
    """What a file gave as part of a scope, and what told it from others then."""

    stamp: Stamp | None
    records: Records
    columns: tuple[str, ...]
    faults: tuple[RecordDiagnostic, ...]
    digest: bytes
    open: bool


Kept = dict[tuple[str, str], _ReadFile]
"""What files gave, by scope and name."""


class FolderSource:
    """One folder of files (port ``InventorySource``); files are read in a thread."""

    def __init__(self, folder: Path) -> None:
        """Prepare; nothing is read yet."""
        self._folder = folder
        self._kept: Kept = {}

    async def check(self) -> str:
        """Return how many files there are.

        Raises:
            InputError: there is no such folder.
        """
        names = await asyncio.to_thread(_names, self._folder)
        return f"{len(names)} files in {self._folder}"

    async def read(self, scopes: Sequence[str]) -> SourceRead:
        """Return the records of these scopes.

        Raises:
            InputError: a scope is of no known kind, or there is too much.
        """
        return await asyncio.to_thread(read_folder, self._folder, scopes, self._kept)

    async def close(self) -> None:
        """Do nothing: files are closed as soon as they are read."""


def read_folder(folder: Path, scopes: Sequence[str], kept: Kept | None = None) -> SourceRead:
    """Read these scopes of a folder; files that are as they were when ``kept`` are not read again.

    A folder, a file or a line that cannot be read is a diagnostic, and a gap in the coverage.

    Raises:
        InputError: a scope is of no known kind, or there is too much.
    """
    try:
        names = _names(folder)
    except InputError as error:
        return _nothing(scopes, error)
    with collector_resting():
        return _read(folder, names, scopes, {} if kept is None else kept)


def _read(folder: Path, names: Sequence[str], scopes: Sequence[str], kept: Kept) -> SourceRead:
    digest = hashlib.sha256()
    before = dict(kept)
    kept.clear()
    parts: list[Record | Table] = []
    count = 0
    coverage: list[Coverage] = []
    columns: dict[str, tuple[str, ...]] = {}
    diagnostics: list[RecordDiagnostic] = []
    opened: set[str] = set()
    for scope in dict.fromkeys(scopes):
        digest.update(f"{scope}\n".encode())
        faults: list[RecordDiagnostic] = []
        seen: dict[str, None] = {}
        files = _files(folder, names, scope)
        if not files:
            faults.append(_none_fits(folder, scope))
            opened.add(scope)
        for file in files:
            key = (scope, file.path.name)
            read = _as_kept(before.get(key), file.path)
            if read is None:
                read = _read_file(file, folder, RECORDS_MAX - count)
            parts += read.records.parts
            count += len(read.records)
            if count <= KEPT_MAX:
                kept[key] = read
            digest.update(read.digest)
            faults += read.faults
            seen.update(dict.fromkeys(read.columns))
            if read.open:
                opened.add(scope)
        columns[scope] = tuple(seen)
        coverage.append(Coverage(scope, not faults, str(faults[0]) if faults else ""))
        diagnostics += faults
    return SourceRead(
        records=Records(tuple(parts)),
        coverage=tuple(coverage),
        columns=columns,
        diagnostics=tuple(dict.fromkeys(diagnostics)),
        digest=digest.hexdigest(),
        open_kinds=frozenset(opened),
        unasked=dict.fromkeys(name for name in names if _is_unasked(name, scopes)),
    )


def _is_unasked(name: str, scopes: Sequence[str]) -> bool:
    """Tell whether a file could be read and is part of no scope."""
    patterns = (scope.partition("#")[0] for scope in scopes)
    fits = any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)
    return Path(name).suffix.lower() in _ENDINGS and not fits


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except NotADirectoryError:
        pass
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", place=str(folder), remedy="check the folder"
        ) from error
    raise InputError(
        "is not a folder", place=str(folder), remedy="name the folder of the inventory's files"
    )


def _read_file(file: _File, folder: Path, most: int) -> _ReadFile:
    """Read a file; where it cannot be read, or not to its end, what came before stays.

    Such a file has no stamp, so that it is tried again.

    Raises:
        _TooMuchError: it has more than ``most`` records.
    """
    stamp = _stamp(file.path)
    parts: list[Record | Table] = []
    count = 0
    try:
        for part in _records(file, folder):
            parts.append(part)
            count += 1 if isinstance(part, Record) else len(part)
            if count > most:
                raise _TooMuchError(
                    f"has more than {RECORDS_MAX:,} records",
                    place=str(folder),
                    remedy="split it into several sources",
                )
    except _TooMuchError:
        raise
    except InputError as error:
        file.faults.append(RecordDiagnostic.of(error))
        file.open = True
        stamp = None
    faults = tuple(file.faults)
    return _ReadFile(
        stamp, Records(tuple(parts)), file.columns, faults, file.digest.digest(), file.open
    )


def _as_kept(known: _ReadFile | None, path: Path) -> _ReadFile | None:
    """Return what a file gave the last time if it is still that file."""
    if known is None or known.stamp is None or known.stamp != _stamp(path):
        return None
    return known


def _stamp(path: Path) -> Stamp | None:
    """Return what changes when a file is written, None where that might not be seen."""
    try:
        found = path.stat()
    except OSError:
        return None  # reading it says why
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < SETTLED_S * 1e9:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _records(file: _File, folder: Path) -> Iterator[Record | Table]:
    path = file.path
    try:
        _refuse_odd(path, folder)
        yield from file.records()
    except FileNotFoundError:
        alike = [Path(name).stem for name in _names(folder) if Path(name).suffix == path.suffix]
        hint = nearest(path.stem, alike).replace("?", f"{path.suffix}?")
        raise InputError(
            f"is not there{hint}", place=str(path), remedy="add it, or drop it from the mapping"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", place=str(path), remedy="check the file"
        ) from error


def _refuse_odd(path: Path, folder: Path) -> None:
    """Refuse what is no file, since a pipe would be waited for, and what lies elsewhere.

    Raises:
        OSError: it cannot be looked at.
        InputError: it is no file, or is a link out of the folder.
    """
    if not Path(realpath(path)).is_relative_to(realpath(folder)):  # resolve() raises on circles
        raise InputError(
            "is a link that leads out of the folder", place=str(path), remedy="put the file itself"
        )
    if not S_ISREG(path.stat().st_mode):
        raise InputError("is no file", place=str(path), remedy="put a file of that name there")


class _TooMuchError(InputError):
    """The folder holds more than is read."""


def _none_fits(folder: Path, scope: str) -> RecordDiagnostic:
    return RecordDiagnostic(
        str(folder),
        f"no file fits {scope.partition('#')[0]}",
        "add such files, or correct the mapping's from",
    )


def _nothing(scopes: Sequence[str], error: InputError) -> SourceRead:
    """Return a reading that gave nothing and says why."""
    fault = RecordDiagnostic.of(error)
    return SourceRead(
        coverage=tuple(Coverage(scope, False, str(fault)) for scope in dict.fromkeys(scopes)),
        columns=dict.fromkeys(scopes, ()),
        diagnostics=(fault,),
        open_kinds=frozenset(scopes),
    )


def _files(folder: Path, names: Sequence[str], scope: str) -> list[_File]:
    """Return the files of a scope, in order of their names.

    Raises:
        InputError: they are of no kind that is read, or are too many.
    """
    pattern, _, part = scope.partition("#")
    found = [pattern]
    if any(sign in pattern for sign in _WILD):
        found = [name for name in names if fnmatchcase(name, pattern)]
        if len(found) > FILES_MAX:
            raise InputError(
                f"more than {FILES_MAX:,} files fit {pattern}",
                place=str(folder),
                remedy="put several networks into one file, or split the folder",
            )
    return [_file(folder / name, scope, part) for name in found]


def _file(path: Path, scope: str, part: str) -> _File:
    digest = hashlib.sha256()
    match path.suffix.lower(), part:
        case ((".csv" | ".tsv"), ""):
            return CsvFile(path, scope, digest)
        case ((".ndjson" | ".jsonl"), ""):
            return JsonLinesFile(path, scope, digest)
        case ((".json" | ".geojson"), _):
            return JsonFile(path, scope, digest, part)
        case ".graphml", _ if part in PARTS:
            return GraphmlFile(path, scope, digest, part)
        case ".graphml", _:
            remedy = f"write one of {', '.join(f'{path.name}#{known}' for known in PARTS)}"
        case _:
            remedy = f"files end in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}"
    raise InputError(f"{scope} is no file this source reads", place=str(path), remedy=remedy)
