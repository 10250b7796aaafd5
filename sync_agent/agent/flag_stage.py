"""Named ADT queries on a schedule: what enters and leaves an answer becomes an event, once.

The elements a query held last are in the state file, so a restart neither raises a flag a second
time nor forgets to clear one. A query that fails is reported and leaves its flags as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from sync_agent.agent.outcomes import FlagEvent
from sync_agent.agent.state import StateStore
from sync_agent.errors import ServiceError
from sync_agent.health.flag import FlagQuery, changed
from sync_agent.ports.twin_store import TwinReader

_log = structlog.get_logger("sync_agent")


class FlagStage:
    """Runs the named queries and records what entered and left each."""

    def __init__(
        self,
        flags: tuple[FlagQuery, ...],
        reader: TwinReader,
        state: StateStore,
        now_ms: Callable[[], int],
    ) -> None:
        self._flags = flags
        self._reader = reader
        self._state = state
        self._now_ms = now_ms

    async def round(self) -> None:
        """Run every query once.

        Raises:
            ServiceError: the service could not be reached; rounds before it stand.
        """
        for flag in self._flags:
            await self._run(flag)

    async def _run(self, flag: FlagQuery) -> None:
        try:
            held = {row["$dtId"] async for row in self._reader.query(flag.query) if "$dtId" in row}
        except ServiceError as error:
            if error.retryable:
                raise
            _log.error("flag query refused", flag=flag.name, reason=error.message)
            return
        entered, left = changed(frozenset(self._state.flagged(flag.name)), frozenset(held))
        at_ms = self._now_ms()
        events = [FlagEvent(flag.name, element, "entered", at_ms) for element in sorted(entered)]
        events += [FlagEvent(flag.name, element, "left", at_ms) for element in sorted(left)]
        if events:
            self._state.commit_flags(events)
        for event in events:
            _log.info(f"flag {event.kind}", flag=event.query, element=event.element)
