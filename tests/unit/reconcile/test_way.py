import pytest

from sync_agent.inventory.owner import Owner
from sync_agent.reconcile import way
from sync_agent.reconcile.change import MODEL_PATH, Action, Change, Edit
from sync_agent.reconcile.cost import Rates
from sync_agent.reconcile.plan import Plan, in_order
from sync_agent.reconcile.way import Decision, Way, decide, importable
from sync_agent.twins.twin import Relationship, Twin

RATES = Rates(twin_ops_per_s=10, patches_per_s=1000, create_delete_per_s=500)


def plan(*changes: Change) -> Plan:
    return Plan(Owner("inventory"), in_order(changes))


def twins(count: int) -> list[Change]:
    return [Change(Action.CREATE, twin=Twin(f"T{n}", "m")) for n in range(count)]


def edges(count: int, target: str = "HUB") -> list[Change]:
    return [edge(Action.CREATE, f"T{n}", target) for n in range(count)]


def edge(action: Action, source: str, target: str) -> Change:
    return Change(action, relationship=Relationship("e", source, "in", target))


def test_a_plan_that_creates_nothing_goes_by_requests_without_a_word() -> None:
    edits = Change(Action.UPDATE, twin=Twin("T", "m"), edits=(Edit(("a",), 1, 2),))
    assert decide(plan(edits), RATES, storage=True) == Decision(operations_s=0.001)


def test_a_hub_makes_an_import_job_worth_it() -> None:
    found = decide(plan(*twins(5000), *edges(5000)), RATES, storage=True)
    assert found.way is Way.IMPORT_JOB
    assert (found.twins, found.relationships) == (5000, 5000)
    assert found.operations_s == 500
    assert found.import_s == pytest.approx(60 + 3 + 4.5)
    assert found.reason == (
        "An import job makes 5,000 twins and 5,000 relationships:"
        " about 1 min 8 s in all, at least 8 min 20 s by single requests."
    )


def test_many_spread_elements_make_one_worth_it_too() -> None:
    few = Rates(twin_ops_per_s=10, patches_per_s=1000, create_delete_per_s=10)
    spread = [edge(Action.CREATE, f"T{n}", f"T{n + 1}") for n in range(1_000)]
    assert decide(plan(*twins(1_001), *spread), few, storage=True).way is Way.IMPORT_JOB


def test_what_saves_little_goes_by_requests_since_they_are_conditional() -> None:
    few = Rates(twin_ops_per_s=10, patches_per_s=1000, create_delete_per_s=50)
    found = decide(plan(*twins(5_000)), few, storage=True)
    assert (found.operations_s, found.import_s) == (100, 63)
    assert (found.way, found.would_pay) == (Way.OPERATIONS, False)
    assert found.reason == (
        "An import job would take about 1 min 3 s; it takes at least 1 min 40 s by single requests."
    )


def test_without_storage_the_reason_says_how_to_allow_it() -> None:
    found = decide(plan(*twins(5000), *edges(5000)), RATES, storage=False)
    assert found.way is Way.OPERATIONS
    assert found.would_pay
    assert found.reason.endswith("set import_job.container to allow it.")


def test_more_than_one_job_takes_goes_by_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "JOB_RELATIONSHIPS_MAX", 4_999)
    found = decide(plan(*twins(5000), *edges(5000)), RATES, storage=True)
    assert (found.way, found.import_s) == (Way.OPERATIONS, None)
    assert "an import job takes no more than 2,000,000 twins and 4,999 relationships" in (
        found.reason
    )


def test_what_the_requests_do_besides_counts_for_both_ways() -> None:
    hub = [edge(Action.DELETE, f"X{n}", "OTHER") for n in range(5000)]
    found = decide(plan(*twins(5000), *edges(5000), *hub), RATES, storage=True)
    assert found.operations_s == 500
    assert found.import_s == pytest.approx(500 + 60 + 3 + 4.5)
    assert found.way is Way.OPERATIONS


def test_only_what_nothing_has_to_go_before_may_be_in_a_job() -> None:
    remodelled = Change(Action.UPDATE, twin=Twin("OLD", "m"), edits=(Edit(MODEL_PATH, "m", "n"),))
    edited = Change(Action.UPDATE, twin=Twin("KEPT", "m"), edits=(Edit(("a",), 1, 2),))
    made = plan(
        *twins(2),
        remodelled,
        edited,
        edge(Action.DELETE, "KEPT", "T8"),
        edge(Action.CREATE, "KEPT", "T0"),  # takes the place of the one before
        edge(Action.CREATE, "T0", "OLD"),  # its end gets another model first
        edge(Action.CREATE, "T1", "KEPT"),
    )
    assert [made.changes[number].element for number in importable(made)] == ["T0", "T1", "T1/e"]
