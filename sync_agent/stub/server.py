"""The stub as one process: Azure Digital Twins over HTTP and Event Hubs over AMQP, on loopback.

Both serve from the event loop that calls ``start``. What is stored is durable through a restart
when there is a data folder, and gone with the process when there is none. Nothing listens beyond
loopback unless it is told to, and then it demands a token and a key of its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sync_agent.errors import SettingsError
from sync_agent.stub.adt.app import AdtApp
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.amqp.broker import LOOPBACK_KEYS, EventHubBroker, HubOptions
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from sync_agent.stub.amqp.sqlite_log import SqliteEventLog
from sync_agent.stub.http_server import HttpServer, listen

ADT_FILE = "adt.db"
EVENTS_FILE = "event-hubs.db"


@dataclass(frozen=True, slots=True)
class StubOptions:
    """What a stub serves: ports (0: a free one), hubs, keys, and where it keeps its data."""

    data_dir: Path | None = None
    host: str = "127.0.0.1"
    adt_port: int = 0
    event_hub_port: int = 0
    hubs: tuple[HubOptions, ...] = (HubOptions("telemetry"),)
    keys: Mapping[str, str] = field(default_factory=lambda: LOOPBACK_KEYS)
    token: str | None = field(default=None, repr=False)


class StubServer:
    """A running stub; use ``start`` and ``stop``, or as an async context manager.

    Raises (constructor):
        SettingsError: it would listen beyond loopback without a token.
    """

    def __init__(self, options: StubOptions) -> None:
        if not options.token and not _is_loopback(options.host):
            raise SettingsError(
                f"without a token the stub does not listen on {options.host}",
                remedy="give --token, or listen on 127.0.0.1",
            )
        self._options = options
        self._adt_port = options.adt_port
        self._broker: EventHubBroker | None = None
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def adt_url(self) -> str:
        """Return the address of the ADT data plane; with port 0 it is known once started."""
        return f"http://{_in_url(self._options.host)}:{self._adt_port}"

    @property
    def event_hub_connection_string(self) -> str:
        """Return the connection string of the Event Hubs namespace of a started stub."""
        if self._broker is None:
            raise RuntimeError("the stub is not started")
        return self._broker.connection_string()

    async def start(self) -> None:
        """Open the stores and listen.

        Raises:
            AddressInUseError: a port is taken.
            StoreError: a store cannot be opened.
        """
        async with AsyncExitStack() as opened:
            await self._open(opened)
            self._running = opened.pop_all()

    async def stop(self) -> None:
        """Finish the requests under way, stop listening and close the stores; again is no harm."""
        self._broker = None
        await self._running.aclose()

    async def _open(self, opened: AsyncExitStack) -> None:
        """Open all parts; what is put on ``opened`` is closed in the opposite order."""
        options = self._options
        folder = options.data_dir
        listener = listen(options.host, options.adt_port)
        opened.callback(listener.close)
        self._adt_port = listener.getsockname()[1]
        log = SqliteEventLog(folder / EVENTS_FILE) if folder else MemoryEventLog()
        opened.callback(log.close)
        db = TwinDb(folder / ADT_FILE if folder else None)
        opened.callback(db.close)
        broker = EventHubBroker(
            options.hubs,
            log=log,
            keys=options.keys,
            host=options.host,
            port=options.event_hub_port,
        )
        opened.push_async_callback(broker.stop)
        await broker.start()
        app = AdtApp(db, token=options.token, open_proxy=_is_loopback(options.host))
        opened.callback(app.close)
        http = HttpServer(app, listener)
        opened.push_async_callback(http.stop)
        await http.start()
        self._broker = broker


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_url(host: str) -> str:
    shown = "localhost" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - how to reach it
    return f"[{shown}]" if ":" in shown else shown
