"""Twins of another instance and events of a hub go in over sockets, and a second plan is empty."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubProducerClient

from sync_agent.agent.compose import run_agent
from sync_agent.settings.settings import load_settings
from sync_agent.stub.server import StubServer
from tests.e2e.test_inventories import Instance
from tests.stubs import running_stub

WAIT_S = 30.0

LAB = """
[[twin]]
from = "dtmi:telecom:place:Site;1"
id = "lab-{$id}"
model = "dtmi:telecom:place:Site;1"
columns = ["displayLabel"]

[[twin]]
from = "dtmi:telecom:transport:Router;1"
id = "lab-{$id}"
model = "dtmi:telecom:transport:Router;1"

[[relationship]]
from = "locatedIn"
source = "lab-{$source}"
name = "locatedIn"
target = "lab-{$target}"
"""


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with running_stub() as server:
        yield server


@pytest.fixture
def instance(stub: StubServer, tmp_path: Path) -> Instance:
    return Instance(stub.adt_url, tmp_path)


def laboratory(folder: Path, url: str) -> None:
    """Put a site with two routers on another instance."""
    folder.mkdir()
    other = Instance(url, folder)
    (folder / "sites.csv").write_text("id,displayLabel\nS1,North\n")
    (folder / "routers.csv").write_text("id,site\nR1,S1\nR2,S1\n")
    mapping = LAB.replace("dtmi:telecom:place:Site;1", "sites.csv", 1)
    mapping = mapping.replace("dtmi:telecom:transport:Router;1", "routers.csv", 1)
    mapping = mapping.replace('from = "locatedIn"', 'from = "routers.csv"')
    for old, new in (("$id", "id"), ("$source", "id"), ("$target", "site"), ("lab-", "")):
        mapping = mapping.replace(old, new)
    (folder / "mapping.toml").write_text(mapping)
    other.use(f'[inventory]\nsource = "{folder}"\nmapping = "{folder / "mapping.toml"}"\n')
    assert other.command("sync", "--yes") == 0


def test_the_twins_of_another_instance(instance: Instance) -> None:
    with running_stub() as lab:
        laboratory(instance.folder / "lab", lab.adt_url)
        (instance.folder / "lab.toml").write_text(LAB)
        instance.use(
            f'[[inventory.sources]]\nname = "lab"\nkind = "adt"\nurl = "{lab.adt_url}"\n'
            'auth = "none"\nmapping = "lab.toml"\nretry_for_s = 0.1\n'
        )
        assert instance.command("sources") == 0
        models, names = instance.go_in_and_come_out()
    assert models == {"place:Site;1": 1, "transport:Router;1": 2}
    assert names == {"locatedIn": 2}
    assert instance.command("sources") == 1  # the other instance is gone
    assert instance.command("plan") == 1
    assert instance.explored()[0] == models


async def test_the_agent_itself_reads_several_sources(instance: Instance) -> None:
    (instance.folder / "sites.csv").write_text("id,displayLabel\nS1,North\n")
    mapping = LAB[: LAB.index("[[twin]]", 5)].replace("dtmi:telecom:place:Site;1", "sites.csv", 1)
    (instance.folder / "sites.toml").write_text(mapping.replace("lab-{$id}", "{id}"))
    instance.use(
        '[[inventory.sources]]\nname = "sites"\nkind = "files"\npath = "."\n'
        'mapping = "sites.toml"\n'
    )
    stop = asyncio.Event()
    agent = asyncio.create_task(run_agent(load_settings(instance.settings, {}, {}).settings, stop))
    try:
        async with asyncio.timeout(WAIT_S):
            while not (await asyncio.to_thread(instance.explored))[0]:  # noqa: ASYNC110 - its twins
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await agent


def send(stub: StubServer, *events: tuple[str, dict[str, Any]]) -> None:
    """Send topology events as Kafka clients do: the envelope in the event's properties."""
    address = f"{stub.event_hub_connection_string};EntityPath=telemetry"
    with EventHubProducerClient.from_connection_string(address) as client:
        batch = client.create_batch()
        for number, (verb, body) in enumerate(events):
            event = EventData(json.dumps(body))
            event.properties = {
                "ce_type": f"topology-inventory-ingestion.{verb}",
                "ce_time": f"2026-01-01T00:00:{number:02}Z",
            }
            batch.add(event)
        client.send_batch(batch)


@pytest.mark.slow
def test_topology_events_of_a_hub(stub: StubServer, instance: Instance) -> None:
    cells = [{"id": f"urn:3gpp:dn:NRCellDU={n}", "attributes": {"nRPCI": n}} for n in (1, 2)]
    du = {"id": "urn:3gpp:dn:ODUFunction=1", "attributes": {"gNBId": 7}}
    edges = [
        {"id": f"urn:r{n}", "aSide": du["id"], "bSide": cell["id"]} for n, cell in enumerate(cells)
    ]
    module = "o-ran-smo-teiv-ran"
    entities = [{f"{module}:ODUFunction": [du], f"{module}:NRCellDU": cells}]
    relationships = [{f"{module}:ODUFUNCTION_PROVIDES_NRCELLDU": edges}]
    send(stub, ("merge", {"entities": entities, "relationships": relationships}))
    instance.use(
        '[[inventory.sources]]\nname = "smo"\nkind = "teiv"\nconnection_string = '
        f'"{stub.event_hub_connection_string};EntityPath=telemetry"\n'
    )
    assert instance.command("sources") == 0
    models, names = instance.go_in_and_come_out()
    assert models == {"ran:GnbDuFunction;1": 1, "ran:NRCellDU;1": 2}
    assert sum(names.values()) == 2
    send(stub, ("delete", {"entities": [{f"{module}:NRCellDU": [cells[1]["id"]]}]}))
    assert instance.command("--set", "inventory.max_delete_percent=100", "sync", "--yes") == 0
    assert instance.explored()[0] == {"ran:GnbDuFunction;1": 1, "ran:NRCellDU;1": 1}
