"""One pass over the inventory: read, map, observe, plan, guard, apply.

The command line shows the plan between the steps and asks; the agent's loop runs them through.
Nothing is kept between two passes: each begins with what the source and the service say now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial

import structlog

from sync_agent.agent.apply_plan import ApplyResult, Progress
from sync_agent.agent.desired_graph import Desired, read_desired
from sync_agent.agent.import_jobs import Say
from sync_agent.agent.observe import deployed_models
from sync_agent.agent.policy import reconciler_of
from sync_agent.agent.reconciler import Reconciler
from sync_agent.agent.settings import Settings, required
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.record import RecordDiagnostic
from sync_agent.ports.twin_store import TwinService
from sync_agent.reconcile.plan import Plan

FAULTS_LOGGED_MAX = 20

_log = structlog.get_logger("sync_agent")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, what it was made from, and what of the input could not be used for it."""

    plan: Plan
    desired: Desired

    @property
    def diagnostics(self) -> tuple[RecordDiagnostic, ...]:
        """Return what of the input could not be used."""
        return self.desired.diagnostics


@dataclass(frozen=True, slots=True)
class Inventory:
    """How the inventory is read, and by whom it is brought to the twins."""

    read: Callable[[ModelRegistry], Awaitable[Desired]]
    reconciler: Reconciler

    async def prepare(self, service: TwinService) -> Prepared:
        """Read source and twins, and plan.

        Raises:
            InputError: the mapping or the source cannot be used at all.
            ServiceError: models or twins cannot be read.
            StoreError: the journal cannot be written.
        """
        desired = await self.read(await deployed_models(service))
        return Prepared(await self.reconciler.plan(desired, service), desired)

    async def apply(
        self,
        prepared: Prepared,
        service: TwinService,
        kind: str,
        *,
        on_progress: Progress | None = None,
    ) -> ApplyResult:
        """Make a plan's changes after its last check; what it conflicts with is planned anew.

        Raises:
            GuardError: the plan would change too much, or another one is writing; nothing was
                written.
        """
        plan = self.reconciler.guarded(prepared.plan)
        return await self.reconciler.apply(
            plan,
            service,
            kind,
            desired=prepared.desired.graph,
            on_progress=on_progress,
            way=self.reconciler.way(plan).way,
        )


@dataclass(frozen=True, slots=True)
class InventoryLoop:
    """The pass as the agent's loop makes it: sound records go through, the others are logged."""

    inventory: Inventory
    service: TwinService
    apply: bool

    async def __call__(self) -> Collection[str]:
        """Make one pass; return the ids of the twins that were written.

        Raises:
            SyncAgentError: it could not be made, or was refused by a guard.
        """
        prepared = await self.inventory.prepare(self.service)
        _log_findings(prepared)
        plan = prepared.plan
        if not plan.changes:
            self.inventory.reconciler.settle(plan, prepared.desired.graph)
            return ()
        counts = {action.name.lower(): count for action, count in plan.counts().items()}
        if not self.apply:
            _log.info("inventory differs, inventory.apply is off", **counts)
            return ()
        result = await self.inventory.apply(prepared, self.service, "run")
        for failure in result.failures[:FAULTS_LOGGED_MAX]:
            _log.error("change failed", element=failure.change.element, reason=failure.reason)
        _log.info(
            "inventory applied",
            **{action.name.lower(): count for action, count in result.applied.items()},
            failed=len(result.failures),
            skipped=len(result.skipped),
        )
        if result.stopped is not None:
            raise result.stopped
        return result.changed


def inventory_of(settings: Settings, say: Say = _log.info) -> Inventory:
    """Return the inventory the settings name; ``say`` tells what is waited for.

    Raises:
        SettingsError: there is none.
    """
    if not settings.inventory.configured:
        required(settings.inventory.source, "inventory.source")
    return Inventory(partial(read_desired, settings), reconciler_of(settings, say))


def _log_findings(prepared: Prepared) -> None:
    for fault in prepared.diagnostics[:FAULTS_LOGGED_MAX]:
        _log.warning("record not used", place=fault.place, reason=fault.message)
    if len(prepared.diagnostics) > FAULTS_LOGGED_MAX:
        _log.warning("records not used", count=len(prepared.diagnostics))
    for warning in prepared.plan.warnings:
        _log.warning(warning)
