from dataclasses import replace
from typing import Any

import pytest

from sync_agent.errors import GuardError
from sync_agent.inventory.owner import Owner
from sync_agent.reconcile.change import Action, Change, Edit
from sync_agent.reconcile.guard import GuardLimits, guarded, refusals
from sync_agent.reconcile.plan import Plan
from sync_agent.twins.twin import Twin

LIMITS = GuardLimits(max_delete_count=5, max_delete_percent=10)


def plan_with(deletes: int, *, managed: int = 1000, records: int = 900) -> Plan:
    changes = tuple(Change(Action.DELETE, twin=Twin(f"T{n}", "dtmi:t;1")) for n in range(deletes))
    return Plan(Owner("inventory"), changes, managed=managed, records=records)


@pytest.mark.parametrize("deletes", [0, 5])
def test_a_plan_within_its_limits_passes(deletes: int) -> None:
    guarded(plan_with(deletes), LIMITS)


def test_creations_are_never_refused() -> None:
    changes = tuple(Change(Action.CREATE, twin=Twin(f"T{n}", "dtmi:t;1")) for n in range(99))
    guarded(Plan(Owner("inventory"), changes, records=99), LIMITS)


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
        guarded(plan, LIMITS)
    assert remedy in raised.value.remedy


def test_one_remedy_allows_all_limits_that_are_exceeded() -> None:
    with pytest.raises(GuardError) as raised:
        guarded(plan_with(6, managed=20), LIMITS)
    settings = "--set inventory.max_delete_count=6 --set inventory.max_delete_percent=100"
    assert raised.value.remedy.endswith(f"allow it once with {settings}")


def test_an_empty_source_that_deletes_nothing_is_no_accident() -> None:
    guarded(plan_with(0, records=0, managed=0), LIMITS)


def mixed(deletes: int, edits: int) -> Plan:
    changes = [Change(Action.DELETE, twin=Twin(f"T{n}", "dtmi:t;1")) for n in range(deletes)]
    changes += [
        Change(Action.UPDATE, twin=Twin(f"U{n}", "dtmi:u;1"), edits=(Edit(("a",), 1, 2),))
        for n in range(edits)
    ]
    kinds = {"dtmi:t;1": 10, "dtmi:u;1": 990}
    return Plan(Owner("inventory"), tuple(changes), managed=1000, records=9, managed_of=kinds)


@pytest.mark.parametrize(
    ("limits", "said", "remedy"),
    [
        ({"max_change_count": 39}, "change or delete 40", "guards.max_change_count=40"),
        ({"max_change_percent": 3}, r"\(4.0 %\)", "guards.max_change_percent=100"),
        (
            {"kind_max_delete_percent": 30},
            r"delete 4 of 10 managed dtmi:t;1 \(40.0 %\)",
            "guards.kind_max_delete_percent=100",
        ),
        ({"kind_max_delete_count": 3}, "4 dtmi:t;1", "guards.kind_max_delete_count=4"),
        ({"kind_max_change_count": 35}, "36 dtmi:u;1", "guards.kind_max_change_count=36"),
        (
            {"kind_max_change_percent": 20},
            r"4 of 10 managed dtmi:t;1",
            "guards.kind_max_change_percent=100",
        ),
    ],
)
def test_changes_and_kinds_have_limits_of_their_own(
    limits: dict[str, Any], said: str, remedy: str
) -> None:
    guarded(mixed(4, 36), LIMITS)
    with pytest.raises(GuardError, match=said) as raised:
        guarded(mixed(4, 36), replace(LIMITS, **limits))
    assert raised.value.remedy.endswith(remedy)


def test_a_share_of_all_allows_more_twins_of_a_model_than_there_were_before() -> None:
    """As placeholders are, when their records come: then they have another model."""
    changes = tuple(
        Change(Action.UPDATE, twin=Twin(f"U{n}", "dtmi:u;1"), edits=(Edit(("a",), 1, 2),))
        for n in range(5)
    )
    plan = Plan(Owner("inventory"), changes, managed=100, records=9, managed_of={"dtmi:u;1": 2})
    guarded(plan, LIMITS)
    with pytest.raises(GuardError, match=r"change or delete 5 dtmi:u;1, 2 managed now \(100.0 %\)"):
        guarded(plan, replace(LIMITS, kind_max_change_percent=99))


def test_too_many_deletions_are_left_out_and_the_rest_is_done_if_asked_for() -> None:
    limits = replace(LIMITS, skip_deletes=True)
    plan = guarded(mixed(6, 36), limits)
    assert {c.action for c in plan.changes} == {Action.UPDATE}
    assert plan.warnings[0].startswith("6 deletions left out: the plan would delete 6")
    assert guarded(mixed(4, 36), limits) == mixed(4, 36)


def test_too_many_changes_are_refused_even_without_the_deletions() -> None:
    limits = replace(LIMITS, skip_deletes=True, max_change_count=10)
    with pytest.raises(GuardError, match="change or delete 36"):
        guarded(mixed(6, 36), limits)


def test_everything_that_is_exceeded_is_listed() -> None:
    limits = replace(LIMITS, max_change_count=1, kind_max_delete_count=1)
    assert len(refusals(mixed(6, 36), limits)) == 3
