"""How much of the service's quotas the agent uses, against a stub that keeps them strictly.

The stub is a process of its own with a data folder; the agent's whole way of applying runs here:
plan, journal, executor, pacer, the Azure SDK. What is measured is the stub's own request log, over
the steady state: without the first and the last second of each kind of work. Both processes want a
core of their own; the agent's processor time tells what a busy machine hides. Sizes are small by
default; ``QUOTA_ELEMENTS`` and ``QUOTA_HUB_EDGES`` (5000: the largest hub there may be in one old
variant of the limits, over eight minutes at ten a second) make them what is wished.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvloop

from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.inventory.desired import Desired
from sync_agent.inventory.record import Coverage, Record
from sync_agent.reconcile.cost import Rates
from sync_agent.reconcile.guard import GuardLimits
from sync_agent.runs.apply_plan import ApplyResult
from sync_agent.runs.pace import Pacer, Quotas
from sync_agent.runs.reconciler import Policy, Reconciler
from sync_agent.twins.twin import Relationship
from tests.small_network import MODELS, mapped, records

ROOT = Path(__file__).resolve().parents[2]
ELEMENTS = int(os.environ.get("QUOTA_ELEMENTS", "12000"))
HUB_EDGES = int(os.environ.get("QUOTA_HUB_EDGES", "200"))
WAIT_S = 120.0
EDGE_S = 1.0
QUOTAS = Quotas()
CREATE_DELETE = (
    "DigitalTwins_Add",
    "DigitalTwins_Delete",
    "DigitalTwins_AddRelationship",
    "DigitalTwins_DeleteRelationship",
)
PATCH = ("DigitalTwins_Update", "DigitalTwins_UpdateRelationship")
SCOPES = [Coverage(scope, True) for scope in ("sites.csv", "routers.csv", "links.csv")]

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(3_600),
    pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy"),
]


@pytest.fixture
def event_loop_policy() -> uvloop.EventLoopPolicy:
    """The loop the agent runs on."""
    return uvloop.EventLoopPolicy()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of a stub of its own that keeps the published limits."""
    command = [sys.executable, "-m", "sync_agent", "stub", "--output", "json", "--strict-limits"]
    with subprocess.Popen(
        [*command, "--data-dir", str(tmp_path / "adt")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["adt_url"]
        finally:
            process.terminate()


@dataclass(frozen=True)
class Sample:
    """What the stub had answered at a moment: by operation and status."""

    at_s: float
    answers: Counter[tuple[str, str]]

    def of(self, operations: tuple[str, ...], *, throttled: bool) -> int:
        return sum(
            count
            for (operation, status), count in self.answers.items()
            if operation in operations and (status == "429") is throttled
        )


def request_log(url: str) -> Sample:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=WAIT_S)) as connection:
        connection.request("GET", "/stub/requests")
        document = json.loads(connection.getresponse().read())
    answers: Counter[tuple[str, str]] = Counter()
    for operation, counts in document["operations"].items():
        for status, count in counts["statuses"].items():
            answers[operation, status] = count
    return Sample(time.perf_counter(), answers)


@asynccontextmanager
async def sampled(url: str) -> AsyncIterator[list[Sample]]:
    """Look at the request log every quarter of a second while the context is open."""
    samples: list[Sample] = []

    async def look() -> None:
        while True:
            samples.append(await asyncio.to_thread(request_log, url))
            await asyncio.sleep(0.25)

    looking = asyncio.create_task(look())
    try:
        yield samples
    finally:
        looking.cancel()
        samples.append(request_log(url))


def steady(samples: list[Sample], operations: tuple[str, ...]) -> tuple[float, float]:
    """Return answers a second in the steady state, and the share of refusals of the whole."""
    done = [sample.of(operations, throttled=False) for sample in samples]
    busy = [n for n in range(1, len(done)) if done[n] > done[n - 1]]
    begin_s, end_s = samples[busy[0]].at_s + EDGE_S, samples[busy[-1]].at_s - EDGE_S
    inside = [n for n in busy if begin_s <= samples[n].at_s <= end_s]
    assert len(inside) > 1, "too few changes for a steady state: set QUOTA_ELEMENTS higher"
    first, last = inside[0], inside[-1]
    refused = samples[-1].of(operations, throttled=True) - samples[0].of(operations, throttled=True)
    whole = refused + done[-1] - done[0]
    return (done[last] - done[first]) / (samples[last].at_s - samples[first].at_s), refused / whole


def network(count: int, label: str, hub_edges: int = 0) -> list[Record]:
    """Return a network whose sites, routers and links, with their edges, are ``count`` elements."""
    each = count // 6
    sites = [{"id": f"S{n}", "label": label, "latitude": "1", "floors": ""} for n in range(each)]
    routers = [
        {"id": f"R{n}", "label": label, "role": "core", "managed": "yes", "installed": ""}
        | {"site": f"S{n}"}
        for n in range(each)
    ]
    routers += [
        {"id": f"H{n}", "label": label, "role": "edge", "managed": "yes", "installed": ""}
        | {"site": "HUB"}
        for n in range(hub_edges)
    ]
    sites += [{"id": "HUB", "label": label, "latitude": "", "floors": ""}] * bool(hub_edges)
    links = [
        {"link": f"L{n}", "channel": "near-far", "ghz": str(1 + len(label))}
        | {"a": f"R{n}", "z": f"R{(n + 1) % each}"}
        for n in range(each)
    ]
    return records(sites, routers, links)


