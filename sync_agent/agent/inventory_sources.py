"""The inventories the settings name, as sources with their mappings.

Here alone a kind of source meets its address, its sign-in and its shipped mapping. A token in a
file is read for every request, so that a renewed one is used without a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from sync_agent.azure.hub_address import HubAddress
from sync_agent.azure.hub_receiver import HubReceiver
from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.errors import SettingsError
from sync_agent.ports.events import EventReceiver
from sync_agent.ports.inventory_source import InventorySource
from sync_agent.ports.watch import Unwatched, Watch
from sync_agent.settings.settings import InventorySettings, SourceSettings, required
from sync_agent.settings.shipped import shipped_default
from sync_agent.sources.event_log import EventLog
from sync_agent.sources.folder import FolderSource
from sync_agent.sources.http_client import (
    Headers,
    HttpClient,
    anonymous,
    basic,
    bearer,
    plain_bearer,
)
from sync_agent.sources.netbox import NetBoxSource
from sync_agent.sources.teiv import TeivSource
from sync_agent.sources.text_file import read_text
from sync_agent.sources.tmf639 import Tmf639Source
from sync_agent.sources.twin_instance import TwinInstanceSource

Value = TypeVar("Value")

EVENTS_PER_BATCH = 3000
QUIET_S = 0.5


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source, the file that maps its records, and its name ("" for the only one)."""

    name: str
    source: InventorySource
    mapping: Path


Watching = Callable[[str], Watch]
"""Makes the watch over a service, given what it is called."""


def unwatched(_: str) -> Watch:
    """Return a watch that nobody keeps."""
    return Unwatched()


def sources_of(
    inventory: InventorySettings, watching: Watching = unwatched
) -> tuple[NamedSource, ...]:
    """Return the sources in the order the settings have them, not yet connected.

    Raises:
        SettingsError: there is none, or one cannot be as it is set.
    """
    if inventory.sources:
        return tuple(
            NamedSource(one.name, _source(one, watching), _mapping(one))
            for one in inventory.sources
        )
    folder = required(inventory.source, "inventory.source")
    mapping = required(inventory.mapping, "inventory.mapping")
    return (NamedSource("", FolderSource(folder), mapping),)


def _mapping(source: SourceSettings) -> Path:
    return source.mapping or shipped_default(f"{source.kind}.toml")


def _source(source: SourceSettings, watching: Watching) -> InventorySource:
    match source.kind:
        case "netbox":
            return NetBoxSource(
                _client(source, watching, token_scheme=_netbox_scheme),
                page_size=source.page_size,
                records_max=source.records_max,
                full_every_s=source.full_every_s,
            )
        case "tmf639":
            return Tmf639Source(
                client=_client(source, watching) if source.url else None,
                folder=source.path,
                log=_event_log(source, watching),
                page_size=source.page_size,
                records_max=source.records_max,
                full_every_s=source.full_every_s,
            )
        case "teiv":
            return TeivSource(folder=source.path, log=_event_log(source, watching))
        case "adt":
            return _twin_instance(source, watching)
        case "files":
            return FolderSource(_given(source.path, source, "path"))


def _twin_instance(source: SourceSettings, watching: Watching) -> TwinInstanceSource:
    url = _given(source.url, source, "url")
    token = _secret(source)
    watch = watching(f"source {source.name}")

    def connect() -> AzureTwinStore:
        credential = credential_for(source.auth, token() if source.auth == "token" else None)
        return AzureTwinStore(url, credential, retry_for_s=source.retry_for_s, watch=watch)

    return TwinInstanceSource(connect, url, records_max=source.records_max)


def _client(
    source: SourceSettings, watching: Watching, token_scheme: Callable[[str], str] = plain_bearer
) -> HttpClient:
    url = _given(source.url, source, "url")
    return HttpClient(
        url,
        _authorize(source, token_scheme),
        timeout_s=source.timeout_s,
        retry_for_s=source.retry_for_s,
        watch=watching(f"source {source.name}"),
    )


def _authorize(source: SourceSettings, token_scheme: Callable[[str], str]) -> Callable[[], Headers]:
    secret = _secret(source)
    match source.auth:
        case "none":
            return anonymous
        case "basic":
            return basic(_given(source.user, source, "user"), secret)
        case "token":
            return bearer(secret, token_scheme)
        case _:
            raise SettingsError(
                f'inventory source {source.name}: auth = "{source.auth}" is for twin instances',
                remedy="use token, basic or none",
            )


def _netbox_scheme(token: str) -> str:
    """Return how NetBox wants a token named: those of version 4.5 say so themselves."""
    return "Bearer" if token.startswith("nbt_") else "Token"


def _secret(source: SourceSettings) -> Callable[[], str]:
    if source.token_file is not None:
        return partial(_first_line, source.token_file)
    token = source.token.get_secret_value() if source.token else ""
    return lambda: token


def _first_line(path: Path) -> str:
    return read_text(path).strip()


def _event_log(source: SourceSettings, watching: Watching) -> EventLog | None:
    if source.connection_string is None:
        return None
    address = HubAddress(connection_string=source.connection_string.get_secret_value())

    def connect() -> EventReceiver:
        return HubReceiver(
            address,
            consumer_group=source.consumer_group,
            prefetch=EVENTS_PER_BATCH,
            batch_max_events=EVENTS_PER_BATCH,
            batch_max_wait_s=QUIET_S,
            retry_for_s=source.retry_for_s,
        )

    return EventLog(
        connect,
        wait_max_s=source.timeout_s + source.retry_for_s,
        passed_over=[name.strip() for name in source.passed_over_events.split(",")],
        watch=watching(f"event hub of source {source.name}"),
    )


def _given(value: Value | None, source: SourceSettings, key: str) -> Value:
    if value is None:
        raise SettingsError(
            f"inventory source {source.name}: {key} is not set",
            remedy=f"set {key} of this [[inventory.sources]]",
        )
    return value
