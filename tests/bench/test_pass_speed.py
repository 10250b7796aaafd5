"""Passes of the agent after a small change, beside a pass over everything, on the same stub.

The stub runs in a process of its own and already has the twins of an inventory of CSV files. One
agent makes its first pass, which reads everything; then one in which nothing changed, one after
``CHANGED`` records and ``CHANGED`` twins did, and one after that; a second agent makes a first pass
over the same change. Times include the service's own, requests are those the stub counted.
PASS_RECORDS scales the runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from sync_agent.agent.desired_graph import InventoryReader
from sync_agent.agent.inventory_loop import InventoryLoop
from sync_agent.agent.inventory_pass import Inventory
from sync_agent.agent.policy import reconciler_of
from sync_agent.agent.twin_service import twin_store
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.settings.settings import Settings, load_settings
from sync_agent.sources.folder import SETTLED_S
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.server import ADT_FILE
from tests.bench.test_reconcile_speed import folder_of, read
from tests.small_network import MODELS

ROOT = Path(__file__).resolve().parents[2]
SIZES = [int(n) for n in os.environ.get("PASS_RECORDS", "2000,10000,100000").split(",")]
CHANGED = 10
STAMP = "2026-01-01T00:00:00.0000000Z"
LATER = "2026-01-01T12:00:00.0000000Z"

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3_600)]


def fill(data: Path, inventory: Path) -> None:
    """Put an inventory's twins into a stub's file."""
    data.mkdir()
    graph = read(inventory).graph
    db = TwinDb(data / ADT_FILE)
    with db.writing():
        for model in MODELS:
            db.add_model(model["@id"], model, STAMP)
        for twin in graph.twins.values():
            time_ = LATER if twin.id == "S0" else STAMP  # not all of it was loaded this minute
            metadata = {"$model": twin.model, "$lastUpdateTime": time_}
            db.put_twin({**twin.as_stored(), "$etag": f'W/"{twin.id}"', "$metadata": metadata})
        for edge in graph.relationships.values():
            db.put_relationship({**edge.as_stored(), "$etag": 'W/"e"'})
    db.close()


@contextmanager
def serving(data: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "sync_agent", "stub", "--output", "json"]
    command += ["--data-dir", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["adt_url"]
        finally:
            process.terminate()


def settings_of(folder: Path, url: str, journal: str) -> Settings:
    flags = {
        "adt.url": url,
        "adt.auth": "none",
        "state.journal": str(folder / journal),
        "inventory.source": str(folder),
        "inventory.mapping": str(folder / "mapping.toml"),
    }
    return load_settings(None, flags, {}).settings


def loop_of(settings: Settings, service: AzureTwinStore, reader: InventoryReader) -> InventoryLoop:
    inventory = Inventory(reader.read, reconciler_of(settings))
    return InventoryLoop(inventory, service, apply=True, full_every_s=3600)


def change_records(folder: Path) -> None:
    lines = (folder / "routers.csv").read_text().splitlines(keepends=True)
    for number in range(1, CHANGED + 1):
        lines[number] = lines[number].replace("router ", "changed router ")
    (folder / "routers.csv").write_text("".join(lines))


async def change_twins(service: AzureTwinStore) -> None:
    """Change twins behind the agent's back, as an operator does."""
    for number in range(100, 100 + CHANGED):
        await service.patch_twin(f"R{number}", [{"op": "add", "path": "/label", "value": "theirs"}])


async def measured(loop: InventoryLoop, url: str, written: int) -> tuple[float, int]:
    before = requests(url)
    began = time.perf_counter()
    assert len(await loop()) == written
    took_s = time.perf_counter() - began
    return took_s, requests(url) - before


def requests(url: str) -> int:
    with urlopen(f"{url}/stub/requests") as answer:
        return sum(of["requests"] for of in json.load(answer)["operations"].values())


async def passes(folder: Path, url: str) -> dict[str, tuple[float, int]]:
    took = {}
    settings = settings_of(folder, url, "journal.db")
    async with twin_store(settings) as service, InventoryReader.of(settings) as reader:
        loop = loop_of(settings, service, reader)
        await asyncio.sleep(SETTLED_S)
        took["first, of everything"] = await measured(loop, url, 0)
        await measured(loop, url, 0)
        took["nothing changed"] = await measured(loop, url, 0)
        await change_twins(service)
        took["twins changed"] = await measured(loop, url, CHANGED)
        change_records(folder)
        await change_twins(service)
        took["twins and records changed"] = await measured(loop, url, 2 * CHANGED)
        await change_twins(service)
        other = settings_of(folder, url, "other.db")
        async with InventoryReader.of(other) as again:
            took["twins changed, of everything"] = await measured(
                loop_of(other, service, again), url, CHANGED
            )
    return took


def test_passes_after_a_small_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = []
    for records in SIZES:
        folder = folder_of(tmp_path / f"inventory{records}", records, changed=False)
        data = tmp_path / f"data{records}"
        fill(data, folder)
        with serving(data) as url:
            found = asyncio.run(passes(folder, url))
        table += [(records, name, *figures) for name, figures in found.items()]
    with capsys.disabled():
        print(f"\n{'records':>9}  {'pass':<30} {'seconds':>8} {'requests':>8}")  # noqa: T201 - the
        for records, name, seconds, count in table:  # figures are what a benchmark is for
            print(f"{records:>9,}  {name:<30} {seconds:>8.2f} {count:>8,}")  # noqa: T201
