"""From the outbox to the event hubs: in order, as often as needed, without holding requests up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sync_agent.stub.adt.routes import Waiting, delivered, waiting
from sync_agent.stub.adt.store import TwinDb

AT_ONCE = 200
RETRY_S = 1.0

Publish = Callable[[Waiting], Awaitable[None]]

_log = logging.getLogger("sync_agent.stub")


class Delivery:
    """Publishes what waits in one store's outbox."""

    def __init__(
        self, db: TwinDb, turn: asyncio.Lock, publish: Publish, sent: Callable[[int], None]
    ) -> None:
        """Prepare; ``turn`` is held while the store is used, ``sent`` is told each size."""
        self._db = db
        self._turn = turn
        self._publish = publish
        self._sent = sent
        self._waked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with what was left over."""
        self._waked.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def wake(self) -> None:
        """Look into the outbox."""
        self._waked.set()

    async def stop(self) -> None:
        """Stop; what still waits is sent after the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await self._waked.wait()
            self._waked.clear()
            try:
                while await self._deliver():
                    pass
            except Exception:  # noqa: BLE001 - it must go on, whatever a hub says
                _log.exception("notifications could not be delivered; they are tried again")
                await asyncio.sleep(RETRY_S)
                self._waked.set()

    async def _deliver(self) -> bool:
        async with self._turn:
            items = waiting(self._db, AT_ONCE)
        if not items:
            return False
        await asyncio.gather(*(self._publish(item) for item in items))
        for item in items:
            self._sent(len(item.body))
        async with self._turn:
            delivered(self._db, items)
        return True
