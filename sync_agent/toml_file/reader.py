"""Reading TOML into a form, or refusing it with the line of what is wrong.

What makes sense beyond keys and types is said by whoever reads the form. The mapping of an
inventory has more to say about each key and takes what the text says as it is.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, TypeVar

import msgspec

from sync_agent.errors import InputError
from sync_agent.toml_file.key_lines import key_lines

Form = TypeVar("Form")

_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_KEY = re.compile(r" - at `\$\.?(.*)`$")
_ITEM = re.compile(r"\[(\d+)\]")
_FIELD = re.compile(r"unknown field `(.*)`")


def read_toml(text: str, form: type[Form], *, place: str, remedy: str) -> Form:
    """Read a text in a form of msgspec; ``place`` is the file it is from.

    Raises:
        InputError: it is no TOML, or has a key or a type that the form does not have.
    """
    document = parse_toml(text, place=place, remedy=remedy)
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        reason, key = _of_key(str(error))
        field = _FIELD.search(reason)
        # What is not known may be an array of tables, whose lines are those of its items.
        path = f"{key}.{field[1]}[1]".lstrip(".") if field else key
        line = key_lines(text).line_of(path)
        raise InputError(
            f"{key}: {reason}" if key else reason,
            place=f"{place}:{line}" if line else place,
            remedy=remedy,
        ) from error


def parse_toml(text: str, *, place: str, remedy: str) -> dict[str, Any]:
    """Return what a text says; ``place`` is the file it is from.

    Raises:
        InputError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, line = _told(str(error), text)
        raise InputError(
            f"is not TOML: {reason}", place=f"{place}:{line}", remedy=remedy
        ) from error
    except RecursionError:
        raise InputError("is nested too deeply", place=place, remedy=remedy) from None


def _told(message: str, text: str) -> tuple[str, int]:
    """Return why it is no TOML, and from which line on."""
    found = _AT_LINE.search(message)
    if found is None:
        return message.removesuffix(" (at end of document)"), text.count("\n") + 1
    return message[: found.start()], int(found[1])


def _of_key(message: str) -> tuple[str, str]:
    """Return what is wrong, and with which key, as people count: the first item is 1."""
    found = _AT_KEY.search(message)
    if found is None:
        return message, ""
    key = _ITEM.sub(lambda item: f"[{int(item[1]) + 1}]", found[1])
    return message[: found.start()], key.replace("[...]", "")
