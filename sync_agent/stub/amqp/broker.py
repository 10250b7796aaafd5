"""The Event Hubs stub: listens for AMQP clients and serves the hubs of one namespace.

Composition of this room. It runs in the event loop that calls ``start``; everything, the commits of
the log included, happens in that loop, so a commit is never overtaken. The log belongs to the
caller and is closed by it, after ``stop``.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from sync_agent.errors import AddressInUseError, SettingsError
from sync_agent.hosts import is_loopback
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.connection import Connection
from sync_agent.stub.amqp.message import PLAIN_FORMAT, encode_message, read_delivery
from sync_agent.stub.amqp.namespace import Clock, HubOptions, Limits, Namespace
from sync_agent.stub.amqp.partition_log import EventLog
from sync_agent.stub.amqp.token import LIMITED_KEYS
from sync_agent.stub.amqp.websocket import Doorway

DEFAULT_KEY_NAME = "RootManageSharedAccessKey"
LOOPBACK_KEYS: Mapping[str, str] = MappingProxyType({DEFAULT_KEY_NAME: "loopback-development-only"})
"""The key that opens a stub on loopback; it is public and refused on any other address."""

STOP_TIMEOUT_S = 3.0

__all__ = ["DEFAULT_KEY_NAME", "LOOPBACK_KEYS", "EventHubBroker", "HubOptions", "Limits"]


class EventHubBroker:
    """An AMQP 1.0 server that stands in for an Event Hubs namespace."""

    def __init__(
        self,
        hubs: Sequence[HubOptions],
        *,
        log: EventLog,
        keys: Mapping[str, str] = LOOPBACK_KEYS,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        clock: Clock = time.time,
    ) -> None:
        """Prepare to serve ``hubs``; ``port`` 0 takes a free one, ``tls`` demands TLS.

        Raises:
            SettingsError: hubs or keys make no sense, or the public key is used off loopback.
            StoreError: the log cannot take the hubs.
        """
        if not keys or not all(name and key for name, key in keys.items()):
            raise SettingsError(
                "the event hub stub needs a shared access key", remedy="name at least one key"
            )
        if keys == LOOPBACK_KEYS and not is_loopback(host):
            raise SettingsError(
                f"the public development key is refused on {host}, which is not loopback",
                remedy="give keys of your own, or listen on 127.0.0.1",
            )
        # Every namespace has the keys that open less, for trying what one of a service would do.
        self._keys = {
            **keys,
            **dict.fromkeys(LIMITED_KEYS.keys() - keys, next(iter(keys.values()))),
        }
        self._is_public = keys == LOOPBACK_KEYS
        self._namespace = Namespace(
            hubs,
            log=log,
            keys=self._keys,
            limits=limits or Limits(),
            any_credential=self._is_public,
            clock=clock,
        )
        self._host = host
        self._port = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._all_lost = asyncio.Event()

    async def start(self) -> None:
        """Listen.

        Raises:
            AddressInUseError: the port is taken.
            SettingsError: the address is not one of this machine.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._accept, self._host, self._port, ssl=self._tls
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressInUseError(
                    f"port {self._port} on {self._host} is taken",
                    remedy="stop what listens there, or choose another port (0 takes a free one)",
                ) from error
            raise SettingsError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}",
                remedy="choose an address of this machine and a port this user may listen on",
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Keep what was handed in, tell the clients, and stop listening; safe to call twice."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self._namespace.commit()
        reason = AmqpError(Condition.CONNECTION_FORCED, "the stub is stopping")
        for connection in list(self._connections):
            connection.close(reason)
        if self._connections:
            self._all_lost.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_lost.wait(), STOP_TIMEOUT_S)

    @property
    def port(self) -> int:
        """The port listened on; known after ``start``."""
        return self._port

    def connection_string(self, hub: str | None = None, key_name: str | None = None) -> str:
        """Return the connection string for the Azure SDKs, of one hub if named.

        Raises:
            SettingsError: there is no key of that name.
        """
        name = key_name or next(iter(self._keys))
        if name not in self._keys:
            raise SettingsError(
                f"the event hub stub has no key named '{name}'",
                remedy=f"choose one of {', '.join(sorted(self._keys))}",
            )
        is_any = self._host in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound to
        host = "localhost" if is_any else self._host
        parts = [
            f"Endpoint=sb://{f'[{host}]' if ':' in host else host}:{self._port}",
            f"SharedAccessKeyName={name}",
            f"SharedAccessKey={self._keys[name]}",
        ]
        if hub is not None:
            parts.append(f"EntityPath={hub}")
        # What makes the SDKs speak plain AMQP; over TLS they take the address as a service's.
        return ";".join(parts if self._tls else [*parts, "UseDevelopmentEmulator=true"])

    async def publish(
        self, hub: str, body: bytes, properties: Mapping[str, str], *, key: str, content_type: str
    ) -> None:
        """Keep an event of this process; events of one key stay in order on one partition.

        Raises:
            AmqpError: there is no such hub, or the log cannot keep it.
        """
        target = self._namespace.hub(hub)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def outcome(problem: AmqpError | None) -> None:
            if done.done():
                return
            if problem is None:
                done.set_result(None)
            else:
                done.set_exception(problem)

        message = encode_message(body, properties, content_type)
        events = read_delivery(message, PLAIN_FORMAT).events
        self._namespace.publish(target.route(key), events, outcome)
        await done

    # -- what shall go wrong --------------------------------------------------------------------

    def throttle(self, seconds: float) -> None:
        """Tell senders for so long that the server is busy; 0 ends it."""
        self._namespace.throttle(seconds)

    def reset_sends(self, *, before: int, after: int) -> None:
        """End the connections of the next deliveries: so many before, then so many after each."""
        self._namespace.reset_sends(before=before, after=after)

    def detach_links(self) -> None:
        """Detach every link of every client, as the service does when it moves a hub."""
        reason = AmqpError(
            Condition.DETACH_FORCED, "The link was force detached by the broker; attach it again."
        )
        for connection in list(self._connections):
            connection.detach_links(reason)

    def drop_connections(self) -> None:
        """End every connection without a word."""
        for connection in list(self._connections):
            connection.abort()

    def _accept(self) -> asyncio.Protocol:
        if len(self._connections) >= self._namespace.limits.connections_max:
            return _Refusal()
        connection = Connection(self._namespace, self._on_lost)
        self._connections.add(connection)
        return Doorway(connection, any_host=not self._is_public)

    def _on_lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._all_lost.set()


class _Refusal(asyncio.Protocol):
    """Closes a connection beyond the maximum at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
