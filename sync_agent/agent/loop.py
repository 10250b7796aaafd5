"""One repeating piece of the agent's work: run, wait, run again, until told to stop.

A round that fails with an error people can act on is logged and tried again at the next interval;
anything else is a defect and ends the agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from sync_agent.errors import SyncAgentError

_log = structlog.get_logger("sync_agent")


async def every(
    interval_s: float, stop: asyncio.Event, work: Callable[[], Awaitable[object]], *, name: str
) -> None:
    """Await ``work`` now, and again ``interval_s`` seconds after each end, until ``stop``."""
    while not stop.is_set():
        try:
            await work()
        except SyncAgentError as error:
            _log.error(f"{name} failed", reason=error.message, remedy=error.remedy)
        try:
            await asyncio.wait_for(stop.wait(), interval_s)
        except TimeoutError:
            continue
