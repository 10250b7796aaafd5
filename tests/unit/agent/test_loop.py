"""What a loop says of rounds that fail."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from sync_agent.agent import loop
from sync_agent.agent.loop import every
from sync_agent.errors import GuardError, ServiceError


async def rounds(*outcomes: ServiceError | GuardError | None) -> list[tuple[str, object]]:
    """Return what is logged of rounds that end so: the event, and its reason or count."""
    stop, waiting = asyncio.Event(), list(outcomes)

    async def work() -> None:
        outcome = waiting.pop(0)
        if not waiting:
            stop.set()
        if outcome is not None:
            raise outcome

    with capture_logs() as logs:
        await every(0.001, stop, work, name="flags")
    return [(e["event"], e.get("reason", e.get("failed_rounds"))) for e in logs]


async def test_a_failure_that_lasts_is_said_once_and_its_end_once() -> None:
    gone = ServiceError("no answer")
    assert await rounds(None, gone, gone, gone, None, None) == [
        ("flags failed", "no answer"),
        ("flags recovered", 3),
    ]


async def test_another_reason_is_said() -> None:
    assert await rounds(ServiceError("a"), GuardError("b"), GuardError("b")) == [
        ("flags failed", "a"),
        ("flags failed", "b"),
    ]


async def test_a_failure_that_lasts_very_long_is_said_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "SAID_AGAIN_S", 0.0)
    gone = ServiceError("no answer")
    assert await rounds(gone, gone) == [("flags failed", "no answer")] * 2


async def test_a_defect_ends_the_loop() -> None:
    async def work() -> None:
        raise KeyError("defect")

    with pytest.raises(KeyError):
        await every(1, asyncio.Event(), work, name="flags")


async def test_a_round_under_way_is_finished_when_the_agent_stops() -> None:
    stop, done = asyncio.Event(), []

    async def work() -> None:
        stop.set()
        await asyncio.sleep(0.02)
        done.append(True)

    await every(1, stop, work, name="flags")
    assert done == [True]


async def test_a_round_that_does_not_end_is_broken_off_when_the_agent_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "STOP_MAX_S", 0.02)
    stop = asyncio.Event()

    async def work() -> None:
        stop.set()
        await asyncio.sleep(60)

    with capture_logs() as logs:
        async with asyncio.timeout(5):
            await every(1, stop, work, name="inventory")
    assert [e["event"] for e in logs] == ["inventory broken off, the next start does the rest"]


async def test_a_loop_that_is_cancelled_cancels_its_round() -> None:
    begun, ended = asyncio.Event(), []

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    running = asyncio.create_task(every(1, asyncio.Event(), work, name="flags"))
    await begun.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert ended == [True]
