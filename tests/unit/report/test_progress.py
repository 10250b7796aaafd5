from __future__ import annotations

import asyncio
import sys
from io import StringIO

import pytest

from sync_agent.report import progress as progress_module
from sync_agent.report.progress import LINE_EVERY_S, Progress, Steps, amount


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_short_work_says_one_line_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress("Sending", total=100, unit="rows", clock=clock) as progress:
        for done in range(1, 101):
            progress.update(done)
        clock.now += 2

    printed = capsys.readouterr()
    assert printed.err == "Sending: 100 of 100 rows (100%), 50/s\n"
    assert printed.out == ""


def test_long_work_says_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress("Sending", total=1000, unit="rows", clock=clock) as progress:
        for done in range(1, 1001):
            clock.now += 1 / 64
            progress.update(done)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1000 // 64 // LINE_EVERY_S + 1
    assert lines[0] == "Sending: 320 of 1,000 rows (32%), 64/s, 11 s left"


def test_a_total_may_become_known_later(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress("Applying", unit="changes", clock=clock) as progress:
        progress.update(5)
        progress.update(10, total=20)
        clock.now += 10

    assert capsys.readouterr().err == "Applying: 10 of 20 changes (50%), 1/s, 10 s left\n"


def test_work_that_fails_at_once_says_nothing_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyError), Progress("Sending", total=3):
        raise KeyError

    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_and_notes_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    with Progress("Sending [b]", total=2, unit="rows") as progress:
        progress.note("a note with [markup] and \x1b[2J")
        progress.update(2)

    shown = terminal.getvalue()
    assert "Sending [b]" in shown
    assert "2/2" in shown
    assert r"a note with [markup] and \x1b[2J" in shown


def test_a_note_without_a_terminal_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Sending", total=1) as progress:
        progress.note("hello\x07")
        progress.update(1)

    assert capsys.readouterr().err.splitlines()[0] == "hello\\x07"


@pytest.mark.parametrize(
    ("done", "total", "elapsed_s", "words"),
    [
        (0, 10, 1.0, "0 of 10 rows (0%)"),
        (0, 0, 1.0, "0 of 0 rows"),
        (7, None, 1.0, "7 rows, 7/s"),
        (1, 100, 10.0, "1 of 100 rows (1%), 990 s left"),
    ],
)
def test_progress_in_words(done: int, total: int | None, elapsed_s: float, words: str) -> None:
    assert amount(done, total, "rows", elapsed_s) == words


async def test_a_step_is_said_when_it_has_taken_long_and_again_at_twice_the_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "LINE_EVERY_S", 0.05)
    with Steps("plan") as steps:
        steps.begin("reading the models")
        steps.begin("reading the twins")
        await asyncio.sleep(0.15)
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["plan: reading the twins, 0 s so far"] * 2
    assert set(said) == set(said[:2])
    await asyncio.sleep(0.25)
    assert capsys.readouterr().err == ""
