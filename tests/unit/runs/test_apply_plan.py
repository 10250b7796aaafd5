from dataclasses import replace

import pytest
from msgspec import structs

from sync_agent.errors import (
    ServiceError,
    UnauthorizedError,
    UnreachableError,
)
from sync_agent.inventory.mapping import MappedGraph
from sync_agent.inventory.record import Coverage
from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.plan import Plan, make_plan
from sync_agent.runs import apply_change as module
from sync_agent.runs.apply_change import OnConflict
from sync_agent.runs.apply_plan import apply_plan
from sync_agent.runs.observe import observe
from sync_agent.twins.twin import Relationship
from tests.memory_service import MemoryService
from tests.small_network import LINKS, MODELS, ROUTERS, SITES, mapped, records

WHOLE = [Coverage(scope, True) for scope in ("sites.csv", "routers.csv", "links.csv")]
RENAMED = [{**SITES[0], "label": "Far north"}, SITES[1]]
HEALTH = [{"op": "add", "path": "/health/score", "value": 50}]


async def plan_for(twins: MemoryService, wanted: MappedGraph) -> Plan:
    observed = await observe(twins, wanted.desired)
    return make_plan(wanted.desired, observed, WHOLE, records=1)


async def filled() -> MemoryService:
    twins = MemoryService(MODELS)
    result = await apply_plan(await plan_for(twins, mapped()), twins, at_once=4)
    assert result.complete
    twins.log.clear()
    return twins


async def test_a_plan_is_made_true_and_its_changes_are_counted() -> None:
    twins = MemoryService(MODELS)
    seen: list[int] = []
    plan = await plan_for(twins, mapped())
    result = await apply_plan(plan, twins, at_once=4, on_progress=seen.append)
    assert result.applied == {Action.CREATE: 9}
    assert result.changed == {"S1", "S2", "R1", "R2", "L1"}
    assert seen == list(range(1, 10))
    assert (await plan_for(twins, mapped())).changes == ()


async def test_the_same_plan_again_finds_everything_as_wanted() -> None:
    twins = MemoryService(MODELS)
    plan = await plan_for(twins, mapped())
    await apply_plan(plan, twins, at_once=4)
    again = await apply_plan(plan, twins, at_once=4)
    assert again.complete
    assert again.already == 9
    assert not again.applied


async def test_an_edit_survives_that_others_moved_the_twin_on() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(sites=RENAMED)))
    await twins.patch_twin("S1", HEALTH)
    result = await apply_plan(plan, twins, at_once=1)
    assert result.applied == {Action.UPDATE: 1}
    twin = await twins.get_twin("S1")
    assert twin is not None
    assert twin.properties["label"] == "Far north"
    assert twin.properties["health"]["score"] == 50


async def test_an_edit_of_a_value_that_someone_else_changed_is_refused_as_stale() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(sites=RENAMED)))
    await twins.patch_twin("S1", [{"op": "add", "path": "/label", "value": "by hand"}])
    result = await apply_plan(plan, twins, at_once=1)
    (failure,) = result.failures
    assert failure.change.element == "S1"
    assert "changed by someone else since the plan" in failure.reason
    twin = await twins.get_twin("S1")
    assert twin is not None
    assert twin.properties["label"] == "by hand"


async def test_an_edit_of_a_twin_that_was_given_away_is_refused() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(sites=RENAMED)))
    await twins.patch_twin("S1", [{"op": "remove", "path": "/tags/managedBy"}])
    assert (await apply_plan(plan, twins, at_once=1)).failures


async def test_an_edit_of_a_twin_that_is_gone_is_refused() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(sites=RENAMED)))
    twins.graph.remove_twin("S1")
    assert not (await apply_plan(plan, twins, at_once=1)).complete


async def test_an_edit_whose_answer_got_lost_is_looked_at_before_it_is_repeated() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(sites=RENAMED)))
    twins.fail_after["patch", "S1"].append(UnreachableError("reset"))
    result = await apply_plan(plan, twins, at_once=1)
    assert result.complete
    assert (result.already, result.applied) == (0, {Action.UPDATE: 1})
    assert twins.log == [("patch", "S1")]


async def test_what_was_made_although_the_answer_got_lost_counts_as_made() -> None:
    twins = MemoryService(MODELS)
    plan = await plan_for(twins, mapped())
    for change in plan.changes:
        twins.fail_after["put", change.element].append(UnreachableError("reset"))
    result = await apply_plan(plan, twins, at_once=4)
    assert result.complete
    assert (result.already, result.applied) == (0, {Action.CREATE: 9})
    assert sorted(twins.log) == sorted(("put", c.element) for c in plan.changes)
    gone = await plan_for(twins, mapped(records(links=[])))
    for change in gone.changes:
        twins.fail_after["delete", change.element].append(UnreachableError("reset"))
    result = await apply_plan(gone, twins, at_once=4)
    assert (result.already, result.applied) == (0, {Action.DELETE: 3})


