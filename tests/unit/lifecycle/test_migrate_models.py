from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sync_agent.dtdl.values import check_twin
from sync_agent.errors import (
    GuardError,
    InputError,
    ModelError,
    UnauthorizedError,
    UnreachableError,
)
from sync_agent.lifecycle.migrate_models import Migration, MigrationResult
from sync_agent.lifecycle.migration_journal import (
    Direction,
    journal_file,
    open_journal,
    read_journal,
)
from sync_agent.migration.outline import Entry
from sync_agent.migration.rules import Pair, Rules
from sync_agent.migration.step import Change
from sync_agent.twins.twin import Document, Relationship, Twin
from tests.memory_service import MemoryService
from tests.unit.migration.radios import MODELS, NEW, OLD, PAIR, radio, registry

INSTANCE = "https://here"


async def service_with(*documents: Document) -> MemoryService:
    service = MemoryService(MODELS)
    for document in documents:
        await service.put_twin(Twin.from_document(document))
    service.log.clear()
    return service


def migration(service: MemoryService, pair: Pair = PAIR) -> Migration:
    return Migration(pair, service, registry(), at_once=8, sleep=no_sleep)


async def no_sleep(_: float) -> None:
    return


async def run(service: MemoryService, file: Path, pair: Pair = PAIR) -> MigrationResult:
    with open_journal(file, pair, INSTANCE) as journal:
        return await migration(service, pair).run(journal, lambda _: None)


async def undo(service: MemoryService, file: Path) -> MigrationResult:
    with read_journal(file, INSTANCE) as journal:
        return await migration(service).undo(journal, lambda _: None)


def radios(count: int) -> list[Document]:
    return [radio(f"r{number}") for number in range(count)]


async def models_of(service: MemoryService) -> list[str]:
    return sorted([row["$metadata"]["$model"] async for row in service.query(ALL)])


ALL = "SELECT * FROM DIGITALTWINS T"


async def test_all_twins_are_taken_along_and_valid(tmp_path: Path) -> None:
    service = await service_with(*radios(5))

    result = await run(service, tmp_path / "j")

    assert (result.migrated, result.failed) == (5, set())
    async for row in service.query(ALL):
        assert row["$metadata"]["$model"] == NEW
        assert check_twin(registry(), row) == ()


async def test_a_plan_counts_what_happens_and_writes_nothing(tmp_path: Path) -> None:
    service = await service_with(*radios(2), radio("bad", channel="seven"))

    plan = await migration(service).plan()

    assert (plan.twins, plan.unfit) == (3, 1)
    assert plan.problems[0].twin == "bad"
    assert plan.changes["note", "removed"] == 2
    assert plan.changes["vendor", "added"] == 2
    assert plan.changes["channel", "retyped"] == 2
    assert plan.examples["channel", "retyped"][1] == Entry(Change.RETYPED, "channel", "7", 7)
    assert service.log == []


async def test_a_twin_that_does_not_fit_is_left_alone_and_named(tmp_path: Path) -> None:
    service = await service_with(*radios(2), radio("bad", channel="seven"))

    result = await run(service, tmp_path / "j")

    assert (result.migrated, result.failed) == (2, {"bad"})
    assert "channel" in result.reasons["bad"]
    assert await models_of(service) == [OLD, NEW, NEW]


async def test_a_value_written_meanwhile_is_taken_along(tmp_path: Path) -> None:
    service = await service_with(radio())
    writes = service.patch_twin

    async def interrupted(
        twin_id: str, patch: Sequence[Document], *, etag: str | None = None
    ) -> None:
        service.patch_twin = writes  # type: ignore[method-assign]
        await writes(twin_id, [{"op": "add", "path": "/rsl", "value": -77.0}])
        await writes(twin_id, patch, etag=etag)

    service.patch_twin = interrupted  # type: ignore[method-assign]

    result = await run(service, tmp_path / "j")

    twin = await service.get_twin("r1")
    assert twin is not None
    assert (result.migrated, twin.model, twin.properties["rslDbm"]) == (1, NEW, -77.0)


@pytest.mark.parametrize("applied", [False, True])
async def test_a_lost_answer_is_looked_up(tmp_path: Path, applied: bool) -> None:
    service = await service_with(radio())
    failures = service.fail_after if applied else service.fail
    failures["patch", "r1"].append(UnreachableError("reset"))

    await run(service, tmp_path / "j")

    assert await models_of(service) == [NEW]


async def test_a_run_that_died_is_gone_on_with(tmp_path: Path) -> None:
    service = await service_with(*radios(4))
    service.fail["patch", "r2"].append(UnauthorizedError("role taken away", status=403))
    with pytest.raises(UnauthorizedError):
        await run(service, tmp_path / "j")

    result = await run(service, tmp_path / "j")

    assert await models_of(service) == [NEW] * 4
    assert result.failed == set()


