"""Makes the creations of a plan by an import job, as far as nothing speaks against it.

A job asks no ETag and overwrites what it finds. So right before, all that it would create is looked
for: what is there as wanted is settled, what is there otherwise is left to the requests, which
refuse it or plan it anew. Afterwards the twins themselves say what arrived, whatever became of the
job: the queries lag, so what is missing is looked for again for ``CONSISTENCY_S``. What the job's
log says was refused has failed for that reason; all the rest is the requests' matter.

Memory: ``ELEMENTS_AT_ONCE`` documents beside the plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from msgspec import structs

from sync_agent.errors import GuardError, ServiceError
from sync_agent.inventory.owner import Owner
from sync_agent.ports.twin_store import TwinReader
from sync_agent.reconcile.change import Action, Change, same_kind
from sync_agent.reconcile.cost import Rates
from sync_agent.reconcile.import_file import import_lines, refused
from sync_agent.reconcile.plan import Plan
from sync_agent.reconcile.stale import as_wanted
from sync_agent.reconcile.way import Way, decide, importable
from sync_agent.runs.apply_change import CONSISTENCY_S, OnConflict
from sync_agent.runs.apply_plan import Begun, Failure, Progress, Skipped
from sync_agent.runs.import_jobs import Ended, ImportWork
from sync_agent.runs.observe import read_elements
from sync_agent.runs.run_record import RunRecord
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document

ELEMENTS_AT_ONCE = 20_000
LAG_WAIT_S = 2.0


@dataclass(frozen=True, slots=True)
class LoadTerms:
    """How a load goes: at these rates, so many requests at once, and what a conflict means."""

    rates: Rates
    at_once: int
    on_conflict: OnConflict
    on_progress: Progress | None = None


async def load(
    plan: Plan, twins: TwinReader, work: ImportWork, record: RunRecord, terms: LoadTerms
) -> Begun:
    """Make what a job may make of a plan; an error that ends the run is in the result.

    Raises:
        StoreError: the journal cannot be written.
    """
    run = _Load(plan, twins, record, terms)
    try:
        async with work.turn() as service:
            left = await run.still_new()
            if run.pays():
                await run.between()
                lines = import_lines(plan.changes[number] for number in left)
                ended = await work.have_done(service, record.run, lines, run.between)
                await run.settle(left, ended)
    except (ServiceError, GuardError) as error:
        run.begun.result.stopped = error
    return run.begun


class _Load:
    """One load of one plan; changes go by their numbers."""

    def __init__(self, plan: Plan, twins: TwinReader, record: RunRecord, terms: LoadTerms) -> None:
        self._plan = plan
        self._twins = twins
        self._record = record
        self._terms = terms
        self._total_before: int | None = None
        self._shown = 0
        self._taken: set[str] = set()  # elements that are there otherwise: the requests' matter
        self.begun = Begun()

    async def still_new(self) -> list[int]:
        """Return what a job may create: nothing of it is there.

        Raises:
            GuardError: something is there that is not as wanted, and that ends the run.
            ServiceError: the twins cannot be read.
        """
        numbers = importable(self._plan)
        changes = self._plan.changes
        ids = [number for number in numbers if changes[number].twin is not None]
        new = [number async for number in self._absent(ids)]
        fresh = {changes[number].element for number in new}
        # A twin that is not there has no relationships; one that others made waits for its verdict.
        edges = [
            number
            for number in numbers
            if changes[number].relationship is not None
            and self._taken.isdisjoint(changes[number].twins)
        ]
        old = [number for number in edges if changes[number].edge.source not in fresh]
        there = set(old) - {number async for number in self._absent(old)}
        return [*new, *(number for number in edges if number not in there)]

    def pays(self) -> bool:
        """Tell whether a job is still worth it for what is left."""
        changes = enumerate(self._plan.changes)
        left = tuple(c for number, c in changes if number not in self.begun.numbers)
        decision = decide(replace(self._plan, changes=left), self._terms.rates, storage=True)
        return decision.way is Way.IMPORT_JOB

    async def between(self) -> None:
        """Show about how far a job is, by how many twins and relationships there are by now."""
        if self._terms.on_progress is None:
            return
        with suppress(ServiceError):
            total = await _total(self._twins)
            if self._total_before is None:
                self._total_before = total
            self._show(min(total - self._total_before, len(self._plan.changes)))

    async def settle(self, numbers: Sequence[int], ended: Ended) -> None:
        """Settle what arrived and what was refused.

        Raises:
            GuardError: somebody cancelled the job.
            ServiceError: the job did nothing at all, or the twins cannot be read.
        """
        sent = {self._plan.changes[number].element: number for number in numbers}
        told = (refused(entry, sent) for entry in ended.log)
        reasons = {sent[element]: reason for element, reason in filter(None, told)}
        await self._settle_arrived([n for n in numbers if n not in reasons])
        self._settle_refused(reasons)
        job = ended.job
        if job.status == "cancelled":
            raise GuardError(
                f"the import job {job.id} was cancelled by someone",
                remedy="run it again: it does what is left to do",
            )
        result = self.begun.result
        if job.status == "failed" and not (result.applied or result.failures):
            raise ServiceError(
                f"the import job {job.id} failed: {job.error}",
                remedy="see that the instance's own identity has the role Storage Blob Data"
                " Contributor at import_job.container, or plan without it",
            )

    # -- inside ---------------------------------------------------------------------------------

    async def _absent(self, numbers: Sequence[int]) -> AsyncIterator[int]:
        """Yield what is not there; settle what is there as wanted."""
        async for number, document in self._read(numbers):
            change = self._plan.changes[number]
            if document is None:
                yield number
            elif as_wanted(document, change.thing):
                self._note(number, "already")
                self.begun.result.already += 1
                self.begun.result.settled.append(change)
            elif self._terms.on_conflict is OnConflict.STOP:
                raise GuardError(
                    f"{change.element}: it was made by someone else since the plan",
                    remedy="look at a new plan before you apply it",
                )
            else:
                self._taken.add(change.element)

    async def _settle_arrived(self, numbers: Sequence[int]) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + CONSISTENCY_S
        missing = list(numbers)
        while missing:
            missing = [n async for n in self._missing(missing)]
            if not missing or loop.time() + LAG_WAIT_S > until_s:
                return
            await asyncio.sleep(LAG_WAIT_S)

    async def _missing(self, numbers: Sequence[int]) -> AsyncIterator[int]:
        """Yield what has not arrived; settle what has, with its ETag."""
        result = self.begun.result
        async for number, document in self._read(numbers):
            change = self._plan.changes[number]
            if document is None or not _came_from(change, document, self._plan.owner):
                yield number
                continue
            etag = document.get("$etag") or ""
            if change.twin is not None:
                made = structs.replace(change, twin=structs.replace(change.twin, etag=etag))
            else:
                made = structs.replace(change, relationship=structs.replace(change.edge, etag=etag))
            self._note(number, "done")
            result.applied[Action.CREATE] += 1
            result.changed.update(change.twins[:1])
            result.settled.append(made)

    def _settle_refused(self, reasons: dict[int, str]) -> None:
        """Settle what was refused: twins have failed, and so has what did not hang on those."""
        result = self.begun.result
        changes = self._plan.changes
        lost = {changes[n].element for n in reasons if changes[n].twin is not None}
        for number, reason in reasons.items():
            change = changes[number]
            ends = change.twins if change.twin is None else ()
            root = next((end for end in ends if end in lost), None)
            if root is None:
                result.failures.append(Failure(change, reason))
                self._note(number, "failed")
            else:
                result.skipped.append(Skipped(change, root))
                self._note(number, "skipped")

    async def _read(self, numbers: Sequence[int]) -> AsyncIterator[tuple[int, Document | None]]:
        """Yield numbers with the document of what their changes are about, if it is there."""
        for start in range(0, len(numbers), ELEMENTS_AT_ONCE):
            some = numbers[start : start + ELEMENTS_AT_ONCE]
            changes = [self._plan.changes[number] for number in some]
            graph = await read_elements(self._twins, changes, at_once=self._terms.at_once)
            for number in some:
                yield number, _document(self._plan.changes[number], graph)
            self._show(len(self.begun.numbers))

    def _note(self, number: int, outcome: str) -> None:
        self.begun.numbers.add(number)
        self._record.settle(number, outcome)

    def _show(self, count: int) -> None:
        if self._terms.on_progress is not None and count > self._shown:
            self._shown = count
            self._terms.on_progress(count)


def _document(change: Change, graph: TwinGraph) -> Document | None:
    if change.twin is not None:
        return graph.twin(change.twin.id)
    return graph.relationship(*change.edge.key)


def _came_from(change: Change, document: Document, owner: Owner) -> bool:
    """Tell whether a document is of what was sent; its values may have moved on since."""
    alike = same_kind(document, change.thing)
    return alike and (change.twin is None or owner.owns_twin(document))


async def _total(reader: TwinReader) -> int:
    """Return how many twins and relationships there are."""
    total = 0
    for collection in ("digitaltwins", "relationships"):
        async for row in reader.query(f"SELECT COUNT() FROM {collection}"):  # noqa: S608 - two names
            total += int(row["COUNT"])
    return total
