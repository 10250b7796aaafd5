"""What is read again of the twins, and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

import pytest

from sync_agent.agent.twin_snapshot import LAG_S, OVERLAP_S, WRITTEN_MAX, TwinSnapshot
from sync_agent.errors import UnavailableError
from sync_agent.inventory.desired import DesiredGraph
from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.plan import make_plan
from sync_agent.runs.apply_plan import apply_plan
from sync_agent.twins.twin import Document, Twin
from tests.lagging_service import LaggingService
from tests.property.test_reconcile import WHOLE
from tests.small_network import MODELS, SITE, mapped

FULL_EVERY_S = 3600.0
LABEL = [{"op": "add", "path": "/label", "value": "theirs"}]


class Failing(LaggingService):
    """Fails at the queries that contain a text, or answers them with nothing."""

    fails_at = ""
    empty_at = ""

    async def query(self, text: str) -> AsyncIterator[Document]:
        if self.fails_at and self.fails_at in text:
            raise UnavailableError("down", status=503)
        async for row in super().query(text):
            if not self.empty_at or self.empty_at not in text:
                yield row


@pytest.fixture
def wanted() -> DesiredGraph:
    return mapped().desired


@pytest.fixture
async def twins(wanted: DesiredGraph) -> Failing:
    """A service that has everything an inventory wants, all of it written long ago but S1."""
    service = Failing(MODELS, lag_s=0, random=Random(1))
    plan = make_plan(wanted, service.graph, WHOLE, records=1)
    assert (await apply_plan(plan, service, at_once=1)).complete
    service.wait(2 * OVERLAP_S)
    await service.patch_twin("S1", [{"op": "add", "path": "/floors", "value": 4}])
    service.wait(OVERLAP_S)
    return service


def snapshot_of(twins: LaggingService, wanted: DesiredGraph) -> TwinSnapshot:
    return TwinSnapshot(wanted.owner, full_every_s=FULL_EVERY_S, at_once=1, clock_s=twins.clock_s)


@pytest.fixture
async def snapshot(twins: Failing, wanted: DesiredGraph) -> TwinSnapshot:
    """A snapshot after its first two readings."""
    snapshot = snapshot_of(twins, wanted)
    assert await snapshot.refresh(twins, wanted) is None
    twins.wait(2 * OVERLAP_S)
    assert await snapshot.refresh(twins, wanted) is not None
    twins.wait(2 * OVERLAP_S)
    twins.asked.clear()
    return snapshot


async def test_where_nothing_changed_no_twin_is_read(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    moved = await snapshot.refresh(twins, wanted)
    assert moved is not None
    assert not moved
    assert twins.asked["query"] == 3  # what changed, and how many there are
    assert twins.asked["row"] == 2


async def test_a_twin_that_others_changed_is_read_and_no_other(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    await twins.patch_twin("R1", LABEL)
    moved = await snapshot.refresh(twins, wanted)
    assert moved is not None
    assert (moved.twins, moved.edges, moved.turned) == ({"R1"}, set(), set())
    assert twins.asked["row"] == 3
    assert snapshot.graph.twin("R1") == twins.graph.twin("R1")


async def test_a_relationship_that_others_deleted_is_missed_by_the_number(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    key = next(iter(wanted.relationships))
    await twins.delete_relationship(*key)
    moved = await snapshot.refresh(twins, wanted)
    assert moved is not None
    assert moved.edges == {key}
    assert snapshot.graph.relationship(*key) is None


async def test_a_relationship_whose_values_others_changed_is_seen_in_a_quarter_of_the_time(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    key = next(iter(wanted.relationships))
    await twins.patch_relationship(*key, [{"op": "add", "path": "/weight", "value": 0.5}])
    moved = await snapshot.refresh(twins, wanted)
    assert moved is not None
    assert not moved
    twins.wait(FULL_EVERY_S / 4)
    moved = await snapshot.refresh(twins, wanted)
    assert moved is not None
    assert moved.edges == {key}
    edge = snapshot.graph.relationship(*key)
    assert edge is not None
    assert edge["weight"] == 0.5


async def test_relationships_are_read_by_time_only_when_it_is_time(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    twins.wait(FULL_EVERY_S / 4)
    await snapshot.refresh(twins, wanted)
    twins.asked.clear()
    await snapshot.refresh(twins, wanted)
    assert twins.asked["row"] < len(wanted.relationships)


async def test_a_twin_that_lost_its_mark_is_known_to_be_anothers(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    await twins.patch_twin("S2", [{"op": "add", "path": "/tags", "value": {"team": "north"}}])
    moved = await snapshot.refresh(twins, wanted)
    assert moved is not None
    assert moved.turned == {"S2"}
    assert snapshot.managed[SITE] == 1
    assert snapshot.graph.twin("S2") == twins.graph.twin("S2")


async def test_a_twin_in_the_way_is_seen_to_come_and_to_go(
    snapshot: TwinSnapshot, twins: Failing
) -> None:
    more = mapped().desired
    new = Twin("S9", SITE, {"health": {"$metadata": {}}})
    more = DesiredGraph(more.owner, twins={**more.twins, "S9": new}, ownership=more.ownership)
    await twins.put_twin(new)
    await snapshot.refresh(twins, more)
    assert snapshot.graph.twin("S9") is not None
    await twins.delete_twin("S9")
    moved = await snapshot.refresh(twins, more)
    assert moved is not None
    assert "S9" in moved.turned
    assert snapshot.graph.twin("S9") is None


async def test_everything_is_read_again_when_the_last_time_is_long_ago(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    twins.wait(FULL_EVERY_S)
    assert await snapshot.refresh(twins, wanted) is None


async def test_everything_is_read_again_after_a_reading_that_failed(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    twins.fails_at = "COUNT"
    with pytest.raises(UnavailableError):
        await snapshot.refresh(twins, wanted)
    twins.fails_at = ""
    assert await snapshot.refresh(twins, wanted) is None


async def test_a_service_that_does_not_answer_by_time_is_read_in_full(
    twins: Failing, wanted: DesiredGraph
) -> None:
    twins.empty_at = "$lastUpdateTime"
    snapshot = snapshot_of(twins, wanted)
    for _ in range(3):
        assert await snapshot.refresh(twins, wanted) is None
        twins.wait(60)


async def test_what_was_written_is_read_by_id_as_long_as_queries_may_lag(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    twins.lag_s = 10
    twins._random = Random(0)
    change = Change(Action.UPDATE, twin=Twin("R1", "dtmi:test:Router;1"))
    snapshot.written([change])
    await twins.patch_twin("R1", LABEL)
    twins.wait(0.1)
    await snapshot.refresh(twins, wanted)
    assert twins.asked["read"] == 1
    assert snapshot.graph.twin("R1") == twins.graph.twin("R1")
    twins.asked.clear()
    snapshot.written([change])
    twins.wait(LAG_S)
    await snapshot.refresh(twins, wanted)
    assert twins.asked["read"] == 0


async def test_after_a_large_load_everything_is_read(
    snapshot: TwinSnapshot, twins: Failing, wanted: DesiredGraph
) -> None:
    change = Change(Action.UPDATE, twin=Twin("R1", "dtmi:test:Router;1"))
    snapshot.written([change] * (WRITTEN_MAX + 1))
    assert await snapshot.refresh(twins, wanted) is None
