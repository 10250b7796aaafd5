"""A folder of files as an inventory: CSV, NDJSON, JSON, GeoJSON and GraphML.

A scope is a file (``sites.csv``), a part of one (``backbone.graphml#nodes``), or all files a
pattern fits (``*.graphml#edges``). It was read whole when every line of each of its files was.

Bounds: ``RECORDS_MAX`` a folder, ``FILES_MAX`` a pattern; those of each kind of file are in its own
module. Memory is that of the records.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from sync_agent.errors import InputError
from sync_agent.inventory.record import Coverage, Record, RecordDiagnostic, SourceRead
from sync_agent.sources.csv_file import CsvFile
from sync_agent.sources.graphml_file import PARTS, GraphmlFile
from sync_agent.sources.json_lines import JsonFile, JsonLinesFile

RECORDS_MAX = 5_000_000
FILES_MAX = 10_000
_WILD = "*?["


class _File(Protocol):
    """A file of any kind while it is read."""

    path: Path
    open: bool
    columns: tuple[str, ...]
    faults: list[RecordDiagnostic]

    def records(self) -> Iterator[Record]:
        """Yield its records."""
        ...


class FolderSource:
    """One folder of files (port ``InventorySource``); files are read in a thread."""

    def __init__(self, folder: Path) -> None:
        """Prepare; nothing is read yet."""
        self._folder = folder

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
            InputError: the folder or a file is not there, or cannot be used at all.
        """
        return await asyncio.to_thread(read_folder, self._folder, scopes)

    async def close(self) -> None:
        """Do nothing: files are closed as soon as they are read."""


def read_folder(folder: Path, scopes: Sequence[str]) -> SourceRead:
    """Read these scopes of a folder.

    Raises:
        InputError: the folder or a file is not there or is none of its kind, or there is too much.
            Single bad lines are diagnostics instead.
    """
    names = _names(folder)
    digest = hashlib.sha256()
    records: list[Record] = []
    coverage: list[Coverage] = []
    columns: dict[str, tuple[str, ...]] = {}
    diagnostics: list[RecordDiagnostic] = []
    opened: set[str] = set()
    for scope in dict.fromkeys(scopes):
        digest.update(f"{scope}\n".encode())
        faults: list[RecordDiagnostic] = []
        seen: dict[str, None] = {}
        for file in _files(folder, names, scope, digest):
            for record in _records(file):
                records.append(record)
                if len(records) > RECORDS_MAX:
                    raise InputError(f"has more than {RECORDS_MAX:,} records", place=str(folder))
            faults += file.faults
            seen.update(dict.fromkeys(file.columns))
            if file.open:
                opened.add(scope)
        columns[scope] = tuple(seen)
        coverage.append(Coverage(scope, not faults, str(faults[0]) if faults else ""))
        diagnostics += faults
    return SourceRead(
        records=tuple(records),
        coverage=tuple(coverage),
        columns=columns,
        diagnostics=tuple(dict.fromkeys(diagnostics)),
        digest=digest.hexdigest(),
        open_kinds=frozenset(opened),
    )


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


def _records(file: _File) -> Iterator[Record]:
    path = file.path
    try:
        yield from file.records()
    except FileNotFoundError:
        raise InputError(
            "is not there", place=str(path), remedy="add it, or drop it from the mapping"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", place=str(path), remedy="check the file"
        ) from error


def _files(
    folder: Path, names: Sequence[str], scope: str, digest: hashlib._Hash
) -> Iterator[_File]:
    """Yield the files of a scope, in order of their names."""
    pattern, _, part = scope.partition("#")
    found = [pattern]
    if any(sign in pattern for sign in _WILD):
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            raise InputError(
                f"no file fits {pattern}",
                place=str(folder),
                remedy="add such files, or correct the mapping's from",
            )
        if len(found) > FILES_MAX:
            raise InputError(f"more than {FILES_MAX:,} files fit {pattern}", place=str(folder))
    for name in found:
        yield _file(folder / name, scope, part, digest)


def _file(path: Path, scope: str, part: str, digest: hashlib._Hash) -> _File:
    ending = path.suffix.lower()
    if ending == ".graphml" and part in PARTS:
        return GraphmlFile(path, scope, digest, part)
    if not part:
        match ending:
            case ".csv":
                return CsvFile(path, scope, digest)
            case ".ndjson" | ".jsonl":
                return JsonLinesFile(path, scope, digest)
            case ".json" | ".geojson":
                return JsonFile(path, scope, digest)
    wanted = f"one of {', '.join(f'{path.name}#{part}' for part in PARTS)}"
    raise InputError(
        f"{scope} is no file this source reads",
        place=str(path),
        remedy=f"write {wanted}"
        if ending == ".graphml"
        else "files end in .csv, .ndjson, .jsonl, .json, .geojson or .graphml",
    )