async def test_relationships_come_along_and_are_finished_after_a_kill(tmp_path: Path) -> None:
    service = await service_with(radio("r1"), radio("r2"))
    await service.put_relationship(Relationship("e1", "r1", "feeds", "r2", {"since": "2020"}))
    await service.put_relationship(
        Relationship("e2", "r1", "backs", "r2", {"rank": "2", "memo": "m"})
    )
    service.fail["put", "r1/e1"].append(UnauthorizedError("killed", status=403))
    with pytest.raises(UnauthorizedError):
        await run(service, tmp_path / "j")

    await run(service, tmp_path / "j")

    edges = {edge.id: edge async for edge in service.relationships_of("r1")}
    assert (edges["e1"].name, edges["e1"].properties) == ("supplies", {"since": "2020"})
    assert edges["e2"].properties == {"rank": 2}


async def test_a_migration_can_be_taken_back(tmp_path: Path) -> None:
    service = await service_with(*radios(3))
    await service.put_relationship(Relationship("e1", "r0", "old", "r1"))
    before = [row async for row in service.query(ALL)]
    await run(service, tmp_path / "j")

    result = await undo(service, tmp_path / "j")

    after = [row async for row in service.query(ALL)]
    assert result.migrated == 3
    assert [plain(row) for row in after] == [plain(row) for row in before]
    assert [edge.id async for edge in service.relationships_of("r0")] == ["e1"]


def plain(row: Document) -> Document:
    return {
        name: plain(value) if isinstance(value, dict) else value
        for name, value in row.items()
        if not name.startswith("$") or name == "$dtId"
    } | ({"model": row["$metadata"]["$model"]} if "$dtId" in row else {})


class Mortal(MemoryService):
    """A service on which the n-th write is the last of whoever writes."""

    writes_left = 1_000

    def _before(self, verb: str, element: str) -> None:
        if self.writes_left == 0:
            raise UnauthorizedError("killed here", status=403)
        self.writes_left -= 1
        super()._before(verb, element)


async def linked_radio() -> Mortal:
    """Return a service with a radio whose relationships are deleted, renamed and changed."""
    service = Mortal(MODELS)
    for document in radios(2):
        await service.put_twin(Twin.from_document(document))
    for edge in (
        Relationship("e1", "r0", "feeds", "r1", {"since": "2020"}),
        Relationship("e2", "r0", "old", "r1"),
        Relationship("e3", "r0", "backs", "r1", {"rank": "2", "memo": "m"}),
    ):
        await service.put_relationship(edge)
    return service


async def seen(service: MemoryService) -> tuple[list[Document], list[tuple[object, ...]]]:
    rows = [plain(row) async for row in service.query(ALL)]
    edges = [(e.id, e.name, dict(e.properties)) async for e in service.relationships_of("r0")]
    return sorted(rows, key=lambda row: row["$dtId"]), sorted(edges)


WRITES = 7  # three before the twin's patch, that of each twin, two after


@pytest.mark.parametrize("writes", range(WRITES))
async def test_a_run_killed_at_any_write_can_be_taken_back(tmp_path: Path, writes: int) -> None:
    service = await linked_radio()
    before = await seen(service)
    service.writes_left = writes
    with pytest.raises(UnauthorizedError):
        await run(service, tmp_path / "j")
    service.writes_left = 1_000

    await undo(service, tmp_path / "j")

    assert await seen(service) == before


@pytest.mark.parametrize("writes", range(WRITES))
async def test_an_undo_killed_at_any_write_is_gone_on_with(tmp_path: Path, writes: int) -> None:
    service = await linked_radio()
    before = await seen(service)
    await run(service, tmp_path / "j")
    service.writes_left = writes
    with pytest.raises(UnauthorizedError):
        await undo(service, tmp_path / "j")
    service.writes_left = 1_000

    if await still_going_back(tmp_path / "j"):
        with pytest.raises(InputError, match="an undo of this migration was cut off"):
            await run(service, tmp_path / "j")
    await undo(service, tmp_path / "j")

    assert await seen(service) == before


async def still_going_back(file: Path) -> bool:
    with read_journal(file, INSTANCE) as journal:
        return bool(journal.unfinished(Direction.BACK))


async def test_what_was_taken_back_can_be_migrated_and_taken_back_again(tmp_path: Path) -> None:
    service = await linked_radio()
    before = await seen(service)
    await run(service, tmp_path / "j")
    after = await seen(service)
    await undo(service, tmp_path / "j")
    with read_journal(tmp_path / "j", INSTANCE) as journal:
        assert journal.twins == ()

    await run(service, tmp_path / "j")
    assert await seen(service) == after
    await undo(service, tmp_path / "j")
    assert await seen(service) == before


