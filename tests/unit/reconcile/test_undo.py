from __future__ import annotations

from typing import Any

from sync_agent.inventory.owner import Owner
from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.plan import make_plan
from sync_agent.reconcile.undo import Undo, undo_plan
from sync_agent.twins.graph import TwinGraph
from tests.small_network import ROUTERS, SITES, mapped, records
from tests.unit.reconcile.test_diff import as_documents, changed
from tests.unit.reconcile.test_plan import WHOLE

OWNER = Owner("inventory")


def a_run(**rows: Any) -> tuple[tuple[Change, ...], TwinGraph]:
    """Return the changes a run made, and the graph after it."""
    desired = mapped(records(**rows)).desired
    plan = make_plan(desired, as_documents(mapped().desired), WHOLE, records=6)
    return plan.changes, as_documents(desired)


def back(changes: tuple[Change, ...], now: TwinGraph) -> Undo:
    return undo_plan(OWNER, changes, now)


def shape(undo: Undo) -> list[tuple[str, str]]:
    return [(change.action.value, change.element) for change in undo.plan.changes]


def test_an_edit_is_taken_back() -> None:
    undo = back(*a_run(sites=[{**SITES[0], "label": "Far north", "floors": ""}, SITES[1]]))
    (change,) = undo.plan.changes
    assert {e.name: (e.before, e.after) for e in change.edits} == {
        "label": ("Far north", "North"),
        "floors": (None, 3),
    }


def test_what_was_made_is_deleted_edges_first_and_what_was_deleted_is_made() -> None:
    sites = [*SITES, {**SITES[0], "id": "S3"}]
    routers = [{**ROUTERS[0], "site": "S3"}, ROUTERS[1]]
    undo = back(*a_run(sites=sites, routers=routers, links=[]))
    assert undo.left == ()
    assert shape(undo) == [
        ("+", "L1"),
        ("-", "R1/inventory.locatedIn.S3"),
        ("+", "R1/inventory.locatedIn.S1"),
        ("+", "L1/inventory.zEnd.R2"),
        ("+", "L1/inventory.aEnd.R1"),
        ("-", "S3"),
    ]


def test_a_deleted_twin_comes_back_with_every_value_it_had() -> None:
    graph = changed(as_documents(mapped().desired), "L1", levelDbm=-40.5)
    plan = make_plan(mapped(records(links=[])).desired, graph, WHOLE, records=6)
    undo = back(plan.changes, as_documents(mapped(records(links=[])).desired))
    twin = undo.plan.changes[0].twin
    assert twin is not None
    assert twin.properties["levelDbm"] == -40.5
    assert twin.properties["health"] == {"$metadata": {}}
    assert "$etag" not in twin.properties


def test_what_somebody_changed_since_is_named_and_left() -> None:
    made, now = a_run(sites=[{**SITES[0], "label": "x"}, {**SITES[1], "label": "y"}])
    undo = back(made, changed(now, "S1", label="by hand", latitude=1))
    assert [(s.element, s.reason) for s in undo.left] == [("S1", "label was changed")]
    assert shape(undo) == [("~", "S2")]


def test_what_was_not_made_or_is_undone_already_needs_nothing() -> None:
    made, _ = a_run(sites=[{**SITES[0], "label": "x"}, *SITES[1:], {**SITES[0], "id": "S3"}])
    undo = back(made, as_documents(mapped().desired))
    assert (undo.plan.changes, undo.left) == ((), ())


def test_a_twin_that_is_used_by_now_is_not_deleted() -> None:
    made, now = a_run(sites=[*SITES, {**SITES[0], "id": "S3"}])
    edge = {"$relationshipId": "x", "$sourceId": "R1", "$relationshipName": "locatedIn"}
    now.put_relationship({**edge, "$targetId": "S3", "$etag": "e"})
    undo = back(made, now)
    assert undo.plan.changes == ()
    assert [(s.element, s.reason) for s in undo.left] == [("S3", "R1/x leads from or to it by now")]


def test_a_twin_that_has_got_other_values_by_now_is_not_deleted() -> None:
    made, now = a_run(sites=[*SITES, {**SITES[0], "id": "S3"}])
    tags = {"managedBy": "inventory", "note": "keep me"}
    assert [s.reason for s in back(made, changed(now, "S3", tags=tags)).left] == [
        "it has got tags.note since"
    ]


def test_an_edge_is_not_made_again_where_its_end_is_gone_or_its_id_is_taken() -> None:
    made, now = a_run(routers=[{**ROUTERS[0], "site": "S2"}, ROUTERS[1]])
    theirs = {"$relationshipId": "inventory.locatedIn.S1", "$relationshipName": "dependsOn"}
    now.put_relationship({**theirs, "$sourceId": "R1", "$targetId": "R2", "$etag": "e"})
    undo = back(made, now)
    assert [s.reason for s in undo.left] == ["somebody made one of that id since"]
    now.remove_relationship("R1", "inventory.locatedIn.S1")
    now.remove_twin("S1")
    assert [s.reason for s in back(made, now).left] == ["there is no S1 any more"]


def test_undoing_an_undo_is_what_the_run_did() -> None:
    made, now = a_run(sites=[{**SITES[0], "label": "x"}, SITES[1]])
    undone = back(made, now).plan
    again = back(undone.changes, as_documents(mapped().desired)).plan
    assert again.changes[0].edits == made[0].edits
    assert again.changes[0].action is Action.UPDATE
