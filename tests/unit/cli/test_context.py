"""What all commands share: how their work is run, and broken off."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
import typer

from sync_agent.cli import context

LONG_S = 60


def test_sigterm_breaks_work_off_in_order() -> None:
    ended: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(LONG_S)
        finally:
            await asyncio.sleep(0)
            ended.append("what was done is stored")

    with pytest.raises(typer.Exit) as caught:
        context.run(work())
    assert caught.value.exit_code == 143
    assert ended == ["what was done is stored"]


async def test_work_gives_its_result_in_any_thread() -> None:
    async def work() -> int:
        return 7

    assert await asyncio.to_thread(lambda: context.run(work())) == 7
