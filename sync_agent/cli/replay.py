"""``sync-agent replay``: a recorded time series into an event hub."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli import context
from sync_agent.cli.context import OutputOption
from sync_agent.cli.context import settings as load_settings
from sync_agent.errors import SettingsError
from sync_agent.report.output import Output, print_line, to_json
from sync_agent.report.progress import Progress

if TYPE_CHECKING:
    from sync_agent.agent.replay import Sent
    from sync_agent.settings.settings import Settings
    from sync_agent.telemetry.sample import Sample


def replay(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV or NDJSON file, plain or .gz.")],
    layout: Annotated[
        Path | None, typer.Option("--layout", help="TOML file that says which column is what.")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option("--time", help="Column of the time (ISO 8601 or epoch).")
    ] = None,
    element_column: Annotated[
        str | None, typer.Option("--element", help="Column of the element's id.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Column that is a label; repeatable.")
    ] = None,
    value: Annotated[
        list[str] | None, typer.Option("--value", help="Column that is a value; repeatable.")
    ] = None,
    speed: Annotated[
        str, typer.Option("--speed", help="Times real time, or max for as fast as it goes.")
    ] = "max",
    rows_per_event: Annotated[
        int, typer.Option("--rows-per-event", min=1, max=1000, help="Most rows in one event.")
    ] = 100,
    output: OutputOption = Output.TABLE,
) -> None:
    """Send a recorded time series to the event hub of the settings, in event-time order."""
    from sync_agent.sources.recording import Layout, parse_layout, read_recording

    settings = load_settings(ctx)
    times = _speed(speed)
    chosen = Layout()
    if layout is not None:
        from sync_agent.sources.text_file import read_text

        chosen = parse_layout(read_text(layout), place=str(layout))
    chosen = Layout(
        time_column or chosen.time,
        element_column or chosen.element,
        tuple(label) if label else chosen.labels,
        tuple(value) if value else chosen.values,
    )
    samples = read_recording(file, chosen)
    sent = context.run(_send(settings, samples, times, rows_per_event))
    if output is Output.JSON:
        print_line(to_json({"rows": sent.rows, "events": sent.events}).replace("\n", ""))
    else:
        print_line(f"{sent.rows:,} rows in {sent.events:,} events sent.")


async def _send(
    settings: Settings, samples: list[Sample], speed: float | None, rows_per_event: int
) -> Sent:
    from sync_agent.agent.compose import hub_sender
    from sync_agent.agent.replay import replay as send

    sender = hub_sender(settings)
    try:
        with Progress("replay", total=len(samples), unit="rows") as progress:
            return await send(
                samples,
                sender,
                speed=speed,
                rows_per_event=rows_per_event,
                clock=time.monotonic,
                on_rows=progress.update,
            )
    finally:
        await sender.close()


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        times = float(text)
    except ValueError:
        times = 0.0
    if not 0 < times < float("inf"):
        raise SettingsError(
            f"--speed {text} is no speed", remedy="write a number above 0, such as 60, or max"
        )
    return times
