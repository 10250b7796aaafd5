"""An event hub of one partition in memory, for readers of inventories that come as events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sync_agent.ports.events import BatchHandler, Event, EventReceiver, Extent


class MemoryHub:
    def __init__(self, *, first: int = 0) -> None:
        self.first = first
        self.events: list[bytes] = []
        self.delivered = 0

    def send(self, *bodies: bytes) -> None:
        self.events += bodies

    def connect(self) -> EventReceiver:
        return _Receiver(self)


class _Receiver:
    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._ended = asyncio.Event()

    async def partitions(self) -> Sequence[str]:
        return ["0"]

    async def extents(self) -> Mapping[str, Extent]:
        return {"0": Extent(self._hub.first, self._hub.first + len(self._hub.events) - 1)}

    async def run(self, on_batch: BatchHandler, *, after: Mapping[str, int]) -> None:
        begin = max(after.get("0", -1) + 1, self._hub.first)
        for number in range(begin, self._hub.first + len(self._hub.events)):
            if self._ended.is_set():
                return
            body = self._hub.events[number - self._hub.first]
            self._hub.delivered += 1
            await on_batch("0", [Event("0", number, body)])
        await self._ended.wait()

    async def close(self) -> None:
        self._ended.set()
