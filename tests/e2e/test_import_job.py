"""The first load by import job, as a person runs it: real stub, real Azurite, real SDKs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from sync_agent.azure.blob_container import (
    BLOCK_BYTES,
    BLOCKS_AT_ONCE,
    AzureBlobContainer,
    storage_credential,
)
from sync_agent.runs import import_jobs, observe
from sync_agent.runs.import_notes import ImportNotes
from sync_agent.stub.adt.faults import FaultProfile
from sync_agent.stub.server import StubOptions, StubServer
from sync_agent.twins.twin import Twin
from tests.adt_clients import client_at
from tests.azurite import ACCOUNT, KEY, Azurite, running_azurite
from tests.e2e.test_sync_command import Bench, with_store
from tests.small_network import MODELS, SITE, Rows
from tests.stubs import running_stub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROUTERS = 400
SITES = 2
CREATIONS = SITES + 2 * ROUTERS
THEIRS = 20_000
QUICK = ("--set", "limits.twin_ops_per_s=100000")


def sites(count: int = SITES) -> Rows:
    return [
        {"id": f"S{n}", "label": f"Site {n}", "latitude": "1.5", "floors": "2"}
        for n in range(count)
    ]


def routers(count: int = ROUTERS, of_sites: int = SITES) -> Rows:
    return [
        {
            "id": f"R{n}", "label": f"router {n}", "role": "edge", "managed": "true",
            "installed": "2026-01-01T00:00:00Z", "site": f"S{n % of_sites}",
        }
        for n in range(count)
    ]  # fmt: skip


class Load(Bench):
    """A network whose few sites are hubs, so that it takes long by requests; and a container."""

    def __init__(
        self, folder: Path, url: str, capsys: pytest.CaptureFixture[str], box: ContainerClient
    ) -> None:
        super().__init__(folder, url, capsys)
        self.box = box
        self.settings = {
            "limits.twin_ops_per_s": "1",
            "import_job.container": box.url,
            "import_job.auth": "key",
            "import_job.secret": KEY,
        }
        self.write("sites.csv", sites())
        self.write("routers.csv", routers())
        self.write("links.csv", [], ["link", "channel", "ghz", "a", "z"])

    def flags(self) -> list[str]:
        return [part for k, v in self.settings.items() for part in ("--set", f"{k}={v}")]

    def command(self, *arguments: str) -> tuple[int, str, str]:
        return super().command(*self.flags(), *arguments)

    def kept(self) -> Path:
        """Plan, keep the plan, and return its file."""
        file = self.folder.parent / "plan.json"
        code, _, err = self.command("plan", *self.source, "--out", str(file))
        assert code == 2, err
        return file

    def apply(self, file: Path, *options: str) -> tuple[int, str, str]:
        source = ("--set", f"inventory.source={self.folder}")
        mapping = ("--set", f"inventory.mapping={self.mapping}")
        return self.command(*source, *mapping, "apply", str(file), *options)

    def process(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command in a process of its own."""
        settings = [
            "--set", f"adt.url={self.url}", "--set", "adt.auth=none",
            "--set", f"state.path={self.folder.parent / 'state.db'}",
        ]  # fmt: skip
        command = [sys.executable, "-m", "sync_agent", *settings, *self.flags(), *arguments]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def notes(self) -> int:
        """Return how many import jobs the journal has under way."""
        with ImportNotes(self.folder.parent / "journal.db", self.url) as notes:
            return len(notes.open())

    def counts(self) -> tuple[int, int]:
        """Return how many twins and relationships there are."""
        both = [
            self.json("query", f"SELECT COUNT() FROM {of}")[0]["COUNT"]
            for of in ("digitaltwins", "relationships")
        ]
        return both[0], both[1]

    def blobs(self) -> list[str]:
        return list(self.box.list_blob_names())


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as azurite:
        yield azurite


@pytest.fixture
def stub(request: pytest.FixtureRequest) -> Iterator[StubServer]:
    faults = getattr(request, "param", FaultProfile())
    with running_stub(StubOptions(faults=faults)) as server:
        yield server


@pytest.fixture
def load(
    stub: StubServer,
    azurite: Azurite,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Load]:
    with_store(stub.adt_url, lambda store: store.create_models(MODELS))
    monkeypatch.setattr(observe, "POINT_READS_MAX", 100)  # as if there were very many
    folder = tmp_path / "inventory"
    folder.mkdir()
    with azurite.container(f"loads{stub.adt_url.rpartition(':')[2]}") as box:
        yield Load(folder, stub.adt_url, capsys, box)


def jobs(load: Load) -> list[Any]:
    with client_at(load.url) as client:
        return list(client._client.import_jobs.list())  # the SDK has no public layer for jobs


