"""Plans and applies under the rules of the house: guards, tombstones, journal, one writer.

Everything that changes twins for the inventory goes through here: a pass of the agent, ``sync``,
``apply``, ``undo`` and ``drift --revert``. A plan is judged before anything is written; a run holds
the writer's lease, stands in the journal before its first write, and afterwards the baseline says
what is true now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sync_agent.errors import GuardError
from sync_agent.inventory.desired import Desired, DesiredGraph
from sync_agent.inventory.owner import Owner
from sync_agent.ports.twin_store import TwinReader, TwinService
from sync_agent.reconcile.change import Action, Change, moves
from sync_agent.reconcile.cost import Cost, Rates, cost_of
from sync_agent.reconcile.diff import diff
from sync_agent.reconcile.guard import GuardLimits, guarded, refusals
from sync_agent.reconcile.plan import Plan, in_order, make_plan
from sync_agent.reconcile.plan_file import PlanFile
from sync_agent.reconcile.rules import WHOLE, Accepted, PlanRules, hold_accepted
from sync_agent.reconcile.stale import Stale, stale_elements
from sync_agent.reconcile.undo import Undo, undo_plan
from sync_agent.reconcile.way import SETTING, Decision, Way, decide
from sync_agent.runs.apply_change import OnConflict
from sync_agent.runs.apply_plan import ApplyResult, Progress, apply_plan
from sync_agent.runs.import_jobs import ImportAccess, ImportWork, Say, silent
from sync_agent.runs.import_load import LoadTerms, load
from sync_agent.runs.journal import Journal
from sync_agent.runs.lease import TwinLease, file_lease, stopping_when_lost
from sync_agent.runs.observe import observe, read_elements
from sync_agent.runs.run_record import RunRecord
from sync_agent.runs.twin_memory import TwinMemory
from sync_agent.twins.collector import collector_resting
from sync_agent.twins.graph import TwinGraph

TOLD_FROM = 1_000
"""Elements to look at before an undo can be shown, from which on somebody is told to wait."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say about changing twins.

    ``instance`` is the service's address, ``lease`` how other writers are kept out, ``holder`` who
    we are to them.
    """

    instance: str
    journal: Path
    limits: GuardLimits
    rates: Rates
    at_once: int
    grace_s: float = 0.0
    never_delete: frozenset[str] = frozenset()
    paused: bool = False
    lease: str = "file"
    lease_s: float = 60.0
    holder: str = "sync-agent"


@dataclass(frozen=True, slots=True)
class Drift:
    """What somebody changed behind the agent's back.

    ``plan`` would revert it. ``unknown`` are twins and relationships that bear the owner's mark
    although the agent did not make them.
    """

    plan: Plan
    unknown: tuple[str, ...] = ()


class Reconciler:
    """Brings twins in line under one policy; ``now_ms`` is the date.

    ``imports`` is how import jobs are reached; ``say`` is called with what somebody who waits
    has to know.
    """

    def __init__(
        self,
        policy: Policy,
        now_ms: Callable[[], int],
        imports: ImportAccess | None = None,
        say: Say = silent,
    ) -> None:
        self.policy = policy
        self._now_ms = now_ms
        self._say = say
        self._imports = (
            ImportWork(imports, policy.journal, policy.instance, say) if imports else None
        )

    # -- plans ----------------------------------------------------------------------------------

    async def plan(self, desired: Desired, service: TwinService) -> Plan:
        """Read the twins and plan; elements that are gone or back are noted with the time.

        Raises:
            ServiceError: twins cannot be read.
            StoreError: the journal cannot be written.
        """
        await self.no_job_at_work()
        return await self.plan_for(desired, await observe(service, desired.graph))

    async def plan_for(
        self, desired: Desired, observed: TwinGraph, managed: Mapping[str, int] | None = None
    ) -> Plan:
        """Plan against twins that were read already; else as ``plan``.

        ``managed`` is how many twins of each model and relationships of each name there are, where
        ``observed`` has only a part of them.

        Raises:
            StoreError: the journal cannot be written.
        """
        graph, policy = desired.graph, self.policy
        with self._journal() as journal:
            memory = journal.memory(graph.owner)
            rules = PlanRules(
                now_ms=self._now_ms(),
                grace_ms=int(policy.grace_s * 1000),
                absent_since=memory.absent_since(),
                never_delete=policy.never_delete,
                accepted=memory.accepted(),
            )
            with collector_resting():
                plan = await asyncio.to_thread(
                    make_plan,
                    graph,
                    observed,
                    desired.coverage,
                    records=desired.records,
                    digest=desired.digest,
                    rules=rules,
                )
            back = rules.absent_since.keys() & _elements(graph) if rules.absent_since else ()
            if back or plan.absent:
                memory.mark_absent(plan.absent, back, now_ms=rules.now_ms)
        if managed is None:
            return plan
        counted = dict(sorted(managed.items()))
        return replace(plan, managed=sum(counted.values()), managed_of=counted)

    async def no_job_at_work(self) -> None:
        """Wait for import jobs of other runs: who reads the twins meanwhile sees half of them.

        Raises:
            ServiceError: the service cannot be asked.
        """
        if self._imports is not None:
            await self._imports.settle_open()

    def cost(self, plan: Plan) -> Cost:
        """Return what applying a plan costs at the quotas."""
        return cost_of(plan, self.policy.rates)

    def way(self, plan: Plan) -> Decision:
        """Return which way a plan's creations are best made, and why."""
        storage = self._imports is not None and self._imports.access.storage
        return decide(plan, self.policy.rates, storage=storage)

    def guarded(self, plan: Plan) -> Plan:
        """Return the plan as it may be applied.

        Raises:
            GuardError: it may not be applied.
        """
        return guarded(plan, self.policy.limits)

    def file(self, plan: Plan) -> PlanFile:
        """Return a plan with its circumstances, to be kept."""
        found = refusals(plan, self.policy.limits)
        return PlanFile(
            plan,
            self.policy.instance,
            self._now_ms(),
            self.cost(plan),
            tuple(refusal.message for refusal in found),
            self.way(plan),
        )

    async def stale(self, plan: Plan, service: TwinReader) -> tuple[Stale, ...]:
        """Return the elements that changed since a plan was made.

        Raises:
            ServiceError: they cannot be read.
        """
        now = await read_elements(service, plan.changes, at_once=self.policy.at_once)
        return stale_elements(plan, now)

    # -- runs -----------------------------------------------------------------------------------

    async def apply(
        self,
        plan: Plan,
        service: TwinService,
        kind: str,
        *,
        desired: DesiredGraph | None = None,
        whole: bool = True,
        on_conflict: OnConflict = OnConflict.REPLAN,
        on_progress: Progress | None = None,
        way: Way = Way.OPERATIONS,
    ) -> ApplyResult:
        """Make a plan's changes as one run; ``kind`` is what the journal calls it.

        ``desired`` is the graph the plan was made from, if it is at hand, ``whole`` whether that is
        all of it and not a part.

        Raises:
            GuardError: changes are paused, another writer is at work, or an import job is asked for
                that has no storage; nothing was written. Or the lease was lost in the middle of
                the run.
            ServiceError: an import job of an earlier run cannot be asked for.
            StoreError: the journal cannot be written.
        """
        if self.policy.paused:
            raise GuardError(
                "changes of twins are paused (guards.paused)",
                remedy="set guards.paused = false when they may go on",
            )
        imports = self._imports
        if way is Way.IMPORT_JOB and (imports is None or not imports.access.storage):
            raise GuardError(
                f"the plan is to be made by an import job, and {SETTING} is not set",
                remedy=f"set {SETTING}, or make a new plan",
            )
        async with self._lease(service, plan.owner):
            if imports is not None:
                await imports.settle_open()
            with self._journal() as journal:
                record = await asyncio.to_thread(RunRecord, journal, plan, kind, self._now_ms)
                with self._noting_a_break(record):
                    begun = None
                    if imports is not None and way is Way.IMPORT_JOB:
                        terms = LoadTerms(
                            self.policy.rates, self.policy.at_once, on_conflict, on_progress
                        )
                        begun = await load(plan, service, imports, record, terms)
                    result = await apply_plan(
                        plan,
                        service,
                        at_once=self.policy.at_once,
                        on_conflict=on_conflict,
                        on_progress=on_progress,
                        record=record,
                        begun=begun,
                    )
                record.end()
                result.run = record.run
                await asyncio.to_thread(
                    _remember, journal.memory(plan.owner), plan, result, desired, whole=whole
                )
        return result

    def settle(self, plan: Plan, desired: DesiredGraph, *, whole: bool = True) -> None:
        """Note that everything, or a part, is as desired without any change."""
        with self._journal() as journal:
            _remember(journal.memory(plan.owner), plan, ApplyResult(), desired, whole=whole)

    async def undo(self, run: int, service: TwinService) -> Undo:
        """Return the plan that takes a run back.

        Raises:
            InputError: there is no such run.
            ServiceError: the twins cannot be read.
        """
        await self.no_job_at_work()
        with self._journal() as journal:
            found = journal.run(run)
            made = journal.made(run)
        if len(made) > TOLD_FROM:
            self._say(f"looking at what run {run} changed, {len(made):,} elements")
        now = await read_elements(service, made, at_once=self.policy.at_once, around=True)
        return undo_plan(found.owner, made, now)

    # -- drift ----------------------------------------------------------------------------------

    def owners(self) -> list[Owner]:
        """Return whose twins were changed so far."""
        with self._journal() as journal:
            return journal.owners()

    async def drift(self, owner: Owner, service: TwinService) -> Drift:
        """Return what differs from what the agent last made true.

        Raises:
            GuardError: nothing was made true yet.
            ServiceError: the twins cannot be read.
        """
        await self.no_job_at_work()
        with self._journal() as journal:
            memory = journal.memory(owner)
            baseline = memory.baseline()
            accepted = memory.accepted()
        if baseline is None:
            raise GuardError(
                f"nothing is known yet of the twins of {owner.name}",
                remedy="run sync --yes once, or apply with the source set: drift is told from that",
            )
        changes = diff(baseline, await observe(service, baseline))
        moving = moves(changes)
        unknown = [
            c.element for c in changes if c.action is Action.DELETE and c.element not in moving
        ]
        rest = [c for c in changes if c.action is not Action.DELETE or c.element in moving]
        held = hold_accepted(rest, PlanRules(accepted=accepted))
        return Drift(Plan(owner, in_order(held.changes), records=1), tuple(unknown))

    def accept(self, drift: Drift) -> None:
        """Note that what drifted shall stay until the inventory says something new."""
        with self._journal() as journal:
            memory = journal.memory(drift.plan.owner)
            for change in drift.plan.changes:
                memory.accept(change.element, _differences(change))

    # -- inside ---------------------------------------------------------------------------------

    def _journal(self) -> Journal:
        return Journal(self.policy.journal, self.policy.instance)

    @contextmanager
    def _noting_a_break(self, record: RunRecord) -> Iterator[None]:
        """Store what a run did before it was broken off, and say how to go on."""
        try:
            yield
        except asyncio.CancelledError:
            record.flush()
            self._say(
                f"run {record.run} was broken off: the same again does the rest,"
                f" sync-agent undo {record.run} takes it back"
            )
            raise

    @asynccontextmanager
    async def _lease(self, service: TwinService, owner: Owner) -> AsyncIterator[None]:
        policy = self.policy
        if policy.lease == "none":
            yield
        elif policy.lease == "file":
            async with file_lease(policy.journal.with_name(f"{policy.journal.name}.lock")):
                yield
        else:
            lease = TwinLease(
                service,
                owner.name,
                holder=policy.holder,
                lease_s=policy.lease_s,
                now_ms=self._now_ms,
            )
            async with stopping_when_lost(lease):
                yield


def _remember(
    memory: TwinMemory,
    plan: Plan,
    result: ApplyResult,
    desired: DesiredGraph | None,
    *,
    whole: bool,
) -> None:
    memory.remember(result.settled)
    if desired is None:
        return
    done = {change.element for change in result.settled}
    without = {change.element for change in plan.changes} - done
    without |= set(plan.foreign) | set(plan.left)
    memory.rebaseline(desired, without=frozenset(without), touched=done)
    if not whole:  # what was not looked at may differ as it was accepted
        return
    gone = [e for e in memory.accepted() if e not in plan.left]
    if gone:
        memory.forget_accepted(gone)


def _elements(graph: DesiredGraph) -> set[str]:
    return {*graph.twins, *(f"{source}/{id_}" for source, id_ in graph.relationships)}


def _differences(change: Change) -> dict[tuple[str, ...], Accepted]:
    if change.action is not Action.UPDATE:
        return {WHOLE: Accepted(None, None)}
    return {edit.path: Accepted(edit.before, edit.after) for edit in change.edits}
