"""Passes that read only what changed, for any inventories, meddling, lag and order of events."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.agent.inventory_loop import InventoryLoop
from sync_agent.agent.inventory_pass import Inventory, Prepared
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.desired import Desired
from sync_agent.inventory.record import Coverage, Record
from sync_agent.reconcile.change import Action, moves
from sync_agent.reconcile.cost import Rates
from sync_agent.reconcile.guard import GuardLimits
from sync_agent.reconcile.plan import Plan, make_plan
from sync_agent.runs.reconciler import Policy, Reconciler
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Relationship, Twin
from tests.lagging_service import LaggingService
from tests.property.test_reconcile import WHOLE, inventories
from tests.small_network import MAPPING, MODELS, SITE, mapped

LAG_S = 10.0
FULL_EVERY_S = 600.0
RULES = (
    MAPPING
    + """
[[relationship]]
from = "links.csv"
source = "{a}"
name = "dependsOn"
target = "{z}"
when = { channel = "near-far" }
properties = { weight = "{ghz}" }
"""
)


@dataclass(frozen=True)
class Meddle:
    """Something somebody else does to a twin that is there or wanted; the numbers choose."""

    what: str
    twin: int
    at: int


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Source:
    """The inventory from now on; not ``whole``: its routers are not read to their end."""

    rows: list[Record]
    whole: bool = True


@dataclass(frozen=True)
class Pass:
    """One pass of the agent; ``settled`` is one for which the lag is waited out."""

    settled: bool


WITH_TWINS = ("label", "telemetry", "disown", "delete", "take", "own", "pause")
WITH_EDGES = ("cut", "link", "weight")
steps = st.lists(
    st.builds(Meddle, st.sampled_from(WITH_TWINS), st.integers(0, 40), st.integers(0, 9))
    | st.builds(Meddle, st.sampled_from(WITH_TWINS + WITH_EDGES), st.integers(0, 40), st.just(3))
    | st.builds(Wait, st.sampled_from([1.0, 5.0, 20.0, 100.0, 400.0]))
    | st.builds(Source, inventories(), st.sampled_from([True, True, True, False]))
    | st.builds(Pass, st.booleans()),
    min_size=5,
    max_size=14,
)


class World:
    """An inventory, a service that lags, and an agent between them."""

    def __init__(self, folder: Path, seed: int, ahead_s: float) -> None:
        self.twins = LaggingService(MODELS, lag_s=LAG_S, random=Random(seed), ahead_s=ahead_s)
        policy = Policy(
            instance="memory",
            journal=folder / "journal.db",
            limits=GuardLimits(10**9, 100.0),
            rates=Rates(10, 1000, 500),
            at_once=1,
            lease="none",
        )
        self.source = Source([])
        self.unseen = False  # whether a relationship was changed since all of them were read
        self.loop = InventoryLoop(
            Inventory(self._read, Reconciler(policy, lambda: 1)),
            self.twins,
            apply=True,
            full_every_s=FULL_EVERY_S,
            clock_s=self.twins.clock_s,
        )

    async def _read(self, _: ModelRegistry) -> Desired:
        return self.desired()

    def desired(self) -> Desired:
        coverage = [
            Coverage(c.scope, self.source.whole or c.scope != "routers.csv", "cut off")
            for c in WHOLE
        ]
        graph = mapped(self.source.rows, RULES).desired
        return Desired(graph, tuple(coverage), "digest", len(self.source.rows))

    def full_plan(self) -> Plan:
        """Return the plan of a reading of everything, without any lag."""
        desired = self.desired()
        wanted, records = desired.graph, desired.records
        now = TwinGraph(self.twins.graph.twins(), self.twins.graph.relationships())
        for twin in list(now.twins()):
            if not wanted.owner.owns_twin(twin) and twin["$dtId"] not in wanted.twins:
                now.remove_twin(twin["$dtId"])
        return make_plan(wanted, now, desired.coverage, records=records, digest=desired.digest)

    async def meddle(self, step: Meddle) -> None:
        names = sorted({*self.twins.graph.twin_ids, *self.desired().graph.twins})
        if not names:
            return
        name = names[step.twin % len(names)]
        if step.what in WITH_EDGES:
            self.unseen = True
            await self._meddle_with_edge(step, name)
        else:
            await self._meddle_with_twin(step, name)

    async def _meddle_with_twin(self, step: Meddle, name: str) -> None:
        twins, graph = self.twins, self.twins.graph
        here = graph.twin(name)
        match step.what:
            case "take" if here is None:
                await twins.put_twin(Twin(name, SITE, {"health": {"$metadata": {}}}))
            case "own" if here is not None:
                await twins.patch_twin(name, [_set("/tags", {"managedBy": "inventory"})])
            case "disown" if here is not None:
                await twins.patch_twin(name, [_set("/tags", {"team": "north"})])
            case "pause" if here is not None and "managedBy" in here.get("tags", {}):
                paused = "true" * (step.at % 2)
                await twins.patch_twin(name, [_set("/tags/syncPaused", paused)])
            case "label" if here is not None:
                await twins.patch_twin(name, [_set("/label", f"meddled {step.at}")])
            case "telemetry" if here is not None:
                health = {"score": float(step.at), "$metadata": {}}
                await twins.patch_twin(name, [_set("/health", health)])
            case "delete" if here is not None:
                for found in [*graph.outgoing(name), *graph.incoming(name)]:
                    await twins.delete_relationship(found["$sourceId"], found["$relationshipId"])
                await twins.delete_twin(name)

    async def _meddle_with_edge(self, step: Meddle, name: str) -> None:
        twins, graph = self.twins, self.twins.graph
        edges = [*graph.outgoing(name), *graph.incoming(name)]
        edge = edges[step.at % len(edges)] if edges else None
        match step.what:
            case "cut" if edge is not None:
                await twins.delete_relationship(edge["$sourceId"], edge["$relationshipId"])
            case "weight" if edge is not None and edge["$relationshipName"] == "dependsOn":
                at = (edge["$sourceId"], edge["$relationshipId"])
                await twins.patch_relationship(*at, [_set("/weight", float(step.at))])
            case "link" if graph.twin(name) is not None:
                others = [t["$dtId"] for t in graph.twins() if t["$dtId"] != name]
                if others:
                    id_ = f"inventory.x{step.at}" if step.at % 3 == 0 else f"x{step.at}"
                    target = others[step.at % len(others)]
                    await twins.put_relationship(Relationship(id_, name, "dependsOn", target))

    async def settled_pass(self) -> None:
        """Make a pass when the lag is over, and compare its plan with one of everything."""
        self.twins.wait(20)
        full = self.full_plan()
        prepared = await self.make_pass()
        self.unseen = self.unseen and not prepared.whole
        if self.unseen:  # what changes of relationships is seen only by reading all of them
            assert all(change in full.changes for change in prepared.plan.changes)
        else:
            assert prepared.plan == full

    async def make_pass(self) -> Prepared:
        """Make a pass, and look that it destroys nothing it may not."""
        wanted = self.desired().graph
        before = self.twins.graph
        theirs = {t["$dtId"] for t in before.twins() if not wanted.owner.owns_twin(t)}
        self.twins.log.clear()
        prepared = await self.loop.prepare()
        self.loop._memory.written(prepared.plan.changes)
        await self.loop._inventory.apply(prepared, self.twins, "run")
        for operation, element in self.twins.log:
            assert element not in theirs, f"{operation} of a twin of others"
            if operation == "delete" and "/" not in element:
                assert element not in wanted.twins
        moving = moves(prepared.plan.changes)
        for change in prepared.plan.changes:
            if change.action is Action.DELETE and change.element not in moving:
                assert change.element not in wanted.twins
                assert change.relationship is None or change.edge.key not in wanted.relationships
        return prepared


def _set(path: str, value: object) -> dict[str, object]:
    return {"op": "add", "path": path, "value": value}


def in_world(check: Callable[[World], object], seed: int, ahead_s: float) -> None:
    async def run(folder: str) -> None:
        await check(World(Path(folder), seed, ahead_s))  # type: ignore[misc]

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(folder))


async def play(world: World, played: list[object]) -> None:
    for step in played:
        match step:
            case Meddle():
                await world.meddle(step)
            case Wait():
                world.twins.wait(step.seconds)
            case Source():
                world.source = step
            case Pass(settled=True):
                await world.settled_pass()
            case _:
                await world.make_pass()


@settings(max_examples=15, deadline=None)
@given(inventories(), steps, st.integers(0, 99), st.sampled_from([-5000.0, 0.0, 5000.0]))
def test_a_pass_over_what_changed_plans_what_a_pass_over_everything_would(
    first: list[Record], played: list[object], seed: int, ahead_s: float
) -> None:
    async def check(world: World) -> None:
        world.source = Source(first)
        await world.make_pass()
        await play(world, [*played, Pass(settled=True), Pass(settled=True)])

    in_world(check, seed, ahead_s)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(inventories(), steps, st.integers(0, 99))
def test_passes_without_waiting_for_the_lag_end_as_the_inventory_wants(
    first: list[Record], played: list[object], seed: int
) -> None:
    async def check(world: World) -> None:
        world.source = Source(first)
        await world.make_pass()
        await play(world, [step for step in played if step != Pass(settled=True)])
        world.source = Source(first)
        for _ in range(3):
            world.twins.wait(FULL_EVERY_S)
            await world.make_pass()
        assert world.full_plan().changes == ()

    in_world(check, seed, 0.0)
