"""Runs the storm: two days of 75 microwave links in heavy rain, through the chain, on this machine.

Usage: run.py DATA_DIR, where DATA_DIR holds ``links.csv`` and ``rsl_tsl.csv.gz``. With ``--work
DIR`` everything stays there to be looked at: the inventory, the agent's state (``state.db``), the
twins as they ended (``twins.json``) and the figures (``figures.json``). ``--kills N`` kills the
agent N times at random moments (``kill -9``) and starts it again; the figures must come out the
same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from prepare import write_inventory

from sync_agent.agent.rehearsal import Rehearsal, make_folder
from sync_agent.errors import SyncAgentError

HERE = Path(__file__).resolve().parent
HUB = "telemetry"
PARTITIONS = 4
FLAGGED = {"degraded", "critical", "down"}
MINUTE_MS = 60_000
WAIT_S = 300.0

# Small batches: the agent commits often, so that kills meet it in the middle of its work. When the
# hub has been quiet for five seconds the recording is over, and the last minute is closed.
SETTINGS: dict[str, dict[str, str | int | float | bool]] = {
    "telemetry": {"bindings": str(HERE / "bindings.toml"), "batch_max_events": 40},
    "health": {"profiles": str(HERE / "health.toml"), "idle_close_s": 5.0},
    "inventory": {"apply": False},
}


async def storm(
    data: Path, rehearsal: Rehearsal, kills: int, chance: random.Random
) -> dict[str, Any]:
    """Run everything and return the figures."""
    folder = rehearsal.folder
    began = time.monotonic()
    inventory = folder / "inventory"
    inventory.mkdir()
    recorded = write_inventory(data, inventory)
    place = await rehearsal.start_stub(HUB, partitions=PARTITIONS)
    rehearsal.write_settings(place, HUB, SETTINGS)
    await rehearsal.command("models", "apply", "--yes", wait_s=WAIT_S)
    source = ("--source", str(inventory), "--mapping", str(HERE / "mapping.toml"))
    await rehearsal.command("sync", *source, "--yes", wait_s=WAIT_S)
    prepared = time.monotonic()
    await rehearsal.start_agent()
    layout = ("--layout", str(HERE / "layout.toml"), "--speed", "max", "--output", "json")
    async with asyncio.TaskGroup() as group:
        replay = group.create_task(
            rehearsal.command("replay", str(data / "rsl_tsl.csv.gz"), *layout, wait_s=WAIT_S)
        )
        if kills:
            group.create_task(kill_now_and_then(rehearsal, recorded, kills, chance))
    sent = json.loads(replay.result())
    await rehearsal.settled(sent["rows"], wait_s=WAIT_S, windows_closed=True)
    ended = time.monotonic()
    exit_code = await rehearsal.stop_agent()
    twins = await rehearsal.command(
        "query",
        "SELECT * FROM digitaltwins T WHERE"
        " IS_OF_MODEL(T, 'dtmi:telecom:transport:MicrowaveLink;1')",
        "--output",
        "json",
        wait_s=WAIT_S,
    )
    (folder / "twins.json").write_text(twins, encoding="utf-8")
    figures = {
        **count(rehearsal, sent["rows"]),
        "kills": kills,
        "agent_exit_code": exit_code,
        "prepare_s": round(prepared - began, 1),
        "stream_s": round(ended - prepared, 1),
    }
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


async def kill_now_and_then(
    rehearsal: Rehearsal, total: int, kills: int, chance: random.Random
) -> None:
    """Kill the agent at moments that lie anywhere in its work, and start it again each time."""
    for rows in sorted(chance.randrange(total // 20, total * 17 // 20) for _ in range(kills)):
        while rehearsal.rows() < rows:
            rehearsal.check_agent()
            await asyncio.sleep(0.02)
        await asyncio.sleep(chance.uniform(0.0, 0.25))
        await rehearsal.kill_agent()
        print(f"killed the agent at {rehearsal.rows():,} rows", file=sys.stderr)
        await rehearsal.start_agent()


def count(rehearsal: Rehearsal, sent: int) -> dict[str, Any]:
    """Return what became of the rows, and what was flagged for how long."""
    since: dict[str, int] = {}
    flagged: Counter[int] = Counter()
    links: set[str] = set()
    with rehearsal.state() as state:
        tally = state.tally()
        end_ms = max(position.watermark_ms for position in state.positions().values())
        for change in state.transitions():
            if change.after in FLAGGED:
                since.setdefault(change.element, change.at_ms)
                links.add(change.element)
            elif change.element in since:
                start = since.pop(change.element)
                flagged.update(range(start, change.at_ms, MINUTE_MS))
        still = len(since)
        for start in since.values():
            flagged.update(range(start, end_ms, MINUTE_MS))
    worst_ms, worst = flagged.most_common(1)[0]
    return {
        "rows_sent": sent,
        "rows": tally.rows,
        "applied": tally.applied,
        "coalesced": tally.coalesced,
        "missing": tally.missing,
        "dead_lettered": tally.dead_lettered,
        "links_ever_degraded": len(links),
        "links_degraded_at_the_end": still,
        "degraded_link_minutes": flagged.total(),
        "most_links_at_once": worst,
        "most_links_at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(worst_ms / 1000)),
    }


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the storm in its folder, and tidy up."""
    folder = arguments.work or Path(tempfile.mkdtemp(prefix="sync-agent-storm-"))
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    if arguments.kills:
        print(f"seed of the kills: {seed}", file=sys.stderr)
    try:
        async with Rehearsal(make_folder(folder)) as rehearsal:
            return await storm(arguments.data, rehearsal, arguments.kills, random.Random(seed))  # noqa: S311 - moments of kills, no secrets
    finally:
        if arguments.work is None:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Read the command line, run, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("--work", type=Path, help="an empty folder to keep everything in")
    parser.add_argument("--kills", type=int, default=0, help="how often to kill the agent")
    parser.add_argument("--seed", type=int, help="seed of the random moments of the kills")
    arguments = parser.parse_args()
    for name in ("links.csv", "rsl_tsl.csv.gz"):
        if not (arguments.data / name).is_file():
            parser.error(
                f"{arguments.data} has no {name}; README.md says where the data comes from"
            )
    try:
        figures = asyncio.run(run(arguments))
    except (SyncAgentError, ExceptionGroup) as error:
        for failure in error.exceptions if isinstance(error, ExceptionGroup) else [error]:
            if not isinstance(failure, SyncAgentError):
                raise
            print(f"error: {failure.message}\nremedy: {failure.remedy}", file=sys.stderr)
        return 1
    for name, value in figures.items():
        print(
            f"{name.replace('_', ' '):28}{value:>20}"
            if isinstance(value, str)
            else f"{name.replace('_', ' '):28}{value:>20,}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
