"""The last check of a plan before anything is written: could this be an accident?

Not a question of whether the plan is right, which nobody here can know, but of how much would be
lost if it were wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync_agent.errors import GuardError
from sync_agent.reconcile.plan import Plan


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """The most a plan may delete: so many, and so large a share of what is managed in percent."""

    max_delete_count: int
    max_delete_percent: float


def check_guards(plan: Plan, limits: GuardLimits) -> None:
    """Refuse a plan that deletes too much or rests on an empty source.

    Raises:
        GuardError: it names what is exceeded and how to allow it.
    """
    gone = plan.deletions()
    if not gone:
        return
    if not plan.records:
        raise GuardError(
            f"the source gave no record at all, and the plan would delete {gone} of"
            f" {plan.managed} managed twins and relationships",
            remedy="check the source; an empty one is never taken at its word",
        )
    if gone > limits.max_delete_count:
        raise GuardError(
            f"the plan would delete {gone} twins and relationships,"
            f" more than the {limits.max_delete_count} allowed",
            remedy="check the source; if it is right, allow it once with"
            f" --set inventory.max_delete_count={gone}",
        )
    share = 100 * gone / plan.managed if plan.managed else 100.0
    if share > limits.max_delete_percent:
        raise GuardError(
            f"the plan would delete {gone} of {plan.managed} managed twins and relationships"
            f" ({share:.1f} %), more than the {limits.max_delete_percent:g} % allowed",
            remedy="check the source; if it is right, allow it once with"
            " --set inventory.max_delete_percent=100",
        )
