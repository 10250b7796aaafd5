from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from sync_agent.errors import ThrottledError
from sync_agent.ports.pace import Operation
from sync_agent.runs import pace
from sync_agent.runs.lane import HEADROOM
from sync_agent.runs.pace import Pacer, PartyGate, Quotas
from tests.quota_service import QuotaService, patiently, workers
from tests.virtual_time import run_virtually

CREATE, PATCH, QUERY = Operation.CREATE_DELETE, Operation.PATCH, Operation.QUERY
LIMITS = {CREATE: 500.0, PATCH: 1000.0, QUERY: 500.0, Operation.READ: 1000.0}


def timed(work: Coroutine[Any, Any, None]) -> float:
    """Run to the end; return the virtual seconds it took."""

    async def run() -> float:
        await work
        return asyncio.get_running_loop().time()

    return run_virtually(run())


@pytest.mark.parametrize(("operation", "quota"), [(CREATE, 500), (PATCH, 1000)])
def test_a_class_is_used_to_95_percent_without_refusals(operation: Operation, quota: int) -> None:
    service = QuotaService(LIMITS)
    jobs = [(operation, (f"T{n}",)) for n in range(quota * 10)]
    gate = Pacer(Quotas()).gate("inventory")
    took_s = timed(workers(64, jobs, gate, service, "inventory"))
    assert len(jobs) / took_s >= 0.95 * quota
    assert service.refused / len(jobs) < 0.001


def test_a_hub_is_wired_at_its_own_limit() -> None:
    service = QuotaService(LIMITS)
    jobs = [(CREATE, ("HUB", f"T{n}")) for n in range(600)]
    took_s = timed(workers(64, jobs, Pacer(Quotas()).gate("inventory"), service, "inventory"))
    assert 600 / took_s >= 0.95 * 10
    assert service.refused == 0


def test_edges_between_two_busy_twins_get_through() -> None:
    service = QuotaService(LIMITS)

    async def run() -> None:
        gate = Pacer(Quotas()).gate("inventory")
        jobs: list[tuple[Operation, tuple[str, ...]]] = [
            (CREATE, (hub, f"{hub}{n}")) for n in range(300) for hub in ("A", "B")
        ]
        jobs.insert(40, (CREATE, ("A", "B", "edge")))
        await workers(64, jobs, gate, service, "inventory")

    timed(run())
    assert service.moments["edge"][0] < 5


def test_requests_under_way_are_bounded() -> None:
    service = QuotaService(LIMITS, latency_s=1.0)
    jobs = [(CREATE, (f"T{n}",)) for n in range(100)]
    gate = Pacer(Quotas(requests_in_flight=7)).gate("inventory")
    timed(workers(64, jobs, gate, service, "inventory"))
    assert service.most_under_way == 7


def flood(count: int, operation: Operation, twin: str = "") -> list[tuple[Operation, Any]]:
    return [(operation, (twin or f"{operation}{n}",)) for n in range(count)]


def test_parties_share_a_class_by_weight_and_neither_starves() -> None:
    service = QuotaService(LIMITS)

    async def run() -> None:
        pacer = Pacer(Quotas())
        telemetry = pacer.gate("telemetry", weight=3)
        inventory = pacer.gate("inventory")
        async with asyncio.timeout(6), asyncio.TaskGroup() as group:
            for gate, party in ((telemetry, "telemetry"), (inventory, "inventory")):
                jobs = flood(20_000, PATCH)
                group.create_task(workers(64, jobs, gate, service, party))

    with pytest.raises(TimeoutError):
        timed(run())
    assert service.served["telemetry"] / service.served["inventory"] == pytest.approx(3, rel=0.1)
    assert service.served.total() >= 0.95 * 6_000


def test_requests_under_way_are_shared_where_the_service_is_slow() -> None:
    service = QuotaService(LIMITS, latency_s=2.0)

    async def run() -> None:
        pacer = Pacer(Quotas(requests_in_flight=16))
        gates = {p: pacer.gate(p, weight=w) for p, w in (("telemetry", 3), ("inventory", 1))}
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for party, operation in (("telemetry", PATCH), ("inventory", CREATE)):
                jobs = flood(10_000, operation)
                group.create_task(workers(64, jobs, gates[party], service, party))

    with pytest.raises(TimeoutError):
        timed(run())
    assert service.served["telemetry"] / service.served["inventory"] == pytest.approx(3, rel=0.2)