async def test_what_was_not_made_before_the_connection_broke_is_made() -> None:
    twins = MemoryService(MODELS)
    plan = await plan_for(twins, mapped())
    for change in plan.changes:
        twins.fail["put", change.element].append(UnreachableError("reset"))
    result = await apply_plan(plan, twins, at_once=4)
    assert (result.complete, result.applied) == (True, {Action.CREATE: 9})


async def test_a_twin_that_someone_else_made_meanwhile_is_not_overwritten() -> None:
    twins = MemoryService(MODELS)
    plan = await plan_for(twins, mapped())
    theirs = {
        "$dtId": "S1",
        "$etag": "x",
        "$metadata": {"$model": "dtmi:test:Site;1"},
        "label": "?",
    }
    twins.graph.put_twin(theirs)
    result = await apply_plan(plan, twins, at_once=4)
    assert [f.change.element for f in result.failures] == ["S1"]
    assert [(s.change.element, s.because) for s in result.skipped] == [
        ("R1/inventory.locatedIn.S1", "S1")
    ]
    assert result.applied == {Action.CREATE: 7}
    assert twins.graph.twin("S1") == theirs


async def test_what_depends_on_a_failure_is_skipped_and_the_next_run_finishes() -> None:
    twins = MemoryService(MODELS)
    twins.fail["put", "R1"].append(ServiceError("too large", status=400))
    result = await apply_plan(await plan_for(twins, mapped()), twins, at_once=4)
    assert [(f.change.element, f.reason) for f in result.failures] == [("R1", "too large")]
    assert {(s.change.element, s.because) for s in result.skipped} == {
        ("R1/inventory.locatedIn.S1", "R1"),
        ("L1/inventory.aEnd.R1", "R1"),
    }
    again = await apply_plan(await plan_for(twins, mapped()), twins, at_once=4)
    assert again.applied == {Action.CREATE: 3}
    assert (await plan_for(twins, mapped())).changes == ()


async def test_a_twin_whose_edge_could_not_go_is_not_deleted() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(links=[])))
    twins.fail["delete", "L1/inventory.aEnd.R1"].append(ServiceError("no", status=400))
    result = await apply_plan(plan, twins, at_once=4)
    assert [(s.change.element, s.because) for s in result.skipped] == [
        ("L1", "L1/inventory.aEnd.R1")
    ]
    assert twins.graph.twin("L1") is not None


async def test_an_edge_is_made_although_an_edit_of_its_source_failed() -> None:
    twins = await filled()
    twins.fail["patch", "R1"].append(ServiceError("no", status=400))
    routers = [{**ROUTERS[0], "label": "x", "site": "S2"}, ROUTERS[1]]
    result = await apply_plan(
        await plan_for(twins, mapped(records(routers=routers))), twins, at_once=1
    )
    assert [f.change.element for f in result.failures] == ["R1"]
    assert result.applied == {Action.DELETE: 1, Action.CREATE: 1}


@pytest.mark.parametrize("error", [UnauthorizedError("no", status=401), UnreachableError("down")])
async def test_a_service_that_fails_altogether_ends_the_run(error: ServiceError) -> None:
    twins = MemoryService(MODELS)
    twins.fail["put", "L1"] += [error] * module.ATTEMPTS_MAX
    result = await apply_plan(await plan_for(twins, mapped()), twins, at_once=1)
    assert result.stopped is error
    assert not result.failures
    assert not [element for _, element in twins.log if "/" in element]


async def test_a_new_twin_that_cannot_be_linked_to_yet_is_waited_for() -> None:
    twins = MemoryService(MODELS)
    twins.lag = {"S1": 2}
    assert (await apply_plan(await plan_for(twins, mapped()), twins, at_once=4)).complete


async def test_waiting_for_consistency_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONSISTENCY_S", 0.2)
    twins = MemoryService(MODELS)
    twins.lag = {"S1": 1000}
    result = await apply_plan(await plan_for(twins, mapped()), twins, at_once=4)
    assert [f.change.element for f in result.failures] == ["R1/inventory.locatedIn.S1"]


async def test_a_twin_whose_edges_are_still_counted_is_waited_for() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(links=[])))
    refusal = ServiceError("it has edges", status=400, code="RelationshipsNotDeleted")
    twins.fail["delete", "L1"] += [refusal, refusal]
    assert (await apply_plan(plan, twins, at_once=4)).complete
    assert twins.graph.twin("L1") is None


async def test_a_deletion_that_others_made_already_is_as_wanted() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(links=[])))
    await twins.delete_relationship("L1", "inventory.aEnd.R1")
    result = await apply_plan(plan, twins, at_once=4)
    assert result.complete
    assert (result.already, result.applied) == (1, {Action.DELETE: 2})


async def test_a_twin_that_moved_on_is_deleted_if_that_was_asked_for() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(links=[])))
    await twins.patch_twin("L1", HEALTH)
    refused = await apply_plan(plan, twins, at_once=4)
    assert "health.score is 50, the plan saw nothing" in refused.failures[0].reason
    assert twins.graph.twin("L1") is not None
    result = await apply_plan(plan, twins, at_once=4, on_conflict=OnConflict.REPLAN)
    assert result.complete
    assert twins.graph.twin("L1") is None


