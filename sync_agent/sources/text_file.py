"""Files that a person wrote: rules, mappings, layouts."""

from __future__ import annotations

from pathlib import Path

from sync_agent.errors import InputError

BYTES_MAX = 4_194_304


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        InputError: it cannot be read, is larger than 4 MiB, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", place=str(path), remedy="check the path"
        ) from error
    if len(data) > BYTES_MAX:
        raise InputError(f"is larger than {BYTES_MAX:,} bytes", place=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", place=str(path), remedy="save it as UTF-8") from error
