"""``sync-agent sync``: what the inventory would change, and with ``--yes`` the change itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_agent.cli import context, plan_view, reading
from sync_agent.errors import EXIT_CHANGES_PENDING, EXIT_OK
from sync_agent.report.output import Output, print_fields, print_line
from sync_agent.report.progress import Progress, Steps

if TYPE_CHECKING:
    from sync_agent.agent.inventory_pass import Prepared
    from sync_agent.reconcile.way import Decision
    from sync_agent.runs.apply_plan import ApplyResult
    from sync_agent.settings.settings import Settings


def sync(
    ctx: typer.Context,
    source: context.SourceOption = None,
    mapping: context.MappingOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Make the changes of the plan.")] = False,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="Leave faulty records alone and do the rest."),
    ] = False,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Show what the inventory changes in the twins, and change it with --yes.

    Plan and apply in one. Only what the inventory owns is changed. Exit code 0: nothing (left) to
    do; 2: changes are pending; 1: error.
    """
    settings = context.settings(ctx, {"inventory.source": source, "inventory.mapping": mapping})
    raise typer.Exit(context.run(_sync(settings, yes=yes, keep_going=keep_going, output=output)))


async def _sync(settings: Settings, *, yes: bool, keep_going: bool, output: Output) -> int:
    from sync_agent.agent.inventory_pass import inventory_of
    from sync_agent.agent.presence import TWIN_SERVICE, said
    from sync_agent.agent.twin_service import paced_twins

    progress = Progress("sync", unit="changes")
    inventory = inventory_of(settings, progress.note)
    with Steps("sync") as steps:
        async with reading.reading(settings) as store:
            prepared = await inventory.prepare(store, steps.begin)
    if prepared.diagnostics and not keep_going:
        raise plan_view.faults(prepared.diagnostics)
    prepared, refusal = plan_view.judged(inventory.reconciler, prepared)
    plan = prepared.plan
    plan_view.say_unused(prepared.diagnostics, progress.note)
    way = inventory.reconciler.way(plan)
    if output is Output.TABLE:
        plan_view.show_plan(plan)
        plan_view.show_way(way)
    if refusal is not None:
        raise refusal
    result = None
    if plan.changes:
        if yes:
            progress.update(0, total=len(plan.changes))
            watch = said(TWIN_SERVICE, progress.note)
            async with paced_twins(settings, watch=watch) as store:
                with progress:
                    result = await inventory.apply(
                        prepared, store, "sync", on_progress=progress.update
                    )
    else:
        inventory.reconciler.settle(plan, prepared.desired.graph)
    if output is Output.JSON:
        print_fields(_document(prepared, way, result), output=output)
    if result is None:
        if plan.changes and output is Output.TABLE:
            print_line("Nothing was changed; --yes makes these changes.")
        return EXIT_CHANGES_PENDING if plan.changes else EXIT_OK
    plan_view.conclude(result, output)
    return EXIT_OK


def _document(prepared: Prepared, way: Decision, result: ApplyResult | None) -> dict[str, Any]:
    """Return the plan and what became of it, for programs."""
    plan = prepared.plan
    return {
        "plan": plan.to_json(),
        "counts": {action.name.lower(): count for action, count in plan.counts().items()},
        "way": asdict(way),
        "diagnostics": [asdict(fault) for fault in prepared.diagnostics],
        "result": plan_view.result_document(result) if result else None,
    }