async def test_an_etag_that_moved_without_any_value_is_no_conflict() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(links=[])))
    await twins.patch_twin("L1", [])
    assert (await apply_plan(plan, twins, at_once=4)).complete


async def test_a_conflict_is_planned_anew_for_that_twin_alone_if_that_was_asked_for() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(sites=RENAMED)))
    await twins.patch_twin("S1", [{"op": "add", "path": "/label", "value": "by hand"}])
    seen: list[tuple[int, Change]] = []

    class Seeing:
        def replan(self, number: int, change: Change) -> None:
            seen.append((number, change))

        def settle(self, number: int, outcome: str) -> None:
            assert outcome == "done"

    result = await apply_plan(
        plan, twins, at_once=1, on_conflict=OnConflict.REPLAN, record=Seeing()
    )
    assert (result.complete, result.replanned) == (True, ["S1"])
    assert [(n, c.edits[0].before) for n, c in seen] == [(0, "by hand")]
    twin = await twins.get_twin("S1")
    assert twin is not None
    assert twin.properties["label"] == "Far north"


async def test_a_conflict_ends_the_run_if_that_was_asked_for() -> None:
    twins = await filled()
    sites = [{**site, "label": "x"} for site in SITES]
    plan = await plan_for(twins, mapped(records(sites=sites)))
    await twins.patch_twin("S1", [{"op": "add", "path": "/label", "value": "by hand"}])
    result = await apply_plan(plan, twins, at_once=1, on_conflict=OnConflict.STOP)
    assert result.stopped is not None
    assert "S1" in result.stopped.message
    assert not result.applied


async def test_a_twin_of_ours_made_meanwhile_gets_the_missing_values_if_asked_for() -> None:
    twins = MemoryService(MODELS)
    plan = await plan_for(twins, mapped())
    site = next(c.twin for c in plan.changes if c.element == "S1")
    assert site is not None
    await twins.put_twin(structs.replace(site, properties={**site.properties, "label": "early"}))
    result = await apply_plan(plan, twins, at_once=4, on_conflict=OnConflict.REPLAN)
    assert (result.complete, result.replanned) == (True, ["S1"])
    assert (await plan_for(twins, mapped())).changes == ()


async def test_an_edge_to_a_twin_that_is_not_there_fails_at_once() -> None:
    twins = MemoryService(MODELS)
    plan = await plan_for(twins, mapped())
    for change in plan.changes[:5]:
        if change.twin is not None and change.element != "S1":
            await twins.put_twin(change.twin)
    edges = replace(plan, changes=plan.changes[5:])
    result = await apply_plan(edges, twins, at_once=4)
    assert [f.change.element for f in result.failures] == ["R1/inventory.locatedIn.S1"]


async def test_every_change_has_an_outcome_in_the_record() -> None:
    twins = MemoryService(MODELS)
    twins.fail["put", "R1"].append(ServiceError("too large", status=400))
    plan = await plan_for(twins, mapped())
    outcomes: dict[int, str] = {}

    class Writing:
        def replan(self, number: int, change: Change) -> None:
            raise AssertionError("nothing is planned anew")

        def settle(self, number: int, outcome: str) -> None:
            outcomes[number] = outcome

    await apply_plan(plan, twins, at_once=4, record=Writing())
    assert len(outcomes) == 9
    assert sorted(outcomes.values()) == ["done"] * 6 + ["failed"] + ["skipped"] * 2


async def test_a_twin_that_was_given_away_is_not_deleted() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(links=[])))
    await twins.patch_twin("L1", [{"op": "add", "path": "/tags/managedBy", "value": "other"}])
    result = await apply_plan(plan, twins, at_once=4)
    assert "handed to someone else" in result.failures[0].reason
    assert twins.graph.twin("L1") is not None


async def test_an_edge_that_changed_since_the_plan_is_neither_edited_nor_deleted() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(links=[])))
    edge = twins.graph.relationship("L1", "inventory.aEnd.R1")
    assert edge is not None
    edge["$etag"] = "moved"
    result = await apply_plan(plan, twins, at_once=4)
    assert result.failures[0].change.element == "L1/inventory.aEnd.R1"
    assert twins.graph.relationship("L1", "inventory.aEnd.R1") is edge


async def test_an_edge_of_that_id_that_leads_elsewhere_is_not_overwritten() -> None:
    twins = await filled()
    plan = await plan_for(twins, mapped(records(links=LINKS[:1])))
    twins.graph.remove_relationship("L1", "inventory.aEnd.R1")
    plan = await plan_for(twins, mapped())
    theirs = Relationship("inventory.aEnd.R1", "L1", "aEnd", "R2")
    await twins.put_relationship(theirs)
    result = await apply_plan(plan, twins, at_once=4)
    assert "made by someone else" in result.failures[0].reason
