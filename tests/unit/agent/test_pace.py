import asyncio

import pytest

from sync_agent.agent import pace
from sync_agent.agent.pace import Lane, PacedTwins, Quotas
from sync_agent.twins.twin import Relationship, Twin
from tests.memory_service import MemoryService
from tests.small_network import MODELS, SITE

QUOTAS = Quotas(twin_ops_per_s=10, patches_per_s=1000, create_delete_per_s=500, queries_per_s=500)


class Time:
    """A clock that moves when somebody sleeps; sleepers wake in order of their moments."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, future))
        await future

    async def run(self, *work: object) -> None:
        tasks = [asyncio.ensure_future(w) for w in work]  # type: ignore[call-overload]
        while not all(task.done() for task in tasks):
            for _ in range(20):
                await asyncio.sleep(0)
            if self._sleepers:
                self._sleepers.sort(key=lambda sleeper: sleeper[0])
                moment, future = self._sleepers.pop(0)
                self.now = max(self.now, moment)
                future.set_result(None)


def paced(time: Time, quotas: Quotas = QUOTAS) -> PacedTwins:
    return PacedTwins(MemoryService(MODELS), quotas, clock=time.clock, sleep=time.sleep)


def site(id_: str) -> Twin:
    return Twin(id_, SITE, {"health": {"$metadata": {}}})


async def test_one_twin_takes_no_more_than_its_quota() -> None:
    time = Time()
    twins = paced(time)
    await twins.put_twin(site("S"))
    patch = [{"op": "add", "path": "/label", "value": "x"}]
    await time.run(*(twins.patch_twin("S", patch) for _ in range(20)))
    assert time.now == pytest.approx(2.0)


async def test_many_twins_take_no_more_than_the_quota_of_the_class() -> None:
    time = Time()
    twins = paced(time)
    await time.run(*(twins.put_twin(site(f"S{n}")) for n in range(1000)))
    assert time.now == pytest.approx(2.0 - pace.BURST_S, abs=0.01)


async def test_an_edge_counts_against_both_of_its_ends() -> None:
    time = Time()
    twins = paced(time)
    await time.run(*(twins.put_twin(site(f"S{n}")) for n in range(11)))
    time.now += 10
    began = time.now
    edges = [Relationship(f"e{n}", f"S{n}", "dependsOn", "S10") for n in range(10)]
    await time.run(*(twins.put_relationship(edge) for edge in edges))
    assert time.now - began == pytest.approx(0.9)


async def test_a_busy_twin_does_not_hold_up_the_others() -> None:
    time = Time()
    twins = paced(time)
    done: list[str] = []

    async def put(id_: str) -> None:
        await twins.put_twin(site(id_))
        done.append(id_)

    await time.run(*(put("HUB") for _ in range(5)), *(put(f"S{n}") for n in range(5)))
    assert done[:6] == ["HUB", "S0", "S1", "S2", "S3", "S4"]


async def test_queries_wait_their_turn() -> None:
    time = Time()
    twins = paced(time, Quotas(10, 1000, 500, queries_per_s=2))

    async def ask() -> None:
        async for _ in twins.query("SELECT COUNT() FROM digitaltwins"):
            pass

    await time.run(*(ask() for _ in range(3)))
    assert time.now == pytest.approx(1.0)


def test_a_lane_that_was_idle_does_not_save_up_turns() -> None:
    lane = Lane(10)
    assert [lane.turn(0.0) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])
    assert [lane.turn(60.0) for _ in range(3)] == pytest.approx([60.0, 60.1, 60.2])


async def test_lanes_of_twins_that_are_idle_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "TWIN_LANES_MAX", 3)
    time = Time()
    twins = paced(time)
    for n in range(10):
        await twins.put_twin(site(f"S{n}"))
        time.now += 1
    assert len(twins._of_twin) <= 3


async def test_every_operation_reaches_the_service() -> None:
    time = Time()
    twins = paced(time)
    await time.run(twins.put_twin(site("A")), twins.put_twin(site("B")))
    edge = Relationship("e", "A", "dependsOn", "B")
    await time.run(twins.put_relationship(edge))
    weigh = [{"op": "add", "path": "/weight", "value": 2}]
    await time.run(twins.patch_relationship("A", "e", weigh))
    assert [e.properties async for e in twins.relationships_of("A")] == [{"weight": 2}]
    await time.run(twins.delete_relationship("A", "e"))
    await time.run(twins.delete_twin("A"))
    assert await twins.get_twin("A") is None
