"""The files of a folder of events, by their endings. Bounds: ``FILES_MAX``."""

from __future__ import annotations

from pathlib import Path

from sync_agent.errors import InputError

FILES_MAX = 100_000


def event_files(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Return the event files of a folder in order of their names.

    Raises:
        InputError: there is no such folder, it cannot be read, or holds too much.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in endings)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            "is not a folder", place=str(folder), remedy="name the folder of the event files"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", place=str(folder), remedy="check the folder"
        ) from error
    if len(files) > FILES_MAX:
        raise InputError(
            f"has more than {FILES_MAX:,} event files",
            place=str(folder),
            remedy="put several events into one file",
        )
    return files
