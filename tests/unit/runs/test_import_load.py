"""A plan made by import job, on services in memory that misbehave as real ones may."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from sync_agent.errors import GuardError, UnauthorizedError, UnreachableError
from sync_agent.inventory.desired import Desired
from sync_agent.ports.import_job import ImportJob
from sync_agent.reconcile.change import Action
from sync_agent.reconcile.cost import Rates
from sync_agent.reconcile.guard import GuardLimits
from sync_agent.reconcile.plan import Plan
from sync_agent.reconcile.way import Way
from sync_agent.runs import apply_change, import_jobs, import_load, observe
from sync_agent.runs.apply_change import OnConflict
from sync_agent.runs.apply_plan import ApplyResult
from sync_agent.runs.import_jobs import ImportAccess
from sync_agent.runs.import_notes import ImportNotes, Note
from sync_agent.runs.reconciler import Policy, Reconciler
from sync_agent.twins.twin import Twin
from tests.memory_imports import MemoryImports
from tests.memory_service import MemoryService
from tests.small_network import MODELS, SITE, SITES, mapped, records
from tests.unit.runs.test_apply_plan import WHOLE

SLOW = Rates(twin_ops_per_s=0.01, patches_per_s=0.01, create_delete_per_s=0.01)
ELEMENTS = 9


class Load:
    """A reconciler over services in memory, for which every creation takes long by requests."""

    def __init__(self, folder: Path) -> None:
        self.twins = MemoryService(MODELS)
        self.imports = MemoryImports(self.twins)
        self.said: list[str] = []
        self.seen: list[int] = []
        self.policy = Policy(
            instance="memory",
            journal=folder / "journal.db",
            limits=GuardLimits(10**9, 100.0),
            rates=SLOW,
            at_once=4,
        )
        access = ImportAccess(self.imports.connect, storage=True)
        self.reconciler = Reconciler(self.policy, lambda: 1, access, self.said.append)
        self.desired = self.wanted()

    def wanted(self, **files: list[dict[str, str]]) -> Desired:
        graph = mapped(records(**files)).desired
        return Desired(graph, tuple(WHOLE), "digest", ELEMENTS)

    async def plan(self) -> Plan:
        return await self.reconciler.plan(self.desired, self.twins)

    async def apply(
        self, plan: Plan | None = None, on_conflict: OnConflict = OnConflict.REPLAN
    ) -> ApplyResult:
        made = plan or await self.plan()
        return await self.reconciler.apply(
            made,
            self.twins,
            "sync",
            desired=self.desired.graph,
            on_conflict=on_conflict,
            on_progress=self.seen.append,
            way=self.reconciler.way(made).way,
        )

    def noted(self) -> list[Note]:
        with ImportNotes(self.policy.journal, "memory") as notes:
            return notes.open()

    def outcomes(self, run: int = 1) -> dict[str, int]:
        with ImportNotes(self.policy.journal, "memory") as notes:
            return dict(notes.run(run).outcomes)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    for module, name, value in (
        (import_jobs, "POLL_MIN_S", 0.001),
        (import_jobs, "POLL_MAX_S", 0.002),
        (import_load, "CONSISTENCY_S", 0.01),
        (import_load, "LAG_WAIT_S", 0.005),
        (apply_change, "CONSISTENCY_S", 0.01),
    ):
        monkeypatch.setattr(module, name, value)
    return Load(tmp_path)


@pytest.mark.parametrize("points_max", [0, 5_000], ids=["by query", "by id"])
async def test_all_creations_go_by_one_job_and_are_settled_with_their_etags(
    load: Load, points_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "POINT_READS_MAX", points_max)
    monkeypatch.setattr(import_load, "ELEMENTS_AT_ONCE", 4)
    result = await load.apply()
    assert result.complete
    assert result.applied == {Action.CREATE: ELEMENTS}
    assert len(load.imports.loaded) == ELEMENTS
    assert all((c.twin or c.edge).etag for c in result.settled)
    assert load.outcomes() == {"done": ELEMENTS}
    assert load.seen == sorted(set(load.seen))
    assert load.seen[-1] == ELEMENTS
    assert (load.imports.blobs, load.noted()) == ({}, [])
    assert (await load.plan()).changes == ()
    assert (await load.reconciler.drift(load.desired.graph.owner, load.twins)).plan.changes == ()


async def test_what_is_there_as_wanted_needs_no_job(load: Load) -> None:
    plan = await load.plan()
    await load.apply(plan)
    again = await load.apply(plan)
    assert (again.complete, again.already, again.applied.total()) == (True, ELEMENTS, 0)
    assert len(load.imports.jobs) == 1


async def test_what_others_made_since_the_plan_is_not_in_the_job(load: Load) -> None:
    plan = await load.plan()
    await load.twins.put_twin(Twin("S1", SITE, {"label": "theirs"}))
    result = await load.apply(plan, OnConflict.SKIP)
    assert [failure.change.element for failure in result.failures] == ["S1"]
    assert "S1" not in load.imports.loaded
    assert [skipped.because for skipped in result.skipped] == ["S1"]
    assert not list(load.twins.graph.incoming("S1"))
    there = await load.twins.get_twin("S1")
    assert there is not None
    assert there.properties["label"] == "theirs"


async def test_where_a_conflict_stops_nothing_is_written(load: Load) -> None:
    plan = await load.plan()
    await load.twins.put_twin(Twin("S2", SITE, {"label": "theirs"}))
    result = await load.apply(plan, OnConflict.STOP)
    assert isinstance(result.stopped, GuardError)
    assert "S2: it was made by someone else" in result.stopped.message
    assert (load.imports.jobs, load.twins.log) == ({}, [("put", "S2")])


async def test_a_relationship_that_is_there_otherwise_is_left_to_the_requests(load: Load) -> None:
    plan = await load.plan()
    for id_ in ("R1", "S1", "S2"):
        change = next(c for c in plan.changes if c.element == id_)
        assert change.twin is not None
        await load.twins.put_twin(change.twin)
    edge = next(c.edge for c in plan.changes if c.relationship and c.edge.source == "R1")
    await load.twins.put_relationship(replace(edge, target="S2"))
    result = await load.apply(plan)
    assert [failure.change.element for failure in result.failures] == ["/".join(edge.key)]
    assert result.already == 3
    assert "/".join(edge.key) not in load.imports.loaded


async def test_what_the_job_refused_has_failed_and_what_hangs_on_it_is_skipped(load: Load) -> None:
    plan = await load.plan()
    edges = [c.element for c in plan.changes if c.relationship and "S1" in c.twins]
    load.imports.refuse = {"S1": "no such site", **dict.fromkeys(edges, "no target")}
    load.imports.outcome = "failed"
    result = await load.apply(plan)
    assert [(f.change.element, f.reason) for f in result.failures] == [
        ("S1", "Refused no such site")
    ]
    assert [(s.change.element, s.because) for s in result.skipped] == [(e, "S1") for e in edges]
    left = 1 + len(edges)
    assert result.applied.total() == ELEMENTS - left
    assert load.outcomes() == {"done": ELEMENTS - left, "failed": 1, "skipped": len(edges)}


async def test_what_did_not_arrive_is_made_by_requests(load: Load) -> None:
    load.imports.gives_up_after = 4
    load.imports.outcome, load.imports.error = "failed", "JobFailed: the lights went out"
    result = await load.apply()
    assert result.complete
    assert result.applied == {Action.CREATE: ELEMENTS}
    assert len(load.imports.loaded) == 4
    assert (await load.plan()).changes == ()


async def test_what_the_requests_make_of_the_rest_depends_on_what_the_job_refused(
    load: Load,
) -> None:
    load.imports.refuse = {"S1": "no such site"}
    load.imports.gives_up_after = 4  # all other twins
    load.imports.outcome = "failed"
    result = await load.apply()
    assert [failure.change.element for failure in result.failures] == ["S1"]
    assert [skipped.because for skipped in result.skipped] == ["S1"]


async def test_a_job_that_did_nothing_ends_the_run_with_its_reason(load: Load) -> None:
    load.imports.gives_up_after = 0
    load.imports.outcome, load.imports.error = "failed", "AccessDenied: the blob cannot be read"
    result = await load.apply()
    assert result.stopped is not None
    assert "AccessDenied: the blob cannot be read" in result.stopped.message
    assert "Storage Blob Data Contributor" in result.stopped.remedy
    assert load.twins.log == []
    assert (load.imports.blobs, load.noted()) == ({}, [])


async def test_a_job_that_did_nothing_ends_the_run_also_when_some_was_there_before(
    load: Load,
) -> None:
    plan = await load.plan()
    first = plan.changes[0].twin
    assert first is not None
    await load.twins.put_twin(first)
    load.imports.gives_up_after, load.imports.outcome = 0, "failed"
    result = await load.apply(plan)
    assert (result.already, result.applied.total()) == (1, 0)
    assert result.stopped is not None


async def test_a_job_that_somebody_cancelled_ends_the_run_and_the_next_goes_on(load: Load) -> None:
    load.imports.gives_up_after = 5
    load.imports.outcome = "cancelled"
    result = await load.apply()
    assert result.applied == {Action.CREATE: 5}
    assert result.stopped is not None
    assert "was cancelled by someone" in result.stopped.message
    load.imports.gives_up_after, load.imports.outcome = 100, "succeeded"
    result = await load.apply()
    assert result.complete
    assert (await load.plan()).changes == ()


async def test_a_container_that_refuses_ends_the_run_before_any_write(load: Load) -> None:
    load.imports.fail["upload"] = [UnauthorizedError("the container refuses", status=403)]
    result = await load.apply()
    assert result.stopped is not None
    assert (load.twins.log, load.imports.jobs, load.noted()) == ([], {}, [])


async def test_the_job_of_somebody_else_is_waited_for_but_not_forever(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_jobs, "TURN_WAIT_S", 0.01)
    load.imports.theirs = ImportJob("theirs", "running", began="2026-01-01T00:00:00+00:00")
    result = await load.apply()
    assert result.stopped is not None
    assert "the import job theirs, begun 2026-01-01T00:00:00+00:00, is at work" in (
        result.stopped.message
    )
    assert load.said == ["waiting for the import job theirs, begun 2026-01-01T00:00:00+00:00"]
    load.imports.theirs = None
    assert (await load.apply()).complete


async def test_a_bulk_job_that_came_in_between_ends_the_run_and_no_file_stays(load: Load) -> None:
    load.imports.refuses_start = True
    result = await load.apply()
    assert result.stopped is not None
    assert "a bulk job is at work on memory" in result.stopped.message
    assert (load.twins.log, load.imports.blobs, load.noted()) == ([], {}, [])


async def test_a_job_lost_sight_of_is_found_by_the_next_run(load: Load) -> None:
    load.imports.fail["get"] = [UnreachableError("the network is gone")]
    result = await load.apply()
    assert isinstance(result.stopped, UnreachableError)
    assert len(load.noted()) == 1
    assert load.imports.blobs

    assert (await load.plan()).changes == (), "the job did it all the same"
    assert "waiting for the import job" in load.said[-1]
    assert (load.imports.blobs, load.noted()) == ({}, [])
    undo = await load.reconciler.undo(1, load.twins)
    assert undo.plan.counts()[Action.DELETE] == ELEMENTS


async def test_a_job_that_may_have_been_started_stays_noted(load: Load) -> None:
    load.imports.fail["start"] = [UnreachableError("no answer")]
    result = await load.apply()
    assert isinstance(result.stopped, UnreachableError)
    assert len(load.noted()) == 1
    assert (await load.apply()).complete
    assert (load.imports.blobs, load.noted()) == ({}, [])


async def test_a_job_that_was_refused_does_not_stay_noted(load: Load) -> None:
    load.imports.fail["start"] = [UnauthorizedError("no role for jobs", status=403)]
    result = await load.apply()
    assert isinstance(result.stopped, UnauthorizedError)
    assert (load.imports.blobs, load.noted()) == ({}, [])


async def test_a_job_whose_process_lives_is_waited_for_and_not_tidied_up_after(load: Load) -> None:
    load.imports.stays_at_work = True
    running = asyncio.create_task(load.apply(await load.plan()))
    await load.imports.started.wait()
    planning = asyncio.create_task(load.plan())
    await asyncio.sleep(0.02)
    assert not planning.done()
    log = f"{next(iter(load.imports.jobs))}.log"
    assert log in load.imports.blobs
    load.imports.stays_at_work = False
    assert (await planning).changes == ()
    assert (await running).complete
    assert (load.imports.blobs, load.noted()) == ({}, [])


async def test_a_run_that_is_broken_off_cancels_its_job(load: Load) -> None:
    load.imports.stays_at_work = True
    running = asyncio.create_task(load.apply())
    await load.imports.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert load.imports.cancelled == list(load.imports.jobs)
    assert (load.imports.blobs, load.noted()) == ({}, [])


async def test_files_that_cannot_be_removed_are_named_and_stay_noted(load: Load) -> None:
    load.imports.fail["remove"] = [UnauthorizedError("may not delete", status=403)]
    assert (await load.apply()).complete
    assert "may still be stored: may not delete" in load.said[-1]
    assert len(load.noted()) == 1
    await load.plan()
    assert (load.imports.blobs, load.noted()) == ({}, [])


async def test_a_log_that_cannot_be_read_only_explains_nothing(load: Load) -> None:
    load.imports.refuse = {"S1": "no such site"}
    load.imports.outcome = "failed"
    load.imports.fail["lines"] = [UnreachableError("no answer")]
    result = await load.apply()
    assert result.applied == {Action.CREATE: ELEMENTS}, "requests find nothing wrong with S1"
    assert "cannot be read: no answer" in load.said[-1]


async def test_edits_and_deletions_of_the_plan_follow_by_requests(load: Load) -> None:
    load.desired = load.wanted(sites=[{**SITES[0], "label": "old"}], routers=[], links=[])
    assert (await load.apply()).complete
    load.imports.loaded.clear()
    gone = Twin("S9", SITE, {"tags": {"managedBy": load.desired.graph.owner.name}})
    await load.twins.put_twin(gone)
    load.desired = load.wanted()
    result = await load.apply()
    assert result.complete
    assert result.applied == {Action.CREATE: 8, Action.UPDATE: 1, Action.DELETE: 1}
    assert len(load.imports.loaded) == 8
    assert (await load.plan()).changes == ()


async def test_a_job_that_is_asked_for_needs_a_container(load: Load) -> None:
    access = ImportAccess(load.imports.connect, storage=False)
    without = Reconciler(load.policy, lambda: 1, access)
    plan = await without.plan(load.desired, load.twins)
    assert without.way(plan).way is Way.OPERATIONS
    with pytest.raises(GuardError, match=r"import_job\.container is not set"):
        await without.apply(plan, load.twins, "apply", way=Way.IMPORT_JOB)


async def test_a_job_of_before_is_waited_for_even_when_no_container_is_set_any_more(
    load: Load,
) -> None:
    load.imports.fail["get"] = [UnreachableError("the network is gone")]
    await load.apply()
    load.imports.container = None
    await load.plan()
    assert "may still be stored: import_job.container is not set" in load.said[-1]
    assert len(load.noted()) == 1


async def test_the_input_is_in_the_order_the_service_asks_for(load: Load) -> None:
    load.imports.fail["remove"] = [UnauthorizedError("keep it", status=403)]
    await load.apply()
    name = next(name for name in load.imports.blobs if name.endswith(".ndjson"))
    lines = [json.loads(line) for line in load.imports.blobs[name].splitlines()]
    assert [line["Section"] for line in lines if "Section" in line] == [
        "Header",
        "Twins",
        "Relationships",
    ]
