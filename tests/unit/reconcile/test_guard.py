import pytest

from sync_agent.errors import GuardError
from sync_agent.inventory.owner import Owner
from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.guard import GuardLimits, check_guards
from sync_agent.reconcile.plan import Plan
from sync_agent.twins.twin import Twin

LIMITS = GuardLimits(max_delete_count=5, max_delete_percent=10)


def plan_with(deletes: int, *, managed: int = 1000, records: int = 900) -> Plan:
    changes = tuple(Change(Action.DELETE, twin=Twin(f"T{n}", "dtmi:t;1")) for n in range(deletes))
    return Plan(Owner("inventory"), changes, managed=managed, records=records)


@pytest.mark.parametrize("deletes", [0, 5])
def test_a_plan_within_its_limits_passes(deletes: int) -> None:
    check_guards(plan_with(deletes), LIMITS)


def test_creations_are_never_refused() -> None:
    changes = tuple(Change(Action.CREATE, twin=Twin(f"T{n}", "dtmi:t;1")) for n in range(99))
    check_guards(Plan(Owner("inventory"), changes, records=99), LIMITS)


@pytest.mark.parametrize(
    ("plan", "said", "remedy"),
    [
        (plan_with(6), "6 twins and relationships, more than the 5", "max_delete_count=6"),
        (plan_with(3, managed=20), "3 of 20 .* (15.0 %), more than the 10 %", "max_delete_percent"),
        (plan_with(1, records=0), "gave no record at all", "never taken at its word"),
    ],
)
def test_a_plan_that_could_be_an_accident_is_refused(plan: Plan, said: str, remedy: str) -> None:
    with pytest.raises(GuardError, match=said.replace("(", r"\(").replace(")", r"\)")) as raised:
        check_guards(plan, LIMITS)
    assert remedy in raised.value.remedy


def test_an_empty_source_that_deletes_nothing_is_no_accident() -> None:
    check_guards(plan_with(0, records=0, managed=0), LIMITS)
