"""Runs, undo and stale plans, for any inventories and any meddling in between."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.inventory.desired import Desired
from sync_agent.inventory.record import Record
from sync_agent.reconcile.change import Change
from sync_agent.reconcile.cost import Rates
from sync_agent.reconcile.guard import GuardLimits
from sync_agent.runs.apply_change import OnConflict
from sync_agent.runs.journal import Journal
from sync_agent.runs.reconciler import Policy, Reconciler
from tests.memory_service import MemoryService
from tests.property.test_reconcile import WHOLE, inventories, service
from tests.small_network import SITE, mapped

Plain = dict[str, dict[str, Any]]


@contextmanager
def reconciling() -> Iterator[Reconciler]:
    """Return a reconciler with a journal of its own, without limits."""
    with tempfile.TemporaryDirectory() as folder:
        yield reconciler_in(Path(folder))


def reconciler_in(folder: Path) -> Reconciler:
    policy = Policy(
        instance="memory",
        journal=folder / "journal.db",
        limits=GuardLimits(10**9, 100.0),
        rates=Rates(10, 1000, 500),
        at_once=4,
        lease="none",
    )
    return Reconciler(policy, lambda: 1)


def desired(rows: list[Record]) -> Desired:
    return Desired(mapped(rows).desired, tuple(WHOLE), "digest", len(rows))


async def run(reconciler: Reconciler, twins: MemoryService, rows: list[Record]) -> int:
    """Bring an inventory in; return the run's number, 0 when there was nothing to do."""
    wanted = desired(rows)
    plan = await reconciler.plan(wanted, twins)
    if not plan.changes:
        return 0
    result = await reconciler.apply(plan, twins, "sync", desired=wanted.graph)
    assert result.complete, result.failures
    assert result.run is not None
    return result.run


def plain(twins: MemoryService) -> Plain:
    """Return all twins and relationships without what every write changes."""
    found: Plain = {}
    for document in (*twins.graph.twins(), *twins.graph.relationships()):
        name = document.get("$dtId") or f"{document['$sourceId']}/{document['$relationshipId']}"
        found[name] = {k: v for k, v in document.items() if k != "$etag"}
    return found


@settings(max_examples=40, deadline=None)
@given(inventories(), st.lists(inventories(), min_size=1, max_size=4))
def test_undoing_random_runs_newest_first_gives_the_graph_before(
    before: list[Record], passes: list[list[Record]]
) -> None:
    async def check() -> None:
        with reconciling() as reconciler:
            twins = service()
            await run(reconciler, twins, before)
            states, runs = [plain(twins)], []
            for rows in passes:
                runs.append(await run(reconciler, twins, rows))
                states.append(plain(twins))
            for number in reversed(runs):
                assert plain(twins) == states.pop()
                if number:
                    undo = await reconciler.undo(number, twins)
                    assert undo.left == ()
                    result = await reconciler.apply(undo.plan, twins, f"undo {number}")
                    assert result.complete, result.failures
            assert plain(twins) == states.pop()

    asyncio.run(check())


@settings(max_examples=40, deadline=None)
@given(inventories(), inventories(), st.data())
def test_exactly_the_twins_changed_between_plan_and_apply_are_named_and_none_overwritten(
    before: list[Record], after: list[Record], data: st.DataObject
) -> None:
    async def check() -> None:
        with reconciling() as reconciler:
            twins = service()
            await run(reconciler, twins, before)
            plan = await reconciler.plan(desired(after), twins)
            of_twins = [change for change in plan.changes if change.twin]
            chosen = data.draw(st.sets(st.integers(0, max(len(of_twins) - 1, 0))))
            meddled = {c.element: _meddle(twins, c) for n, c in enumerate(of_twins) if n in chosen}
            stale = await reconciler.stale(plan, twins)
            assert {s.element for s in stale} == meddled.keys()
            result = await reconciler.apply(plan, twins, "apply", on_conflict=OnConflict.SKIP)
            assert {f.change.element for f in result.failures} >= meddled.keys()
            for name, document in meddled.items():
                assert twins.graph.twin(name) == document

    asyncio.run(check())


@settings(max_examples=40, deadline=None)
@given(inventories(), inventories(), st.integers(0, 12), st.booleans())
def test_a_run_killed_at_any_write_ends_like_one_that_was_not(
    before: list[Record], after: list[Record], survives: int, same_plan: bool
) -> None:
    async def check() -> None:
        with reconciling() as reconciler:
            whole, killed = service(), service()
            for twins in (whole, killed):
                await run(reconciler, twins, before)
            await run(reconciler, whole, after)
            wanted = desired(after)
            plan = await reconciler.plan(wanted, killed)
            die_after(killed, survives)
            with suppress(BaseExceptionGroup, KilledError):
                await reconciler.apply(plan, killed, "sync", desired=wanted.graph)
            live_again(killed)
            if same_plan:  # as apply does it with a plan that was kept
                skip = OnConflict.SKIP
                again = await reconciler.apply(plan, killed, "apply", on_conflict=skip)
                assert again.complete, again.failures
            else:
                await run(reconciler, killed, after)
            assert plain(killed) == plain(whole)

    asyncio.run(check())


@settings(max_examples=40, deadline=None)
@given(inventories(), inventories(), st.integers(0, 12))
def test_taking_a_killed_run_back_leaves_what_the_next_run_made(
    before: list[Record], after: list[Record], survives: int
) -> None:
    async def check() -> None:
        with reconciling() as reconciler:
            twins = service()
            await run(reconciler, twins, before)
            wanted = desired(after)
            plan = await reconciler.plan(wanted, twins)
            die_after(twins, survives)
            with suppress(BaseExceptionGroup, KilledError):
                await reconciler.apply(plan, twins, "sync", desired=wanted.graph)
            live_again(twins)
            with Journal(reconciler.policy.journal, "memory", readonly=True) as journal:
                killed = journal.runs(1)[0].id if plan.changes else 0
            rest = await reconciler.plan(wanted, twins)
            await run(reconciler, twins, after)
            if killed:
                undo = await reconciler.undo(killed, twins)
                made = {change.element for change in rest.changes}
                assert made.isdisjoint(change.element for change in undo.plan.changes)

    asyncio.run(check())


def _meddle(twins: MemoryService, change: Change) -> dict[str, Any]:
    """Change by hand just what a change is about; return the twin as it is then."""
    there = twins.graph.twin(change.element)
    document = dict(there or {"$dtId": change.element, "$metadata": {"$model": SITE}})
    name = change.edits[0].path[0] if change.edits else "label"
    document |= {name: "meddled", "$etag": 'W/"meddled"'}
    twins.graph.put_twin(document)
    return dict(document)


class KilledError(BaseException):
    """The process ends here."""


def die_after(twins: MemoryService, writes: int) -> None:
    left = [writes]
    before = twins._before

    def counting(operation: str, element: str) -> None:
        if left[0] == 0:
            raise KilledError
        left[0] -= 1
        before(operation, element)

    twins._before = counting  # type: ignore[method-assign]


def live_again(twins: MemoryService) -> None:
    del twins._before
