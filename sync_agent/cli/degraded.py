"""``sync-agent degraded``: what is degraded, since when and why - asked of the twins themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from sync_agent.cli import context, reading
from sync_agent.report.output import STATE_STYLES, Column, Output, print_line, print_rows
from sync_agent.report.progress import Progress
from sync_agent.twins.twin import model_of

QUERY = "SELECT * FROM digitaltwins T WHERE T.health.state IN ['degraded','critical','down']"
STATES = ("down", "critical", "degraded")
ROWS_MAX = 100_000

_COLUMNS = (
    Column("element", "ELEMENT"),
    Column("type", "TYPE"),
    Column("state", "STATE", styles=STATE_STYLES),
    Column("score", "SCORE", justify="right"),
    Column("since", "SINCE"),
    Column("why", "WHY"),
)


def degraded(ctx: typer.Context, output: context.OutputOption = Output.TABLE) -> None:
    """List what is degraded, critical or down: since when, how badly and why, the worst first."""
    settings = context.settings(ctx)
    twins, more = context.run(reading.read_rows(settings, QUERY, ROWS_MAX))
    rows = sorted(map(_row, twins), key=_badness)
    if rows or output is Output.JSON:
        print_rows(rows, _COLUMNS, output=output)
    else:
        print_line("Nothing is degraded.")
    if more:
        Progress("degraded").note(f"there are more than {ROWS_MAX:,}; these are the first")


def _row(twin: Mapping[str, Any]) -> dict[str, Any]:
    health = twin["health"]
    return {
        "element": twin["$dtId"],
        "type": reading.type_name(model_of(twin)),
        "state": health["state"],
        "score": health.get("score"),
        "since": health.get("stateSince"),
        "why": health.get("explanation"),
    }


def _badness(row: Mapping[str, Any]) -> tuple[int, float, str]:
    score = row["score"]
    return STATES.index(row["state"]), 101.0 if score is None else score, row["element"]
