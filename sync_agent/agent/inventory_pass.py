"""One pass over the inventory: read, map, observe, plan, guard, apply.

The command line shows the plan between the steps and asks; the agent's loop runs them through.
Nothing is kept between two passes: each begins with what the source and the service say now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial

import structlog

from sync_agent.agent.apply_plan import ApplyResult, Progress, apply_plan
from sync_agent.agent.desired_graph import Desired, read_desired
from sync_agent.agent.observe import deployed_models, observe
from sync_agent.agent.settings import Settings, required
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.record import RecordDiagnostic
from sync_agent.ports.twin_store import TwinService
from sync_agent.reconcile.guard import GuardLimits, check_guards
from sync_agent.reconcile.plan import Plan, make_plan

FAULTS_LOGGED_MAX = 20

_log = structlog.get_logger("sync_agent")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, and what of the input could not be used for it."""

    plan: Plan
    diagnostics: tuple[RecordDiagnostic, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """How the inventory is read and under what limits it is brought to the twins."""

    read: Callable[[ModelRegistry], Awaitable[Desired]]
    limits: GuardLimits
    at_once: int

    async def prepare(self, service: TwinService) -> Prepared:
        """Read source and twins, and plan.

        Raises:
            InputError: the mapping or the source cannot be used at all.
            ServiceError: models or twins cannot be read.
        """
        desired = await self.read(await deployed_models(service))
        observed = await observe(service, desired.graph)
        plan = make_plan(
            desired.graph,
            observed,
            desired.coverage,
            records=desired.records,
            digest=desired.digest,
        )
        return Prepared(plan, desired.diagnostics)

    async def apply(
        self, plan: Plan, service: TwinService, *, on_progress: Progress | None = None
    ) -> ApplyResult:
        """Make a plan's changes after its last check.

        Raises:
            GuardError: the plan would delete too much; nothing was written.
        """
        check_guards(plan, self.limits)
        return await apply_plan(plan, service, at_once=self.at_once, on_progress=on_progress)


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
            return ()
        counts = {action.name.lower(): count for action, count in plan.counts().items()}
        if not self.apply:
            _log.info("inventory differs, inventory.apply is off", **counts)
            return ()
        result = await self.inventory.apply(plan, self.service)
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


def inventory_of(settings: Settings) -> Inventory:
    """Return the inventory the settings name.

    Raises:
        SettingsError: its source or its mapping is not set.
    """
    inventory = settings.inventory
    required(inventory.source, "inventory.source")
    required(inventory.mapping, "inventory.mapping")
    return Inventory(
        read=partial(read_desired, settings),
        limits=GuardLimits(inventory.max_delete_count, inventory.max_delete_percent),
        at_once=settings.limits.requests_in_flight,
    )


def _log_findings(prepared: Prepared) -> None:
    for fault in prepared.diagnostics[:FAULTS_LOGGED_MAX]:
        _log.warning("record not used", place=fault.place, reason=fault.message)
    if len(prepared.diagnostics) > FAULTS_LOGGED_MAX:
        _log.warning("records not used", count=len(prepared.diagnostics))
    for warning in prepared.plan.warnings:
        _log.warning(warning)
