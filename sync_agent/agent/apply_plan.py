"""Makes the changes of a plan, and only those, on a live graph.

Phase after phase, many at once inside one. Each write is conditional on what the plan saw: a twin
that others changed meanwhile is read again, and the edits are made if the values they replace still
stand (telemetry moves a twin's ETag all the time); otherwise that change fails as stale. A change
that fails is reported as a root failure, what depended on it as skipped because of it; the rest
goes on. What is already as wanted counts as done, so a second run finishes what a first one could
not. When the service itself fails (unreachable, refused credentials, throttled beyond patience),
the run stops.

Two delays of the service are waited out, ``CONSISTENCY_S`` at most: a new twin that cannot yet be
linked to, and a twin whose relationships are gone but still counted. A write whose answer got lost
may have happened; it is looked at again, never assumed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential

from sync_agent.agent.bounded import each
from sync_agent.errors import (
    NotFoundError,
    PreconditionError,
    ServiceError,
    UnauthorizedError,
    UnreachableError,
)
from sync_agent.ports.twin_store import TwinStore
from sync_agent.reconcile.change import Action, Change, Edit, patch_of, rebase, same
from sync_agent.reconcile.plan import Plan, phases
from sync_agent.twins.twin import Relationship, Twin

CONSISTENCY_S = 12.0
ATTEMPTS_MAX = 5

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
    twins written; ``stopped`` is the error that ended the run early.
    """

    applied: Counter[Action] = field(default_factory=Counter)
    already: int = 0
    failures: list[Failure] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    stopped: ServiceError | None = None

    @property
    def complete(self) -> bool:
        """Tell whether every change was made."""
        return not (self.failures or self.skipped or self.stopped)


async def apply_plan(
    plan: Plan, twins: TwinStore, *, at_once: int, on_progress: Progress | None = None
) -> ApplyResult:
    """Make a plan's changes; see the module's head for what happens when one fails."""
    run = _Run(plan, twins, on_progress)
    for phase in phases(plan.changes):
        await each(interleaved(phase), run.settle, at_once=at_once)
        if run.result.stopped is not None:
            break
    return run.result


def interleaved(changes: Sequence[Change]) -> list[Change]:
    """Return changes so that those of one twin are far apart, the others of the busiest come last.

    The service takes few operations a second per twin; side by side they would only queue.
    """
    seen: Counter[str] = Counter()
    rounds: dict[int, list[Change]] = defaultdict(list)
    for change in changes:
        seen.update(change.twins)
        rounds[max(seen[twin] for twin in change.twins)].append(change)
    return [change for number in sorted(rounds) for change in rounds[number]]


class _StaleError(Exception):
    """Somebody changed the very thing a change is about since it was planned."""


