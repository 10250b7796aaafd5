"""A folder of DTDL files: every ``*.json`` in it, each with one model or an array of them.

The files are read together, so they may refer to each other and a model defined twice is found. A
file that is no JSON is a finding like any other, and hides none of the others.
Bounds: ``FILE_BYTES_MAX`` a file, ``FILES_MAX`` files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Interface
from sync_agent.dtdl.parse import parse_documents
from sync_agent.errors import InputError, ModelError
from sync_agent.sources.json_place import place_of

FILE_BYTES_MAX = 16 * 1024 * 1024
FILES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """What the files hold: sound interfaces, and what is wrong with the rest.

    ``places`` says for each model in which file it is and, in a file with an array, where there.
    """

    interfaces: tuple[Interface, ...]
    diagnostics: tuple[Diagnostic, ...]
    files: int
    texts: Mapping[str, str]
    places: Mapping[str, tuple[str, str]]

    @property
    def whole(self) -> bool:
        """Tell whether every file could be read."""
        return len(self.texts) == self.files

    def placed(self, finding: Diagnostic) -> Diagnostic:
        """Return a finding about one of the models with its file, and its place there.

        What is wrong between models is found in the models themselves, which do not know where they
        stand.
        """
        source, item = self.places.get(finding.model, ("", ""))
        if finding.source and finding.source != source:
            source, item = finding.source, ""
        if source not in self.texts:
            return finding
        # In a file with an array every pointer starts with a number, in a model none does.
        inside = bool(item) and not finding.pointer[1:2].isdigit()
        pointer = item + finding.pointer if inside else finding.pointer
        line, column = place_of(self.texts[source], pointer)
        return replace(finding, source=source, pointer=pointer, line=line, column=column)


def read_models(path: Path) -> ModelFolder:
    """Read one file, or all of a folder in the order of their paths.

    Extensions nobody here knows are findings, in every DTDL version: a service would refuse them.

    Raises:
        InputError: the path is not there, or holds no model file.
    """
    files = _files(path)
    texts: dict[str, str] = {}
    documents: dict[str, Any] = {}
    faults: list[Diagnostic] = []
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        try:
            text = _read(file)
            documents[name] = _parsed(text)
            texts[name] = text
        except _FaultyFileError as error:
            faults.append(replace(error.finding, source=name))
    parsed = parse_documents(documents.items(), undefined_extensions=False)
    folder = ModelFolder(parsed.interfaces, (), len(files), texts, _places(documents))
    found = (*faults, *(folder.placed(finding) for finding in parsed.diagnostics))
    return replace(folder, diagnostics=found)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError("is not there", place=str(path), remedy="check the path (models.path)")
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*.json") if not file.is_dir())
    if not files or len(files) > FILES_MAX:
        held = f"{len(files):,} model files, the most is {FILES_MAX:,}" if files else "no *.json"
        remedy = "name the file or folder with the DTDL models (models.path)"
        raise InputError(f"holds {held}", place=str(path), remedy=remedy)
    return files


def _places(documents: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return for each model its file and, in an array, its pointer there; of two the first."""
    places: dict[str, tuple[str, str]] = {}
    for source, document in documents.items():
        array = isinstance(document, list)
        for number, item in enumerate(document if array else [document]):
            if isinstance(item, dict) and isinstance(item.get("@id"), str):
                places.setdefault(item["@id"], (source, f"/{number}" if array else ""))
    return places


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


class _FaultyFileError(Exception):
    """A file that holds no JSON; ``finding`` says why."""

    def __init__(self, code: str, message: str, remedy: str, line: int = 0, column: int = 0):
        super().__init__(message)
        self.finding = Diagnostic(f"json:{code}", message, remedy=remedy, line=line, column=column)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise _FaultyFileError("unreadable", message, "check the file and its rights") from error
    if len(data) > FILE_BYTES_MAX:
        message = f"the file is larger than {FILE_BYTES_MAX:,} bytes"
        raise _FaultyFileError("tooLarge", message, "make several files of it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = "the file is not text in UTF-8"
        raise _FaultyFileError("encoding", message, "save it as UTF-8", line, column) from error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        message, remedy = f"the file is not JSON: {error.msg}", "correct it here, or just before"
        raise _FaultyFileError("syntax", message, remedy, error.lineno, error.colno) from error
    except RecursionError as error:
        message = "the file is JSON that nests too deep"
        raise _FaultyFileError("tooDeep", message, "make it flatter") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):  # plain JSON reading would drop one without a word
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        message = f"the file has {double!r} twice in one object"
        raise _FaultyFileError("duplicateKey", message, "keep one of them")
    return read