def test_a_hub_that_is_wired_still_gets_its_health() -> None:
    service = QuotaService(LIMITS)

    async def run() -> None:
        pacer = Pacer(Quotas())
        inventory, telemetry = pacer.gate("inventory"), pacer.gate("telemetry", weight=3)
        edges = [(CREATE, ("HUB", f"T{n}")) for n in range(200)]
        everything_else = flood(8_000, PATCH)
        async with asyncio.TaskGroup() as group:
            group.create_task(workers(64, edges, inventory, service, "inventory"))
            other = group.create_task(workers(64, everything_else, telemetry, service, "telemetry"))
            await asyncio.sleep(2)
            for _ in range(10):
                await patiently(telemetry, service, "health", PATCH, ("HUB",))
            other.cancel()

    timed(run())
    # Every other turn of the hub is the health's while it waits.
    assert service.moments["health"][-1] < 5


def test_who_was_silent_saves_nothing_up() -> None:
    service = QuotaService(LIMITS)

    async def run() -> None:
        pacer = Pacer(Quotas())
        early, late = pacer.gate("early"), pacer.gate("late")
        async with asyncio.TaskGroup() as group:
            group.create_task(workers(32, flood(4_000, PATCH), early, service, "early"))
            await asyncio.sleep(2)
            group.create_task(workers(32, flood(2_000, PATCH), late, service, "late"))

    timed(run())
    first_second = [m for m in service.moments["late"] if m < 3]
    assert len(first_second) == pytest.approx(500, rel=0.1)


def test_less_than_was_promised_is_found_out_and_kept_to() -> None:
    service = QuotaService({**LIMITS, CREATE: 200.0})
    jobs = [(CREATE, (f"T{n}",)) for n in range(8_000)]
    took_s = timed(workers(64, jobs, Pacer(Quotas()).gate("inventory"), service, "inventory"))
    assert 8_000 / took_s > 0.6 * 200
    assert service.refused / 8_000 < 0.05


def test_a_refusal_of_one_twin_does_not_slow_the_others() -> None:
    service = QuotaService(LIMITS, twin_per_s=1, retry_after_s=5)

    async def run() -> None:
        gate = Pacer(Quotas()).gate("inventory")
        await workers(64, flood(4, PATCH, "HUB") + flood(900, PATCH), gate, service, "inventory")

    timed(run())
    others = [moments[0] for name, moments in service.moments.items() if name.startswith("patch")]
    assert max(others) < 1.1


def test_a_wait_the_service_asks_for_is_kept() -> None:
    async def run() -> float:
        gate = Pacer(Quotas()).gate("inventory")
        with pytest.raises(ThrottledError):
            async with gate.turn(CREATE, ("A",)):
                raise ThrottledError("slow down", status=429, retry_after_s=7.0)
        async with gate.turn(CREATE, ("B",)):
            return asyncio.get_running_loop().time()

    assert run_virtually(run()) == pytest.approx(7.0, abs=0.01)


def test_what_queries_cost_counts() -> None:
    async def run() -> float:
        gate = Pacer(Quotas(query_units_per_s=100)).gate("inventory")
        for _ in range(3):
            async with gate.turn(QUERY) as charge:
                charge(50.0)
        return asyncio.get_running_loop().time()

    assert run_virtually(run()) == pytest.approx(1.0 / HEADROOM, rel=0.01)


def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    async def run() -> None:
        pacer = Pacer(Quotas(requests_in_flight=1))
        gate = pacer.gate("inventory")
        async with gate.turn(CREATE, ("A",)):
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1), gate.turn(CREATE, ("A", "B")):
                        raise AssertionError("there is room for one")
        async with asyncio.timeout(1), gate.turn(CREATE, ("A", "B")):
            pass
        assert not pacer._waiting_for
        assert pacer._under_way.total() == 0

    run_virtually(run())


def test_lanes_of_twins_that_are_idle_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "TWIN_LANES_MAX", 3)

    async def run() -> int:
        pacer = Pacer(Quotas())
        for n in range(10):
            async with pacer.gate("inventory").turn(CREATE, (f"T{n}",)):
                pass
            await asyncio.sleep(1)
        return len(pacer._twins)

    assert run_virtually(run()) <= 3


def test_parties_that_let_each_other_go_first_both_go() -> None:
    async def run() -> float:
        pacer = Pacer(Quotas(requests_in_flight=1, twin_ops_per_s=1))
        one, other = pacer.gate("one"), pacer.gate("other")

        async def ask(gate: PartyGate, *twins: str) -> None:
            async with gate.turn(CREATE, twins):
                pass

        turn = one.turn(CREATE, ("X",))
        async with asyncio.timeout(30), asyncio.TaskGroup() as group, turn:
            group.create_task(ask(one, "A"))  # all wait, so that each twin was served for one
            group.create_task(ask(other, "B"))
            group.create_task(ask(one, "A", "B"))
            group.create_task(ask(other, "A", "B"))
            await asyncio.sleep(0.1)
        return asyncio.get_running_loop().time()

    assert run_virtually(run()) < 4
