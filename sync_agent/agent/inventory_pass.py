"""One pass over the inventory: read, map, observe, plan, guard, apply.

The command line shows the plan between the steps and asks; it reads everything each time. The
agent's loop (``inventory_loop``) keeps what it knows from one pass to the next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from sync_agent.agent.desired_graph import read_desired
from sync_agent.agent.policy import reconciler_of
from sync_agent.agent.presence import said
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.desired import Desired
from sync_agent.inventory.record import RecordDiagnostic
from sync_agent.ports.twin_store import TwinService
from sync_agent.reconcile.plan import Plan
from sync_agent.runs.apply_plan import ApplyResult, Progress
from sync_agent.runs.import_jobs import Say, silent
from sync_agent.runs.observe import deployed_models
from sync_agent.runs.reconciler import Reconciler
from sync_agent.settings.settings import Settings, required


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, what it was made from, and what of the input could not be used for it.

    Where it is not ``whole``, not all twins were read for it, and ``desired`` may have only the
    part of the graph that was looked at.
    """

    plan: Plan
    desired: Desired
    whole: bool = True

    @property
    def diagnostics(self) -> tuple[RecordDiagnostic, ...]:
        """Return what of the input could not be used."""
        return self.desired.diagnostics


@dataclass(frozen=True, slots=True)
class Inventory:
    """How the inventory is read, and by whom it is brought to the twins."""

    read: Callable[[ModelRegistry], Awaitable[Desired]]
    reconciler: Reconciler

    async def prepare(self, service: TwinService, begin: Say = silent) -> Prepared:
        """Read source and twins, and plan; ``begin`` is told of each step.

        Raises:
            InputError: the mapping or the source cannot be used at all.
            ServiceError: models or twins cannot be read.
            StoreError: the journal cannot be written.
        """
        begin("reading the models")
        registry = await deployed_models(service)
        begin("reading the inventory")
        desired = await self.read(registry)
        begin("reading the twins and comparing")
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
            whole=prepared.whole,
            on_progress=on_progress,
            way=self.reconciler.way(plan).way,
        )


def inventory_of(settings: Settings, say: Say = silent) -> Inventory:
    """Return the inventory the settings name; ``say`` tells what is waited for.

    Raises:
        SettingsError: there is none.
    """
    if not settings.inventory.configured:
        required(settings.inventory.source, "inventory.source")
    read = partial(read_desired, settings, watching=partial(said, say=say))
    return Inventory(read, reconciler_of(settings, say))
