from sync_agent.inventory.owner import Owner
from sync_agent.reconcile.change import Action, Change, Edit
from sync_agent.reconcile.cost import Cost, Rates, cost_of
from sync_agent.reconcile.plan import Plan
from sync_agent.twins.twin import Relationship, Twin

RATES = Rates(twin_ops_per_s=10, patches_per_s=1000, create_delete_per_s=500)


def plan(*changes: Change) -> Plan:
    return Plan(Owner("inventory"), changes)


def test_nothing_costs_nothing() -> None:
    assert cost_of(plan(), RATES) == Cost()


def test_time_is_what_the_slowest_quota_takes() -> None:
    twins = [Change(Action.CREATE, twin=Twin(f"T{n}", "m")) for n in range(1000)]
    edits = [
        Change(Action.UPDATE, twin=Twin(f"U{n}", "m"), edits=(Edit(("a",), 1, 2),))
        for n in range(500)
    ]
    cost = cost_of(plan(*twins, *edits), RATES)
    assert (cost.operations, cost.billed_operations, cost.seconds) == (1500, 1500, 2.0)


def test_a_hub_with_5000_relationships_takes_eight_minutes() -> None:
    edges = [
        Change(Action.CREATE, relationship=Relationship(f"e{n}", f"T{n}", "in", "HUB"))
        for n in range(5000)
    ]
    cost = cost_of(plan(*edges), RATES)
    assert (cost.busiest, cost.busiest_operations) == ("HUB", 5000)
    assert cost.seconds == 500


def test_operations_are_billed_by_the_kilobyte() -> None:
    large = Change(Action.CREATE, twin=Twin("T", "m", {"text": "ä" * 1500}))
    assert cost_of(plan(large), RATES).billed_operations == 3