def until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_large_first_load_goes_by_import_job_and_can_be_undone(load: Load) -> None:
    load.write("sites.csv", sites(10))
    load.write("routers.csv", routers(2_000, 10))
    code, out, err = load.command("plan", *load.source)
    assert code == 2, err
    assert "An import job makes 2,010 twins and 2,000 relationships: about 1 min 3 s in all" in out
    assert "at least 3 min 21 s by single requests" in out
    assert (load.blobs(), jobs(load)) == ([], [])

    code, out, err = load.sync("--yes")
    assert code == 0, err
    assert "is at work" in err
    assert "4,010 of 4,010 changes (100%)" in err
    assert "4,010 changes were made; sync-agent undo 1 takes them back" in out
    assert load.counts() == (2_010, 2_000)
    assert [job.status for job in jobs(load)] == ["succeeded"]
    assert load.blobs() == [], "the file holds the inventory and must not stay"
    assert load.command("plan", *load.source)[0] == 0
    assert load.command("drift")[0] == 0

    code, out, err = load.command(*QUICK, "undo", "1", "--yes")
    assert code == 0, err
    assert load.counts() == (0, 0)


async def test_a_large_file_goes_in_blocks_and_memory_does_not_grow_with_it(
    azurite: Azurite,
) -> None:
    line = b"x" * 999 + b"\n"
    lines = 60_000
    with azurite.container("large") as box:
        credential = storage_credential("key", box.url, KEY)
        async with AzureBlobContainer(box.url, credential) as container:
            await container.upload("warm", iter([line]))
            tracemalloc.start()
            await container.upload("in", (line for _ in range(lines)))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        blocks, _ = box.get_blob_client("in").get_block_list("committed")
        assert len(blocks) == -(-lines * len(line) // BLOCK_BYTES)
        assert box.get_blob_client("in").get_blob_properties().size == lines * len(line)
    assert peak < 5 * BLOCKS_AT_ONCE * BLOCK_BYTES, f"{peak:,} bytes"


@pytest.mark.parametrize(
    "stub", [FaultProfile(query_lag_s=4, strict_limits=True)], ids=["lagging"], indirect=True
)
def test_queries_that_lag_and_a_jobs_api_that_throttles_do_not_matter(load: Load) -> None:
    load.settings["limits.twin_ops_per_s"] = "1.5"
    code, out, err = load.sync("--yes")
    assert code == 0, err
    assert f"{CREATIONS} changes were made; sync-agent undo 1" in out
    time.sleep(4)
    assert load.counts() == (SITES + ROUTERS, ROUTERS)
    assert load.command("plan", *load.source)[0] == 0


def test_without_a_container_the_plan_says_what_would_be_quicker(load: Load) -> None:
    load.settings = {"limits.twin_ops_per_s": "1"}
    code, out, _ = load.command("plan", *load.source)
    assert code == 2
    assert "An import job would take about 1 min 1 s" in out
    assert "set import_job.container to allow it" in out
    code, out, _ = load.command("plan", *load.source, "--output", "json")
    way = json.loads(out)["way"]
    assert way["way"] == "operations"
    assert way["import_s"] < way["operations_s"] / 2
    code, out, _ = load.sync("--output", "json")
    assert json.loads(out)["way"] == way


def test_a_kept_plan_goes_the_way_it_says_and_no_secret_is_in_it(load: Load) -> None:
    page = load.folder.parent / "plan.html"
    assert load.command("plan", *load.source, "--html", str(page))[0] == 2
    file = load.kept()
    assert "An import job makes 402 twins" in page.read_text()
    assert json.loads(file.read_text())["content"]["way"]["way"] == "import-job"
    assert KEY not in page.read_text() + file.read_text()

    storage = load.settings.pop("import_job.container")
    del load.settings["import_job.auth"], load.settings["import_job.secret"]
    code, _, err = load.apply(file)
    assert code == 1
    assert "the plan is to be made by an import job, and import_job.container is not set" in err
    assert load.counts() == (0, 0)

    load.settings |= {"import_job.container": storage, "import_job.auth": "key"}
    load.settings["import_job.secret"] = KEY
    code, out, err = load.apply(file)
    assert code == 0, err
    assert load.counts() == (SITES + ROUTERS, ROUTERS)
    code, out, err = load.apply(file)
    assert (code, len(jobs(load))) == (0, 1), "what is done already needs no second job"
    assert f"0 changes were made, {CREATIONS} were made already." in out


def test_a_shared_access_signature_signs_in_and_stays_secret(load: Load, azurite: Azurite) -> None:
    name = load.box.container_name

    def signed(**permissions: bool) -> str:
        return generate_container_sas(
            ACCOUNT, name, account_key=KEY, permission=ContainerSasPermissions(**permissions),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )  # fmt: skip

    load.settings |= {"import_job.auth": "sas", "import_job.secret": signed(read=True)}
    code, _, err = load.sync("--yes")
    assert code == 1
    assert f"the container {load.box.url} refuses the credentials" in err
    assert "Storage Blob Data Contributor" in err
    assert "sig=" not in err
    assert (load.counts(), jobs(load), load.notes()) == ((0, 0), [], 0)

    load.settings["import_job.secret"] = signed(read=True, write=True, create=True, delete=True)
    code, _, err = load.sync("--yes")
    assert code == 0, err
    assert load.counts() == (SITES + ROUTERS, ROUTERS)
    [job] = jobs(load)
    assert "sig=" not in job.input_blob_uri + job.output_blob_uri
    assert load.blobs() == []


def test_a_container_that_is_not_there_is_named_and_nothing_is_written(load: Load) -> None:
    load.settings["import_job.container"] += "x"
    code, _, err = load.sync("--yes")
    assert code == 1
    assert f"there is no container {load.box.url}x" in err
    assert (load.counts(), jobs(load), load.notes()) == ((0, 0), [], 0)


def test_what_the_job_refuses_has_failed_for_that_reason_and_the_rest_is_there(load: Load) -> None:
    file = load.kept()
    with_store(load.url, lambda store: store.decommission_model(SITE))
    code, _, err = load.apply(file)
    assert code == 1
    assert "S0 was not changed: ModelDecommissioned" in err
    assert f"{ROUTERS} changes were made, {SITES} failed, {ROUTERS} were skipped" in err
    assert load.counts() == (ROUTERS, 0)
    run = load.json("runs")[0]
    assert [run[of] for of in ("done", "failed", "skipped", "open")] == [ROUTERS, SITES, ROUTERS, 0]


def test_a_twin_that_appeared_meanwhile_is_not_overwritten(load: Load) -> None:
    file = load.kept()
    foreign = Twin("S1", SITE, {"label": "theirs", "health": {"$metadata": {}}})
    with_store(load.url, lambda store: store.put_twin(foreign))
    code, _, err = load.apply(file)
    assert code == 1
    assert "S1" in err
    assert "somebody made it" in err
    assert load.counts() == (1, 0)

    code, _, err = load.apply(file, "--on-conflict", "skip")
    assert code == 1
    assert "S1 was not changed: it was made by someone else since the plan" in err
    assert load.twins()["S1"]["label"] == "theirs"
    assert [job.status for job in jobs(load)] == ["succeeded"]
    assert load.counts() == (SITES + ROUTERS, ROUTERS // 2), "nothing leads to their twin"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_broken_off_comes_to_the_same_end(load: Load, end: signal.Signals) -> None:
    load.write("routers.csv", routers(1_000))
    with load.process("sync", *load.source, "--yes") as child:
        until(lambda: bool(jobs(load)))
        os.kill(child.pid, end)
        _, said = child.communicate()
    if end != signal.SIGKILL:
        assert child.returncode == 128 + end
        assert b"cancelling the import job" in said
        assert (load.blobs(), load.notes()) == ([], 0)
        assert next(job.status for job in jobs(load)) in ("cancelled", "succeeded")
    else:
        assert load.notes() == 1
        assert len(load.blobs()) >= 1

    code, _, err = load.command(*QUICK, "sync", *load.source, "--yes")
    assert code == 0, err
    assert load.counts() == (1_000 + SITES, 1_000)
    assert (load.blobs(), load.notes()) == ([], 0)
    assert load.command("plan", *load.source)[0] == 0
    states = [(run["run"], run["state"]) for run in load.json("runs")]
    assert states[-1] == (1, "broken off")
    assert {state for _, state in states[:-1]} <= {"ended"}
    code, _, err = load.command(*QUICK, "undo", "1")
    assert code in (0, 2), err


def test_the_job_of_somebody_else_is_waited_for(
    load: Load, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    head: list[dict[str, Any]] = [{"Section": "Header"}, {"fileVersion": "1.0.0"}]
    body = {"$metadata": {"$model": SITE}, "health": {"$metadata": {}}}
    lines = [*head, {"Section": "Twins"}, *({"$dtId": f"X{n}", **body} for n in range(THEIRS))]
    load.box.upload_blob("theirs", b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    theirs: Any = {"inputBlobUri": f"{load.box.url}/theirs", "outputBlobUri": f"{load.box.url}/log"}
    file = load.kept()
    with client_at(load.url) as client:
        client._client.import_jobs.add("theirs", theirs)
    monkeypatch.setattr(import_jobs, "TURN_WAIT_S", 0.0)
    code, _, err = load.apply(file)
    if code == 0:
        pytest.skip("their job was too quick on this machine")
    assert "the import job theirs, begun " in err
    assert "which does one at a time; nothing was written" in err
    assert "R0" not in load.twins()

    monkeypatch.setattr(import_jobs, "TURN_WAIT_S", 300.0)
    monkeypatch.setattr(import_jobs, "POLL_MAX_S", 0.5)
    code, _, err = load.apply(file)
    assert code == 0, err
    assert load.counts() == (THEIRS + SITES + ROUTERS, ROUTERS)
