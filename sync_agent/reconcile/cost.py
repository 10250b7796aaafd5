"""What a plan costs: operations, what they are billed as, query units, and the least time it takes.

Time is a lower bound at the quotas: the slowest of the instance's creations and deletions, its
patches, and the writes of the busiest twin, which the service limits to a few a second with those
of its relationships. Query units are an estimate from recorded charges.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sync_agent.query.charge import charge_of_reading
from sync_agent.reconcile.change import Action, Change, patch_of
from sync_agent.reconcile.plan import Plan
from sync_agent.twins.twin import JsonValue

BILLED_BYTES = 1024
"""Operations are billed in increments of this many bytes."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What the service allows a second: writes to one twin, patches, creations with deletions."""

    twin_ops_per_s: float
    patches_per_s: float
    create_delete_per_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What it takes to make a plan's changes.

    ``operations`` are requests that write, ``billed_operations`` the same in increments of 1 KB.
    ``query_units`` are those of reading the twins once more before the first write. ``busiest`` is
    the twin with most writes, its relationships included.
    """

    operations: int = 0
    billed_operations: int = 0
    query_units: float = 0.0
    seconds: float = 0.0
    busiest: str = ""
    busiest_operations: int = 0


def cost_of(plan: Plan, rates: Rates) -> Cost:
    """Return what applying a plan costs at these rates."""
    if not plan.changes:
        return Cost()
    per_twin = _writes(plan.changes)
    busiest, writes = min(per_twin.items(), key=lambda item: (-item[1], item[0]))
    return Cost(
        operations=len(plan.changes),
        billed_operations=sum(-(-_bytes(change) // BILLED_BYTES) for change in plan.changes),
        query_units=round(charge_of_reading(len(per_twin)), 1),
        seconds=seconds_of(plan.changes, rates),
        busiest=busiest,
        busiest_operations=writes,
    )


def seconds_of(changes: Sequence[Change], rates: Rates) -> float:
    """Return the least time that making changes one by one takes at these rates."""
    patches = sum(change.action is Action.UPDATE for change in changes)
    writes = max(_writes(changes).values(), default=0)
    seconds = max(
        (len(changes) - patches) / rates.create_delete_per_s,
        patches / rates.patches_per_s,
        writes / rates.twin_ops_per_s if writes > rates.twin_ops_per_s else 0.0,
    )
    return round(seconds, 3)


def _writes(changes: Sequence[Change]) -> Counter[str]:
    """Return how many writes there are to each twin, its relationships included."""
    return Counter(twin for change in changes for twin in set(change.twins))


def _bytes(change: Change) -> int:
    """Return the size of a change's request body, at least one byte."""
    return max(len(json.dumps(_body(change), ensure_ascii=False).encode()), 1)


def _body(change: Change) -> JsonValue | Sequence[JsonValue]:
    if change.action is Action.DELETE:
        return {}
    if change.action is Action.UPDATE:
        return patch_of(change.edits)
    return (change.twin or change.edge).to_document()
