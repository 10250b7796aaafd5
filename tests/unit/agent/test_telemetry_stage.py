"""Events become twin values, counts and health; a repeat of a batch changes nothing visible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sync_agent.agent.directory import TwinDirectory
from sync_agent.agent.health_board import HealthBoard
from sync_agent.agent.health_writer import HealthWriter
from sync_agent.agent.state import StateStore
from sync_agent.agent.telemetry_stage import TelemetryStage
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import ServiceError, UnavailableError
from sync_agent.health.profile import Profiles
from sync_agent.ports.events import Event
from sync_agent.telemetry.binding import Binder, parse_bindings
from sync_agent.telemetry.tally import Tally
from sync_agent.twins.twin import Document, Twin
from tests.unit.agent.memory import MemoryTwins

MINUTE = 60_000
LINK = "dtmi:test:Link;1"
MODELS: list[dict[str, Any]] = [
    {
        "@context": "dtmi:dtdl:context;3",
        "@id": LINK,
        "@type": "Interface",
        "contents": [
            {"@type": "Property", "name": "rslDbm", "schema": "double"},
            {"@type": "Property", "name": "nominalRslDbm", "schema": "double"},
            {"@type": "Component", "name": "health", "schema": "dtmi:test:Health;1"},
        ],
    },
    {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:test:Health;1", "@type": "Interface"},
]
LINK_2 = "dtmi:test:Link;2"
LINK_2_MODEL: dict[str, Any] = {
    **MODELS[0],
    "@id": LINK_2,
    "contents": [{"@type": "Property", "name": "level", "schema": "double"}],
}
BINDING_2 = f"""
[[binding]]
model = "{LINK_2}"
metric = "rsl"
property = "level"
"""
BINDINGS = f"""
[[binding]]
model = "{LINK}"
metric = "rsl"
property = "rslDbm"
missing = [-99.9]
"""
PROFILES = f"""
[[profile]]
model = "{LINK}"
[[profile.kpi]]
name = "fade"
properties = ["rslDbm"]
references = ["nominalRslDbm"]
good = 3
degraded = 10
critical = 20
unit = "dB"
"""


class Rig:
    """One life of the agent's telemetry over the same twins and state file."""

    def __init__(self, twins: MemoryTwins, path: Path) -> None:
        registry = ModelRegistry(parse_models(MODELS).interfaces)
        profiles = Profiles.parse(PROFILES, place="health.toml")
        self.twins = twins
        self.models_read = 0
        self.state = StateStore(path, stream="hub")
        self.directory = TwinDirectory(twins, clock=lambda: 0.0)  # type: ignore[arg-type]
        self.board = HealthBoard(lambda model: profiles.for_model(model, registry))
        self.board.restore(self.state.health())
        self.stage = TelemetryStage(
            writer=twins,  # type: ignore[arg-type]
            directory=self.directory,
            binder=Binder(parse_bindings(BINDINGS, place="bindings.toml"), registry),
            read_models=self.read_models,
            board=self.board,
            state=self.state,
            now_ms=lambda: 1,
            at_once=4,
        )
        self.health = HealthWriter(twins, self.directory, self.state, at_once=4)  # type: ignore[arg-type]

    async def read_models(self) -> None:
        """Learn the second version of the link, whose level has another name."""
        self.models_read += 1
        bindings = parse_bindings(BINDINGS + BINDING_2, place="bindings.toml")
        registry = ModelRegistry(parse_models([*MODELS, LINK_2_MODEL]).interfaces)
        self.stage.use(Binder(bindings, registry))

    async def handle(self, *events: Event) -> Tally:
        return await self.stage.handle("0", events)


