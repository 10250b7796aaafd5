"""The stub as one process: Azure Digital Twins over HTTP and Event Hubs over AMQP, on loopback.

Both serve from the event loop that calls ``start``. What is stored is durable through a restart
when there is a data folder, and gone with the process when there is none. Nothing listens beyond
loopback unless it is told to, and then it demands a token and a key of its own.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sync_agent.errors import SettingsError
from sync_agent.hosts import is_loopback
from sync_agent.stub.adt.app import AdtApp, AdtOptions
from sync_agent.stub.adt.faults import EventHubFaults, FaultProfile
from sync_agent.stub.adt.routes import Waiting
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.amqp.broker import LOOPBACK_KEYS, EventHubBroker, HubOptions
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from sync_agent.stub.amqp.sqlite_log import SqliteEventLog
from sync_agent.stub.certificate import Certificate
from sync_agent.stub.http_server import HttpServer, listen

ADT_FILE = "adt.db"
EVENTS_FILE = "event-hubs.db"
EVENT_TYPE = "application/json"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class InstanceOptions:
    """One more Azure Digital Twins instance, with twins and an HTTP port (0: a free one) apart."""

    name: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class StubOptions:
    """What a stub serves: ports (0: a free one), hubs, keys, and where it keeps its data.

    ``instances`` come beside the nameless one. ``endpoints`` are hubs by the name of an endpoint
    for event routes; every hub is one by its own name. Jobs find blobs on loopback and
    ``blob_hosts``. ``faults`` is what shall go wrong from the start. With ``tls`` both HTTP and
    AMQP are spoken over TLS only.
    """

    data_dir: Path | None = None
    host: str = "127.0.0.1"
    adt_port: int = 0
    event_hub_port: int = 0
    hubs: tuple[HubOptions, ...] = (HubOptions("telemetry"),)
    keys: Mapping[str, str] = field(default_factory=lambda: LOOPBACK_KEYS)
    token: str | None = field(default=None, repr=False)
    instances: tuple[InstanceOptions, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)
    blob_hosts: tuple[str, ...] = ()
    faults: FaultProfile = field(default_factory=FaultProfile)
    tls: Certificate | None = None


class StubServer:
    """A running stub; use ``start`` and ``stop``, or as an async context manager.

    Raises (constructor):
        SettingsError: it would listen beyond loopback without a token, two instances have one
            name, or an endpoint leads to no hub.
    """

    def __init__(self, options: StubOptions) -> None:
        if not options.token and not is_loopback(options.host):
            raise SettingsError(
                f"without a token the stub does not listen on {options.host}",
                remedy="give --token, or listen on 127.0.0.1",
            )
        _check(options)
        self._options = options
        self._ports = {"": options.adt_port, **{i.name: i.port for i in options.instances}}
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
        return self.instance_urls[""]

    @property
    def instance_urls(self) -> dict[str, str]:
        """Return the address of every instance by its name, "" for the nameless one."""
        host = _in_url(self._options.host)
        scheme = "https" if self._options.tls else "http"
        return {name: f"{scheme}://{host}:{port}" for name, port in self._ports.items()}

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
        listeners = {name: listen(options.host, port) for name, port in self._ports.items()}
        for name, listener in listeners.items():
            opened.callback(listener.close)
            self._ports[name] = listener.getsockname()[1]
        log = SqliteEventLog(folder / EVENTS_FILE) if folder else MemoryEventLog()
        opened.callback(log.close)
        broker = EventHubBroker(
            options.hubs,
            log=log,
            keys=options.keys,
            host=options.host,
            port=options.event_hub_port,
            tls=options.tls.context() if options.tls else None,
        )
        opened.push_async_callback(broker.stop)
        await broker.start()
        for name, listener in listeners.items():
            await self._open_instance(opened, name, listener, broker)
        self._broker = broker

    async def _open_instance(
        self,
        opened: AsyncExitStack,
        name: str,
        listener: socket.socket,
        broker: EventHubBroker,
    ) -> None:
        options = self._options
        file = f"adt-{name}.db" if name else ADT_FILE
        db = TwinDb(options.data_dir / file if options.data_dir else None)
        opened.callback(db.close)

        async def publish(item: Waiting) -> None:
            await broker.publish(
                item.hub, item.body, item.properties, key=item.twin, content_type=EVENT_TYPE
            )

        app = AdtApp(
            db,
            AdtOptions(
                token=options.token,
                open_proxy=is_loopback(options.host),
                host=self.instance_urls[name].partition("://")[2],
                endpoints={**{hub.name: hub.name for hub in options.hubs}, **options.endpoints},
                blob_hosts=options.blob_hosts,
                faults=options.faults,
            ),
            publish=publish,
            on_profile=lambda profile: _fail(broker, profile.event_hubs),
        )
        opened.callback(app.close)
        opened.push_async_callback(app.stop)
        app.start()
        http = HttpServer(app, listener, options.tls.context() if options.tls else None)
        opened.push_async_callback(http.stop)
        await http.start()


def _fail(broker: EventHubBroker, faults: EventHubFaults) -> None:
    """Have the event hubs do now what a profile says."""
    broker.throttle(faults.throttle_s)
    broker.reset_sends(before=faults.reset_before, after=faults.reset_after)
    if faults.detach_links:
        broker.detach_links()
    if faults.drop_connections:
        broker.drop_connections()


def _check(options: StubOptions) -> None:
    """Refuse instances and endpoints that make no sense."""
    names = [instance.name for instance in options.instances]
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            raise SettingsError(
                f"{name!r} is no name for an instance, or is given twice",
                remedy="use 1 to 40 of a-z, 0-9 and -",
            )
    hubs = {hub.name for hub in options.hubs}
    for endpoint, hub in options.endpoints.items():
        if hub not in hubs:
            raise SettingsError(
                f"endpoint {endpoint} leads to {hub}, which is no hub of the stub",
                remedy=f"serve it with --hub {hub}, or name one of {', '.join(sorted(hubs))}",
            )


def _in_url(host: str) -> str:
    shown = "localhost" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - how to reach it
    return f"[{shown}]" if ":" in shown else shown
