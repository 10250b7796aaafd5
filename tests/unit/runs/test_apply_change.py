from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from msgspec import structs

from sync_agent.errors import NotFoundError, PreconditionError, UnreachableError
from sync_agent.inventory.owner import Owner
from sync_agent.reconcile.change import Action, Change, Edit
from sync_agent.reconcile.second_look import StaleError
from sync_agent.runs import apply_change as module
from sync_agent.runs.apply_change import ChangeMaker, OnConflict
from sync_agent.twins.twin import Relationship, Twin
from tests.memory_service import MemoryService
from tests.small_network import MODELS, SITE

OURS = Owner("inventory")
TAGS = {"managedBy": "inventory"}
NORTH = Twin("S1", SITE, {"label": "North", "tags": TAGS})
SOUTH = Twin("S2", SITE, {"label": "South", "tags": TAGS})
EDGE = Relationship("inventory.dependsOn.S2", "S1", "dependsOn", "S2", {"weight": 1.0})
RELABELLED = [Edit(("label",), "North", "Far north")]
REWEIGHED = [Edit(("weight",), 1.0, 2.0)]


async def created_twin(_: MemoryService) -> Change:
    return Change(Action.CREATE, twin=NORTH)


async def updated_twin(twins: MemoryService) -> Change:
    made = await twins.put_twin(NORTH)
    return Change(Action.UPDATE, twin=made, edits=tuple(RELABELLED))


async def deleted_twin(twins: MemoryService) -> Change:
    return Change(Action.DELETE, twin=await twins.put_twin(NORTH))


async def created_edge(twins: MemoryService) -> Change:
    for end in (NORTH, SOUTH):
        await twins.put_twin(end)
    return Change(Action.CREATE, relationship=EDGE)


async def updated_edge(twins: MemoryService) -> Change:
    await created_edge(twins)
    made = await twins.put_relationship(EDGE)
    return Change(Action.UPDATE, relationship=made, edits=tuple(REWEIGHED))


async def deleted_edge(twins: MemoryService) -> Change:
    await created_edge(twins)
    return Change(Action.DELETE, relationship=await twins.put_relationship(EDGE))


Prepare = Callable[[MemoryService], Awaitable[Change]]

VERBS = {Action.CREATE: "put", Action.UPDATE: "patch", Action.DELETE: "delete"}
EVERY = [created_twin, updated_twin, deleted_twin, created_edge, updated_edge, deleted_edge]


class Case:
    """One change on a service of its own; ``write`` is the write it comes down to."""

    def __init__(self, twins: MemoryService, change: Change) -> None:
        self.twins = twins
        self.change = change
        self.write = (VERBS[change.action], change.element)
        self.replanned: list[Change] = []
        twins.log.clear()

    async def make(self, on_conflict: OnConflict = OnConflict.SKIP) -> Change | None:
        maker = ChangeMaker(
            self.twins, OURS, on_conflict, lambda _, new: self.replanned.append(new)
        )
        return await maker.make(self.change)

    @property
    def true(self) -> bool:
        """Tell whether the service shows what the change is to make true."""
        if self.change.twin is not None:
            there = self.twins.graph.twin(self.change.element)
        else:
            there = self.twins.graph.relationship(*self.change.edge.key)
        if self.change.action is Action.DELETE or there is None:
            return (self.change.action is Action.DELETE) == (there is None)
        return all(there.get(e.path[0]) == e.after for e in self.change.edits)


@pytest.fixture(params=EVERY, ids=lambda prepare: prepare.__name__)
async def case(request: pytest.FixtureRequest) -> Case:
    twins = MemoryService(MODELS)
    return Case(twins, await request.param(twins))


async def test_a_change_is_made_by_one_write(case: Case) -> None:
    assert await case.make() is case.change
    assert case.true
    assert case.twins.log == [case.write]


async def test_a_change_whose_answer_got_lost_is_looked_at_and_not_repeated(case: Case) -> None:
    case.twins.fail_after[case.write].append(UnreachableError("reset"))
    assert await case.make() is case.change
    assert case.true
    assert case.twins.log == [case.write]


async def test_a_change_that_did_not_get_through_is_sent_again(case: Case) -> None:
    case.twins.fail[case.write] += [UnreachableError("reset")] * (module.ATTEMPTS_MAX - 1)
    assert await case.make() is case.change
    assert case.true


async def test_the_last_answer_may_get_lost_too(case: Case) -> None:
    case.twins.fail[case.write] += [UnreachableError("reset")] * (module.ATTEMPTS_MAX - 1)
    case.twins.fail_after[case.write].append(UnreachableError("reset"))
    assert await case.make() is case.change
    assert case.true


async def test_trying_has_an_end(case: Case) -> None:
    case.twins.fail[case.write] += [UnreachableError("down")] * module.ATTEMPTS_MAX
    with pytest.raises(UnreachableError, match="down"):
        await case.make()
    assert not case.true


async def test_what_was_as_wanted_before_is_not_counted_as_made(case: Case) -> None:
    await case.make()
    assert await case.make() is None
    assert case.true


async def test_a_refusal_that_nothing_explains_is_tried_again(case: Case) -> None:
    case.twins.fail[case.write] += [PreconditionError("moved")] * (module.ATTEMPTS_MAX - 1)
    assert await case.make() is case.change
    assert case.true


