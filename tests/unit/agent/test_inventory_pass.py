import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sync_agent.agent.desired_graph import read_mapping
from sync_agent.agent.inventory_loop import InventoryLoop
from sync_agent.agent.inventory_pass import Inventory, inventory_of
from sync_agent.errors import GuardError, InputError, SettingsError, UnavailableError
from sync_agent.runs.journal import Journal, RunState
from sync_agent.settings.settings import Settings, load_settings
from sync_agent.twins.twin import Twin
from tests.memory_service import MemoryService
from tests.small_network import LINKS, MAPPING, MODELS, ROUTERS, SITES, Rows


def write(folder: Path, sites: Rows = SITES, links: Rows = LINKS) -> None:
    for name, usual, rows in (
        ("sites.csv", SITES, sites),
        ("routers.csv", ROUTERS, ROUTERS),
        ("links.csv", LINKS, links),
    ):
        lines = [",".join(usual[0]), *(",".join(row.values()) for row in rows)]
        (folder / name).write_text("\n".join(lines) + "\n")


def settings_of(folder: Path, **more: str) -> Settings:
    flags = {
        "adt.url": "https://twins.test",
        "state.journal": str(folder / "journal.db"),
        "inventory.source": str(folder),
        "inventory.mapping": str(folder / "mapping.toml"),
        "inventory.max_delete_count": "10",
        "inventory.max_delete_percent": "50",
        "limits.requests_in_flight": "4",
    }
    return load_settings(None, flags | more, {}).settings


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    write(tmp_path)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return inventory_of(settings_of(tmp_path))


async def test_a_pass_brings_the_twins_in_line_and_returns_those_it_wrote(
    inventory: Inventory, tmp_path: Path
) -> None:
    service = MemoryService(MODELS)
    loop = InventoryLoop(inventory, service, apply=True, full_every_s=3600)
    assert set(await loop()) == {"S1", "S2", "R1", "R2", "L1"}
    assert set(await loop()) == set()
    write(tmp_path, sites=[{**SITES[0], "label": "x"}, SITES[1]])
    assert set(await loop()) == {"S1"}


async def test_sound_records_go_through_and_the_others_are_logged(
    inventory: Inventory, tmp_path: Path
) -> None:
    service = MemoryService(MODELS)
    write(tmp_path, sites=[{**SITES[0], "latitude": "x"}, SITES[1]])
    with capture_logs() as log:
        await InventoryLoop(inventory, service, apply=True, full_every_s=3600)()
    assert service.graph.twin("S1") is None
    assert service.graph.twin("S2") is not None
    assert {"place": "sites.csv:2", "log_level": "warning"}.items() <= log[0].items()


async def test_what_cannot_be_used_is_logged_when_it_comes_and_when_it_is_over(
    inventory: Inventory, tmp_path: Path
) -> None:
    loop = InventoryLoop(inventory, MemoryService(MODELS), apply=True, full_every_s=3600)
    bad = [{**SITES[0], "latitude": "x"}, SITES[1]]
    events = []
    for sites in (bad, bad, SITES, SITES):
        write(tmp_path, sites=sites)
        with capture_logs() as log:
            await loop()
        events.append([entry["event"] for entry in log if "record" in entry["event"]])
    assert events == [["record not used"], [], ["all records can be used again"], []]


async def test_with_apply_off_nothing_is_written_and_the_difference_logged(
    inventory: Inventory, tmp_path: Path
) -> None:
    service = MemoryService(MODELS)
    with capture_logs() as log:
        assert await InventoryLoop(inventory, service, apply=False, full_every_s=3600)() == ()
    assert service.log == []
    assert log[-1]["create"] == 9


async def test_a_plan_that_a_guard_refuses_is_not_begun(
    inventory: Inventory, tmp_path: Path
) -> None:
    service = MemoryService(MODELS)
    loop = InventoryLoop(inventory, service, apply=True, full_every_s=3600)
    await loop()
    service.log.clear()
    write(tmp_path, sites=[], links=[])
    (tmp_path / "routers.csv").write_text(",".join(ROUTERS[0]) + "\n")
    with pytest.raises(GuardError):
        await loop()
    assert service.log == []


async def test_a_service_that_fails_in_the_middle_is_an_error_of_the_pass(
    inventory: Inventory, tmp_path: Path
) -> None:
    service = MemoryService(MODELS)
    service.fail["put", "R1"].append(UnavailableError("down", status=503))
    loop = InventoryLoop(inventory, service, apply=True, full_every_s=3600)
    with pytest.raises(UnavailableError):
        await loop()
    assert await loop()


class HangingService(MemoryService):
    """A service that never answers to the creation of S2, the last twin."""

    def __init__(self) -> None:
        super().__init__(MODELS)
        self.hangs = asyncio.Event()

    async def put_twin(self, twin: Twin, *, only_if_absent: bool = False) -> Twin:
        if twin.id == "S2":
            self.hangs.set()
            await asyncio.Event().wait()
        return await super().put_twin(twin, only_if_absent=only_if_absent)


async def test_a_run_that_is_broken_off_says_how_to_go_on_and_notes_what_it_did(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    settings = settings_of(tmp_path, **{"limits.requests_in_flight": "1"})
    said: list[str] = []
    inventory, service = inventory_of(settings, said.append), HangingService()
    prepared = await inventory.prepare(service)
    running = asyncio.create_task(inventory.apply(prepared, service, "sync"))
    await service.hangs.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "run 1 was broken off" in said[0]
    assert "sync-agent undo 1" in said[0]
    with Journal(settings.state.journal_path, "https://twins.test") as journal:
        assert journal.run(1).outcomes["done"] == len(service.log) == 4
        assert journal.run(1).ended_ms is None
        assert journal.run(1).state is RunState.BROKEN_OFF


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, "cannot be read: No such file"), (b"\xff", "is not UTF-8"), (b"x", "is not TOML")],
)
def test_a_mapping_that_cannot_be_read_is_told_by_name(
    tmp_path: Path, data: bytes | None, said: str
) -> None:
    path = tmp_path / "mapping.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=rf"mapping\.toml(:1)?: {said}"):
        read_mapping(path)


def test_the_inventory_is_made_of_the_settings(tmp_path: Path) -> None:
    more = {
        "inventory.max_delete_count": "7",
        "guards.max_change_count": "9",
        "guards.on_exceeded": "skip-deletes",
        "guards.never_delete": "dtmi:a;1, dtmi:b",
        "guards.delete_grace_s": "60",
    }
    policy = inventory_of(settings_of(tmp_path, **more)).reconciler.policy
    assert (policy.limits.max_delete_count, policy.limits.max_change_count) == (7, 9)
    assert policy.limits.skip_deletes
    assert policy.never_delete == {"dtmi:a;1", "dtmi:b"}
    assert (policy.grace_s, policy.at_once) == (60, 4)
    with pytest.raises(SettingsError, match=r"inventory\.source"):
        inventory_of(load_settings(None, {}, {}).settings)
