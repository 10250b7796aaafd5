"""What one pass over the inventory leaves to the next, so that a pass costs what changed.

The models as they were parsed, the twins as they were last read, the graph that was wanted last,
and the elements that stood out in the last plan. Where one of these cannot be relied on, everything
is looked at; it is forgotten whenever a pass fails before its plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from sync_agent.agent.inventory_pass import Prepared
from sync_agent.agent.twin_snapshot import TwinSnapshot
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.desired import Desired, DesiredGraph
from sync_agent.ports.twin_store import ModelStore, TwinReader, TwinService
from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.part import Touched, changed_between, part_of, standing_out
from sync_agent.reconcile.plan import make_plan
from sync_agent.runs.reconciler import Reconciler
from sync_agent.twins.graph import TwinGraph


class PassMemory:
    """One inventory's memory, under one policy."""

    def __init__(
        self, reconciler: Reconciler, *, full_every_s: float, clock_s: Callable[[], float]
    ) -> None:
        """Begin with nothing known."""
        self._reconciler = reconciler
        self._full_every_s = full_every_s
        self._clock_s = clock_s
        self._registry = ModelRegistry()
        self._models: list[tuple[str, str]] = []
        self._snapshot: TwinSnapshot | None = None
        self._wanted: DesiredGraph | None = None
        self._open = Touched()

    async def models(self, store: ModelStore) -> ModelRegistry:
        """Return the deployed models; the same object as long as they are the same.

        Raises:
            ServiceError: they cannot be read.
        """
        listed = [m async for m in store.list_models() if m.get("model")]
        # The text of a model never changes; deleted and made again it has another time.
        known = sorted((m["id"], str(m.get("uploadTime"))) for m in listed)
        if known != self._models:
            interfaces = await asyncio.to_thread(parse_models, [m["model"] for m in listed])
            self._registry = ModelRegistry(interfaces.interfaces)
            self._models = known
        return self._registry

    async def plan(self, desired: Desired, service: TwinService) -> Prepared:
        """Read what moved and plan over what may differ; elements gone or back are noted.

        Raises:
            ServiceError: twins cannot be read.
            StoreError: the journal cannot be written.
        """
        wanted, self._wanted = self._wanted, None  # in case this does not come to its end
        snapshot = self._snapshot_of(desired.graph)
        await self._reconciler.no_job_at_work()
        moved = await snapshot.refresh(service, desired.graph)
        part = None
        if moved is not None and wanted is not None and all(c.complete for c in desired.coverage):
            part = await asyncio.to_thread(changed_between, wanted, desired.graph)
        if part is not None and moved is not None:
            part.add(moved)
            part.add(self._open)
        if moved is None:
            graph, observed = desired.graph, snapshot.graph
        else:
            graph, observed = await self._reread(desired, part, snapshot, service)
        looked_at = replace(desired, graph=graph)
        plan = await self._reconciler.plan_for(looked_at, observed, +snapshot.managed)
        self._open = standing_out(plan, graph, observed)
        self._wanted = desired.graph
        return Prepared(plan, looked_at, whole=moved is None)

    def written(self, changes: Sequence[Change]) -> None:
        """Hear of changes that are about to be made."""
        if self._snapshot is not None:
            self._snapshot.written(changes)

    def _snapshot_of(self, graph: DesiredGraph) -> TwinSnapshot:
        if self._snapshot is None or self._snapshot.owner != graph.owner:
            self._snapshot = TwinSnapshot(
                graph.owner,
                full_every_s=self._full_every_s,
                at_once=self._reconciler.policy.at_once,
                clock_s=self._clock_s,
            )
        return self._snapshot

    async def _reread(
        self,
        desired: Desired,
        part: Touched | None,
        snapshot: TwinSnapshot,
        reader: TwinReader,
    ) -> tuple[DesiredGraph, TwinGraph]:
        """Return what is to be planned, after what a plan would rest on was read by id."""
        read: set[str] = set()
        while True:
            graph, observed = desired.graph, snapshot.graph
            if part is not None:
                graph, observed = part_of(graph, observed, part)
            draft = await asyncio.to_thread(
                make_plan, graph, observed, desired.coverage, records=desired.records
            )
            unread = [c for c in draft.changes if _rests_on_a_reading(c) and c.element not in read]
            if not unread:
                return graph, observed
            read |= {change.element for change in unread}
            moved = await snapshot.reread(reader, unread)
            if part is not None:
                part.add(moved)


def _rests_on_a_reading(change: Change) -> bool:
    """Tell whether a change may be planned only of what was read by id just now.

    A twin that is to be edited was seen by the time of its last change, and its ETag goes along.
    """
    if change.action is Action.DELETE:
        return True
    return change.relationship is not None and change.action is Action.UPDATE
