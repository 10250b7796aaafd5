"""Text in files: those a person wrote (rules, mappings, layouts), and what is wrong with bytes."""

from __future__ import annotations

from pathlib import Path

from sync_agent.errors import InputError

BYTES_MAX = 4_194_304

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


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


def text_fault(data: bytes) -> str:
    """Return what keeps bytes from being UTF-8 text, "" when they are.

    >>> text_fault("Zürich".encode("latin-1"))
    'is not UTF-8 text'
    """
    if data.startswith(_UTF16):
        return "is UTF-16 text, not UTF-8"
    if b"\0" in data:
        return "holds a NUL character"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    return ""