async def test_a_relationship_deleted_since_does_not_come_back(tmp_path: Path) -> None:
    service = await linked_radio()
    await run(service, tmp_path / "j")
    await service.delete_relationship("r0", "e1")

    await undo(service, tmp_path / "j")

    assert [edge.id async for edge in service.relationships_of("r0")] == ["e2", "e3"]


def test_a_journal_in_use_keeps_others_out(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j", PAIR, INSTANCE):
        with pytest.raises(GuardError, match="is running"):
            open_journal(tmp_path / "j", PAIR, INSTANCE)
        with pytest.raises(GuardError, match="is running"):
            read_journal(tmp_path / "j", INSTANCE)
    open_journal(tmp_path / "j", PAIR, INSTANCE).__exit__(None, None, None)


async def test_other_rules_get_a_journal_of_their_own_when_the_first_is_at_an_end(
    tmp_path: Path,
) -> None:
    first = journal_file(tmp_path, PAIR, INSTANCE)
    assert first.name == "t-Radio-1-to-t-Radio-2.ndjson"
    other = Pair(OLD, NEW, Rules(set={"vendor": "x"}))
    service = await service_with(*radios(2))
    service.fail["patch", "r1"].append(UnauthorizedError("killed", status=403))
    with pytest.raises(UnauthorizedError):
        await run(service, first)

    with pytest.raises(InputError, match="by other rules, which was cut off"):
        journal_file(tmp_path, other, INSTANCE)
    await run(service, first)

    assert journal_file(tmp_path, PAIR, INSTANCE) == first
    assert journal_file(tmp_path, other, INSTANCE).name == "t-Radio-1-to-t-Radio-2-2.ndjson"
    assert journal_file(tmp_path, PAIR, "https://there") != first


async def test_a_twin_of_a_third_model_by_now_is_not_taken_back(tmp_path: Path) -> None:
    service = await service_with(radio())
    await run(service, tmp_path / "j")
    await service.put_twin(Twin("r1", "dtmi:t:Ports;1"))

    result = await undo(service, tmp_path / "j")

    assert result.failed == {"r1"}


def test_a_breaking_difference_without_a_rule_stops_before_anything(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="feeds: relationships of that name"):
        migration(MemoryService(MODELS), Pair(OLD, NEW))


def test_a_misspelt_rule_stops_before_anything() -> None:
    rules = replace(PAIR.rules, rename={"rssl": "rslDbm"})
    with pytest.raises(ModelError, match=f"rename: rssl is no property of {OLD}"):
        migration(MemoryService(MODELS), Pair(OLD, NEW, rules))


def test_a_model_that_is_not_deployed_stops_before_anything() -> None:
    with pytest.raises(ModelError, match="Radio;3 is not deployed"):
        migration(MemoryService(MODELS), Pair(OLD, "dtmi:t:Radio;3"))


def test_a_journal_of_another_migration_or_instance_is_refused(tmp_path: Path) -> None:
    open_journal(tmp_path / "j", PAIR, INSTANCE).__exit__(None, None, None)

    with pytest.raises(InputError, match="other rules"):
        open_journal(tmp_path / "j", Pair(OLD, NEW, Rules()), INSTANCE)
    with pytest.raises(InputError, match="not of https://there"):
        open_journal(tmp_path / "j", PAIR, "https://there")
    (tmp_path / "x").write_text("hello\n")
    with pytest.raises(InputError, match="damaged"):
        read_journal(tmp_path / "x", INSTANCE)


async def test_a_line_cut_off_by_a_kill_is_dropped(tmp_path: Path) -> None:
    service = await service_with(*radios(2))
    await run(service, tmp_path / "j")
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole + b'{"step":{"twin":"r')

    with open_journal(tmp_path / "j", PAIR, INSTANCE) as journal:
        assert journal.twins == ("r0", "r1")
        assert journal.unfinished(Direction.FORTH) == ()
    assert (tmp_path / "j").read_bytes() == whole


async def test_queries_that_lag_make_no_second_step(tmp_path: Path) -> None:
    service = await service_with(*radios(3))
    stale = [row async for row in service.query(ALL)]
    current = service.query
    shown = [0]

    async def lagging(text: str) -> AsyncIterator[Document]:
        shown[0] += 1
        if shown[0] <= 4:
            rows = [{"COUNT": len(stale)}] if "COUNT" in text else stale
            for row in rows:
                yield row
            return
        async for row in current(text):
            yield row

    service.query = lagging  # type: ignore[method-assign]

    result = await run(service, tmp_path / "j")

    assert (result.migrated, result.failed) == (3, set())
    assert [entry for entry in service.log if entry[0] == "patch"] == [
        ("patch", "r0"),
        ("patch", "r1"),
        ("patch", "r2"),
    ]
