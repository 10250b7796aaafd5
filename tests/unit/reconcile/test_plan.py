import json

import pytest

from sync_agent.errors import InputError
from sync_agent.inventory.desired import DesiredGraph
from sync_agent.inventory.record import Coverage
from sync_agent.reconcile.change import Action
from sync_agent.reconcile.plan import Plan, make_plan, phases
from sync_agent.twins.graph import TwinGraph
from tests.small_network import MAPPING, ROUTERS, SITES, mapped, records
from tests.unit.reconcile.test_diff import as_documents, changed

WHOLE = tuple(Coverage(scope, True) for scope in ("sites.csv", "routers.csv", "links.csv"))


def plan_of(
    desired: DesiredGraph, graph: TwinGraph, coverage: tuple[Coverage, ...] = WHOLE
) -> Plan:
    return make_plan(desired, graph, coverage, records=6, digest="d")


def test_twins_are_made_before_edges_and_deleted_after_them() -> None:
    graph = as_documents(mapped().desired)
    new = records(sites=[*SITES, {**SITES[0], "id": "S3"}], links=[])
    plan = plan_of(mapped(new).desired, changed(graph, "S1", label="x"))
    assert [(c.action, c.element) for c in plan.changes] == [
        (Action.CREATE, "S3"),
        (Action.UPDATE, "S1"),
        (Action.DELETE, "L1/inventory.aEnd.R1"),
        (Action.DELETE, "L1/inventory.zEnd.R2"),
        (Action.DELETE, "L1"),
    ]
    assert plan.counts() == {Action.CREATE: 1, Action.UPDATE: 1, Action.DELETE: 3}
    assert plan.managed == 9
    assert [len(phase) for phase in phases(plan.changes)] == [1, 1, 2, 1]


def test_nothing_is_deleted_where_a_scope_was_not_read_whole() -> None:
    graph = as_documents(mapped().desired)
    coverage = (*WHOLE[:2], Coverage("links.csv", False, "links.csv:7 is not UTF-8 text"))
    plan = plan_of(mapped(records(links=[])).desired, graph, coverage)
    assert plan.changes == ()
    who = "L1, L1/inventory.aEnd.R1, L1/inventory.zEnd.R2"
    why = "links.csv was not read whole (links.csv:7 is not UTF-8 text)"
    assert plan.warnings == (f"{who} not deleted: {why}",)


def test_a_scope_that_was_not_read_at_all_is_not_whole() -> None:
    graph = as_documents(mapped().desired)
    plan = plan_of(mapped(records(links=[])).desired, graph, WHOLE[:2])
    assert plan.changes == ()
    assert "links.csv was not read whole (not read)" in plan.warnings[0]


def test_one_statement_of_a_gap_outweighs_others_of_completeness() -> None:
    graph = as_documents(mapped().desired)
    coverage = (*WHOLE, Coverage("links.csv", False, "a record has no id"))
    assert plan_of(mapped(records(links=[])).desired, graph, coverage).changes == ()


def test_nothing_is_deleted_that_no_rule_speaks_of_any_more() -> None:
    graph = as_documents(mapped().desired)
    fewer = MAPPING[: MAPPING.index('[[twin]]\nfrom = "links.csv"')]
    plan = plan_of(mapped(mapping=fewer).desired, graph, WHOLE[:2])
    assert plan.changes == ()
    assert any("no rule of the mapping speaks of dtmi:test:Link;1" in w for w in plan.warnings)


def test_a_twin_that_others_hold_on_to_is_not_deleted() -> None:
    graph = as_documents(mapped().desired)
    graph.put_twin({"$dtId": "X", "$metadata": {"$model": "dtmi:test:Site;1"}})
    graph.put_relationship(
        {
            "$relationshipId": "theirs",
            "$sourceId": "X",
            "$relationshipName": "dependsOn",
            "$targetId": "L1",
        }
    )
    plan = plan_of(mapped(records(links=[])).desired, graph)
    assert [c.element for c in plan.changes] == ["L1/inventory.aEnd.R1", "L1/inventory.zEnd.R2"]
    assert "L1 not deleted: relationships that stay hold on" in plan.warnings


def test_an_edge_that_moves_is_no_deletion() -> None:
    graph = as_documents(mapped().desired)
    moved = mapped(records(routers=[{**ROUTERS[0], "site": "S2"}, ROUTERS[1]])).desired
    plan = plan_of(moved, graph)
    assert plan.counts()[Action.DELETE] == 1
    assert plan.deletions() == 0


def test_what_goes_for_good_is_counted_with_its_edges() -> None:
    graph = as_documents(mapped().desired)
    assert plan_of(mapped(records(links=[])).desired, graph).deletions() == 3


def test_a_twin_of_someone_else_is_a_warning_that_says_how_to_hand_it_over() -> None:
    graph = TwinGraph([{"$dtId": "S1", "$metadata": {"$model": "dtmi:test:Site;1"}}])
    (warning,) = plan_of(mapped().desired, graph).warnings
    assert warning.startswith("S1: a twin of that id is there and is not ours")
    assert "set its tags.managedBy to 'inventory'" in warning


def test_an_observed_value_that_differs_is_a_warning() -> None:
    text = MAPPING.replace(
        'columns = ["label", "latitude", "floors"]',
        '[twin.properties]\nlabel = { column = "label", own = "observed" }',
    )
    desired = mapped(mapping=text).desired
    plan = plan_of(desired, changed(as_documents(desired), "S1", label="by hand"))
    assert "S1.label is 'by hand', the inventory has 'North' (observed)" in plan.warnings
    assert plan.changes == ()


def test_held_elements_are_counted_in_a_warning() -> None:
    desired = mapped(records(sites=[*SITES, SITES[0]])).desired
    plan = plan_of(desired, TwinGraph())
    assert "1 element(s) with faulty input are left as they are" in plan.warnings


def test_a_plan_survives_being_written_down() -> None:
    graph = changed(as_documents(mapped().desired), "S1", label="x", latitude=None)
    plan = plan_of(mapped(records(links=[])).desired, graph)
    assert plan.changes
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_what_is_no_plan_is_refused() -> None:
    with pytest.raises(InputError, match="this is no plan"):
        Plan.from_json({"changes": 3})


def test_an_edge_that_keeps_its_id_moves_even_if_its_scope_was_not_read_whole() -> None:
    text = MAPPING.replace('target = "{site}"', 'target = "{site}"\nid = "home"')
    graph = as_documents(mapped(mapping=text).desired)
    moved = mapped(records(routers=[{**ROUTERS[0], "site": "S2"}, ROUTERS[1]]), text).desired
    plan = plan_of(moved, graph, ())
    assert [c.action for c in plan.changes] == [Action.DELETE, Action.CREATE]
