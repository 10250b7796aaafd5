"""``sync-agent runs``: what was changed in the twins so far, run by run."""

from __future__ import annotations

from typing import Annotated

import typer

from sync_agent.cli import context
from sync_agent.report.output import Column, Output, print_line, print_rows
from sync_agent.twins.time import format_time_ms

_COLUMNS = (
    Column("run", "RUN", justify="right"),
    Column("began", "BEGAN"),
    Column("kind", "BY"),
    Column("owner", "OWNER"),
    Column("done", "DONE", justify="right"),
    Column("already", "ALREADY", justify="right"),
    Column("failed", "FAILED", justify="right", style="red"),
    Column("skipped", "SKIPPED", justify="right"),
    Column("open", "OPEN", justify="right"),
    Column("state", "STATE", styles={"broken off": "red", "under way": "yellow"}),
    Column("ended", "ENDED"),
)


def runs(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="Most runs shown.")] = 20,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """List the runs that changed twins, newest first.

    OPEN are changes without a known outcome: they are still to be made, or the run was over before
    they were. A run that was broken off may have made them all the same; undo looks at the twins.
    """
    from sync_agent.runs.journal import Journal, Run
    from sync_agent.settings.settings import required

    settings = context.settings(ctx)
    path, instance = settings.state.journal_path, required(settings.adt.url, "adt.url")
    found: list[Run] = []
    if path.exists():
        with Journal(path, instance, readonly=True) as journal:
            found = journal.runs(limit)
    rows = [
        {
            "run": run.id,
            "began": format_time_ms(run.began_ms),
            "kind": run.kind,
            "owner": run.owner.name,
            **{name: run.outcomes.get(name, 0) for name in ("done", "already", "failed")},
            "skipped": run.outcomes.get("skipped", 0),
            "open": run.outcomes.get("", 0),
            "state": run.state,
            "ended": format_time_ms(run.ended_ms) if run.ended_ms is not None else None,
        }
        for run in found
    ]
    if rows or output is Output.JSON:
        print_rows(rows, _COLUMNS, output=output)
    else:
        where = "" if path.exists() else f" There is no {path}, where state.journal says it is."
        print_line(f"No run changed anything yet.{where}")
