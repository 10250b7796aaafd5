"""The last check of a plan before anything is written: could this be an accident?

Not a question of whether the plan is right, which nobody here can know, but of how much would be
lost if it were wrong. Creations are not limited: they lose nothing. Limits hold for the whole plan
and, where set, for each model and relationship name by itself, so that the loss of all of a rare
kind does not drown in a large network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sync_agent.errors import GuardError
from sync_agent.reconcile.plan import Plan


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """The most a plan may delete and change: so many, and so large a share of what is managed.

    Percents are of what is managed now; changes are deletions and edits together. The limits of a
    kind hold for every model and relationship name alone. None is no limit.
    """

    max_delete_count: int
    max_delete_percent: float
    max_change_count: int | None = None
    max_change_percent: float = 100.0
    kind_max_delete_count: int | None = None
    kind_max_delete_percent: float = 100.0
    kind_max_change_count: int | None = None
    kind_max_change_percent: float = 100.0
    skip_deletes: bool = False
    """Whether a plan that would delete too much does the rest instead of nothing."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A limit a plan exceeds; ``of_deletions`` when it would not without its deletions.

    ``allow`` is the setting that lets it pass once, "" where nothing does.
    """

    message: str
    allow: str
    of_deletions: bool


def refusals(plan: Plan, limits: GuardLimits) -> tuple[Refusal, ...]:
    """Return every limit the plan exceeds, the gravest first."""
    deletions = plan.deletions_of()
    found = list(_empty(plan, deletions.total()))
    found += _exceeded(plan, deletions, limits, deleting=True)
    found += _exceeded(plan, deletions + plan.edits_of(), limits, deleting=False)
    return tuple(found)


def guarded(plan: Plan, limits: GuardLimits) -> Plan:
    """Return the plan as it may be applied: itself, or without its deletions if they are too many.

    Raises:
        GuardError: it may not be applied; the message names what is exceeded and how to allow it.
    """
    found = refusals(plan, limits)
    if found and limits.skip_deletes and plan.deletions():
        rest = plan.without_deletions(found[0].message)
        if not (left := refusals(rest, limits)):
            return rest
        found = left
    if found:
        raise _error(found)
    return plan


def _error(found: Sequence[Refusal]) -> GuardError:
    """Return the gravest refusal as an error whose remedy allows all there are."""
    if not all(refusal.allow for refusal in found):
        remedy = "check the source; an empty one is never taken at its word"
    else:
        allowed = dict.fromkeys(f"--set {refusal.allow}" for refusal in found)
        remedy = f"check the source; if it is right, allow it once with {' '.join(allowed)}"
    return GuardError(found[0].message, remedy=remedy)


def _empty(plan: Plan, gone: int) -> Iterator[Refusal]:
    if gone and not plan.records:
        yield Refusal(
            f"the source gave no record at all, and the plan would delete {gone} of"
            f" {plan.managed} managed twins and relationships",
            allow="",
            of_deletions=True,
        )


def _exceeded(
    plan: Plan, counted: Counter[str], limits: GuardLimits, *, deleting: bool
) -> Iterator[Refusal]:
    most: tuple[int | None, float]
    if deleting:
        verb, setting = "delete", "inventory.max_delete"
        most = (limits.max_delete_count, limits.max_delete_percent)
        of_kind = (limits.kind_max_delete_count, limits.kind_max_delete_percent)
    else:
        verb, setting = "change or delete", "guards.max_change"
        most = (limits.max_change_count, limits.max_change_percent)
        of_kind = (limits.kind_max_change_count, limits.kind_max_change_percent)
    what = "twins and relationships"
    total = counted.total()
    yield from _over(verb, what, total, plan.managed, most, setting, deleting=deleting)
    kind_setting = "guards.kind_max_delete" if deleting else "guards.kind_max_change"
    for kind, count in sorted(counted.items()):
        there = plan.managed_of.get(kind, 0)
        yield from _over(verb, kind, count, there, of_kind, kind_setting, deleting=deleting)


def _over(
    verb: str,
    what: str,
    count: int,
    there: int,
    most: tuple[int | None, float],
    setting: str,
    *,
    deleting: bool,
) -> Iterator[Refusal]:
    most_count, most_percent = most
    if most_count is not None and count > most_count:
        yield Refusal(
            f"the plan would {verb} {count} {what}, more than the {most_count} allowed",
            f"{setting}_count={count}",
            deleting,
        )
    # Twins that get another model, as placeholders do, may be more than there are of it now.
    share = 100 * count / there if there > count else 100.0
    if count and share > most_percent:
        share_of = (
            f"of {there} managed {what}" if there >= count else f"{what}, {there} managed now"
        )
        yield Refusal(
            f"the plan would {verb} {count} {share_of}"
            f" ({share:.1f} %), more than the {most_percent:g} % allowed",
            f"{setting}_percent=100",
            deleting,
        )
