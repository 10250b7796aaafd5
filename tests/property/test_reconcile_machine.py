"""Any order of inventories, kills, others' hands, undo and drift, one after the other on one graph.

What must hold after every step: what is wholly foreign is byte for byte as its owner left it, and
what others put on managed twins is, too, as long as the twin lives.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sync_agent.errors import UnreachableError
from sync_agent.inventory.desired import Desired
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.record import Coverage, Record
from sync_agent.reconcile.change import Action
from sync_agent.reconcile.plan import Plan
from sync_agent.runs.apply_change import OnConflict
from sync_agent.runs.journal import Journal
from sync_agent.runs.reconciler import Reconciler
from tests.memory_service import MemoryService
from tests.property.test_reconcile import (
    WHOLE,
    Foreign,
    foreign,
    foreign_bytes,
    inventories,
    put_foreign,
    service,
)
from tests.property.test_runs import KilledError, die_after, live_again, plain, reconciler_in
from tests.small_network import mapped

Answer = TypeVar("Answer")
KINDS = {0: ("Site",), 1: ("Router", "locatedIn"), 2: ("Link", "aEnd", "zEnd")}


def wanted(rows: list[Record], coverage: list[Coverage] = WHOLE) -> Desired:
    return Desired(mapped(rows).desired, tuple(coverage), "digest", max(len(rows), 1))


def elements_of(twins: MemoryService, kinds: set[str]) -> set[str]:
    """Return the twins and relationships of these kinds."""
    found = set()
    for name, document in plain(twins).items():
        model = (document.get("$metadata") or {}).get("$model", "")
        kind = document.get("$relationshipName") or model.rpartition(":")[2].removesuffix(";1")
        if kind in kinds:
            found.add(name)
    return found


class Synchronising(RuleBasedStateMachine):
    """One graph, one journal, and whatever happens to them."""

    twins: MemoryService
    reconciler: Reconciler

    @initialize(rows=inventories())
    def begin(self, rows: list[Record]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.reconciler = reconciler_in(Path(self.folder.name))
        self.twins = service()
        self.last: tuple[int, dict[str, Any], dict[str, Any]] | None = None
        self.bring(rows, resets=False)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run(work)

    def apply(self, plan: Plan, kind: str, desired: Desired | None = None) -> int | None:
        """Apply a plan; the foreign is as it was. Return the run."""
        foreign_before = json.loads(foreign_bytes(self.twins))
        result = self.do(
            self.reconciler.apply(
                plan,
                self.twins,
                kind,
                desired=desired.graph if desired else None,
                on_conflict=OnConflict.SKIP,
            )
        )
        assert result.complete, (result.failures, result.stopped)
        self.same_foreign(foreign_before, plan)
        return result.run

    def same_foreign(self, before: dict[str, Any], plan: Plan) -> None:
        after = json.loads(foreign_bytes(self.twins))
        made = {c.element for c in plan.changes if c.action is not Action.UPDATE}
        assert {k: v for k, v in before.items() if k not in made} == {
            k: v for k, v in after.items() if k not in made
        }

    @rule(rows=inventories(), resets=st.booleans())
    def bring(self, rows: list[Record], resets: bool) -> None:
        before, desired = plain(self.twins), wanted(rows)
        plan = self.do(self.reconciler.plan(desired, self.twins))
        for change in plan.changes if resets else ():  # made, and the answer gets lost
            operation = {"+": "put", "~": "patch", "-": "delete"}[change.action]
            self.twins.fail_after[operation, change.element].append(UnreachableError("reset"))
        run = self.apply(plan, "sync", desired)
        assert self.do(self.reconciler.plan(desired, self.twins)).changes == ()
        if run is not None:
            self.last = (run, before, plain(self.twins))

    @rule(rows=inventories(), gaps=st.sets(st.integers(0, 2), min_size=1))
    def bring_what_was_read_in_part(self, rows: list[Record], gaps: set[int]) -> None:
        coverage = [replace(c, complete=n not in gaps) for n, c in enumerate(WHOLE)]
        kinds = {kind for n in gaps for kind in KINDS[n]}
        before = elements_of(self.twins, kinds)
        desired = wanted(rows, coverage)
        plan = self.do(self.reconciler.plan(desired, self.twins))
        self.apply(plan, "sync", desired)
        moved = {c.element for c in plan.changes if c.action is Action.CREATE}
        places = {(e.partition("/")[0], e.split(".")[1]) for e in moved if "/" in e}
        for gone in before - elements_of(self.twins, kinds):
            assert (gone.partition("/")[0], gone.split(".")[1]) in places, gone
        self.last = None

    @rule(rows=inventories(), survives=st.integers(0, 9))
    def die_in_the_middle(self, rows: list[Record], survives: int) -> None:
        before, desired = plain(self.twins), wanted(rows)
        foreign_before = json.loads(foreign_bytes(self.twins))
        plan = self.do(self.reconciler.plan(desired, self.twins))
        die_after(self.twins, survives)
        with suppress(BaseExceptionGroup, KilledError):
            self.do(self.reconciler.apply(plan, self.twins, "sync", desired=desired.graph))
        live_again(self.twins)
        self.same_foreign(foreign_before, plan)
        with Journal(self.reconciler.policy.journal, "memory") as journal:
            self.last = (journal.runs(1)[0].id, before, plain(self.twins))

    @rule(others=foreign)
    def others_write(self, others: Foreign) -> None:
        put_foreign(self.twins, others)
        self.last = None

    @precondition(lambda self: self.last is not None)
    @rule()
    def undo_the_last(self) -> None:
        assert self.last is not None
        run, before, after = self.last
        assert plain(self.twins) == after
        undo = self.do(self.reconciler.undo(run, self.twins))
        assert undo.left == ()
        self.apply(undo.plan, f"undo {run}")
        assert plain(self.twins) == before
        self.last = None

    @rule(data=st.data())
    def somebody_edits_and_it_is_reverted(self, data: st.DataObject) -> None:
        owner = Owner("inventory")
        drift = self.do(self.reconciler.drift(owner, self.twins))
        ours = {t["$dtId"] for t in self.twins.graph.twins() if owner.owns_twin(t)}
        ours -= set(drift.unknown)  # left by a run that was killed
        if drift.plan.changes or not ours:
            return
        name = data.draw(st.sampled_from(sorted(ours)))
        before = plain(self.twins)
        document = dict(self.twins.graph.twin(name) or {})
        self.twins.graph.put_twin({**document, "label": "by hand", "$etag": 'W/"hand"'})
        drift = self.do(self.reconciler.drift(owner, self.twins))
        assert {c.element for c in drift.plan.changes} == {name}
        self.apply(drift.plan, "revert")
        assert plain(self.twins) == before
        self.last = None


Synchronising.TestCase.settings = settings(max_examples=40, stateful_step_count=10, deadline=None)


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestSynchronising(Synchronising.TestCase):  # type: ignore[misc, valid-type]
    """Found by search; see ``Synchronising``."""
