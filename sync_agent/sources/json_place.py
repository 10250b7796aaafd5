"""Where in a JSON text a JSON pointer leads, for messages to people."""

from __future__ import annotations

import json

_BLANK = " \t\n\r"


def place_of(text: str, pointer: str) -> tuple[int, int]:
    """Return line and column (from 1) of what a JSON pointer names in a valid JSON text.

    Where the pointer leads nowhere (what it names is missing), it is the place of what should hold
    it.
    """
    place = _skip(text, 0)
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        found = _child(text, place, name)
        if found is None:
            break
        place = found
    return text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)


def _child(text: str, place: int, name: str) -> int | None:
    if text[place] == "{":
        return _member(text, place + 1, name)
    if text[place] == "[" and name.isdigit():
        return _item(text, place + 1, int(name))
    return None


def _member(text: str, place: int, name: str) -> int | None:
    place = _skip(text, place)
    while text[place] != "}":
        key, place = _DECODER.raw_decode(text, place)
        place = _skip(text, _skip(text, place) + 1)
        if key == name:
            return place
        place = _next(text, place)
    return None


def _item(text: str, place: int, number: int) -> int | None:
    place = _skip(text, place)
    while text[place] != "]":
        if number == 0:
            return place
        number -= 1
        place = _next(text, place)
    return None


def _next(text: str, place: int) -> int:
    """Return where the next member or item begins, or the end of the whole."""
    _, place = _DECODER.raw_decode(text, place)
    place = _skip(text, place)
    return _skip(text, place + 1) if text[place] == "," else place


def _skip(text: str, place: int) -> int:
    while text[place] in _BLANK:
        place += 1
    return place


_DECODER: json.JSONDecoder = json.JSONDecoder()