class _Run:
    """One application of one plan."""

    def __init__(self, plan: Plan, twins: TwinStore, on_progress: Progress | None) -> None:
        self._owner = plan.owner
        self._twins = twins
        self._on_progress = on_progress
        self._settled = 0
        self._lost: dict[str, str] = {}  # what was not made or not deleted -> why: the root
        self._edges_to_go: dict[str, list[str]] = defaultdict(list)
        for change in plan.changes:
            if change.action is Action.DELETE and change.relationship is not None:
                for end in change.twins:
                    self._edges_to_go[end].append(change.element)
        self.result = ApplyResult()

    async def settle(self, change: Change) -> None:
        """Make one change, or note why not."""
        if self.result.stopped is not None:
            return
        root = next((self._lost[e] for e in self._prerequisites(change) if e in self._lost), None)
        if root is not None:
            self.result.skipped.append(Skipped(change, root))
            self._lost.setdefault(change.element, root)
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
            made = await self._work(change)
        except _StaleError as stale:
            self._fail(change, str(stale))
        except ServiceError as error:
            if error.retryable or isinstance(error, UnauthorizedError):
                self.result.stopped = error
            else:
                self._fail(change, error.message)
        else:
            if made:
                self.result.applied[change.action] += 1
                self.result.changed.update(change.twins[:1])
            else:
                self.result.already += 1

    def _fail(self, change: Change, reason: str) -> None:
        if change.action is not Action.UPDATE:  # a twin that keeps an old value can be linked to
            self._lost[change.element] = change.element
        self.result.failures.append(Failure(change, reason))

    async def _work(self, change: Change) -> bool:
        """Make a change; return False when things were already as wanted."""
        match change:
            case Change(action=Action.CREATE, twin=Twin() as twin):
                return await self._create_twin(twin)
            case Change(action=Action.UPDATE, twin=Twin() as twin):
                return await self._update_twin(twin, change.edits)
            case Change(action=Action.DELETE, twin=Twin() as twin):
                return await _when_consistent(lambda: self._delete_twin(twin))
            case Change(action=Action.CREATE, relationship=Relationship() as edge):
                return await _when_consistent(lambda: self._create_edge(edge))
            case Change(action=Action.UPDATE):
                return await self._update_edge(change.edge, change.edits)
            case _:
                return await self._delete_edge(change.edge)

    async def _create_twin(self, twin: Twin) -> bool:
        try:
            await self._twins.put_twin(twin, only_if_absent=True)
        except PreconditionError:
            there = await self._twins.get_twin(twin.id)
            if there is None or there.model != twin.model or not _holds(there, twin):
                raise _StaleError(
                    "it was made by someone else since the plan; plan again"
                ) from None
            return False
        return True

    async def _update_twin(self, twin: Twin, edits: Sequence[Edit]) -> bool:
        etag: str | None = twin.etag
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await self._twins.patch_twin(twin.id, patch_of(edits), etag=etag)
            except (PreconditionError, UnreachableError):
                if attempt == ATTEMPTS_MAX:
                    raise
            else:
                return True
            there = await self._twins.get_twin(twin.id)
            left = None if there is None else rebase(edits, there.to_document())
            if there is None or left is None or not self._owner.owns_twin(there.properties):
                raise _StaleError("it was changed by someone else since the plan; plan again")
            if not left:
                return False
            edits, etag = left, there.etag
        raise AssertionError("the last attempt returns or raises")

    async def _delete_twin(self, twin: Twin) -> bool:
        etag: str | None = twin.etag
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await self._twins.delete_twin(twin.id, etag=etag)
            except NotFoundError:
                return False
            except (PreconditionError, UnreachableError):
                if attempt == ATTEMPTS_MAX:
                    raise
            else:
                return True
            there = await self._twins.get_twin(twin.id)
            if there is None:
                return False
            if not self._owner.owns_twin(there.properties):
                raise _StaleError("it was handed to someone else since the plan; plan again")
            etag = there.etag
        raise AssertionError("the last attempt returns or raises")

    async def _create_edge(self, edge: Relationship) -> bool:
        try:
            await self._twins.put_relationship(edge, only_if_absent=True)
        except PreconditionError:
            there = await self._edge(edge)
            if there is None or (there.name, there.target) != (edge.name, edge.target):
                raise _StaleError(
                    "it was made by someone else since the plan; plan again"
                ) from None
            if not all(same(there.properties.get(k), v) for k, v in edge.properties.items()):
                raise _StaleError(
                    "it was made by someone else since the plan; plan again"
                ) from None
            return False
        return True

    async def _update_edge(self, edge: Relationship, edits: Sequence[Edit]) -> bool:
        try:
            await self._twins.patch_relationship(
                *edge.key, patch_of(edits), etag=edge.etag, target=edge.target
            )
        except (PreconditionError, UnreachableError):
            there = await self._edge(edge)
            if there is None or rebase(edits, there.properties) != ():
                raise _StaleError(
                    "it was changed by someone else since the plan; plan again"
                ) from None
            return False
        return True

    async def _delete_edge(self, edge: Relationship) -> bool:
        try:
            await self._twins.delete_relationship(*edge.key, etag=edge.etag, target=edge.target)
        except NotFoundError:
            return False
        except (PreconditionError, UnreachableError):
            if await self._edge(edge) is not None:
                raise _StaleError(
                    "it was changed by someone else since the plan; plan again"
                ) from None
            return False
        return True

    async def _edge(self, edge: Relationship) -> Relationship | None:
        async for there in self._twins.relationships_of(edge.source):
            if there.id == edge.id:
                return there
        return None


async def _when_consistent(work: Callable[[], Awaitable[bool]]) -> bool:
    """Do work that the service may refuse for a while because it lags behind its own writes."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(_lags),
        stop=stop_after_delay(CONSISTENCY_S),
        wait=wait_exponential(0.1, max=2.0),
        reraise=True,
    ):
        with attempt:
            return await work()
    raise AssertionError("tenacity ends with a result or an error")


def _lags(error: BaseException) -> bool:
    if isinstance(error, NotFoundError):
        return True
    return isinstance(error, ServiceError) and error.code == "RelationshipsNotDeleted"


def _holds(there: Twin, wanted: Twin) -> bool:
    """Tell whether a twin has every value that was to be created."""
    return all(_within(there.properties.get(k), v) for k, v in wanted.properties.items())


def _within(there: object, wanted: object) -> bool:
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_within(there.get(k), v) for k, v in wanted.items())
    return same(there, wanted)
