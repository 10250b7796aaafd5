"""What all commands share: how their work is run, and broken off."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
import typer

from sync_agent.cli import context

LONG_S = 60


async def broken_off(ended: list[str], *, again: bool) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        await asyncio.sleep(LONG_S)
    finally:
        if again:
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
        ended.append("what was done is stored")


def test_sigterm_breaks_work_off_in_order() -> None:
    ended: list[str] = []
    with pytest.raises(typer.Exit) as caught:
        context.run(broken_off(ended, again=False))
    assert caught.value.exit_code == 143
    assert ended == ["what was done is stored"]


def test_a_second_sigterm_does_not_break_off_the_storing_of_what_was_done() -> None:
    """Who stops a group of processes may well send one to it and one to each of them."""
    ended: list[str] = []
    with pytest.raises(typer.Exit):
        context.run(broken_off(ended, again=True))
    assert ended == ["what was done is stored"]


async def test_work_gives_its_result_in_any_thread() -> None:
    async def work() -> int:
        return 7

    assert await asyncio.to_thread(lambda: context.run(work())) == 7
