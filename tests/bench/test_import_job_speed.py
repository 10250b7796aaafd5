"""A first load by import job beside the same load by single requests, on a stub with its limits.

Both go through the whole agent against the same kind of stub in one run. Requests are held by the
quota of the site, which is a hub; the job is not. What a job of the real service takes is in
its estimate, not here: the stub's jobs are as quick as this machine. LOAD_ROUTERS scales the run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_agent.stub.adt.faults import FaultProfile
from sync_agent.stub.server import StubOptions
from tests.azurite import Azurite, running_azurite
from tests.e2e.test_import_job import Load, routers, sites
from tests.e2e.test_sync_command import with_store
from tests.small_network import MODELS
from tests.stubs import running_stub

ROUTERS = int(os.environ.get("LOAD_ROUTERS", "2000"))
SITES = 1

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as azurite:
        yield azurite


def test_a_first_load_by_import_job_and_by_requests(
    azurite: Azurite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    took: dict[str, float] = {}
    for way in ("import job", "requests"):
        folder = tmp_path / way.replace(" ", "-") / "inventory"
        folder.mkdir(parents=True)
        with (
            running_stub(StubOptions(faults=FaultProfile(strict_limits=True))) as stub,
            azurite.container("loads") as box,
        ):
            with_store(stub.adt_url, lambda store: store.create_models(MODELS))
            load = Load(folder, stub.adt_url, capsys, box)
            load.settings["limits.twin_ops_per_s"] = "10"
            if way == "requests":
                load.settings = {"limits.twin_ops_per_s": "10"}
            load.write("sites.csv", sites(SITES))
            load.write("routers.csv", routers(ROUTERS, SITES))
            began = time.monotonic()
            code, out, err = load.sync("--yes")
            took[way] = time.monotonic() - began
            assert code == 0, err
            assert ("An import job makes" in out) == (way == "import job")
            assert load.counts() == (SITES + ROUTERS, ROUTERS)
    ratio = took["requests"] / took["import job"]
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{2 * ROUTERS + SITES:,} creations, one hub: import job"
            f" {took['import job']:.1f} s, requests {took['requests']:.1f} s, {ratio:.1f} times"
        )
