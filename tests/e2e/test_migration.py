"""Ten thousand twins change their model under running telemetry, with a kill -9 in the middle."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_agent.agent.state import StateStore
from sync_agent.azure.hub_address import HubAddress
from sync_agent.azure.hub_sender import HubSender
from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.values import check_twin
from sync_agent.ports.events import OutgoingEvent
from sync_agent.runs.bounded import each
from sync_agent.twins.time import parse_time_ms
from sync_agent.twins.twin import Document, Relationship, Twin
from tests.unit.dtdl.documents import component, interface, prop

TWINS, SITES = 10_000, 100
OLD, NEW = "dtmi:t:Radio;1", "dtmi:t:Radio;2"
ROWS_PER_EVENT = 100
FIRST_MS = 1_750_000_000_000

OLD_MODELS: list[Document] = [
    interface(id="Site"),
    interface(prop("score"), id="Health"),
    interface(
        prop("rsl"),
        prop("channel", "string"),
        prop("note", "string"),
        {"@type": "Relationship", "name": "locatedAt", "target": "dtmi:t:Site;1"},
        id="Radio",
    ),
]
NEW_MODEL = {
    **interface(
        prop("rslDbm"),
        prop("channel", "integer"),
        component("health", "dtmi:t:Health;1"),
        {"@type": "Relationship", "name": "locatedAt", "target": "dtmi:t:Site;1"},
    ),
    "@id": NEW,
}
RULES = f"""
[[migration]]
from = "{OLD}"
to = "{NEW}"
[migration.rename]
rsl = "rslDbm"
"""
BINDINGS = f"""
[[binding]]
model = "{OLD}"
metric = "level"
property = "rsl"
[[binding]]
model = "{NEW}"
metric = "level"
property = "rslDbm"
"""
REGISTRY = ModelRegistry(parse_models([*OLD_MODELS, NEW_MODEL]).interfaces)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("migration")]


class Place:
    """A stub as a process of its own, and the settings that lead everything to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "sync_agent", "stub", "--output", "json"]
        self.stub = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.stub.stdout is not None
        said = json.loads(self.stub.stdout.readline())
        self.url: str = said["adt_url"]
        self.hub: str = said["event_hub_connection_string"]
        (folder / "bindings.toml").write_text(BINDINGS)
        (folder / "rules.toml").write_text(RULES)
        (folder / "sync-agent.toml").write_text(
            f"""
[adt]
url = "{self.url}"
auth = "none"
[event_hub]
connection_string = "{self.hub}"
name = "telemetry"
[state]
path = "state.db"
[telemetry]
bindings = "bindings.toml"
batch_max_wait_s = 0.2
"""
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        config = ("--config", str(self.folder / "sync-agent.toml"))
        return subprocess.Popen(
            [sys.executable, "-m", "sync_agent", *config, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def store(self) -> AzureTwinStore:
        return AzureTwinStore(self.url, credential_for("none"), retry_for_s=10)

    def close(self) -> None:
        self.stub.terminate()
        self.stub.communicate(timeout=20)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


async def fill(place: Place) -> None:
    async with place.store() as store:
        await store.create_models(OLD_MODELS)
        sites = [Twin(f"s{n}", "dtmi:t:Site;1") for n in range(SITES)]
        radios = [Twin(f"r{n}", OLD, {"channel": str(n % 40), "note": "x"}) for n in range(TWINS)]
        await each([*sites, *radios], store.put_twin, at_once=64)
        edges = [
            Relationship("at", f"r{n}", "locatedAt", f"s{n % SITES}") for n in range(0, TWINS, 5)
        ]
        await each(edges, store.put_relationship, at_once=64)


async def count(place: Place, what: str) -> int:
    async with place.store() as store:
        async for row in store.query(f"SELECT COUNT() FROM {what}"):
            return int(row["COUNT"])
    raise AssertionError


async def invalid_twins(place: Place) -> list[str]:
    """Look at every twin there is, and name those their model does not allow."""
    async with place.store() as store:
        rows = store.query("SELECT * FROM DIGITALTWINS")
        return [row["$dtId"] async for row in rows if check_twin(REGISTRY, row)]


class Telemetry(threading.Thread):
    """Sends a level of every radio, round after round, until it is told to end with a last one."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.ending = threading.Event()
        self.rows = 0
        self.last: dict[str, tuple[float, int]] = {}

    def run(self) -> None:
        asyncio.run(self._send())

    async def _send(self) -> None:
        sender = HubSender(HubAddress(self.place.hub, name="telemetry"), retry_for_s=10)
        try:
            number = 0
            while True:
                ending = self.ending.is_set()
                for first in range(0, TWINS, ROWS_PER_EVENT):
                    samples = [
                        self._sample(f"r{n}", number) for n in range(first, first + ROWS_PER_EVENT)
                    ]
                    await sender.send([OutgoingEvent(json.dumps(samples).encode(), f"r{first}")])
                    await asyncio.sleep(0.05)
                number += 1
                if ending:
                    return
        finally:
            await sender.close()

    def _sample(self, element: str, number: int) -> dict[str, Any]:
        value, at = -40.0 - number - len(element) / 10, FIRST_MS + number * 60_000
        self.rows += 1
        self.last[element] = (value, at)
        return {"element": element, "time": at, "values": {"level": value}}


def test_ten_thousand_twins_change_their_model_under_telemetry_and_a_kill(place: Place) -> None:
    asyncio.run(fill(place))
    agent = place.start("run")
    telemetry = Telemetry(place)
    telemetry.start()
    try:
        time.sleep(5)
        asyncio.run(deploy(place))
        begun = time.monotonic()
        first = migrate(place)
        while (
            asyncio.run(count(place, f"DIGITALTWINS T WHERE IS_OF_MODEL(T, '{NEW}', exact)"))
            < 3_000
        ):
            assert first.poll() is None, first.communicate()[0]
        first.send_signal(signal.SIGKILL)
        first.communicate()
        killed_at = asyncio.run(
            count(place, f"DIGITALTWINS T WHERE IS_OF_MODEL(T, '{NEW}', exact)")
        )
        assert 3_000 <= killed_at < TWINS
        assert asyncio.run(invalid_twins(place)) == []

        second = migrate(place)
        looks = 0
        while second.poll() is None:
            assert asyncio.run(invalid_twins(place)) == []
            looks += 1
        said = second.communicate()[0]
        took_s = time.monotonic() - begun
        assert second.returncode == 0, said
    finally:
        telemetry.ending.set()
        telemetry.join()
        tally = settled(place, telemetry.rows)
        agent.send_signal(signal.SIGTERM)
        log = agent.communicate(timeout=60)[0]

    figures = f"{TWINS} twins in {took_s:.1f} s, killed at {killed_at}, all seen {looks + 2} times"
    sys.stdout.write(f"{figures}; telemetry: {tally}\n")
    assert agent.returncode == 0, log[-3000:]
    assert (tally.rows, tally.dead_lettered, tally.missing) == (telemetry.rows, 0, 0)
    asyncio.run(prove(place, telemetry))


async def deploy(place: Place) -> None:
    async with place.store() as store:
        await store.create_models([NEW_MODEL])


def migrate(place: Place) -> subprocess.Popen[str]:
    return place.start("models", "migrate", "--rules", str(place.folder / "rules.toml"), "--yes")


def settled(place: Place, rows: int) -> Any:
    """Wait until the agent has taken in what was sent."""
    with StateStore(place.folder / "state.db", readonly=True) as state:
        for _ in range(1_200):
            tally = state.tally()
            if tally.rows >= rows:
                return tally
            time.sleep(0.1)
    return tally


async def prove(place: Place, telemetry: Telemetry) -> None:
    assert await count(place, f"DIGITALTWINS T WHERE IS_OF_MODEL(T, '{NEW}', exact)") == TWINS
    assert await count(place, f"DIGITALTWINS T WHERE IS_OF_MODEL(T, '{OLD}', exact)") == 0
    assert await count(place, "DIGITALTWINS") == TWINS + SITES
    assert await count(place, "RELATIONSHIPS") == TWINS // 5
    assert await invalid_twins(place) == []
    async with place.store() as store:
        async for row in store.query(f"SELECT * FROM DIGITALTWINS T WHERE IS_OF_MODEL(T, '{NEW}')"):
            value, at = telemetry.last[row["$dtId"]]
            source_time = row["$metadata"]["rslDbm"]["sourceTime"]
            assert (row["rslDbm"], parse_time_ms(source_time)) == (value, at)
            assert row["channel"] == int(row["$dtId"][1:]) % 40
            assert "note" not in row
            assert "rsl" not in row
