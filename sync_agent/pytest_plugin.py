"""The stub as pytest fixtures: ``adt_stub`` and ``event_hub_stub``, for any project.

Each test has a stub of its own, in this process and in memory, on free ports of loopback; a test
that uses both has one stub, so that event routes lead from one to the other. They serve from a
thread with an event loop of its own, so tests may be synchronous or not. The thread is started once
a session, and nothing of this is imported before a test asks for it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from azure.digitaltwins.core import DigitalTwinsClient
    from azure.eventhub import EventHubConsumerClient, EventHubProducerClient

    from sync_agent.stub.server import StubServer

START_MAX_S = 20.0
HUB = "telemetry"

Value = TypeVar("Value")


@dataclass(frozen=True)
class AdtStub:
    """An empty Azure Digital Twins instance at ``url``; it takes any token or none."""

    url: str

    def client(self, **options: Any) -> DigitalTwinsClient:
        """Return a client of azure-digitaltwins-core; ``options`` go to it."""
        from azure.core.pipeline.policies import SansIOHTTPPolicy
        from azure.digitaltwins.core import DigitalTwinsClient

        # The SDK sends no token over plain HTTP, and the stub asks for none.
        options.setdefault("authentication_policy", SansIOHTTPPolicy())
        return DigitalTwinsClient(self.url, _NoCredential(), **options)

    def set_faults(self, profile: Mapping[str, Any] | None = None) -> None:
        """Have go wrong what a profile says (docs/stub.md); without one, nothing any more."""
        self._ask("PUT", "faults", dict(profile or {}))

    def requests(self) -> dict[str, Any]:
        """Return how often each operation was asked for, and what that would cost."""
        found: dict[str, Any] = self._ask("GET", "requests?latest=1000")
        return found

    def _ask(self, method: str, name: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/stub/{name}", data, method=method)  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=START_MAX_S) as answer:  # noqa: S310 - ours
            text = answer.read()
        return json.loads(text) if text else None


@dataclass(frozen=True)
class EventHubStub:
    """An Event Hubs namespace with one hub of four partitions, named ``hub``."""

    connection_string: str
    hub: str = HUB

    def producer(self, **options: Any) -> EventHubProducerClient:
        """Return a producer of azure-eventhub; ``options`` go to it."""
        from azure.eventhub import EventHubProducerClient

        return EventHubProducerClient.from_connection_string(
            self.connection_string, eventhub_name=self.hub, **options
        )

    def consumer(self, group: str = "$Default", **options: Any) -> EventHubConsumerClient:
        """Return a consumer of azure-eventhub; ``options`` go to it."""
        from azure.eventhub import EventHubConsumerClient

        return EventHubConsumerClient.from_connection_string(
            self.connection_string, group, eventhub_name=self.hub, **options
        )


class _NoCredential:
    """A credential nobody asks for a token."""

    def get_token(self, *_: str, **__: Any) -> Any:
        """Refuse."""
        raise NotImplementedError("the stub asks for no token")


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_MAX_S)

    def close(self) -> None:
        """End the loop and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_MAX_S)
        self._loop.close()


@contextmanager
def _serving(loop: _Loop) -> Iterator[StubServer]:
    from sync_agent.stub.amqp.broker import HubOptions
    from sync_agent.stub.server import StubOptions, StubServer

    server = StubServer(StubOptions(hubs=(HubOptions(HUB),)))
    loop.run(server.start())
    try:
        yield server
    finally:
        loop.run(server.stop())


@pytest.fixture(scope="session")
def _stub_loop() -> Iterator[_Loop]:
    loop = _Loop()
    yield loop
    loop.close()


@pytest.fixture
def _stub_server(_stub_loop: _Loop) -> Iterator[StubServer]:
    with _serving(_stub_loop) as server:
        yield server


@pytest.fixture
def adt_stub(_stub_server: StubServer) -> AdtStub:
    """An empty Azure Digital Twins instance for one test."""
    return AdtStub(_stub_server.adt_url)


@pytest.fixture
def event_hub_stub(_stub_server: StubServer) -> EventHubStub:
    """An Event Hubs namespace with the hub ``telemetry`` for one test."""
    return EventHubStub(_stub_server.event_hub_connection_string)
