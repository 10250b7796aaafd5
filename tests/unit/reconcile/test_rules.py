from __future__ import annotations

from typing import Any

from sync_agent.reconcile.change import Action, Edit
from sync_agent.reconcile.plan import Plan, make_plan
from sync_agent.reconcile.rules import WHOLE, Accepted, PlanRules
from sync_agent.twins.graph import TwinGraph
from tests.small_network import LINK, ROUTERS, SITES, mapped, records
from tests.unit.reconcile.test_diff import as_documents, changed
from tests.unit.reconcile.test_plan import WHOLE as COVERAGE

DAY_MS = 86_400_000
GONE = "L1", "L1/inventory.aEnd.R1", "L1/inventory.zEnd.R2"


def plan_of(rules: PlanRules, graph: TwinGraph | None = None, **rows: Any) -> Plan:
    before = as_documents(mapped().desired) if graph is None else graph
    return make_plan(mapped(records(**rows)).desired, before, COVERAGE, records=6, rules=rules)


def test_an_element_that_is_gone_waits_out_its_grace_from_its_own_time_on() -> None:
    first = plan_of(PlanRules(now_ms=DAY_MS, grace_ms=DAY_MS), links=[])
    assert first.changes == ()
    assert first.absent == GONE
    assert "to be deleted from 1970-01-03T00:00:00Z on" in first.warnings[0]
    since = dict.fromkeys(GONE, DAY_MS)
    early = PlanRules(now_ms=2 * DAY_MS - 1, grace_ms=DAY_MS, absent_since=since)
    assert plan_of(early, links=[]).changes == ()
    due = PlanRules(now_ms=2 * DAY_MS, grace_ms=DAY_MS, absent_since=since)
    assert sorted(c.element for c in plan_of(due, links=[]).changes) == sorted(GONE)


def test_an_edit_of_the_twin_does_not_restart_its_grace() -> None:
    graph = changed(as_documents(mapped().desired), "L1", label="touched", **{"$etag": "new"})
    since = dict.fromkeys(GONE, 0)
    rules = PlanRules(now_ms=DAY_MS, grace_ms=DAY_MS, absent_since=since)
    assert len(plan_of(rules, graph, links=[]).changes) == 3


def test_an_edge_that_moves_does_not_wait() -> None:
    routers = [{**ROUTERS[0], "site": "S2"}, ROUTERS[1]]
    plan = plan_of(PlanRules(grace_ms=DAY_MS), routers=routers)
    assert [c.action for c in plan.changes] == [Action.DELETE, Action.CREATE]
    assert plan.absent == ()
    assert plan.deletions() == 0


def test_a_model_that_is_never_deleted_stays_with_a_warning() -> None:
    for name in (LINK, LINK.partition(";")[0]):
        plan = plan_of(PlanRules(never_delete=frozenset({name})), links=[])
        assert plan.changes == ()  # its relationships stay, too
        assert "L1 left as is: its model is never deleted (guards.never_delete)" in plan.warnings


def test_a_paused_twin_is_left_as_it_is_with_its_own_relationships() -> None:
    graph = as_documents(mapped().desired)
    tags = {"managedBy": "inventory", "syncPaused": "true"}
    graph = changed(changed(graph, "L1", tags=tags), "S1", label="x", tags=tags)
    plan = plan_of(PlanRules(), graph, links=[])
    assert plan.changes == ()
    assert "paused by tags.syncPaused" in plan.warnings[0]
    tags = {**tags, "syncPaused": "false"}
    graph = changed(changed(graph, "L1", tags=tags), "S1", tags=tags)
    assert len(plan_of(PlanRules(), graph, links=[]).changes) == 4


def test_an_accepted_difference_stays_until_the_inventory_says_something_new() -> None:
    graph = changed(as_documents(mapped().desired), "S1", label="by hand")
    rules = PlanRules(accepted={"S1": {("label",): Accepted("by hand", "North")}})
    assert plan_of(rules, graph).changes == ()
    news = plan_of(rules, graph, sites=[{**SITES[0], "label": "Far north"}, SITES[1]])
    assert news.changes[0].edits == (Edit(("label",), "by hand", "Far north"),)
    graph = changed(graph, "S1", label="by another hand")
    assert plan_of(rules, graph).changes[0].edits[0].before == "by another hand"


def test_what_else_differs_on_a_twin_with_an_accepted_difference_is_edited() -> None:
    graph = changed(as_documents(mapped().desired), "S1", label="by hand", latitude=1)
    rules = PlanRules(accepted={"S1": {("label",): Accepted("by hand", "North")}})
    assert [e.name for e in plan_of(rules, graph).changes[0].edits] == ["latitude"]


def test_an_accepted_deletion_is_not_made_up_for() -> None:
    graph = as_documents(mapped().desired)
    graph.remove_relationship("L1", "inventory.zEnd.R2")
    rules = PlanRules(accepted={"L1/inventory.zEnd.R2": {WHOLE: Accepted(None, None)}})
    assert plan_of(rules, graph).changes == ()