@pytest.fixture
def twins() -> MemoryTwins:
    return MemoryTwins(Twin("L1", LINK, {"nominalRslDbm": -40.0, "health": {}}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def event(number: int, *samples: dict[str, Any], body: bytes | None = None) -> Event:
    return Event("0", number, body or json.dumps(list(samples)).encode())


def sample(minute: int, value: object, element: str = "L1") -> dict[str, Any]:
    return {"element": element, "time": minute * MINUTE, "values": {"rsl": value}}


async def test_the_newest_reading_of_a_batch_stands_on_the_twin_with_its_event_time(
    twins: MemoryTwins, path: Path
) -> None:
    tally = await Rig(twins, path).handle(event(1, sample(1, -41.0), sample(2, -42.0)))
    document = twins.documents["L1"]
    assert document["rslDbm"] == -42.0
    assert document["$metadata"]["rslDbm"]["sourceTime"] == "1970-01-01T00:02:00Z"
    assert tally == Tally(rows=2, applied=1, coalesced=1)
    assert len(twins.writes) == 1


async def test_every_row_ends_in_exactly_one_count(twins: MemoryTwins, path: Path) -> None:
    rig = Rig(twins, path)
    tally = await rig.handle(
        event(1, sample(1, -41.0), sample(2, -99.9), sample(3, None), sample(3, "")),
        event(2, sample(3, -42.0, element="nobody"), sample(4, "loud")),
        event(3, body=b"not json"),
        event(4, {"element": "L1", "values": {}}, sample(5, -43.0)),
    )
    assert tally == Tally(rows=9, applied=1, coalesced=1, missing=3, dead_lettered=4)
    assert rig.state.tally() == tally
    letters = {letter.sequence_number: letter for letter in rig.state.dead_letters()}
    assert {number: letter.element for number, letter in letters.items()} == {
        2: "L1",
        3: "",
        4: "L1",
    }
    assert "rsl: must be a number" in letters[2].reason
    assert "not JSON" in letters[3].reason
    assert "time" in letters[4].reason
    reasons = [letter.reason for letter in rig.state.dead_letters()]
    assert "there is no twin 'nobody'" in reasons


async def test_a_batch_read_again_after_a_kill_writes_nothing_and_is_counted_once(
    twins: MemoryTwins, path: Path
) -> None:
    batch = event(1, sample(1, -41.0), sample(2, -42.0))
    first = Rig(twins, path)
    # Killed between the write and the commit: the twin is patched, the position is not.
    first.state.close()
    with pytest.raises(Exception, match=r"closed"):
        await first.handle(batch)
    assert len(twins.writes) == 1
    second = Rig(twins, path)
    assert second.state.positions() == {}
    tally = await second.handle(batch)
    assert len(twins.writes) == 1
    assert tally == Tally(rows=2, applied=1, coalesced=1)
    assert second.state.positions()["0"].sequence_number == 1


async def test_an_older_reading_never_overwrites_a_newer_one(
    twins: MemoryTwins, path: Path
) -> None:
    rig = Rig(twins, path)
    await rig.handle(event(1, sample(5, -45.0)))
    tally = await rig.handle(event(2, sample(4, -44.0)))
    assert twins.documents["L1"]["rslDbm"] == -45.0
    assert tally == Tally(rows=1, coalesced=1)


async def test_a_service_that_fails_leaves_the_position_where_it_was(
    twins: MemoryTwins, path: Path
) -> None:
    rig = Rig(twins, path)
    twins.fail_next = UnavailableError("try later", status=503)
    with pytest.raises(UnavailableError):
        await rig.handle(event(1, sample(1, -41.0)))
    assert rig.state.positions() == {}
    assert (await rig.handle(event(1, sample(1, -41.0)))).applied == 1


async def test_a_twin_the_service_refuses_to_patch_dead_letters_its_rows_only(
    twins: MemoryTwins, path: Path
) -> None:
    twins.documents["L2"] = {"$dtId": "L2", "$metadata": {"$model": LINK}, "health": {}}
    rig = Rig(twins, path)
    twins.fail_next = ServiceError("not valid", status=400)
    tally = await rig.handle(event(1, sample(1, -41.0), sample(1, -41.0, element="L2")))
    assert tally == Tally(rows=2, applied=1, dead_lettered=1)
    assert [letter.reason for letter in rig.state.dead_letters()] == ["not valid"]


class Migrating(MemoryTwins):
    """Twins that are of the new model by the time the first patch arrives, and refuse it."""

    async def patch_twin(
        self, twin_id: str, patch: Sequence[Document], *, etag: str | None = None
    ) -> None:
        if self.documents[twin_id]["$metadata"]["$model"] == LINK:
            self.documents[twin_id] = {"$dtId": twin_id, "$metadata": {"$model": LINK_2}}
            raise ServiceError("rslDbm is no property of the model", status=400)
        await super().patch_twin(twin_id, patch, etag=etag)


async def test_a_twin_that_went_to_another_model_meanwhile_gets_its_reading_under_that(
    path: Path,
) -> None:
    twins = Migrating(Twin("L1", LINK, {"health": {}}))
    rig = Rig(twins, path)

    tally = await rig.handle(event(1, sample(1, -41.0), sample(2, -42.0)))

    assert tally == Tally(rows=2, applied=1, coalesced=1)
    assert twins.documents["L1"]["level"] == -42.0
    assert rig.models_read == 1


async def test_a_model_nobody_knew_yet_is_read_once(path: Path) -> None:
    rig = Rig(MemoryTwins(Twin("L1", LINK_2), Twin("X", "dtmi:test:Other;1")), path)

    tally = await rig.handle(event(1, sample(1, -41.0), sample(1, 1.0, element="X")))
    again = await rig.handle(event(2, sample(2, 1.0, element="X")))

    assert tally == Tally(rows=2, applied=1, dead_lettered=1)
    assert again == Tally(rows=1, dead_lettered=1)
    assert rig.models_read == 1


async def test_a_fade_in_two_of_three_minutes_shows_on_the_twin_as_degraded(
    twins: MemoryTwins, path: Path
) -> None:
    rig = Rig(twins, path)
    levels = [-40.0, -52.0, -40.0, -52.0, -40.0]
    await rig.handle(event(1, *(sample(m, level) for m, level in enumerate(levels))))
    assert await rig.health.flush() == 1
    health = twins.documents["L1"]["health"]
    assert health["state"] == "degraded"
    assert health["stateSince"] == "1970-01-01T00:04:00Z"
    assert health["worstKpi"] == "fade"
    assert health["explanation"] == "fade 12 dB (degraded at 10 dB)"
    assert await rig.health.flush() == 0


async def test_health_goes_on_after_a_restart_as_if_there_had_been_none(
    twins: MemoryTwins, path: Path
) -> None:
    levels = [-40.0, -52.0, -52.0, -40.0, -40.0, -40.0, -40.0]
    for minute, level in enumerate(levels):
        rig = Rig(twins, path)
        await rig.handle(event(minute, sample(minute, level)))
        rig.state.close()
    rig = Rig(twins, path)
    assert [(t.at_ms // MINUTE, t.after) for t in rig.state.transitions()] == [
        (1, "healthy"),
        (3, "degraded"),
        (6, "healthy"),
    ]


async def test_an_element_that_falls_silent_becomes_unknown_and_never_stays_green(
    twins: MemoryTwins, path: Path
) -> None:
    twins.documents["L2"] = {
        "$dtId": "L2",
        "$metadata": {"$model": LINK},
        "nominalRslDbm": -40.0,
        "health": {},
    }
    rig = Rig(twins, path)
    await rig.handle(event(1, sample(0, -40.0), sample(0, -40.0, element="L2")))
    await rig.handle(event(2, *(sample(m, -40.0) for m in range(1, 8))))
    rig.stage.pass_silence()
    await rig.health.flush()
    assert twins.documents["L1"]["health"]["state"] == "healthy"
    assert twins.documents["L2"]["health"]["state"] == "unknown"
    assert "score" not in twins.documents["L2"]["health"]


async def test_the_last_minute_of_a_stream_is_closed_when_nothing_comes_any_more(
    twins: MemoryTwins, path: Path
) -> None:
    rig = Rig(twins, path)
    await rig.handle(event(1, sample(0, -40.0)))
    assert rig.state.transitions() == []
    rig.stage.pass_idle("0")
    assert [t.after for t in rig.state.transitions()] == ["healthy"]


async def test_a_health_write_that_was_interrupted_is_done_by_the_next_life(
    twins: MemoryTwins, path: Path
) -> None:
    rig = Rig(twins, path)
    await rig.handle(event(1, sample(0, -40.0), sample(1, -40.0)))
    twins.fail_next = UnavailableError("reset", status=503)
    twins.fail_after_write = True
    with pytest.raises(UnavailableError):
        await rig.health.flush()
    rig.state.close()
    writes = len(twins.writes)
    again = Rig(twins, path)
    assert await again.health.flush() == 1
    assert len(twins.writes) == writes, "the twin showed it already"


async def test_a_health_patch_that_was_applied_before_a_reset_counts_as_shown(
    twins: MemoryTwins, path: Path
) -> None:
    rig = Rig(twins, path)
    await rig.handle(event(1, sample(0, -40.0)), event(2, sample(1, -40.0)))
    await rig.health.flush()
    await rig.handle(event(3, sample(20, -40.0)))
    rig.stage.pass_silence()
    # The service applied the patch, the answer was lost, and the repeat is refused.
    twins.fail_next = ServiceError("target location not found", status=400)
    twins.fail_after_write = True
    assert await rig.health.flush() == 1
    assert rig.state.unwritten_health_count() == 0


async def test_health_that_changed_since_a_patch_whose_answer_was_lost_is_shown(
    twins: MemoryTwins, path: Path
) -> None:
    rig = Rig(twins, path)
    await rig.handle(event(1, sample(0, -40.0)), event(2, sample(1, -40.0)))
    await rig.health.flush()
    await rig.handle(event(3, sample(20, -40.0)))
    rig.stage.pass_silence()
    twins.fail_next = UnavailableError("reset", status=503)
    twins.fail_after_write = True
    with pytest.raises(UnavailableError):
        await rig.health.flush()
    # The twin has no score any more, which the next patch removes in vain, and shows what is old.
    twins.documents["L1"]["health"]["explanation"] = "old"
    await rig.health.flush()
    assert twins.documents["L1"]["health"]["explanation"] != "old"
    assert rig.state.unwritten_health_count() == 0
