"""What is read of an event hub, what is passed over, and who hears of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sync_agent.errors import ServiceError, UnreachableError
from sync_agent.ports.events import EventReceiver, Extent
from sync_agent.sources.event_log import EventLog
from tests.unit.sources.memory_hub import MemoryHub


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def ended(self, began_s: float, error: ServiceError | None = None) -> None:
        self.heard.append(type(error).__name__ if error else "answered")


class AwayHub(MemoryHub):
    """A hub that can be away."""

    away = False

    def connect(self) -> EventReceiver:
        receiver = super().connect()
        if self.away:

            async def extents() -> Mapping[str, Extent]:
                raise UnreachableError("the hub cannot be reached")

            receiver.extents = extents  # type: ignore[method-assign]
        return receiver


async def test_the_watch_hears_that_a_hub_is_away_and_that_it_is_back() -> None:
    hub, ear = AwayHub(), Ear()
    log = EventLog(hub.connect, wait_max_s=5, watch=ear)
    await log.read()
    hub.away = True
    with pytest.raises(UnreachableError):
        await log.read()
    hub.away = False
    await log.read()
    assert ear.heard == ["answered", "UnreachableError", "answered"]


async def test_events_that_are_passed_over_are_not_given_and_not_asked_for_again() -> None:
    hub = MemoryHub()
    hub.send(b"a", b"b", b"c")
    log = EventLog(hub.connect, wait_max_s=5, passed_over=["0:1", "1:2"])
    assert [event.body for event in await log.read()] == [b"a", b"c"]
    assert await log.read() == []
    assert hub.delivered == 3
