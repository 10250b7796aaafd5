"""``sync-agent plan``: what the inventory would change, to be looked at, kept and applied later."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli import context, plan_view, reading
from sync_agent.errors import EXIT_CHANGES_PENDING, EXIT_OK
from sync_agent.report.output import Output, print_fields, print_line
from sync_agent.report.progress import Progress, Steps

if TYPE_CHECKING:
    from sync_agent.agent.inventory_pass import Inventory, Prepared
    from sync_agent.settings.settings import Settings


def plan(
    ctx: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to keep the plan in, for apply.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="File to write the plan to as a page.")
    ] = None,
    source: context.SourceOption = None,
    mapping: context.MappingOption = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Instance to compare with (adt.url).")
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="Leave faulty records alone and plan the rest."),
    ] = False,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Show what the inventory would change in the twins, and what that costs.

    Nothing is changed. Exit code 0: nothing to do; 2: changes are pending; 1: error.
    """
    settings = context.settings(
        ctx, {"inventory.source": source, "inventory.mapping": mapping, "adt.url": target}
    )
    raise typer.Exit(context.run(_plan(settings, out, html, keep_going=keep_going, output=output)))


async def _plan(
    settings: Settings, out: Path | None, html: Path | None, *, keep_going: bool, output: Output
) -> int:
    from sync_agent.agent.inventory_pass import inventory_of

    inventory = inventory_of(settings, Progress("plan").note)
    with Steps("plan") as steps:
        async with reading.reading(settings) as store:
            prepared = await inventory.prepare(store, steps.begin)
    if prepared.diagnostics and not keep_going:
        raise plan_view.faults(prepared.diagnostics)
    plan_view.say_unused(prepared.diagnostics, Progress("plan").note)
    return _deliver(inventory, prepared, out, html, output)


def _deliver(
    inventory: Inventory, prepared: Prepared, out: Path | None, html: Path | None, output: Output
) -> int:
    from sync_agent.reconcile.plan_file import to_document
    from sync_agent.report.plan_page import plan_page

    reconciler = inventory.reconciler
    prepared, refusal = plan_view.judged(reconciler, prepared)
    made = prepared.plan
    file = reconciler.file(made)
    if out is not None:
        context.write_file(out, file.to_bytes())
    if html is not None:
        context.write_file(html, plan_page(file).encode())
    if output is Output.JSON:
        counts = {action.name.lower(): count for action, count in made.counts().items()}
        diagnostics = [asdict(fault) for fault in prepared.diagnostics]
        document = {**to_document(file), "counts": counts, "diagnostics": diagnostics}
        print_fields(document, output=output)
    else:
        plan_view.show_plan(made)
        plan_view.show_cost(file.cost)
        plan_view.show_way(file.way)
    if refusal is not None:
        raise refusal
    if out is not None and output is Output.TABLE:
        print_line(f"Kept in {out}; sync-agent apply {out} makes exactly these changes.")
    return EXIT_CHANGES_PENDING if made.changes else EXIT_OK
