"""``sync-agent drift``: what was changed in the twins behind the agent's back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_agent.cli import context, plan_view
from sync_agent.errors import EXIT_CHANGES_PENDING, EXIT_OK, GuardError, InputError
from sync_agent.report.output import Output, print_fields, print_line
from sync_agent.report.progress import Progress

if TYPE_CHECKING:
    from sync_agent.inventory.owner import Owner
    from sync_agent.ports.twin_store import TwinService
    from sync_agent.runs.apply_plan import ApplyResult
    from sync_agent.runs.reconciler import Drift, Reconciler
    from sync_agent.settings.settings import Settings


def drift(
    ctx: typer.Context,
    owner: Annotated[
        str | None, typer.Option("--owner", help="Whose twins, where several were applied.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Keep it until the inventory says something new.")
    ] = False,
    revert: Annotated[
        bool, typer.Option("--revert", help="Make it again as it was last applied.")
    ] = False,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Show what somebody changed of the twins since they were last made true.

    The table shows how it would be reverted. Exit code 0: nothing; 2: there is drift; 1: error.
    """
    if accept and revert:
        raise typer.BadParameter("--accept and --revert exclude each other")
    settings = context.settings(ctx)
    do = "accept" if accept else "revert" if revert else ""
    raise typer.Exit(context.run(_drift(settings, owner, do, output)))


async def _drift(settings: Settings, name: str | None, do: str, output: Output) -> int:
    from sync_agent.agent.policy import reconciler_of
    from sync_agent.agent.presence import TWIN_SERVICE, said
    from sync_agent.agent.twin_service import paced_twins

    note = Progress("drift").note
    reconciler = reconciler_of(settings, note)
    owner = _owner(reconciler, name)
    result = None
    async with paced_twins(settings, watch=said(TWIN_SERVICE, note)) as store:
        found = await reconciler.drift(owner, store)
        if output is Output.TABLE:
            _show(found)
        if found.plan.changes and do == "revert":
            result = await _revert(reconciler, found, store)
    if do == "accept":
        reconciler.accept(found)
    if output is Output.JSON:
        print_fields(_document(found, result), output=output)
    if result is not None and not result.complete:
        raise plan_view.failures(result)
    if do and output is Output.TABLE and found.plan.changes:
        print_line({"accept": "Accepted.", "revert": "Reverted."}[do])
    return EXIT_CHANGES_PENDING if found.plan.changes and not do else EXIT_OK


async def _revert(reconciler: Reconciler, found: Drift, store: TwinService) -> ApplyResult:
    from sync_agent.runs.apply_change import OnConflict

    plan = found.plan
    with Progress("revert", total=len(plan.changes), unit="changes") as progress:
        return await reconciler.apply(
            plan, store, "revert", on_conflict=OnConflict.SKIP, on_progress=progress.update
        )


def _owner(reconciler: Reconciler, name: str | None) -> Owner:
    owners = reconciler.owners()
    fitting = [owner for owner in owners if name is None or owner.name == name]
    if not owners:
        raise GuardError(
            "nothing was applied yet from here", remedy="run sync or apply once with this journal"
        )
    if len(fitting) != 1:
        names = ", ".join(owner.name for owner in owners)
        raise InputError(f"there are twins of {names} here", remedy="name one of them with --owner")
    return fitting[0]


def _show(found: Drift) -> None:
    if found.plan.changes:
        plan_view.show_changes(found.plan.changes)
    for element in found.unknown[: plan_view.CHANGES_SHOWN]:
        print_line(f"unknown: {element} bears the owner's mark, but no finished run made it")
    count = len(found.plan.changes)
    changes = "1 change" if count == 1 else f"{count:,} changes"
    print_line(f"{changes} behind the agent's back." if count else "There is no drift.")


def _document(found: Drift, result: ApplyResult | None) -> dict[str, Any]:
    return {
        "revert": found.plan.to_json(),
        "unknown": list(found.unknown),
        "result": plan_view.result_document(result) if result else None,
    }