def desired(rows: list[Record]) -> Desired:
    graph = mapped(rows)
    assert not graph.diagnostics
    return Desired(graph.desired, tuple(SCOPES), "digest", len(rows))


def reconciler(url: str, folder: Path) -> Reconciler:
    rates = Rates(QUOTAS.twin_ops_per_s, QUOTAS.patches_per_s, QUOTAS.create_delete_per_s)
    limits = GuardLimits(10**9, 100.0)
    policy = Policy(
        url, folder / "journal.db", limits, rates, QUOTAS.requests_in_flight, lease="file"
    )
    return Reconciler(policy, lambda: time.time_ns() // 1_000_000)


async def bring(maker: Reconciler, wanted: Desired, store: AzureTwinStore) -> ApplyResult:
    plan = await maker.plan(wanted, store)
    result = await maker.apply(plan, store, "sync", desired=wanted.graph)
    assert result.complete, (result.stopped, result.failures[:3])
    assert len(result.settled) == len(plan.changes)
    return result


def said(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{text}")


async def test_the_quotas_are_used_to_95_percent(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = reconciler(url, tmp_path)
    work = {
        "create": (desired(network(ELEMENTS, "one")), CREATE_DELETE, QUOTAS.create_delete_per_s),
        "patch": (desired(network(ELEMENTS, "other")), PATCH, QUOTAS.patches_per_s),
        "patch again": (desired(network(ELEMENTS, "fourth")), PATCH, QUOTAS.patches_per_s),
        "delete": (desired(network(6, "fourth")), CREATE_DELETE, QUOTAS.create_delete_per_s),
    }
    async with AzureTwinStore(url, credential_for("none"), retry_for_s=30) as service:
        await service.create_models(MODELS)
        store = service.paced(Pacer(QUOTAS).gate("inventory"))
        for name, (wanted, operations, quota) in work.items():
            used_s = time.process_time()
            async with sampled(url) as samples:
                result = await bring(maker, wanted, store)
            count = len(result.settled)
            used_s = time.process_time() - used_s
            per_s, refused = steady(samples, operations)
            said(
                capsys,
                f"{name:12} {count:7,} changes, steady {per_s:5.0f}/s:"
                f" {per_s / quota:6.1%} of the quota, {refused:.3%} refused,"
                f" {count / used_s:.0f} a second of the agent's own processor time",
            )


async def test_a_hub_is_wired_at_its_limit_beside_other_work(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = reconciler(url, tmp_path)
    made: list[tuple[float, bool]] = []
    async with AzureTwinStore(url, credential_for("none"), retry_for_s=30) as service:
        await service.create_models(MODELS)
        store = service.paced(Pacer(QUOTAS).gate("inventory"))
        put = store.put_relationship

        async def watched(
            relationship: Relationship, *, only_if_absent: bool = False
        ) -> Relationship:
            answer = await put(relationship, only_if_absent=only_if_absent)
            made.append((time.perf_counter(), relationship.target == "HUB"))
            return answer

        store.put_relationship = watched  # type: ignore[method-assign]
        await bring(maker, desired(network(ELEMENTS, "one", HUB_EDGES)), store)
        log = request_log(url)
    began_s = made[0][0]
    hub = [at - began_s for at, is_hub in made if is_hub]
    others = [at - began_s for at, is_hub in made if not is_hub]
    assert len(hub) == HUB_EDGES
    per_s = (len(hub) - 1) / (hub[-1] - hub[0])
    said(
        capsys,
        f"hub with {HUB_EDGES:,} relationships: {per_s:.2f}/s, {per_s / QUOTAS.twin_ops_per_s:.1%}"
        f" of its limit, done after {hub[-1]:.0f} s; {len(others):,} others beside it done after"
        f" {others[-1]:.0f} s; {log.of(CREATE_DELETE, throttled=True)} refused",
    )


async def test_telemetry_and_inventory_at_once_both_go_on(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker, weight, writers = reconciler(url, tmp_path), 3.0, 32
    written = 0
    async with AzureTwinStore(url, credential_for("none"), retry_for_s=30) as service:
        await service.create_models(MODELS)
        pacer = Pacer(QUOTAS)
        inventory = service.paced(pacer.gate("inventory"))
        telemetry = service.paced(pacer.gate("telemetry", weight=weight))
        await bring(maker, desired(network(ELEMENTS, "one")), inventory)

        async def measure(first: int) -> None:
            nonlocal written
            for number in range(first, 10**9, writers):
                patch = [{"op": "add", "path": "/levelDbm", "value": -40.0 - number % 9}]
                await telemetry.patch_twin(f"L{number % (ELEMENTS // 6)}", patch)
                written += 1

        async with asyncio.TaskGroup() as group, sampled(url) as samples:
            tasks = [group.create_task(measure(n)) for n in range(writers)]
            began_s, before = time.perf_counter(), written
            result = await bring(maker, desired(network(ELEMENTS, "other")), inventory)
            took_s, beside = time.perf_counter() - began_s, written - before
            for task in tasks:
                task.cancel()
    per_s, refused = steady(samples, PATCH)
    changes = len(result.settled)
    said(
        capsys,
        f"at once: {changes / took_s:.0f} changes of the inventory and {beside / took_s:.0f} of"
        f" telemetry a second (weights 1 and {weight:.0f}), {per_s / QUOTAS.patches_per_s:.1%} of"
        f" the patch quota, {refused:.3%} refused",
    )
    assert beside > 0
    assert changes > 0
