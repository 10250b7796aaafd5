"""Which way a plan's creations are made: by single requests, or by one import job of the service.

A job writes without any condition and takes nothing back, so only what is new may go into it, and
it has to save a good part of the time (``WORTH``). What a plan edits or deletes, and the
relationships that have to wait for that, go by requests either way.

Source of the rates: Microsoft's figures for the Jobs API (2023-02), a million twins in about 10
minutes and a million relationships in about 15; of the bounds: "Azure Digital Twins service
limits".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sync_agent.reconcile.change import MODEL_PATH, Action
from sync_agent.reconcile.cost import Rates, seconds_of
from sync_agent.reconcile.plan import Plan
from sync_agent.twins.time import duration

JOB_TWINS_MAX = 2_000_000
JOB_RELATIONSHIPS_MAX = 10_000_000
JOB_TWINS_PER_S = 1_000_000 / 600
JOB_RELATIONSHIPS_PER_S = 1_000_000 / 900
JOB_BASE_S = 60.0
"""What any job takes: the upload, its start, asking every few seconds, looking at what arrived."""
WORTH = 0.5
"""A job is chosen when all takes at most this share of the time it takes by requests alone."""
SETTING = "import_job.container"


class Way(StrEnum):
    """How creations are made; the values are those of a plan's file."""

    OPERATIONS = "operations"
    IMPORT_JOB = "import-job"


@dataclass(frozen=True, slots=True)
class Decision:
    """The way a plan goes, and why.

    ``twins`` and ``relationships`` are how many creations a job could take. The times are of the
    whole plan, by requests alone and with a job; ``import_s`` is None where there can be no job.
    """

    way: Way = Way.OPERATIONS
    reason: str = ""
    twins: int = 0
    relationships: int = 0
    operations_s: float = 0.0
    import_s: float | None = None

    @property
    def would_pay(self) -> bool:
        """Tell whether a job takes so much less time that it is worth it."""
        return self.import_s is not None and self.import_s <= WORTH * self.operations_s


def decide(plan: Plan, rates: Rates, *, storage: bool) -> Decision:
    """Return the way a plan goes at these rates; without ``storage`` there can be no job."""
    numbers = set(importable(plan))
    if not numbers:
        return Decision(operations_s=seconds_of(plan.changes, rates))
    twins = sum(plan.changes[number].twin is not None for number in numbers)
    relationships = len(numbers) - twins
    operations_s = seconds_of(plan.changes, rates)
    slow = f"at least {duration(operations_s)} by single requests"
    if twins > JOB_TWINS_MAX or relationships > JOB_RELATIONSHIPS_MAX:
        most = f"{JOB_TWINS_MAX:,} twins and {JOB_RELATIONSHIPS_MAX:,} relationships"
        reason = f"It takes {slow}; an import job takes no more than {most}."
        return Decision(Way.OPERATIONS, reason, twins, relationships, operations_s)
    rest = [change for number, change in enumerate(plan.changes) if number not in numbers]
    import_s = round(
        seconds_of(rest, rates)
        + JOB_BASE_S
        + twins / JOB_TWINS_PER_S
        + relationships / JOB_RELATIONSHIPS_PER_S,
        3,
    )
    found = Decision(Way.OPERATIONS, "", twins, relationships, operations_s, import_s)
    way, reason = _chosen(found, slow, storage=storage)
    return Decision(way, reason, twins, relationships, operations_s, import_s)


def importable(plan: Plan) -> tuple[int, ...]:
    """Return the numbers of the changes an import job may make before all others.

    Those are creations, but no relationship that takes the place of a deleted one, or whose twins
    get another model first.
    """
    going = {c.element for c in plan.changes if c.action is Action.DELETE}
    remodelled = {
        c.element
        for c in plan.changes
        if c.twin is not None and any(edit.path == MODEL_PATH for edit in c.edits)
    }
    return tuple(_importable(plan, going, remodelled))


def _importable(plan: Plan, going: set[str], remodelled: set[str]) -> Iterator[int]:
    for number, change in enumerate(plan.changes):
        if change.action is not Action.CREATE or change.element in going:
            continue
        if change.twin is not None or remodelled.isdisjoint(change.twins):
            yield number


def _chosen(found: Decision, slow: str, *, storage: bool) -> tuple[Way, str]:
    quick = f"about {duration(found.import_s or 0.0)}"
    if not found.would_pay:
        return Way.OPERATIONS, f"An import job would take {quick}; it takes {slow}."
    if not storage:
        allow = f"set {SETTING} to allow it"
        return Way.OPERATIONS, f"An import job would take {quick}, it takes {slow}; {allow}."
    made = f"{found.twins:,} twins and {found.relationships:,} relationships"
    return Way.IMPORT_JOB, f"An import job makes {made}: {quick} in all, {slow}."
