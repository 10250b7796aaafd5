"""The stub as one process: Azure Digital Twins over HTTP and Event Hubs over AMQP, on loopback.

Both serve from the event loop that calls ``start``. What is stored is durable through a restart
when there is a data folder, and gone with the process when there is none. Nothing listens beyond
loopback unless it is told to, and then it demands a token and a key of its own.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import uvicorn

from sync_agent.errors import AddressInUseError, SettingsError
from sync_agent.stub.adt.app import AdtApp
from sync_agent.stub.adt.instance import Instance
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.amqp.broker import LOOPBACK_KEYS, EventHubBroker, HubOptions
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from sync_agent.stub.amqp.partition_log import EventLog
from sync_agent.stub.amqp.sqlite_log import SqliteEventLog

ADT_FILE = "adt.db"
EVENTS_FILE = "event-hubs.db"
BACKLOG = 512
START_MAX_S = 10.0


@dataclass(frozen=True, slots=True)
class StubOptions:
    """What a stub serves: ports (0: a free one), hubs, keys, and where it keeps its data."""

    data_dir: Path | None = None
    host: str = "127.0.0.1"
    adt_port: int = 0
    event_hub_port: int = 0
    hubs: tuple[HubOptions, ...] = (HubOptions("telemetry"),)
    keys: Mapping[str, str] = field(default_factory=lambda: LOOPBACK_KEYS)
    token: str | None = None


class StubServer:
    """A running stub; use ``start`` and ``stop``, or as an async context manager."""

    def __init__(self, options: StubOptions) -> None:
        """Prepare.

        Raises:
            SettingsError: it would listen beyond loopback without a token.
        """
        if options.token is None and not _is_loopback(options.host):
            raise SettingsError(
                f"without a token the stub does not listen on {options.host}",
                remedy="give --token, or listen on 127.0.0.1",
            )
        self._options = options
        self._adt_port = options.adt_port
        self._db: TwinDb | None = None
        self._log: EventLog | None = None
        self._broker: EventHubBroker | None = None
        self._http: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def adt_url(self) -> str:
        """Return the address of the ADT data plane."""
        return f"http://{_in_url(self._options.host)}:{self._adt_port}"

    @property
    def event_hub_connection_string(self) -> str:
        """Return the connection string of the Event Hubs namespace."""
        if self._broker is None:
            raise RuntimeError("the stub is not started")
        return self._broker.connection_string()

    async def start(self) -> None:
        """Open the stores and listen.

        Raises:
            AddressInUseError: a port is taken.
            StoreError: a store cannot be opened.
        """
        options = self._options
        folder = options.data_dir
        try:
            listener = _listen(options.host, options.adt_port)
            self._adt_port = listener.getsockname()[1]
            self._db = TwinDb(folder / ADT_FILE if folder else None)
            self._log = SqliteEventLog(folder / EVENTS_FILE) if folder else MemoryEventLog()
            self._broker = EventHubBroker(
                options.hubs,
                log=self._log,
                keys=options.keys,
                host=options.host,
                port=options.event_hub_port,
            )
            await self._broker.start()
            await self._serve(listener, AdtApp(Instance(self._db), token=options.token))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Finish the requests under way, stop listening and close the stores."""
        if self._http is not None and self._serving is not None:
            self._http.should_exit = True
            with suppress(asyncio.CancelledError):
                await self._serving
            self._http = self._serving = None
        if self._broker is not None:
            await self._broker.stop()
            self._broker = None
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._db is not None:
            self._db.close()
            self._db = None

    async def _serve(self, listener: socket.socket, app: AdtApp) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=3,
        )
        self._http = _QuietServer(config)
        self._serving = asyncio.create_task(self._http.serve(sockets=[listener]))
        async with asyncio.timeout(START_MAX_S):
            while not self._http.started:
                if self._serving.done():
                    self._serving.result()
                await asyncio.sleep(0.005)


class _QuietServer(uvicorn.Server):
    """Leaves signals to the process: whoever runs the stub decides how it ends."""

    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Take no signal."""
        return nullcontext()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(
                f"port {port} on {host} is taken",
                remedy="stop what listens there, or choose another port (0 takes a free one)",
            ) from error
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            remedy="choose an address of this machine and a port this user may listen on",
        ) from error
    return listener


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