async def test_a_refusal_that_does_not_end_is_told(case: Case) -> None:
    case.twins.fail[case.write] += [PreconditionError("moved")] * module.ATTEMPTS_MAX
    with pytest.raises(PreconditionError, match="moved"):
        await case.make()
    assert not case.true


async def test_an_edit_keeps_what_others_wrote_beside_it() -> None:
    twins = MemoryService(MODELS)
    case = Case(twins, await updated_twin(twins))
    await twins.patch_twin("S1", [{"op": "add", "path": "/floors", "value": 3}])
    assert await case.make() is case.change
    there = await twins.get_twin("S1")
    assert there is not None
    assert (there.properties["label"], there.properties["floors"]) == ("Far north", 3)


async def test_a_change_counts_whole_although_others_made_a_part_of_it() -> None:
    twins = MemoryService(MODELS)
    made = await twins.put_twin(NORTH)
    edits = (*RELABELLED, Edit(("floors",), None, 3))
    case = Case(twins, Change(Action.UPDATE, twin=made, edits=edits))
    await twins.patch_twin("S1", [{"op": "add", "path": "/floors", "value": 3}])
    assert await case.make() is case.change
    assert case.true


async def test_an_edit_of_what_is_gone_is_no_edit() -> None:
    twins = MemoryService(MODELS)
    case = Case(twins, await updated_edge(twins))
    twins.fail[case.write].append(PreconditionError("moved"))
    twins.graph.remove_relationship("S1", EDGE.id)
    with pytest.raises(StaleError, match="deleted by someone else"):
        await case.make()


async def test_a_not_found_about_an_edit_is_the_services_own_word() -> None:
    twins = MemoryService(MODELS)
    case = Case(twins, await updated_twin(twins))
    twins.graph.remove_twin("S1")
    with pytest.raises(NotFoundError):
        await case.make()


async def test_a_conflict_on_a_relationship_is_refused_or_planned_anew() -> None:
    twins = MemoryService(MODELS)
    case = Case(twins, await updated_edge(twins))
    await twins.patch_relationship(*EDGE.key, [{"op": "add", "path": "/weight", "value": 9.0}])
    with pytest.raises(StaleError, match="changed by someone else since the plan: weight"):
        await case.make()
    made = await case.make(OnConflict.REPLAN)
    assert case.true
    assert case.replanned == [made]
    assert made is not None
    assert made.edits == (Edit(("weight",), 9.0, 2.0),)


async def test_a_relationship_that_changed_is_deleted_only_if_that_was_asked_for() -> None:
    twins = MemoryService(MODELS)
    case = Case(twins, await deleted_edge(twins))
    await twins.patch_relationship(*EDGE.key, [{"op": "add", "path": "/weight", "value": 9.0}])
    with pytest.raises(StaleError, match="changed by someone else"):
        await case.make()
    assert await case.make(OnConflict.REPLAN) is case.change
    assert case.true


@pytest.mark.parametrize("prepare", [created_twin, created_edge])
async def test_what_was_made_meanwhile_with_other_values_is_brought_in_line_if_asked_for(
    prepare: Prepare,
) -> None:
    twins = MemoryService(MODELS)
    change = await prepare(twins)
    if change.twin is not None:
        await twins.put_twin(structs.replace(NORTH, properties={"label": "N", "tags": TAGS}))
    else:
        await twins.put_relationship(structs.replace(EDGE, properties={"weight": 9.0}))
    case = Case(twins, change)
    with pytest.raises(StaleError, match="made by someone else"):
        await case.make()
    made = await case.make(OnConflict.REPLAN)
    assert case.replanned == [made]
    assert made is not None
    assert made.action is Action.UPDATE
    assert await case.make() is None


async def test_an_answer_lost_before_a_replan_says_nothing_of_the_new_change() -> None:
    twins = MemoryService(MODELS)
    case = Case(twins, await updated_twin(twins))
    twins.fail[case.write] += [UnreachableError("reset"), PreconditionError("moved")]
    looks = iter(["by hand", "Far north"])
    look = twins.get_twin

    async def others_write_before_each_look(twin_id: str) -> Twin | None:
        document = twins.graph.twin(twin_id)
        assert document is not None
        twins.graph.put_twin({**document, "label": next(looks), "$etag": twins._etag()})
        return await look(twin_id)

    twins.get_twin = others_write_before_each_look  # type: ignore[method-assign]
    assert await case.make(OnConflict.REPLAN) is None
    assert [change.edits[0].before for change in case.replanned] == ["by hand"]


@pytest.mark.parametrize("prepare", [updated_twin, deleted_twin])
async def test_a_twin_that_was_handed_over_is_left_alone_even_if_it_moved_again(
    prepare: Prepare,
) -> None:
    twins = MemoryService(MODELS)
    case = Case(twins, await prepare(twins))
    await twins.patch_twin("S1", [{"op": "replace", "path": "/tags/managedBy", "value": "other"}])
    for on_conflict in OnConflict:
        with pytest.raises(StaleError, match="handed to someone else"):
            await case.make(on_conflict)
    assert not case.true
