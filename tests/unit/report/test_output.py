from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.report.output import (
    STATE_STYLES,
    Column,
    Output,
    print_fields,
    print_rows,
    printable,
    shown,
    to_json,
)

COLUMNS = (Column("id", "Element"), Column("score", "Score", justify="right"))


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a terminal be one of 80 columns with colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_table_has_a_line_a_row_however_long_when_it_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = "x" * 500

    print_rows([{"id": long, "score": 41.25}], COLUMNS, output=Output.TABLE, title="Degraded")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Degraded"
    assert lines[1].split() == ["Element", "Score"]
    assert lines[2].split() == [long, "41.25"]
    assert len(lines) == 3


def test_a_table_on_a_terminal_folds_and_loses_nothing() -> None:
    long = "".join(chr(ord("a") + i % 26) for i in range(200))

    with redirect_stdout(Terminal()) as terminal:
        print_rows([{"id": long}], COLUMNS[:1], output=Output.TABLE)

    lines = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue()).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "".join(line.strip() for line in lines).endswith(long)


def test_a_state_has_its_colour_on_a_terminal_only() -> None:
    column = Column("state", "State", styles=STATE_STYLES)

    with redirect_stdout(Terminal()) as terminal:
        print_rows([{"state": "critical"}], [column], output=Output.TABLE)
    with redirect_stdout(StringIO()) as plain:
        print_rows([{"state": "critical"}], [column], output=Output.TABLE)

    assert "\x1b[1;31mcritical" in terminal.getvalue()
    assert "\x1b" not in plain.getvalue()


def test_json_has_the_rows_whole_and_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"score": 41.25, "id": "L1", "since": None, "why": ["fade"]}

    print_rows([row], COLUMNS, output=Output.JSON)

    text = capsys.readouterr().out
    assert json.loads(text) == [row]
    assert text.index("score") < text.index("id")


def test_no_rows_are_an_empty_array_and_a_table_of_headers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_rows([], COLUMNS, output=Output.JSON)
    print_rows([], COLUMNS, output=Output.TABLE)

    assert capsys.readouterr().out.split() == ["[]", "Element", "Score"]


def test_fields_are_names_and_values_or_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"$dtId": "L1", "up": True}, output=Output.TABLE, title="L1")
    print_fields({"$dtId": "L1", "up": True}, output=Output.JSON)

    table, _, text = capsys.readouterr().out.partition("{")
    assert [line.split() for line in table.splitlines()] == [["L1"], ["$dtId", "L1"], ["up", "yes"]]
    assert json.loads("{" + text) == {"$dtId": "L1", "up": True}


@pytest.mark.parametrize("evil", ["[bold red]x[/]", "[link=http://x]y[/link]", ":smile:", "[/]"])
def test_markup_in_a_twins_text_is_only_text(evil: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"id": evil}], COLUMNS[:1], output=Output.TABLE, title=evil)
    print_fields({evil: evil}, output=Output.TABLE)

    assert capsys.readouterr().out.count(evil) == 4


def test_escapes_in_a_twins_text_never_reach_a_terminal() -> None:
    evil = "a\x1b[2Jb\x9b2Jc\rd\u202ee"

    with redirect_stdout(Terminal()) as terminal:
        print_rows([{"id": evil}], [Column("id", evil)], output=Output.TABLE, title=evil)
        print_fields({evil: evil}, output=Output.TABLE, title=evil)

    for sign in ("\x1b[2J", "\x9b", "\r", "\u202e"):
        assert sign not in terminal.getvalue()
    assert r"a\x1b[2Jb\x9b2Jc\x0dd\u202ee" in terminal.getvalue()


@given(st.text())
def test_printable_text_holds_nothing_a_terminal_obeys(text: str) -> None:
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in printable(text))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_json_says_exactly_what_was_given_and_no_control_character(value: object) -> None:
    text = to_json(value)

    assert json.loads(text) == value
    assert not any((ord(c) < 0x20 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (3, "3"),
        (1234567, "1234567"),
        (0.1 + 0.2, "0.3"),
        (-47.0, "-47"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ((1, 2), "[1,2]"),
    ],
)
def test_a_value_is_shown_as_a_person_would_write_it(value: object, text: str) -> None:
    assert shown(value) == text
