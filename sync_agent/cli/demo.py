"""``sync-agent demo``: the main job on this machine, from an empty folder to what is degraded."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_agent.cli import context
from sync_agent.cli.context import OutputOption
from sync_agent.report.output import (
    STATE_STYLES,
    Column,
    Output,
    print_fields,
    print_line,
    print_rows,
)
from sync_agent.report.progress import Progress

if TYPE_CHECKING:
    from sync_agent.agent.demo import DemoResult
    from sync_agent.agent.rehearsal import Rehearsal

ROWS_SHOWN = 20
NAMES_SHOWN = 8
EXIT_BY_SIGNAL = 128
HOUR_MS = 3_600_000
MINUTE_MS = 60_000

_EXAMPLE_QUERY = "SELECT * FROM digitaltwins T WHERE T.health.score < 50"
_DEGRADED = (
    Column("element", "ELEMENT"),
    Column("type", "TYPE"),
    Column("region", "REGION"),
    Column("state", "STATE", styles=STATE_STYLES),
    Column("score", "SCORE", "right"),
    Column("since", "SINCE"),
    Column("why", "WHY"),
)
_FOUND = (
    Column("fault", "INJECTED FAULT"),
    Column("injected", "INJECTED", "right"),
    Column("found", "FOUND", "right"),
    Column("after_min", "AFTER (MIN)", "right"),
)


def demo(
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Leave stub and agent running and print their addresses."),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the network and its faults.")] = 1,
    elements: Annotated[
        int, typer.Option("--elements", help="Size of the sample network.")
    ] = 2_100,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the main job on this machine, with a sample network.

    Starts a stub, deploys the models, brings a sample network's inventory into twins, streams an
    hour of its telemetry with known faults, and lists what the agent finds degraded. Everything
    is stopped and removed afterwards, unless --keep is given.
    """
    folder = Path(tempfile.mkdtemp(prefix="sync-agent-demo-"))
    kept = False
    signals: list[int] = []
    try:
        kept = context.run(
            _run(folder, signals, keep=keep, seed=seed, elements=elements, output=output)
        )
    except asyncio.CancelledError:
        raise typer.Exit(EXIT_BY_SIGNAL + signals[0]) from None
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(
    folder: Path, signals: list[int], *, keep: bool, seed: int, elements: int, output: Output
) -> bool:
    """Run the demo and print what came of it; return whether it was left running.

    Ctrl-C and SIGTERM cancel it and are noted in ``signals``. Only the first counts: a second one
    must not cut off the ending of the processes.
    """
    from sync_agent.agent.demo import run_demo
    from sync_agent.agent.rehearsal import Rehearsal

    task = asyncio.current_task()

    def cancel(number: int) -> None:
        if task is not None and not signals:
            task.cancel()
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, cancel, int(number))
    began = time.monotonic()
    now_ms = int(time.time()) * 1000
    async with Rehearsal(folder) as rehearsal:
        result = await run_demo(
            rehearsal,
            seed=seed,
            elements=elements,
            start_ms=(now_ms - HOUR_MS) // MINUTE_MS * MINUTE_MS - MINUTE_MS,
            stage=lambda title, total, unit: Progress(title, total=total, unit=unit),
            say=lambda text: typer.echo(f"[{time.monotonic() - began:5.1f} s] {text}", err=True),
        )
        if keep:
            rehearsal.leave()
        report = _report(result, rehearsal, time.monotonic() - began, keep=keep)
        if output is Output.JSON:
            print_fields(report, output=output)
        else:
            _print(report)
    return keep


