"""The passes of the agent that runs: each costs what changed since the one before.

Sources give what changed where they can, what they gave is mapped anew only where it is not as
before, and of the twins only what moved is read (``twin_snapshot``). A plan is then made of the
elements that may differ (``reconcile.part``). After a full reading of the twins, where the rules of
the mapping changed, and where any scope of the inventory was not read whole, all of it is planned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import structlog

from sync_agent.agent.inventory_pass import Inventory, Prepared
from sync_agent.agent.pass_memory import PassMemory
from sync_agent.inventory.record import RecordDiagnostic
from sync_agent.ports.twin_store import TwinService

FAULTS_LOGGED_MAX = 20

_Findings = tuple[tuple[RecordDiagnostic, ...], tuple[str, ...]]

_log = structlog.get_logger("sync_agent")


class InventoryLoop:
    """The pass as the agent's loop makes it: sound records go through, the others are logged."""

    def __init__(
        self,
        inventory: Inventory,
        service: TwinService,
        *,
        apply: bool,
        full_every_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; without ``apply`` what differs is only logged."""
        self._inventory = inventory
        self._service = service
        self._apply = apply
        self._told: _Findings = ((), ())
        self._memory = PassMemory(inventory.reconciler, full_every_s=full_every_s, clock_s=clock_s)

    async def __call__(self) -> Collection[str]:
        """Make one pass; return the ids of the twins that were written.

        Raises:
            SyncAgentError: it could not be made, or was refused by a guard.
        """
        prepared = await self.prepare()
        self._tell(prepared)
        plan = prepared.plan
        if not plan.changes:
            graph = prepared.desired.graph
            if prepared.whole or graph.twins or graph.relationships:
                self._inventory.reconciler.settle(plan, graph, whole=prepared.whole)
            return ()
        counts = {action.name.lower(): count for action, count in plan.counts().items()}
        if not self._apply:
            _log.info("inventory differs, inventory.apply is off", **counts)
            return ()
        self._memory.written(plan.changes)
        result = await self._inventory.apply(prepared, self._service, "run")
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

    async def prepare(self) -> Prepared:
        """Read what changed in source and twins, and plan.

        Raises:
            SyncAgentError: as ``Inventory.prepare``.
        """
        desired = await self._inventory.read(await self._memory.models(self._service))
        return await self._memory.plan(desired, self._service)

    def _tell(self, prepared: Prepared) -> None:
        """Log what cannot be used and what is held back, where that is not as in the last pass."""
        found = (prepared.diagnostics, prepared.plan.warnings)
        if found == self._told:
            return
        _log_findings(prepared)
        if self._told[0] and not prepared.diagnostics:
            _log.info("all records can be used again")
        self._told = found


def _log_findings(prepared: Prepared) -> None:
    for fault in prepared.diagnostics[:FAULTS_LOGGED_MAX]:
        _log.warning("record not used", place=fault.place, reason=fault.message)
    if len(prepared.diagnostics) > FAULTS_LOGGED_MAX:
        _log.warning("records not used", count=len(prepared.diagnostics))
    for warning in prepared.plan.warnings:
        _log.warning(warning)
