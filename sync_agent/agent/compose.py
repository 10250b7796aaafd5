"""Puts the agent together from its settings: real services, rule files, state, clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from sync_agent.agent.desired_graph import InventoryReader
from sync_agent.agent.inventory_loop import InventoryLoop
from sync_agent.agent.inventory_pass import Inventory
from sync_agent.agent.log import logged
from sync_agent.agent.policy import reconciler_of
from sync_agent.agent.presence import TWIN_SERVICE
from sync_agent.agent.runtime import Agent, Clock, Pace, Rules
from sync_agent.agent.state import StateStore
from sync_agent.agent.twin_service import quotas_of, twin_store
from sync_agent.azure.hub_address import HubAddress
from sync_agent.azure.hub_receiver import HubReceiver
from sync_agent.azure.hub_sender import HubSender
from sync_agent.azure.identity import credential_for
from sync_agent.errors import SettingsError
from sync_agent.health.flag import parse_flags
from sync_agent.health.profile import Profiles
from sync_agent.runs.pace import Pacer
from sync_agent.settings.settings import (
    EventHubSettings,
    InventorySettings,
    Settings,
    required,
)
from sync_agent.sources.text_file import read_text
from sync_agent.telemetry.binding import parse_bindings
from sync_agent.twins.time import duration

Parsed = TypeVar("Parsed")

WITHOUT_TWINS = (
    "requests are tried again; telemetry waits in its hub, health and inventory are made up for"
)
WITHOUT_HUB = "twins and scores stay as they are; telemetry waits in the hub"
WITHOUT_SOURCE = "what comes from it stays as it is; it is asked again"

_log = structlog.get_logger("sync_agent")


def hub_address(hub: EventHubSettings) -> HubAddress | None:
    """Return where the event hub is, None when the settings name none."""
    if hub.connection_string is not None:
        return HubAddress(connection_string=hub.connection_string.get_secret_value(), name=hub.name)
    if hub.namespace is not None:
        name = required(hub.name, "event_hub.name")
        return HubAddress(namespace=hub.namespace, name=name, credential=credential_for(hub.auth))
    return None


def read_rules(settings: Settings) -> Rules:
    """Read the rule files.

    Raises:
        InputError: one cannot be read or makes no sense.
    """
    return Rules(
        bindings=_read(settings.telemetry.bindings, parse_bindings),
        profiles=_read(settings.health.profiles, Profiles.parse),
        flags=_read(settings.flags.queries, parse_flags),
    )


async def run_agent(settings: Settings, stop: asyncio.Event) -> None:
    """Run the agent until ``stop`` is set; without an inventory or a hub it does the rest.

    Raises:
        SyncAgentError: see ``Agent.run``.
    """
    rules = read_rules(settings)
    address = hub_address(settings.event_hub)
    stream = f"{address.place}/{settings.event_hub.consumer_group}" if address else ""
    limits = settings.limits
    async with AsyncExitStack() as stack:
        state = stack.enter_context(StateStore(settings.state.path, stream=stream))
        watch = logged(TWIN_SERVICE, WITHOUT_TWINS)
        service = await stack.enter_async_context(twin_store(settings, watch=watch))
        pacer = Pacer(quotas_of(settings))
        twins = service.paced(pacer.gate("telemetry", weight=limits.telemetry_weight))
        receiver = None
        if address is not None:
            receiver = HubReceiver(
                address,
                consumer_group=settings.event_hub.consumer_group,
                prefetch=settings.event_hub.prefetch,
                batch_max_events=settings.telemetry.batch_max_events,
                batch_max_wait_s=settings.telemetry.batch_max_wait_s,
                retry_for_s=limits.retry_for_s,
                watch=logged("the event hub", WITHOUT_HUB),
            )
        inventory = None
        if settings.inventory.configured:
            watching = partial(logged, meanwhile=WITHOUT_SOURCE)
            reader = await stack.enter_async_context(InventoryReader.of(settings, watching))
            inventory = InventoryLoop(
                Inventory(reader.read, reconciler_of(settings, _log.info)),
                service.paced(pacer.gate("inventory")),
                apply=settings.inventory.apply,
                full_every_s=settings.inventory.full_every_s,
            )
        agent = Agent(
            twins=twins,
            writer=twins,
            receiver=receiver,
            inventory=inventory,
            state=state,
            rules=rules,
            pace=Pace(
                inventory_every_s=settings.inventory.interval_s,
                health_every_s=settings.health.interval_s,
                flags_every_s=settings.flags.interval_s,
                idle_close_s=settings.health.idle_close_s,
                at_once=limits.requests_in_flight,
            ),
            clock=Clock(time.monotonic, lambda: time.time_ns() // 1_000_000),
        )
        _log.info(
            "agent starts",
            twins=settings.adt.url,
            inventory=_inventory_in_words(settings.inventory),
            telemetry=address.place if address else "off, event_hub is not set",
        )
        await agent.run(stop)


def hub_sender(settings: Settings) -> HubSender:
    """Return a sender to the event hub the settings name.

    Raises:
        SettingsError: they name none.
    """
    address = hub_address(settings.event_hub)
    if address is None:
        raise SettingsError(
            "no event hub is set",
            remedy="set event_hub.connection_string, or event_hub.namespace and event_hub.name",
        )
    return HubSender(address, retry_for_s=settings.limits.retry_for_s)


def _inventory_in_words(inventory: InventorySettings) -> str:
    """Return what is read, how often, and whether anything is written."""
    if not inventory.configured:
        return "off, inventory.source is not set"
    names = ", ".join(s.name for s in inventory.sources) or str(inventory.source)
    does = "" if inventory.apply else ", only logged (inventory.apply)"
    return f"{names} every {duration(inventory.interval_s)}{does}"


def _read(path: Path, parse: Callable[..., Parsed]) -> Parsed:
    return parse(read_text(path), place=str(path))
