"""Makes the changes of a plan, and only those, on a live graph.

Phase after phase, many at once inside one, in the order of ``spread``; how one change is made is
``apply_change``'s matter. A change that fails is reported as a root failure, what depended on it as
skipped because of it; the rest goes on. What is already as wanted counts as done, so a second run
finishes what a first one could not. When the service itself fails (unreachable, refused
credentials, throttled beyond patience), or at a conflict if that was asked for, the run stops: what
is under way is finished, nothing else is begun.

Where there is a record, all changes are in it before the first one is made, and each outcome
follows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sync_agent.errors import GuardError, ServiceError, SyncAgentError, UnauthorizedError
from sync_agent.ports.twin_store import TwinStore
from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.plan import Plan, phases
from sync_agent.reconcile.second_look import StaleError
from sync_agent.runs.apply_change import ChangeMaker, OnConflict
from sync_agent.runs.bounded import each
from sync_agent.runs.spread import Spread

Progress = Callable[[int], None]
"""Called with the number of changes that are settled so far, whatever their end."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A change that could not be made, and why."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A change that was not tried because ``because``, another change's element, failed."""

    change: Change
    because: str


@dataclass(slots=True)
class ApplyResult:
    """What became of a plan's changes.

    ``applied`` counts by action; ``already`` were as wanted before; ``changed`` are the ids of the
    twins written; ``settled`` are the changes that are true now, as they were made, ``replanned``
    those planned anew; ``run`` is the run's number in the journal, if it is in one; ``stopped`` is
    the error that ended the run early.
    """

    applied: Counter[Action] = field(default_factory=Counter)
    already: int = 0
    failures: list[Failure] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    settled: list[Change] = field(default_factory=list)
    replanned: list[str] = field(default_factory=list)
    stopped: SyncAgentError | None = None
    run: int | None = None

    @property
    def complete(self) -> bool:
        """Tell whether every change was made."""
        return not (self.failures or self.skipped or self.stopped)


@dataclass(slots=True)
class Begun:
    """What is settled of a plan before its requests begin: the changes' numbers, and their ends."""

    numbers: set[int] = field(default_factory=set)
    result: ApplyResult = field(default_factory=ApplyResult)


class Record(Protocol):
    """Where changes and outcomes are written down; ``number`` is a change's place in the plan."""

    def replan(self, number: int, change: Change) -> None:
        """Note what a change became, before it is made."""
        ...

    def settle(self, number: int, outcome: str) -> None:
        """Note a change's outcome: done, already, failed or skipped."""
        ...


async def apply_plan(
    plan: Plan,
    twins: TwinStore,
    *,
    at_once: int,
    on_conflict: OnConflict = OnConflict.SKIP,
    on_progress: Progress | None = None,
    record: Record | None = None,
    begun: Begun | None = None,
) -> ApplyResult:
    """Make a plan's changes; see the module's head for what happens when one fails.

    What was ``begun`` otherwise is not made again, and the result goes on from its own.
    """
    before = begun or Begun()
    run = _Run(plan, twins, on_conflict, on_progress, record, before)
    left = [c for number, c in enumerate(plan.changes) if number not in before.numbers]
    for phase in phases(left):
        spread = Spread(phase)

        async def work(_: int, spread: Spread = spread) -> None:
            while (taken := spread.take()) is not None:
                change, busy = taken
                await run.settle(change)
                spread.done(busy)

        await each(range(at_once), work, at_once=at_once)
        if run.result.stopped is not None:
            break
    return run.result


class _Run:
    """One application of one plan."""

    def __init__(
        self,
        plan: Plan,
        twins: TwinStore,
        on_conflict: OnConflict,
        on_progress: Progress | None,
        record: Record | None,
        begun: Begun,
    ) -> None:
        self._maker = ChangeMaker(twins, plan.owner, on_conflict, self._replan)
        self._stops = on_conflict is OnConflict.STOP
        self._on_progress = on_progress
        self._record = record
        self._numbers = {id(change): number for number, change in enumerate(plan.changes)}
        self._anew: list[Change] = []  # kept, so that no other object gets the id of one
        self._settled = len(begun.numbers)
        self._lost: dict[str, str] = {}  # what was not made or not deleted -> why: the root
        for failure in begun.result.failures:
            self._lost[failure.change.element] = failure.change.element
        for skipped in begun.result.skipped:
            self._lost[skipped.change.element] = skipped.because
        self._edges_to_go: dict[str, list[str]] = defaultdict(list)
        for change in plan.changes:
            if change.action is Action.DELETE and change.relationship is not None:
                for end in change.twins:
                    self._edges_to_go[end].append(change.element)
        self.result = begun.result

    async def settle(self, change: Change) -> None:
        """Make one change, or note why not."""
        if self.result.stopped is not None:
            return
        root = next((self._lost[e] for e in self._prerequisites(change) if e in self._lost), None)
        if root is not None:
            self.result.skipped.append(Skipped(change, root))
            self._lost.setdefault(change.element, root)
            self._note(change, "skipped")
        else:
            await self._try(change)
        self._settled += 1
        if self._on_progress is not None:
            self._on_progress(self._settled)

    def _prerequisites(self, change: Change) -> Iterable[str]:
        """Return the elements whose changes must not have failed before this one."""
        if change.relationship is not None:
            return (*change.twins, change.element)
        return self._edges_to_go[change.element] if change.action is Action.DELETE else ()

    async def _try(self, change: Change) -> None:
        try:
            made = await self._maker.make(change)
        except StaleError as stale:
            self._fail(change, str(stale))
            if self._stops:
                self.result.stopped = GuardError(
                    f"{change.element}: {stale}", remedy="look at a new plan before you apply it"
                )
        except ServiceError as error:
            if error.retryable or isinstance(error, UnauthorizedError):
                self.result.stopped = error
            else:
                self._fail(change, error.message)
        else:
            self._note(change, "already" if made is None else "done")
            self.result.settled.append(change if made is None else made)
            if made is None:
                self.result.already += 1
            else:
                self.result.applied[change.action] += 1
                self.result.changed.update(change.twins[:1])

    def _fail(self, change: Change, reason: str) -> None:
        if change.action is not Action.UPDATE:  # a twin that keeps an old value can be linked to
            self._lost[change.element] = change.element
        self.result.failures.append(Failure(change, reason))
        self._note(change, "failed")

    def _replan(self, change: Change, anew: Change) -> None:
        """Hear that a change was planned anew; it keeps its number."""
        number = self._numbers[id(change)]
        self._numbers[id(anew)] = number
        self._anew.append(anew)
        self.result.replanned.append(change.element)
        if self._record is not None:
            self._record.replan(number, anew)

    def _note(self, change: Change, outcome: str) -> None:
        if self._record is not None:
            self._record.settle(self._numbers[id(change)], outcome)
