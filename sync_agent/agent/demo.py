"""The demo: a sample network and an hour of its telemetry through the whole chain, on this machine.

Seven stages, each by the means a user has: stub, models, inventory, agent, telemetry through the
event hub, the agent's own figures, an ADT query for what is degraded. Nothing is read from the
generator but what was injected, to compare the agent's flags with.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

import sync_agent.sample
from sync_agent.agent.compose import hub_sender
from sync_agent.agent.rehearsal import Rehearsal, StubPlace
from sync_agent.agent.replay import replay
from sync_agent.agent.twin_service import paced_twins
from sync_agent.sample.detection import Detection, StateChange, compare
from sync_agent.sample.faults import Scenario, make_scenario
from sync_agent.sample.hour import Report, report_count, sample_hour
from sync_agent.sample.network import SampleNetwork
from sync_agent.sample.operator import build_network
from sync_agent.sample.tables import csv_files
from sync_agent.settings.settings import Settings, load_settings
from sync_agent.telemetry.sample import Sample
from sync_agent.telemetry.tally import Tally
from sync_agent.twins.twin import Document

HUB = "telemetry"
PARTITIONS = 4
ROWS_PER_EVENT = 100
COMMAND_MAX_S = 1800.0
SETTLE_MAX_S = 1800.0
MAPPING = "mapping.toml"

# The stub has no quotas, so the demo does not wait for those of the service.
NO_QUOTAS = {"twin_ops_per_s": 10_000, "patches_per_s": 10_000, "create_delete_per_s": 10_000}

DEGRADED_QUERY = (
    "SELECT * FROM digitaltwins T WHERE T.health.state IN ['degraded', 'critical', 'down']"
)


class Meter(Protocol):
    """Shows how far a stage is."""

    def update(self, done: int, *, total: int | None = None) -> None:
        """Set how much is done."""
        ...


Stage = Callable[[str, int | None, str], AbstractContextManager[Meter]]
"""Begins a stage that is shown: title, total, unit."""

Say = Callable[[str], None]
"""Shows one line."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo ends with; ``degraded`` are twin documents, the worst score first."""

    place: StubPlace
    network: SampleNetwork
    relationships: int
    sent: int
    tally: Tally
    degraded: tuple[Document, ...]
    detection: Detection
    process_ids: tuple[int, ...]


async def run_demo(
    rehearsal: Rehearsal,
    *,
    seed: int,
    elements: int,
    start_ms: int,
    stage: Stage,
    say: Say,
) -> DemoResult:
    """Run the demo in a rehearsal; ``start_ms`` is when the sample hour begins, a whole minute.

    Raises:
        SyncAgentError: a stage failed; its message says which and why.
    """
    chance = Random(seed)  # noqa: S311 - the same network for the same seed, no secrets
    network = build_network(chance, elements)
    scenario = make_scenario(network, chance, start_ms)
    inventory = rehearsal.folder / "inventory"
    _write(inventory, csv_files(network))
    mapping = shutil.copy(shipped_sample_mapping(), rehearsal.folder / MAPPING)
    say(f"sample network: {len(network):,} elements, {len(scenario.faults)} faults to come")

    place = await rehearsal.start_stub(HUB, partitions=PARTITIONS)
    say(f"stub: {place.adt_url} and {place.event_hub_connection_string.partition(';')[0]}")
    sources = {"source": str(inventory), "mapping": str(mapping)}
    path = rehearsal.write_settings(place, HUB, {"inventory": sources, "limits": NO_QUOTAS})
    own = load_settings(path, {}, {}).settings
    say("models: sync-agent models apply --yes")
    await rehearsal.command("models", "apply", "--yes", wait_s=COMMAND_MAX_S)
    say("inventory: sync-agent sync --yes")
    await rehearsal.command("sync", "--yes", wait_s=COMMAND_MAX_S)
    say("agent: sync-agent run")
    await rehearsal.start_agent()

    sent = report_count(network, scenario)
    with stage("telemetry", sent, "rows") as meter:
        await _stream(own, sample_hour(network, scenario, chance), rehearsal, meter)
        tally = await rehearsal.settled(
            sent, wait_s=SETTLE_MAX_S, on_tally=lambda t: meter.update(t.rows)
        )
    say("what is degraded: an ADT query")
    degraded, relationships = await _look(own)
    return DemoResult(
        place=place,
        network=network,
        relationships=relationships,
        sent=sent,
        tally=tally,
        degraded=degraded,
        detection=_compare(rehearsal, scenario),
        process_ids=rehearsal.process_ids,
    )


def samples_of(reports: Iterable[Report]) -> Iterator[Sample]:
    """Yield reports as the samples that go over the wire."""
    for report in reports:
        yield Sample(report.element, report.time_ms, report.values)


async def _stream(
    settings: Settings, reports: Iterable[Report], rehearsal: Rehearsal, meter: Meter
) -> None:
    def on_rows(_sent: int) -> None:
        rehearsal.check_agent()
        meter.update(rehearsal.rows())

    sender = hub_sender(settings)
    try:
        await replay(
            samples_of(reports),
            sender,
            speed=None,
            rows_per_event=ROWS_PER_EVENT,
            clock=time.monotonic,
            on_rows=on_rows,
        )
    finally:
        await sender.close()


async def _look(settings: Settings) -> tuple[tuple[Document, ...], int]:
    """Ask the twin service what is degraded, and how many relationships it holds."""
    async with paced_twins(settings) as store:
        rows = [row async for row in store.query(DEGRADED_QUERY)]
        count = [row async for row in store.query("SELECT COUNT() FROM relationships")]
    return tuple(sorted(rows, key=_worst_first)), int(count[0]["COUNT"])


def _worst_first(twin: Document) -> tuple[float, str, str]:
    health = twin["health"]
    return (health.get("score", 0.0), health.get("stateSince", ""), twin["$dtId"])


def _compare(rehearsal: Rehearsal, scenario: Scenario) -> Detection:
    with rehearsal.state() as state:
        changes = [StateChange(t.element, t.at_ms, t.after) for t in state.transitions()]
    return compare(scenario.faults, sorted(changes, key=lambda change: change.at_ms))


def shipped_sample_mapping() -> Path:
    """Return the mapping of the sample network's files, as it comes with the package."""
    return Path(sync_agent.sample.__file__).parent / MAPPING


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
