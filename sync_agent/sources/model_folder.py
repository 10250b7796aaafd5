"""A folder of DTDL files: every ``*.json`` in it, each with one model or an array of them.

Bounds: ``FILE_BYTES_MAX`` a file, ``FILES_MAX`` files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Interface
from sync_agent.dtdl.parse import iter_models, parse_models
from sync_agent.errors import InputError, ModelError

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
    interfaces: list[Interface] = []
    diagnostics: list[Diagnostic] = []
    defined: dict[str, str] = {}
    for file in files:
        name = str(file.relative_to(path)) if path.is_dir() else file.name
        parsed = parse_models(iter_models(_read(file)), source=name)
        diagnostics += parsed.diagnostics
        for interface in parsed.interfaces:
            if interface.id in defined:
                diagnostics.append(_defined_twice(interface.id, name, defined[interface.id]))
            else:
                defined[interface.id] = name
                interfaces.append(interface)
    return ModelFolder(tuple(interfaces), tuple(diagnostics), len(files))


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


def _read(file: Path) -> object:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise InputError(f"larger than {FILE_BYTES_MAX} bytes", place=str(file))
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not JSON: {error.msg}", place=f"{file}:{error.lineno}", remedy="correct the file"
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError("is not JSON text in UTF-8", place=str(file)) from error
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", place=str(file), remedy="check the path"
        ) from error


def _defined_twice(model_id: str, file: str, first: str) -> Diagnostic:
    message = f"{model_id} is defined in {first} too"
    return Diagnostic("duplicateDefinition", message, model_id, "/@id", file, "keep one of them")
