"""One repeating piece of the agent's work: run, wait, run again, until told to stop.

A round that fails with an error people can act on is tried again at the next interval; anything
else is a defect and ends the agent. A failure is logged when it begins, when its reason is another
one, and every ``SAID_AGAIN_S`` while it lasts, so that an outage of an hour is no flood; its end is
logged too. A stop lets the round under way come to its end, for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from sync_agent.errors import SyncAgentError

SAID_AGAIN_S = 600.0
STOP_MAX_S = 10.0
"""How long a round under way may go on after the stop: whoever stops us kills us soon."""

_log = structlog.get_logger("sync_agent")


async def every(
    interval_s: float, stop: asyncio.Event, work: Callable[[], Awaitable[object]], *, name: str
) -> None:
    """Await ``work`` now, and again ``interval_s`` seconds after each end, until ``stop``."""
    failing = Failing(name)
    while not stop.is_set():
        try:
            if not await unless_stopped(work(), stop):
                _log.warning(f"{name} broken off, the next start does the rest")
        except SyncAgentError as error:
            failing.again(error)
        else:
            failing.over()
        try:
            await asyncio.wait_for(stop.wait(), interval_s)
        except TimeoutError:
            continue


async def unless_stopped(work: Awaitable[object], stop: asyncio.Event) -> bool:
    """Await work, and break it off ``STOP_MAX_S`` after ``stop``; tell whether it came to its end.

    Raises:
        Exception: what the work raised.
    """
    doing = asyncio.ensure_future(work)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({doing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({doing}, timeout=STOP_MAX_S)
        if doing.done():
            await doing
            return True
        return False
    finally:
        for task in (doing, stopped):
            task.cancel()
        await asyncio.gather(doing, stopped, return_exceptions=True)


class Failing:
    """What was said of the failures of one loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rounds = 0
        self._reason = ""
        self._said_s = 0.0

    def again(self, error: SyncAgentError) -> None:
        """Note a failed round; say so unless that is known."""
        now_s = time.monotonic()
        self._rounds += 1
        if error.message == self._reason and now_s - self._said_s < SAID_AGAIN_S:
            return
        self._reason, self._said_s = error.message, now_s
        again = {"rounds": self._rounds} if self._rounds > 1 else {}
        _log.error(f"{self._name} failed", reason=error.message, remedy=error.remedy, **again)

    def over(self) -> None:
        """Note a round that went well; say so where that is news."""
        if self._rounds:
            _log.info(f"{self._name} recovered", failed_rounds=self._rounds)
        self._rounds, self._reason = 0, ""
