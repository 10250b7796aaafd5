"""Real inventories go in, Explorer's own queries bring them out, and a second plan is empty.

Each is read by the shipped mapping (the networks of the Zoo by the example's), planned to a file,
applied from it onto the stub, and read back with the two queries Explorer sends.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_agent.cli.main import run
from tests.inventory_server import InventoryServer, netbox_dump, serving_beside, shared_data
from tests.stubs import running_stub

ROOT = Path(__file__).parents[2]
IDS_PER_QUERY = 100
VERSION = "2021-06-30-preview"

pytestmark = pytest.mark.real_data


class Instance:
    """A stub with the telecom ontology on it, commands against it, and Explorer's look at it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.settings = folder / "sync-agent.toml"
        self.use("")
        assert self.command("models", "apply", "--yes") == 0

    def use(self, inventory: str) -> None:
        """Name the inventory in the settings file."""
        self.settings.write_text(
            f'[adt]\nurl = "{self.url}"\nauth = "none"\n[limits]\ntwin_ops_per_s = 10000\n'
            f"create_delete_per_s = 100000\npatches_per_s = 100000\n"
            f'[state]\npath = "{self.folder / "state.db"}"\n{inventory}'
        )

    def command(self, *arguments: str) -> int:
        return run(["--config", str(self.settings), *arguments])

    def rows(self, query: str) -> Iterator[dict[str, Any]]:
        """Yield all rows of a query as Explorer asks for them, page by page."""
        body: dict[str, Any] = {"query": query}
        while True:
            request = urllib.request.Request(
                f"{self.url}/api/proxy/query?api-version={VERSION}",
                json.dumps(body).encode(),
                {"Content-Type": "application/json", "x-adt-host": "stub"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                page = json.load(answer)
            yield from page["value"]
            if not page.get("continuationToken"):
                return
            body["continuationToken"] = page["continuationToken"]

    def explored(self) -> tuple[Counter[str], Counter[str]]:
        """Return twins by model and relationships by name, as Explorer's graph shows them."""
        twins = list(self.rows("SELECT * FROM digitaltwins"))
        ids = [twin["$dtId"] for twin in twins]
        names: Counter[str] = Counter()
        for at in range(0, len(ids), IDS_PER_QUERY):
            quoted = ", ".join(
                "'{}'".format(i.replace("'", "\\'")) for i in ids[at : at + IDS_PER_QUERY]
            )
            edges = self.rows(f"SELECT * FROM RELATIONSHIPS r WHERE r.$sourceId IN [{quoted}]")
            names.update(edge["$relationshipName"] for edge in edges)
        models = Counter(twin["$metadata"]["$model"].split(":", 2)[2] for twin in twins)
        return models, names

    def go_in_and_come_out(self) -> tuple[Counter[str], Counter[str]]:
        """Plan, apply, look, and plan again; return what Explorer sees."""
        plan = self.folder / "plan.json"
        assert self.command("plan", "--out", str(plan)) == 2
        assert self.command("apply", str(plan)) == 0
        seen = self.explored()
        assert self.command("plan") == 0
        return seen


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with running_stub() as stub:
        yield Instance(stub.adt_url, tmp_path)


def test_a_netbox_of_6915_objects(instance: Instance) -> None:
    server = InventoryServer(netbox_dump().tables("4.2.5"), version="4.2.5", token="t0")
    with serving_beside(server):
        instance.use(
            f'[[inventory.sources]]\nname = "netbox"\nkind = "netbox"\nurl = "{server.url}"\n'
            'auth = "token"\ntoken = "t0"\n'
        )
        models, names = instance.go_in_and_come_out()
    assert models == {
        "equipment:Port;1": 1560,
        "cloud:NFDeployment;1": 180,
        "cloud:NodeCluster;1": 32,
        "equipment:Cable;1": 108,
        "equipment:Card;1": 4,
        "equipment:Device;1": 33,
        "place:Rack;1": 42,
        "place:Region;1": 67,
        "place:Room;1": 4,
        "place:Site;1": 24,
        "power:MainsFeed;1": 48,
        "power:PowerElement;1": 4,
        "transport:EthernetLink;1": 51,
        "transport:IpInterface;1": 26,
        "transport:LeasedCircuit;1": 29,
        "transport:Router;1": 13,
        "transport:Switch;1": 26,
    }
    assert names["terminatesOn"] == 216
    assert names["carriedBy"] == 25


def zoo(instance: Instance, keep: Callable[[str], bool]) -> tuple[Counter[str], Counter[str]]:
    folder = instance.folder / "zoo"
    folder.mkdir()
    with tarfile.open(shared_data("topology/zoo/graphml.tar.gz")) as archive:
        for member in archive.getmembers():
            if member.isfile() and keep(Path(member.name).stem):
                source = archive.extractfile(member)
                assert source is not None
                with (folder / Path(member.name).name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    mapping = ROOT / "examples" / "topology-zoo" / "mapping.toml"
    instance.use(f'[inventory]\nsource = "{folder}"\nmapping = "{mapping}"\n')
    return instance.go_in_and_come_out()


def test_a_network_of_the_topology_zoo(instance: Instance) -> None:
    models, names = zoo(instance, lambda name: name == "Geant2012")
    assert models == {
        "place:Region;1": 1,
        "place:Site;1": 40,
        "transport:Router;1": 40,
        "transport:IpLink;1": 61,
    }
    assert names == {"partOf": 40, "locatedIn": 40, "aEnd": 61, "zEnd": 61}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_276_networks_of_the_topology_zoo(instance: Instance) -> None:
    models, names = zoo(instance, lambda _: True)
    assert (models["place:Region;1"], models["transport:Router;1"]) == (276, 10_952)
    assert names["aEnd"] == names["zEnd"] == models["transport:IpLink;1"] == 13_976


def test_an_o_ran_topology_event(instance: Instance) -> None:
    folder = instance.folder / "teiv"
    folder.mkdir()
    shutil.copy(shared_data("wire/teiv/cloudEventExampleMerge.txt"), folder)
    instance.use(f'[[inventory.sources]]\nname = "teiv"\nkind = "teiv"\npath = "{folder}"\n')
    models, names = instance.go_in_and_come_out()
    assert models == {
        "cloud:NFDeployment;1": 1,
        "core:ManagedElement;1": 1,
        "equipment:AntennaModule;1": 2,
        "place:Site;1": 2,
        "ran:GnbDuFunction;1": 1,
        "ran:NRCellDU;1": 2,
        "ran:NRSectorCarrier;1": 3,
        "ran:Sector;1": 2,
    }
    assert sum(names.values()) == 14


def test_a_resource_inventory_event(instance: Instance) -> None:
    folder = instance.folder / "tmf"
    folder.mkdir()
    shutil.copy(shared_data("wire/own/tmf639_resourceAttributeValueChangeEvent.json"), folder)
    instance.use(f'[[inventory.sources]]\nname = "tmf"\nkind = "tmf639"\npath = "{folder}"\n')
    models, names = instance.go_in_and_come_out()
    assert models == {
        "core:ManagedEntity;1": 1,  # what it relies on: known by name only, so ADVISED
        "core:PhysicalResource;1": 1,
        "place:Site;1": 1,
    }
    assert names == {"dependsOn": 1, "locatedIn": 1}
