"""The agent as one asyncio process: how its loops start, drain and stop.

Start: the service is reached and its models are read; whatever is wrong by then ends the process
with one message. Then the loops run side by side: inventory, telemetry, health, flags, models. A
stop request ends receiving, lets the batch under way be written and committed, shows the health
that is still to be shown, and returns. Nothing depends on that drain: a process killed instead
goes on from its last commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from sync_agent.agent.directory import TwinDirectory
from sync_agent.agent.flag_stage import FlagStage
from sync_agent.agent.health_board import HealthBoard
from sync_agent.agent.health_writer import HealthWriter
from sync_agent.agent.loop import Failing, every, unless_stopped
from sync_agent.agent.state import StateStore
from sync_agent.agent.telemetry_stage import TelemetryStage
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import ServiceError, SyncAgentError
from sync_agent.health.flag import FlagQuery
from sync_agent.health.profile import Profile, Profiles
from sync_agent.ports.events import Event, EventReceiver
from sync_agent.ports.twin_store import ModelStore, TwinReader, TwinWriter
from sync_agent.telemetry.binding import Binder, Binding

DRAIN_MAX_S = 30.0
STATUS_EVERY_S = 30.0
MODELS_EVERY_S = 300.0
RESUME_AFTER_S = 5.0

_log = structlog.get_logger("sync_agent")


class TwinService(TwinReader, TwinWriter, ModelStore, Protocol):
    """A twin service with all of its ports."""


InventoryRound = Callable[[], Awaitable[Collection[str]]]
"""Brings the twins in line with the inventory once; returns the ids of the twins it changed."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What was declared in files: bindings, scoring profiles and flag queries."""

    bindings: tuple[Binding, ...]
    profiles: Profiles
    flags: tuple[FlagQuery, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the loops turn, and how many requests are under way at once."""

    inventory_every_s: float
    health_every_s: float
    flags_every_s: float
    idle_close_s: float
    at_once: int


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the agent sees it: monotonic seconds, and the date in epoch milliseconds."""

    monotonic: Callable[[], float]
    now_ms: Callable[[], int]


class Agent:
    """The loops over one twin service, one event hub and one state file."""

    def __init__(
        self,
        *,
        twins: TwinService,
        writer: TwinWriter,
        receiver: EventReceiver | None,
        inventory: InventoryRound | None,
        state: StateStore,
        rules: Rules,
        pace: Pace,
        clock: Clock,
    ) -> None:
        """Compose; nothing is read or written before ``run``. Values and health go by ``writer``.

        Without a receiver there is no telemetry, without an inventory round no inventory loop.
        """
        self._twins = twins
        self._receiver = receiver
        self._inventory = inventory
        self._state = state
        self._rules = rules
        self._pace = pace
        self._clock = clock
        self._registry = ModelRegistry()
        self._idle_since: dict[str, float] = {}
        self._receiving = Failing("telemetry")
        self._has_received = False
        self._directory = TwinDirectory(twins, clock.monotonic)
        self._board = HealthBoard(self._profile_for)
        self._stage = TelemetryStage(
            writer=writer,
            directory=self._directory,
            binder=Binder(rules.bindings, self._registry),
            read_models=self._read_models,
            board=self._board,
            state=state,
            now_ms=clock.now_ms,
            at_once=pace.at_once,
        )
        self._health = HealthWriter(writer, self._directory, state, at_once=pace.at_once)
        self._flags = FlagStage(rules.flags, twins, state, clock.now_ms)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then drain.

        Raises:
            SyncAgentError: the service or the hub cannot be reached at the start, refuses the
                credentials, or the state file cannot be written. Nothing is lost then.
        """
        if not await unless_stopped(self._read_models(), stop):
            return
        self._board.restore(self._state.health())
        pace = self._pace
        try:
            async with asyncio.TaskGroup() as group:
                if self._receiver is not None:
                    group.create_task(self._receive(self._receiver, stop))
                    group.create_task(self._close_when(self._receiver, stop))
                if self._inventory is not None:
                    work = self._inventory_round
                    group.create_task(every(pace.inventory_every_s, stop, work, name="inventory"))
                group.create_task(
                    every(pace.health_every_s, stop, self._health_round, name="health")
                )
                group.create_task(every(pace.flags_every_s, stop, self._flags.round, name="flags"))
                group.create_task(every(MODELS_EVERY_S, stop, self._read_models, name="models"))
                group.create_task(every(STATUS_EVERY_S, stop, self._status, name="status"))
        except ExceptionGroup as failures:
            raise _first(failures) from failures
        await self._drain()

    async def _receive(self, receiver: EventReceiver, stop: asyncio.Event) -> None:
        """Receive until the stop, and again after an outage, from the positions that are stored."""
        try:
            while not stop.is_set():
                after = {p: at.sequence_number for p, at in self._state.positions().items()}
                try:
                    await receiver.run(self._on_batch, after=after)
                except ServiceError as error:
                    # What fails before it ever worked is a mistake to mend, no outage.
                    if not (error.retryable and self._has_received):
                        raise
                    self._receiving.again(error)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), RESUME_AFTER_S)
        finally:
            stop.set()

    async def _close_when(self, receiver: EventReceiver, stop: asyncio.Event) -> None:
        await stop.wait()
        await receiver.close()

    async def _on_batch(self, partition: str, events: Sequence[Event]) -> None:
        now = self._clock.monotonic()
        self._has_received = True
        if events:
            self._idle_since.pop(partition, None)
            await self._stage.handle(partition, events)
            self._receiving.over()
            return
        since = self._idle_since.setdefault(partition, now)
        if now - since >= self._pace.idle_close_s:
            self._stage.pass_idle(partition)

    async def _inventory_round(self) -> None:
        if self._inventory is not None:
            self._directory.forget(await self._inventory())

    async def _health_round(self) -> None:
        self._stage.pass_silence()
        await self._health.write_some()

    async def _read_models(self) -> None:
        documents = [m["model"] async for m in self._twins.list_models() if m.get("model")]
        ids = {document.get("@id") for document in documents}
        if ids != set(self._registry.ids):
            self._registry = ModelRegistry(parse_models(documents).interfaces)
            self._stage.use(Binder(self._rules.bindings, self._registry))

    def _profile_for(self, model: str) -> Profile | None:
        return self._rules.profiles.for_model(model, self._registry)

    async def _status(self) -> None:
        tally = self._state.tally()
        _log.info(
            "status",
            rows=tally.rows,
            applied=tally.applied,
            coalesced=tally.coalesced,
            missing=tally.missing,
            dead_lettered=tally.dead_lettered,
            health_to_show=self._state.unwritten_health_count(),
        )

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_MAX_S):
                await self._health.flush()
        except (SyncAgentError, TimeoutError) as error:
            # It stands in the state file and is shown by the next start.
            _log.warning("health not shown before stopping", reason=str(error))
        await self._status()


def _first(failures: ExceptionGroup) -> Exception:
    """Return the failure to report: a defect before an error people can act on."""
    leaves: list[Exception] = []
    pending: list[Exception] = [failures]
    while pending:
        failure = pending.pop(0)
        if isinstance(failure, ExceptionGroup):
            pending += failure.exceptions
        else:
            leaves.append(failure)
    return next((leaf for leaf in leaves if not isinstance(leaf, SyncAgentError)), leaves[0])
