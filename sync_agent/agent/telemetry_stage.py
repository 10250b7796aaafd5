"""From events to twins: decode, bind, coalesce, write, observe, and only then move on.

One stage serves every partition; a partition's batches come one after another. The order inside a
batch is fixed: (1) decode and find the twins, (2) coalesce to one patch per twin, (3) patch the
twins, (4) feed the health windows and commit position, counts, windows and dead letters in one
transaction. A process killed before (4) reads the batch again and finds that the twins hold it
already; killed after, it goes on behind it. So nothing is lost and nothing counted twice.

Every sample (a row of telemetry) ends in exactly one count: applied, coalesced, missing or
dead-lettered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from sync_agent.agent.directory import Entry, TwinDirectory
from sync_agent.agent.health_board import HealthBoard
from sync_agent.agent.outcomes import BatchOutcome, DeadLetter, Position
from sync_agent.agent.state import StateStore
from sync_agent.errors import ServiceError
from sync_agent.ports.events import Event
from sync_agent.ports.twin_store import TwinWriter
from sync_agent.runs.bounded import each
from sync_agent.telemetry.binding import Binder, Bound
from sync_agent.telemetry.coalesce import TwinUpdate, coalesce
from sync_agent.telemetry.decode import DecodeError, decode
from sync_agent.telemetry.sample import Sample
from sync_agent.telemetry.tally import Tally
from sync_agent.twins.twin import JsonValue

UNKNOWN_NOTED_MAX = 1_000

_log = structlog.get_logger("sync_agent")


@dataclass(frozen=True, slots=True)
class _Row:
    """A sample with the event it came in."""

    sample: Sample
    event: Event


@dataclass(slots=True)
class _Batch:
    """One batch on its way: what was understood, and what could not be used."""

    partition: str
    rows: list[_Row] = field(default_factory=list)
    bound: list[Bound] = field(default_factory=list)  # in step with ``rows``
    letters: list[DeadLetter] = field(default_factory=list)
    missing: int = 0
    watermark_ms: int = 0

    def refuse(self, event: Event, element: str, reason: str, now_ms: int) -> None:
        self.letters.append(
            DeadLetter(self.partition, event.sequence_number, element, reason, event.body, now_ms)
        )


class TelemetryStage:
    """Handles the batches of all partitions; ``handle`` is what a receiver calls."""

    def __init__(
        self,
        *,
        writer: TwinWriter,
        directory: TwinDirectory,
        binder: Binder,
        read_models: Callable[[], Awaitable[None]],
        board: HealthBoard,
        state: StateStore,
        now_ms: Callable[[], int],
        at_once: int,
    ) -> None:
        """Compose; ``read_models`` looks for new models and ends in ``use`` when there are any."""
        self._writer = writer
        self._directory = directory
        self._binder = binder
        self._read_models = read_models
        self._board = board
        self._state = state
        self._now_ms = now_ms
        self._at_once = at_once
        self._unknown_models: set[str] = set()
        self._unknown: set[tuple[str, str]] = set()
        self._watermarks = {p: at.watermark_ms for p, at in state.positions().items()}

    def use(self, binder: Binder) -> None:
        """Bind with another set of models from now on."""
        self._binder = binder
        self._unknown_models.clear()

    async def handle(self, partition: str, events: Sequence[Event]) -> Tally:
        """Take one batch of a partition all the way; return what became of its rows.

        Raises:
            ServiceError: twins could not be read or written; the position has not moved.
            StoreError: the outcome could not be stored; the position has not moved.
        """
        batch = _Batch(partition, watermark_ms=self._watermarks.get(partition, 0))
        self._decode(batch, events)
        entries = await self._find(batch.rows)
        self._bind(batch, entries)
        applied = await self._write(batch, entries)
        for bound in batch.bound:
            entry = entries[bound.element]
            if entry is not None and bound.readings:
                self._board.observe(
                    bound.element,
                    entry.model,
                    partition,
                    entry.attributes,
                    bound.readings,
                    bound.time_ms,
                )
        return self._commit(batch, events[-1], applied)

    def watermark_ms(self, partition: str) -> int:
        """Return the newest event time seen in a partition."""
        return self._watermarks.get(partition, 0)

    def _decode(self, batch: _Batch, events: Iterable[Event]) -> None:
        for event in events:
            try:
                decoded = decode(event.body)
            except DecodeError as error:
                batch.refuse(event, "", error.message, self._now_ms())
                continue
            batch.rows += [_Row(sample, event) for sample in decoded.samples]
            for reject in decoded.rejects:
                reason = f"sample {reject.index}: {reject.reason}"
                batch.refuse(event, reject.element, reason, self._now_ms())

    async def _find(self, rows: Sequence[_Row]) -> dict[str, Entry | None]:
        """Return the rows' twins; a model nobody here knows yet makes us read the models again."""
        entries = await self._directory.find(row.sample.element for row in rows)
        unknown = {e.model for e in entries.values() if e and not self._binder.knows(e.model)}
        if not unknown <= self._unknown_models:
            await self._read_models()
            self._unknown_models |= {model for model in unknown if not self._binder.knows(model)}
        return entries

    def _bind(self, batch: _Batch, entries: Mapping[str, Entry | None]) -> None:
        usable: list[_Row] = []
        for row in batch.rows:
            sample = row.sample
            entry = entries[sample.element]
            if entry is None:
                reason = f"there is no twin {sample.element!r}"
                batch.refuse(row.event, sample.element, reason, self._now_ms())
                continue
            batch.watermark_ms = max(batch.watermark_ms, sample.time_ms)
            bound = self._binder.bind(sample, entry.model)
            self._note_unknown(entry.model, bound.unknown)
            if bound.invalid:
                # All or nothing: a row with one refused value is kept whole, with the reason.
                reason = "; ".join(bound.invalid)
                batch.refuse(row.event, sample.element, reason, self._now_ms())
            elif bound.readings:
                usable.append(row)
                batch.bound.append(bound)
            elif bound.missing:
                batch.missing += 1
            else:
                metrics = ", ".join(bound.unknown) or "nothing"
                reason = f"model {entry.model} has no property or binding for {metrics}"
                batch.refuse(row.event, sample.element, reason, self._now_ms())
        batch.rows = usable

    def _note_unknown(self, model: str, metrics: Iterable[str]) -> None:
        for metric in metrics:
            if (model, metric) not in self._unknown and len(self._unknown) < UNKNOWN_NOTED_MAX:
                self._unknown.add((model, metric))
                _log.warning("metric ignored: no property or binding", model=model, metric=metric)

    async def _write(self, batch: _Batch, entries: dict[str, Entry | None]) -> int:
        """Patch the twins; return how many rows stand on them. Refused rows leave the batch.

        A twin that went to another model meanwhile (a migration) is read, bound and written again.
        """
        models = {element: entry.model for element, entry in entries.items() if entry is not None}
        applied, refused = await self._patch(batch, entries)
        if not refused:
            return applied
        refused_rows = self._take(batch, refused)
        fresh = await self._find(refused_rows)
        again = _Batch(batch.partition, watermark_ms=batch.watermark_ms)
        for row in refused_rows:
            entry = fresh[row.sample.element]
            if entry is not None and entry.model != models[row.sample.element]:
                again.rows.append(row)
            else:
                reason = refused[row.sample.element]
                batch.refuse(row.event, row.sample.element, reason, self._now_ms())
        self._bind(again, fresh)
        more, refused = await self._patch(again, fresh)
        for row in self._take(again, refused):
            element = row.sample.element
            batch.refuse(row.event, element, refused[element], self._now_ms())
        entries |= fresh
        batch.rows += again.rows
        batch.bound += again.bound
        batch.letters += again.letters
        batch.missing += again.missing
        return applied + more

    async def _patch(
        self, batch: _Batch, entries: Mapping[str, Entry | None]
    ) -> tuple[int, dict[str, str]]:
        """Patch the twins; return how many rows stand on them, and which twins refused, and why."""
        known = {e: entry.readings for e, entry in entries.items() if entry is not None}
        coalesced = coalesce(batch.bound, known)
        refused: dict[str, str] = {}

        async def write(update: TwinUpdate) -> None:
            try:
                await self._writer.patch_twin(update.element, update.patch())
            except ServiceError as error:
                # 404: the twin was deleted meanwhile; 400: its model no longer allows the value.
                if error.retryable or error.status not in (400, 404):
                    raise
                refused[update.element] = error.message
                self._directory.forget([update.element])
                return
            entry = entries[update.element]
            if entry is not None:
                entry.note(update.values)

        await each(coalesced.updates, write, at_once=self._at_once)
        rows = zip(batch.bound, range(len(batch.bound)), strict=True)
        applied = sum(
            number in coalesced.applied and bound.element not in refused for bound, number in rows
        )
        return applied, refused

    @staticmethod
    def _take(batch: _Batch, elements: Collection[str]) -> list[_Row]:
        """Take the rows of some elements out of a batch."""
        taken, rows, kept = [], [], []
        for row, bound in zip(batch.rows, batch.bound, strict=True):
            if bound.element in elements:
                taken.append(row)
            else:
                rows.append(row)
                kept.append(bound)
        batch.rows, batch.bound = rows, kept
        return taken

    def _commit(self, batch: _Batch, last: Event, applied: int) -> Tally:
        coalesced = len(batch.bound) - applied
        dead = len(batch.letters)
        tally = Tally(
            applied + coalesced + batch.missing + dead, applied, coalesced, batch.missing, dead
        )
        changes = self._board.take()
        self._state.commit(
            BatchOutcome(
                batch.partition,
                Position(last.sequence_number, batch.watermark_ms),
                tally,
                changes.records,
                changes.transitions,
                batch.letters,
            )
        )
        self._watermarks[batch.partition] = batch.watermark_ms
        return tally

    def pass_silence(self) -> None:
        """Let time pass for elements that fell silent, in each partition up to its newest event."""
        for partition, watermark_ms in self._watermarks.items():
            self._board.pass_silence(partition, watermark_ms, self._attributes)
        self._keep()

    def pass_idle(self, partition: str) -> None:
        """Close a partition's open windows: nothing came for so long that they are whole."""
        up_to_ms = self.watermark_ms(partition)
        self._board.pass_time(partition, up_to_ms, self._attributes)
        self._keep()

    def _keep(self) -> None:
        changes = self._board.take()
        if changes:
            self._state.commit_health(changes.records, changes.transitions)

    def _attributes(self, element: str) -> Mapping[str, JsonValue]:
        return self._directory.attributes(element)
