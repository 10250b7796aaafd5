"""A file that somebody wrote is read into its form, or refused with the line that is wrong."""

from __future__ import annotations

import msgspec
import pytest

from sync_agent.errors import InputError
from sync_agent.toml_file.reader import read_toml


class Shelf(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    rows: tuple[int, ...] = ()
    labels: dict[str, str] = {}


class Room(msgspec.Struct, forbid_unknown_fields=True):
    shelf: list[Shelf] = []


TWO = """# shelves
[[shelf]]
name = "a"
rows = [1, 2]

[[shelf]]
name = "b"
"""


def read(text: str) -> Room:
    return read_toml(text, Room, place="room.toml", remedy="see the docs")


def test_a_text_is_read_into_its_form() -> None:
    assert [shelf.name for shelf in read(TWO).shelf] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[shelf]", "room.toml:1: is not TOML: Expected ']]' at the end of an array declaration"),
        ("\n[[shelf]]\nname =", "room.toml:3: is not TOML: Invalid value"),
        ("x = 1", "room.toml:1: Object contains unknown field `x`"),
        (f"{TWO}[[shelves]]\nx = 1", "room.toml:8: Object contains unknown field `shelves`"),
        (f"{TWO}\nlable = 1", "room.toml:9: shelf[2]: Object contains unknown field `lable`"),
        ("[[shelf]]\n", "room.toml:1: shelf[1]: Object missing required field `name`"),
        (f"{TWO}rows = [1, '2']", "room.toml:8: shelf[2].rows[2]: Expected `int`, got `str`"),
        (f"{TWO}labels = {{ a = 1 }}", "room.toml:8: shelf[2].labels: Expected `str`, got `int`"),
        (f"{TWO}[shelf.labels]\nb = 1", "room.toml:8: shelf[2].labels: Expected `str`, got `int`"),
        ("rule = " + "[" * 5_000, "room.toml: is nested too deeply"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert caught.value.message == said
    assert caught.value.remedy == "see the docs"
