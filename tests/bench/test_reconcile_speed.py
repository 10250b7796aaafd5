"""Inventory to plan: beside DiffSync on the same records, a million elements, and a small change.

The records are sites and routers as CSV; one in a hundred differs from the twins there are. Both
load both sides from the same: the files, and the documents of the twins. Ours maps the files
against the models, as a pass does it; DiffSync makes its typed objects. Then both compare. Both are
timed by the clock and by the processor, and the least of some runs counts.
RECONCILE_RECORDS and RECONCILE_ELEMENTS scale the runs.
"""

from __future__ import annotations

import asyncio
import csv
import gc
import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from diffsync import Adapter, DiffSyncModel

from sync_agent.agent.desired_graph import read_desired
from sync_agent.inventory.desired import Desired
from sync_agent.reconcile.diff import diff
from sync_agent.reconcile.plan import make_plan
from sync_agent.settings.settings import load_settings
from sync_agent.twins.collector import collector_resting
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document
from tests.small_network import MAPPING, REGISTRY

RECORDS = int(os.environ.get("RECONCILE_RECORDS", "100000"))
ELEMENTS = int(os.environ.get("RECONCILE_ELEMENTS", "1000000"))
CHANGED = 100  # one in so many
SITES = 1_000
RUNS = 5

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]


class Site(DiffSyncModel):
    _modelname = "site"
    _identifiers = ("id",)
    _attributes = ("label", "latitude", "floors")
    id: str
    label: str
    latitude: float
    floors: int


class Router(DiffSyncModel):
    _modelname = "router"
    _identifiers = ("id",)
    _attributes = ("label", "role", "managed", "installed", "site")
    id: str
    label: str
    role: str
    managed: bool
    installed: str
    site: str


class Network(Adapter):
    site = Site
    router = Router
    top_level = ["site", "router"]  # noqa: RUF012 - as DiffSync has it


def rows(count: int, *, changed: bool) -> Iterator[dict[str, Any]]:
    for number in range(count - SITES):
        new = changed and number % CHANGED == 0
        yield {
            "id": f"R{number}",
            "label": f"router {number}{' new' if new else ''}",
            "role": "core" if number % 7 == 0 else "edge",
            "managed": "true",
            "installed": "2026-01-01T00:00:00Z",
            "site": f"S{number % SITES}",
        }


def sites() -> list[dict[str, Any]]:
    return [
        {"id": f"S{n}", "label": f"site {n}", "latitude": n / 100, "floors": n % 9}
        for n in range(SITES)
    ]


def folder_of(folder: Path, count: int, *, changed: bool) -> Path:
    folder.mkdir()
    tables = {"sites.csv": sites(), "routers.csv": list(rows(count, changed=changed))}
    for name, table in tables.items():
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    (folder / "links.csv").write_text("link,channel,ghz,a,z\n")
    (folder / "mapping.toml").write_text(MAPPING)
    return folder


def read(folder: Path) -> Desired:
    flags = {"inventory.source": str(folder), "inventory.mapping": str(folder / "mapping.toml")}
    settings = load_settings(None, flags, {}).settings
    found: list[Desired] = []

    async def work() -> (
        None
    ):  # asyncio.run writes a result out as text while it ends, graph and all
        found.append(await read_desired(settings, REGISTRY))

    asyncio.run(work())
    (desired,) = found
    assert desired.diagnostics == ()
    return desired


def stored(desired: Desired) -> tuple[list[Document], list[Document]]:
    """Return the documents of twins and relationships as the service would have them."""
    return (
        [twin.as_stored() | {"$etag": "x"} for twin in desired.graph.twins.values()],
        [edge.as_stored() | {"$etag": "x"} for edge in desired.graph.relationships.values()],
    )


def network_of_files(folder: Path) -> Network:
    """Load DiffSync's side of the inventory, from the same files."""
    adapter = Network()
    for name, kind in (("sites.csv", Site), ("routers.csv", Router)):
        with (folder / name).open(newline="") as file:
            for row in csv.DictReader(file):
                adapter.add(kind.model_validate(row))
    return adapter


def network_of_twins(twins: Iterable[Document], edges: Iterable[Document]) -> Network:
    """Load DiffSync's side of what there is, from the same documents."""
    adapter = Network()
    site_of = {edge["$sourceId"]: edge["$targetId"] for edge in edges}
    for twin in twins:
        id_ = twin["$dtId"]
        if id_ in site_of:
            values = {name: twin[name] for name in ("label", "role", "managed", "installed")}
            adapter.add(Router(id=id_, site=site_of[id_], **values))
        else:
            adapter.add(Site(id=id_, **{name: twin[name] for name in Site._attributes}))
    return adapter


def timed(work: Callable[[], int], changes: int) -> tuple[float, float]:
    """Return the time by the clock and by the processor that work takes to find the changes."""
    gc.collect()
    began, began_cpu = time.perf_counter(), time.process_time()
    assert work() == changes
    return time.perf_counter() - began, time.process_time() - began_cpu


def test_load_and_diff_beside_diffsync(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twins, edges = stored(read(folder_of(tmp_path / "before", RECORDS, changed=False)))
    after = folder_of(tmp_path / "after", RECORDS, changed=True)
    gc.collect()
    gc.freeze()  # that the collector walks over these documents, too, is on nobody's account

    def ours() -> int:
        observed, desired = TwinGraph(twins, edges), read(after)
        with collector_resting():
            return len(diff(desired.graph, observed))

    def theirs() -> int:
        found = network_of_twins(twins, edges).diff_to(network_of_files(after))
        return found.summary()["update"]

    changes = len(range(0, RECORDS - SITES, CHANGED))
    # In turn, and the least of each: a busy machine can only add to what something takes.
    runs = [(timed(ours, changes), timed(theirs, changes)) for _ in range(RUNS)]
    gc.unfreeze()
    ours_s, theirs_s = (min(clock for clock, _ in side) for side in zip(*runs, strict=True))
    ours_cpu_s, theirs_cpu_s = (min(cpu for _, cpu in side) for side in zip(*runs, strict=True))
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what a benchmark is for
            f"\n{RECORDS:,} records, 1 in {CHANGED} changed: load and diff {ours_s:.2f} s,"
            f" DiffSync {theirs_s:.2f} s, {theirs_s / ours_s:.1f} times"
            f" ({theirs_cpu_s / ours_cpu_s:.1f} by the processor), the least of {RUNS} runs each"
        )


def test_a_million_elements_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = ELEMENTS // 2  # each router is a twin and a relationship
    folder = folder_of(tmp_path / "large", records, changed=False)
    gc.collect()
    began = time.perf_counter()
    desired = read(folder)
    plan = make_plan(desired.graph, TwinGraph(), desired.coverage, records=desired.records)
    took_s = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what a benchmark is for
            f"\n{len(plan.changes):,} elements planned in {took_s:.1f} s,"
            f" {peak_mb:,.0f} MB at most in this process"
        )
