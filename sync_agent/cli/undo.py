"""``sync-agent undo``: take back what a run changed, where nobody changed it since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_agent.cli import context, plan_view
from sync_agent.errors import EXIT_CHANGES_PENDING, EXIT_OK
from sync_agent.report.output import Output, print_fields, print_line
from sync_agent.report.progress import Progress

if TYPE_CHECKING:
    from sync_agent.reconcile.undo import Undo
    from sync_agent.runs.apply_plan import ApplyResult
    from sync_agent.settings.settings import Settings


def undo(
    ctx: typer.Context,
    run: Annotated[int, typer.Argument(help="The run, as `sync-agent runs` numbers it.", min=1)],
    yes: Annotated[bool, typer.Option("--yes", help="Take it back.")] = False,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Show what takes a run back, and take it back with --yes.

    What somebody changed since is named and left. Exit code 0: nothing (left) to take back; 2:
    changes are pending; 1: error.
    """
    settings = context.settings(ctx)
    raise typer.Exit(context.run(_undo(settings, run, yes=yes, output=output)))


async def _undo(settings: Settings, run: int, *, yes: bool, output: Output) -> int:
    from sync_agent.agent.policy import reconciler_of
    from sync_agent.agent.presence import TWIN_SERVICE, said
    from sync_agent.agent.twin_service import paced_twins
    from sync_agent.runs.apply_change import OnConflict

    note = Progress("undo").note
    reconciler = reconciler_of(settings, note)
    result = None
    async with paced_twins(settings, watch=said(TWIN_SERVICE, note)) as store:
        found = await reconciler.undo(run, store)
        if output is Output.TABLE:
            plan_view.show_plan(found.plan, nothing="There is nothing to take back.")
            for left in found.left:
                print_line(f"left as it is: {left.element}: {left.reason}")
        if found.plan.changes and yes:
            with Progress("undo", total=len(found.plan.changes), unit="changes") as progress:
                result = await reconciler.apply(
                    found.plan,
                    store,
                    f"undo {run}",
                    on_conflict=OnConflict.SKIP,
                    on_progress=progress.update,
                )
    if output is Output.JSON:
        print_fields(_document(found, result), output=output)
    if result is None:
        if found.plan.changes and output is Output.TABLE:
            print_line("Nothing was changed; --yes makes these changes.")
        return EXIT_CHANGES_PENDING if found.plan.changes else EXIT_OK
    plan_view.conclude(result, output)
    if output is Output.TABLE:
        print_line("The next sync does it again unless the inventory changes or is paused.")
    return EXIT_OK


def _document(found: Undo, result: ApplyResult | None) -> dict[str, Any]:
    return {
        "plan": found.plan.to_json(),
        "left": [{"element": s.element, "reason": s.reason} for s in found.left],
        "result": plan_view.result_document(result) if result else None,
    }
