"""The order of changes, and what it is for: no time is lost on busy twins."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.inventory.owner import Owner
from sync_agent.ports.pace import Operation
from sync_agent.ports.twin_store import TwinStore
from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.plan import Plan
from sync_agent.runs.apply_plan import apply_plan
from sync_agent.runs.pace import Pacer, Quotas
from sync_agent.runs.spread import HUB_UNDER_WAY, Busy, Spread
from sync_agent.twins.twin import Relationship
from tests.quota_service import QuotaService, patiently
from tests.virtual_time import run_virtually


def edge(source: str, target: str) -> Change:
    relationship = Relationship(f"{source}.{target}", source, "r", target)
    return Change(Action.CREATE, relationship=relationship)


class CountingTwins:
    """Takes relationships within the quotas, and does nothing else."""

    def __init__(self, latency_s: float) -> None:
        limits = {Operation.CREATE_DELETE: 500.0}
        self.service = QuotaService(limits, latency_s=latency_s)
        self._gate = Pacer(Quotas()).gate("inventory")

    async def put_relationship(
        self, relationship: Relationship, *, only_if_absent: bool
    ) -> Relationship:
        ends = (relationship.source, relationship.target)
        operation = Operation.CREATE_DELETE
        await patiently(self._gate, self.service, "inventory", operation, ends)
        return relationship


def seconds(changes: list[Change], latency_s: float = 0.05) -> tuple[float, CountingTwins]:
    """Apply changes in virtual time; return how long it took and what the service saw."""
    twins = CountingTwins(latency_s)

    async def run() -> float:
        plan = Plan(Owner("inventory"), tuple(changes), records=1)
        result = await apply_plan(plan, cast("TwinStore", twins), at_once=64)
        assert result.complete
        return asyncio.get_running_loop().time()

    return run_virtually(run()), twins


@pytest.mark.parametrize("latency_s", [0.02, 0.1, 0.25])
def test_a_hub_is_wired_at_its_limit_from_the_first_moment_on(latency_s: float) -> None:
    hub = [edge(f"A{n}", "HUB") for n in range(200)]
    rest = [edge(f"B{n}", f"C{n}") for n in range(4_000)]
    took_s, twins = seconds([*hub, *rest], latency_s)
    assert twins.service.refused == 0
    assert took_s < 200 / 10 / 0.95
    most_other_s = max(twins.service.moments[f"C{n}"][0] for n in range(4_000))
    assert most_other_s < 4_000 / min(500, 64 / latency_s) / 0.9


def test_many_twins_of_a_few_relationships_leave_the_quota_used() -> None:
    changes = [edge(f"S{site}R{n}", f"S{site}") for site in range(200) for n in range(20)]
    took_s, twins = seconds(changes)
    assert len(changes) / took_s > 0.95 * 500
    assert twins.service.refused == 0


def test_several_hubs_are_wired_side_by_side() -> None:
    hubs = [edge(f"A{h}.{n}", f"HUB{h}") for h in range(12) for n in range(100)]
    took_s, _ = seconds(hubs)
    assert took_s < 100 / 10 / 0.95


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(5, 30)), max_size=60),
    st.integers(1, 8),
)
def test_every_change_is_handed_out_once(ends: list[tuple[int, int]], at_once: int) -> None:
    changes = [edge(f"{a}", f"{b}") for a, b in ends]
    spread = Spread(changes)
    out: list[int] = []
    under_way: list[Busy | None] = []
    while (taken := spread.take()) is not None:
        out.append(id(taken[0]))
        under_way.append(taken[1])
        if len(under_way) == at_once:
            spread.done(under_way.pop(0))
    assert sorted(out) == sorted(map(id, changes))


def test_a_hub_has_a_few_under_way_and_not_all() -> None:
    changes = [edge(f"A{n}", "HUB") for n in range(50)]
    changes += [edge(f"B{n}", f"C{n}") for n in range(50)]
    spread = Spread(changes)
    first = Counter(taken[0].twins[1] for _ in range(20) if (taken := spread.take()) is not None)
    assert first["HUB"] == HUB_UNDER_WAY
