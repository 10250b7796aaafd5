"""Takes the twins of one model to another, one patch a twin, while everything else goes on.

Each patch carries the ETag of the document it was made from: when telemetry or a person was
quicker, the twin is read again and the step made anew, so no value is lost and no twin is ever
invalid. The journal holds each step before it is made. A run that was killed is gone on with by
running it again; a run that is done, or was cut off, can be taken back, and so can be cut off too.

Which twins are still of the old model is asked by query, which may lag ten seconds behind writes:
a twin that the query shows and that is of the new model already is left alone, and the end is
reached when queries show none for longer than they may lag. Bounds: ``CHUNK`` steps between two
syncs of the journal, ``TRIES`` a twin, ``REASONS_KEPT``.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sync_agent.dtdl.compatibility import Comparison, compare
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import (
    InputError,
    ModelError,
    NotFoundError,
    PreconditionError,
    ServiceError,
    UnreachableError,
)
from sync_agent.lifecycle.edge_writes import write_edge
from sync_agent.lifecycle.migration_journal import Direction, MigrationJournal
from sync_agent.migration.edges import edges_matter, targets_matter
from sync_agent.migration.outline import Entry, entries
from sync_agent.migration.rule_check import misnamed
from sync_agent.migration.rules import Pair, unsettled
from sync_agent.migration.step import CannotMigrateError, Step, Target
from sync_agent.migration.undo import undo_edges, undo_step
from sync_agent.ports.twin_store import TwinStore
from sync_agent.runs.bounded import each
from sync_agent.twins.twin import Document, Relationship

CHUNK = 200
TRIES = 20
REASONS_KEPT = 100
QUERY_LAG_S = 10.0
LAG_STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What a migration would do: the models' differences, and what becomes of the twins there are.

    ``changes`` counts twins by value path and what happens there, ``examples`` has one twin's
    entry for each; ``problems`` are the first twins that cannot be taken along, ``unfit`` how many
    there are.
    """

    pair: Pair
    comparison: Comparison
    twins: int
    changes: Counter[tuple[str, str]]
    examples: Mapping[tuple[str, str], tuple[str, Entry]]
    unfit: int
    problems: tuple[CannotMigrateError, ...]


@dataclass(slots=True)
class MigrationResult:
    """What became of the twins: ``failed`` were left alone, ``reasons`` say why for the first."""

    migrated: int = 0
    failed: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)

    def fail(self, twin: str, reason: str) -> None:
        """Note a twin that was left as it is."""
        self.failed.add(twin)
        if len(self.reasons) < REASONS_KEPT:
            self.reasons[twin] = reason


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction: how a twin's step is made, and where it is written down."""

    goal: str
    step: Callable[[Document, Iterable[Relationship], Mapping[str, str]], Step]
    journal: MigrationJournal
    direction: Direction

    def begin(self, steps: Iterable[Step]) -> None:
        self.journal.begin(self.direction, steps)

    def finish(self, twins: Iterable[str]) -> None:
        self.journal.finish(self.direction, twins)


