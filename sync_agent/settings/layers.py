"""The layers a setting may come from, and the note of which one it came from.

A later layer wins: the TOML file, then the environment (``SYNC_AGENT__SECTION__KEY``), then flags
(``--set section.key=value``, or a command's own option). Each layer is read into ``Entry`` values
that carry their origin, so that an unknown key or a bad value is reported by the name the person
gave it. pydantic-settings is not used: it reads the process's own environment only, keeps no
origin, and costs a third of a second to import.

Bounds: a settings file of more than ``FILE_BYTES_MAX`` is refused.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any

from sync_agent.errors import SettingsError

ENVIRONMENT_PREFIX = "SYNC_AGENT__"
FILE_BYTES_MAX = 1_000_000

Known = Mapping[str, Collection[str]]
"""The keys of each section."""


class OriginKind(StrEnum):
    """The layers, weakest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from; ``place`` is the file, the variable or the option, as given."""

    kind: OriginKind
    place: str = ""

    def __str__(self) -> str:
        """Return the origin as ``config show --origin`` prints it."""
        return f"{self.kind}: {self.place}" if self.place else str(self.kind)


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of one layer; ``base`` is the folder that a relative path starts from."""

    section: str
    key: str
    value: Any
    origin: Origin
    base: Path

    @property
    def is_text(self) -> bool:
        """Tell whether the value is text that still has to be read as the setting's type."""
        return self.origin.kind is not OriginKind.FILE


def file_entries(path: Path, known: Known) -> Iterator[Entry]:
    """Yield what a TOML file sets; relative paths in it start from its folder.

    Raises:
        SettingsError: the file cannot be read, is not TOML, or holds a key that is not known.
    """
    for section, table in _read_toml(path).items():
        if section not in known:
            raise _unknown(f"{path}: [{section}]", section, known, "section")
        if not isinstance(table, dict):
            raise SettingsError(
                f"{path}: {section} is a section, not a value",
                remedy=f"Write [{section}] and its keys on the lines below it.",
            )
        for key, value in table.items():
            if key not in known[section]:
                raise _unknown(f"{path}: {section}.{key}", key, known[section], "key")
            origin = Origin(OriginKind.FILE, f"{path}:{section}.{key}")
            yield Entry(section, key, value, origin, path.absolute().parent)


def environment_entries(environ: Mapping[str, str], known: Known) -> Iterator[Entry]:
    """Yield what variables ``SYNC_AGENT__SECTION__KEY`` set; an empty one counts as not set.

    Raises:
        SettingsError: a variable with the prefix names no setting.
    """
    names = {
        f"{ENVIRONMENT_PREFIX}{section}__{key}".upper(): (section, key)
        for section, keys in known.items()
        for key in keys
    }
    for name in sorted(n for n in environ if n.startswith(ENVIRONMENT_PREFIX)):
        if name not in names:
            raise _unknown(f"environment variable {name}", name, names, "variable")
        if environ[name]:
            section, key = names[name]
            origin = Origin(OriginKind.ENVIRONMENT, name)
            yield Entry(section, key, environ[name], origin, Path.cwd())


def flag_entries(flags: Mapping[str, str], known: Known) -> Iterator[Entry]:
    """Yield what ``section.key`` -> text sets.

    Raises:
        SettingsError: a name is not ``section.key`` of a setting, or its value is empty.
    """
    names = {f"{s}.{k}": (s, k) for s, keys in known.items() for k in keys}
    for name, text in flags.items():
        if name not in names:
            raise _unknown(f"--set {name}", name, names, "setting")
        if not text:
            raise SettingsError(
                f"--set {name}= has no value",
                remedy=f"Write --set {name}=VALUE, or leave it out.",
            )
        section, key = names[name]
        yield Entry(section, key, text, Origin(OriginKind.FLAG, f"--set {name}"), Path.cwd())


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise SettingsError(
                f"{path} is larger than {FILE_BYTES_MAX:,} bytes",
                remedy="Check that it is the settings file.",
            )
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"settings file {path} does not exist",
            remedy=f"Write one with: sync-agent config init --path {path}",
        ) from None
    except OSError as error:
        raise SettingsError(
            f"settings file {path} cannot be read: {error.strerror}",
            remedy="Check its path and permissions.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} is not valid TOML: {error}", remedy="Mend the file at that place."
        ) from None


def unknown_key(place: str, word: str, known: Collection[str]) -> SettingsError:
    """Return the refusal of a key in a table that has no such key."""
    return _unknown(place, word, known, "key")


def _unknown(place: str, word: str, known: Collection[str], noun: str) -> SettingsError:
    near = get_close_matches(word, known, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(known))}."
    return SettingsError(f"{place} is not a known {noun}", remedy=remedy)
