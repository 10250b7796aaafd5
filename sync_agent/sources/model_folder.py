"""A folder of DTDL files: every ``*.json`` in it, each with one model or an array of them.

The files are read together, so they may refer to each other and a model defined twice is found.
Bounds: ``FILE_BYTES_MAX`` a file, ``FILES_MAX`` files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Interface
from sync_agent.dtdl.parse import parse_documents
from sync_agent.errors import InputError, ModelError
from sync_agent.sources.json_place import line_of

FILE_BYTES_MAX = 16 * 1024 * 1024
FILES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """What the files hold: sound interfaces, and what is wrong with the rest."""

    interfaces: tuple[Interface, ...]
    diagnostics: tuple[Diagnostic, ...]
    files: int


def read_models(path: Path) -> ModelFolder:
    """Read one file, or all of a folder in the order of their paths.

    Extensions nobody here knows are findings, in every DTDL version: a service would refuse them.

    Raises:
        InputError: the path is not there, holds no model file, or a file is not JSON.
    """
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files or len(files) > FILES_MAX:
        raise InputError(
            f"has {len(files)} model files; 1 to {FILES_MAX} are expected",
            place=str(path),
            remedy="name the folder with the DTDL files (models.path)",
        )
    texts: dict[str, str] = {}
    parsed = parse_documents(_documents(files, path, texts), undefined_extensions=False)
    found = (
        replace(finding, line=line_of(texts[finding.source], finding.pointer))
        for finding in parsed.diagnostics
    )
    return ModelFolder(parsed.interfaces, tuple(found), len(files))


def refuse_faulty(diagnostics: Sequence[Diagnostic], place: Path) -> None:
    """Raise when there is any diagnostic.

    Raises:
        ModelError: with the first finding and how many there are.
    """
    if diagnostics:
        more = f" (and {len(diagnostics) - 1} more)" if len(diagnostics) > 1 else ""
        raise ModelError(
            f"{diagnostics[0]}{more}",
            place=str(place),
            remedy="`sync-agent models validate` lists all findings",
        )


def _documents(
    files: Sequence[Path], path: Path, texts: dict[str, str]
) -> Iterator[tuple[str, Any]]:
    """Yield the documents with their files' names, and note the texts."""
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        texts[name] = _read(file)
        yield name, _parsed(file, texts[name])


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", place=str(file), remedy="check the path"
        ) from error
    if len(data) > FILE_BYTES_MAX:
        raise InputError(f"is larger than {FILE_BYTES_MAX:,} bytes", place=str(file))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not JSON text in UTF-8", place=str(file)) from error


def _parsed(file: Path, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not JSON: {error.msg}", place=f"{file}:{error.lineno}", remedy="correct the file"
        ) from error
    except RecursionError as error:
        raise InputError("is JSON that nests too deep", place=str(file)) from error
    except _DoubleKeyError as error:
        raise InputError(
            f"has {error} twice in one object", place=str(file), remedy="keep one of them"
        ) from error


class _DoubleKeyError(Exception):
    """A JSON object has a key twice; plain JSON reading would drop one without a word."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DoubleKeyError(repr(next(key for key in keys if keys.count(key) > 1)))
    return read