@dataclass(slots=True)
class Migration:
    """The migration of one pair of models on one service; ``at_once`` twins are under way."""

    pair: Pair
    service: TwinStore
    registry: ModelRegistry
    at_once: int
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _target: Target = field(init=False)
    _edges: bool = field(init=False)
    _targets: bool = field(init=False)

    def __post_init__(self) -> None:
        """Check that both models are deployed and the rules say what the models leave open.

        Raises:
            ModelError: they are not or are one, a rule names what they do not have, or a breaking
                difference has no rule.
        """
        if self.pair.old == self.pair.new:
            raise ModelError(
                f"{self.pair.old} is the model to migrate from and to", remedy="name two models"
            )
        for model in (self.pair.old, self.pair.new):
            if model not in self.registry or not self.registry.complete(model):
                remedy = "run `sync-agent models apply` first"
                raise ModelError(f"{model} is not deployed", remedy=remedy)
        wrong = misnamed(self.pair, self.registry)
        if wrong:
            raise ModelError(
                f"rules from {self.pair.old} to {self.pair.new}: {'; '.join(wrong)}",
                remedy="correct the names (docs/model-lifecycle.md)",
            )
        open_ = unsettled(self.comparison, self.pair.rules)
        if open_:
            reasons = "; ".join(f"{d.path}: {d.reason}" for d in open_)
            raise ModelError(
                f"from {self.pair.old} to {self.pair.new} it is not clear what to do: {reasons}",
                remedy="say it with --rules (docs/model-lifecycle.md)",
            )
        self._target = Target(self.pair, self.registry)
        self._edges = edges_matter(self.registry, self.pair)
        self._targets = targets_matter(self.registry, self.pair)

    @property
    def comparison(self) -> Comparison:
        """Return how the two models differ."""
        return compare(self.registry, self.pair.old, self.registry, self.pair.new)

    async def plan(self, on_step: Callable[[Step], None] | None = None) -> MigrationPlan:
        """Work out the step of every twin, and write nothing; ``on_step`` is shown each.

        Raises:
            ServiceError: twins cannot be read.
        """
        changes: Counter[tuple[str, str]] = Counter()
        examples: dict[tuple[str, str], tuple[str, Entry]] = {}
        problems: list[CannotMigrateError] = []
        twins = unfit = 0
        async for documents in self._chunks():
            twins += len(documents)
            for made in await each(documents, self._try_step, at_once=self.at_once):
                if isinstance(made, CannotMigrateError):
                    unfit += 1
                    problems += [made] if len(problems) < REASONS_KEPT else []
                    continue
                seen = {(entry.path, entry.change.value): entry for entry in entries(made)}
                changes.update(seen.keys())
                for key in seen.keys() - examples.keys():
                    examples[key] = (made.twin, seen[key])
                if on_step is not None:
                    on_step(made)
        return MigrationPlan(
            self.pair, self.comparison, twins, changes, examples, unfit, tuple(problems)
        )

    async def run(
        self, journal: MigrationJournal, on_progress: Callable[[int], None]
    ) -> MigrationResult:
        """Take all twins along; first finish what a killed run had begun.

        Raises:
            InputError: an undo of the journal was cut off; it has to be finished first.
            ServiceError: the service cannot be reached or refuses us; run again to go on.
            StoreError: the journal cannot be written; run again to go on.
        """
        if journal.unfinished(Direction.BACK):
            raise InputError(
                "an undo of this migration was cut off",
                place=str(journal.path),
                remedy=f"finish it first: `sync-agent models migrate --undo {journal.path} --yes`",
            )
        result = MigrationResult()
        way = _Way(self.pair.new, self._target.step, journal, Direction.FORTH)
        await self._resume(way, result, on_progress)
        quiet_s = 0.0
        while quiet_s < QUERY_LAG_S:
            moved = 0
            async for documents in self._chunks():
                fresh = [d for d in documents if d["$dtId"] not in result.failed]
                steps = await each(fresh, self._try_step, at_once=self.at_once)
                before = result.migrated
                await self._move(steps, way, result)
                moved += result.migrated - before
                on_progress(result.migrated)
            if moved:
                quiet_s = 0.0
                continue
            if not await self._left(result):
                break
            quiet_s += LAG_STEP_S
            await self.sleep(LAG_STEP_S)
        return result

    async def undo(
        self, journal: MigrationJournal, on_progress: Callable[[int], None]
    ) -> MigrationResult:
        """Take back every step of a journal, newest first; also of one that was cut off.

        Raises:
            ServiceError: the service cannot be reached or refuses us; run again to go on.
            StoreError: the journal cannot be read or written; run again to go on.
        """
        result = MigrationResult()

        def back(document: Document, edges: Iterable[Relationship], _: Mapping[str, str]) -> Step:
            twin = document["$dtId"]
            done = journal.step(Direction.FORTH, twin)
            finished = journal.finished(twin)
            return undo_step(self.pair, self.registry, done, document, edges, finished=finished)

        way = _Way(self.pair.old, back, journal, Direction.BACK)
        await self._resume(way, result, on_progress)
        twins = [twin for twin in reversed(journal.twins) if twin not in result.failed]
        for first in range(0, len(twins), CHUNK):
            chunk = twins[first : first + CHUNK]
            steps = await each(chunk, lambda twin: self._step_back(twin, way), at_once=self.at_once)
            pairs = zip(chunk, steps, strict=True)
            way.finish(twin for twin, step in pairs if step is None)
            await self._move([step for step in steps if step is not None], way, result)
            on_progress(result.migrated)
        return result

    # -- one chunk ------------------------------------------------------------------------------

    async def _move(
        self, made: Iterable[Step | CannotMigrateError], way: _Way, result: MigrationResult
    ) -> None:
        """Write down the steps of some twins and make them."""
        steps: list[Step] = []
        for item in made:
            if isinstance(item, CannotMigrateError):
                result.fail(item.twin, "; ".join(item.reasons))
            else:
                steps.append(item)
        way.begin(steps)
        done = await each(steps, lambda step: self._make(step, way, result), at_once=self.at_once)
        way.finish(step.twin for step, ok in zip(steps, done, strict=True) if ok)

    async def _resume(
        self, way: _Way, result: MigrationResult, on_progress: Callable[[int], None]
    ) -> None:
        """Finish steps that were begun; how far each came is not known."""

        async def go_on(twin: str) -> bool:
            step = way.journal.step(way.direction, twin)
            return await self._make(replace(step, etag=""), way, result)

        twins = way.journal.unfinished(way.direction)
        for first in range(0, len(twins), CHUNK):
            begun = twins[first : first + CHUNK]
            done = await each(begun, go_on, at_once=self.at_once)
            way.finish(twin for twin, ok in zip(begun, done, strict=True) if ok)
            on_progress(result.migrated)

    async def _make(self, step: Step, way: _Way, result: MigrationResult) -> bool:
        """Make one step; return whether nothing of it is left to do."""
        for write in step.before if step.etag else ():
            await write_edge(self.service, write)
        for _ in range(TRIES):
            try:
                if not step.etag:
                    step = await self._renewed(step, way)
                if step.patch:
                    await self.service.patch_twin(step.twin, step.patch, etag=step.etag)
                    result.migrated += 1
            except (PreconditionError, UnreachableError):
                step = replace(step, etag="")  # it is not known how the twin is now
                continue
            except NotFoundError:
                return True  # deleted meanwhile
            except CannotMigrateError as error:
                result.fail(step.twin, "; ".join(error.reasons))
                return False
            except ServiceError as error:
                if error.retryable or error.status != 400:
                    raise
                result.fail(step.twin, error.message)
                return False
            await self._after(step)
            return True
        result.fail(step.twin, f"it changed {TRIES} times while it was to change its model")
        return False

    async def _renewed(self, step: Step, way: _Way) -> Step:
        """Return the step made and begun for the twin as it is now; without a patch at the goal.

        What was begun on its relationships is kept: they hold their old values no longer.
        """
        twin = await self.service.get_twin(step.twin)
        if twin is None:
            raise NotFoundError(f"{step.twin} is not there any more")
        if twin.model == way.goal:
            return replace(step, etag=twin.etag, patch=())
        if twin.model not in (self.pair.old, self.pair.new):
            raise CannotMigrateError(step.twin, [f"it is of model {twin.model} now"])
        made = way.step(twin.as_stored(), (), {})
        fresh = replace(made, before=step.before, after=step.after)
        for write in fresh.before:
            await write_edge(self.service, write)
        way.begin([fresh])
        return fresh

    async def _after(self, step: Step) -> None:
        for write in step.after:
            await write_edge(self.service, write)

    async def _try_step(self, document: Document) -> Step | CannotMigrateError:
        edges, models = await self._edges_of(document["$dtId"])
        try:
            return self._target.step(document, edges, models)
        except CannotMigrateError as error:
            return error

    async def _edges_of(self, twin: str) -> tuple[list[Relationship], dict[str, str]]:
        if not self._edges:
            return [], {}
        edges = [edge async for edge in self.service.relationships_of(twin)]
        if not self._targets:
            return edges, {}
        ends = dict.fromkeys(edge.target for edge in edges)
        found = await each(ends, self.service.get_twin, at_once=self.at_once)
        return edges, {twin.id: twin.model for twin in found if twin is not None}

    # -- back -----------------------------------------------------------------------------------

    async def _step_back(self, twin_id: str, way: _Way) -> Step | CannotMigrateError | None:
        """Return the step that takes a twin back; None when there is nothing to do."""
        twin = await self.service.get_twin(twin_id)
        if twin is None:
            return None
        if twin.model == self.pair.old:
            if way.journal.finished(twin_id):
                return None  # somebody took it back
            step = way.journal.step(Direction.FORTH, twin_id)
            return undo_edges(step, twin.as_stored())
        if twin.model != self.pair.new:
            return CannotMigrateError(twin_id, [f"it is of model {twin.model} now"])
        edges, _ = await self._edges_of(twin_id)
        try:
            return way.step(twin.as_stored(), edges, {})
        except CannotMigrateError as error:
            return error

    # -- twins of the old model -----------------------------------------------------------------

    async def _chunks(self) -> AsyncIterator[list[Document]]:
        chunk: list[Document] = []
        async for row in self.service.query(_twins_of(self.pair.old)):
            chunk.append(row)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    async def _left(self, result: MigrationResult) -> int:
        """Return how many twins queries show of the old model, without those that failed."""
        async for row in self.service.query(_twins_of(self.pair.old, "COUNT()")):
            return max(int(row["COUNT"]) - len(result.failed), 0)
        return 0


def _twins_of(model: str, what: str = "*") -> str:
    # A model id holds no quote.
    return f"SELECT {what} FROM DIGITALTWINS T WHERE IS_OF_MODEL(T, '{model}', exact)"  # noqa: S608