def _report(
    result: DemoResult, rehearsal: Rehearsal, elapsed_s: float, *, keep: bool
) -> dict[str, Any]:
    """Return all that the demo shows, as the JSON output has it."""
    detection = result.detection
    return {
        "degraded": [_row(twin, result) for twin in result.degraded],
        "faults": [
            {
                "fault": kind.kind.value,
                "injected": kind.injected,
                "found": kind.found,
                "after_min": kind.delay_min,
            }
            for kind in detection.kinds
        ],
        "recall": round(detection.recall, 4),
        "precision": round(detection.precision, 4),
        "injected": detection.injected,
        "found": detection.found,
        "flaggings": detection.flaggings,
        "right": detection.right,
        "missed": [f"{fault.element} ({fault.kind})" for fault in detection.missed],
        "false": list(detection.false_elements),
        "elements": len(result.network),
        "relationships": result.relationships,
        "rows": {"sent": result.sent, **asdict(result.tally)},
        "seconds": round(elapsed_s, 1),
        "adt_url": result.place.adt_url,
        "event_hub_connection_string": result.place.event_hub_connection_string,
        "config": str(rehearsal.settings_path),
        "folder": str(rehearsal.folder),
        "processes": list(result.process_ids),
        "kept": keep,
    }


def _row(twin: Mapping[str, Any], result: DemoResult) -> dict[str, Any]:
    health = twin["health"]
    element = result.network.by_id[twin["$dtId"]]
    region = result.network.by_id[f"REGION-{element.region}"]
    return {
        "element": element.id,
        "type": twin["$metadata"]["$model"].rpartition(":")[2].partition(";")[0],
        "region": region.text("displayLabel"),
        "state": health["state"],
        "score": health.get("score"),
        "since": health.get("stateSince", ""),
        "why": health.get("explanation"),
    }


def _print(report: Mapping[str, Any]) -> None:
    rows = report["degraded"]
    print_line("")
    print_rows(rows[:ROWS_SHOWN], _DEGRADED, output=Output.TABLE, title="Degraded, the worst first")
    if len(rows) > ROWS_SHOWN:
        print_line(f"... and {len(rows) - ROWS_SHOWN} more")
    print_line("")
    print_line(f"By region  {_counts(row['region'] for row in rows)}")
    print_line(f"By type    {_counts(row['type'] for row in rows)}")
    print_line("")
    print_rows(report["faults"], _FOUND, output=Output.TABLE, title="What was injected, and found")
    _print_figures(report)
    _print_next(report)


def _print_figures(report: Mapping[str, Any]) -> None:
    print_line("")
    print_line(
        f"{report['found']} of {report['injected']} faults found (silence apart), "
        f"{report['right']} of {report['flaggings']} flaggings right: "
        f"recall {report['recall']:.0%}, precision {report['precision']:.0%}."
    )
    if report["missed"]:
        print_line(f"Missed: {_some(report['missed'])}")
    if report["false"]:
        print_line(f"Flagged without a fault: {_some(report['false'])}")
    rows = report["rows"]
    print_line(
        f"{report['elements']:,} elements, {report['relationships']:,} relationships; "
        f"{rows['sent']:,} rows sent = {rows['applied']:,} applied + {rows['coalesced']:,} "
        f"coalesced + {rows['missing']:,} missing + {rows['dead_lettered']:,} dead-lettered; "
        f"{report['seconds']:.0f} s in all."
    )


def _print_next(report: Mapping[str, Any]) -> None:
    """Say how to look further: what is running, or how to leave it running."""
    print_line("")
    if not report["kept"]:
        print_line("Stopping and removing everything. To look further, leave it running:")
        print_line("  sync-agent demo --keep      (or: make demo KEEP=1)")
        print_line("It then prints what to type: `sync-agent degraded`, `show ELEMENT`, a query,")
        print_line("and where Azure Digital Twins Explorer finds it.")
        return
    agent = f"sync-agent --config {shlex.quote(report['config'])}"
    worst = report["degraded"][0]["element"] if report["degraded"] else "REGION-NOR"
    print_line("Still running:")
    print_line(f"  Azure Digital Twins  {report['adt_url']}")
    print_line(f"  Event Hubs           {report['event_hub_connection_string']}")
    print_line("Look further:")
    print_line(f"  {agent} degraded")
    print_line(f"  {agent} show {worst}")
    print_line(f'  {agent} query "{_EXAMPLE_QUERY}"')
    print_line(
        f"  Azure Digital Twins Explorer: send its /api/proxy to {report['adt_url']}/api/proxy"
    )
    print_line("Stop and remove:")
    pids = " ".join(str(process) for process in report["processes"])
    print_line(f"  kill {pids}; rm -r {shlex.quote(report['folder'])}")


def _counts(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common()) or "none"


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
