"""``sync-agent apply``: exactly the changes of a plan that was kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli import context, plan_view
from sync_agent.errors import EXIT_OK, GuardError, InputError
from sync_agent.report.output import Output, print_fields
from sync_agent.report.progress import Progress

if TYPE_CHECKING:
    from sync_agent.inventory.desired import DesiredGraph
    from sync_agent.ports.twin_store import TwinService
    from sync_agent.reconcile.plan_file import PlanFile
    from sync_agent.settings.settings import Settings

CONFLICTS = ("stop", "skip", "replan")


def apply(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A plan made with `sync-agent plan --out`.")],
    on_conflict: Annotated[
        str,
        typer.Option(
            "--on-conflict",
            help="Where somebody changed an element since the plan: stop, skip it,"
            " or replan that element alone.",
        ),
    ] = "stop",
    source: context.SourceOption = None,
    mapping: context.MappingOption = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Instance the plan is for (adt.url).")
    ] = None,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Make exactly the changes of a plan that was kept.

    A plan is refused when its source or what it changes is not as it was; each element that changed
    is named. Give the options the plan was made with. Exit code 0: all is done; 1: error.
    """
    if on_conflict not in CONFLICTS:
        raise typer.BadParameter(f"{on_conflict} is none of {', '.join(CONFLICTS)}")
    settings = context.settings(
        ctx, {"inventory.source": source, "inventory.mapping": mapping, "adt.url": target}
    )
    raise typer.Exit(context.run(_apply(settings, file, on_conflict, output)))


async def _apply(settings: Settings, path: Path, on_conflict: str, output: Output) -> int:
    from sync_agent.agent.policy import reconciler_of
    from sync_agent.agent.presence import TWIN_SERVICE, said
    from sync_agent.agent.twin_service import paced_twins
    from sync_agent.runs.apply_change import OnConflict

    file = _read(path)
    plan = file.plan
    progress = Progress("apply", total=len(plan.changes), unit="changes")
    reconciler = reconciler_of(settings, progress.note)
    _check_instance(file, reconciler.policy.instance)
    async with paced_twins(settings, watch=said(TWIN_SERVICE, progress.note)) as store:
        desired = await _unchanged_source(settings, file, store)
        if reconciler.guarded(plan) != plan:
            raise GuardError(
                "the plan deletes more than the limits allow now", remedy="make a new plan"
            )
        if on_conflict == OnConflict.STOP:
            stale = await reconciler.stale(plan, store)
            if stale:
                raise plan_view.staleness(stale)
        with progress:
            result = await reconciler.apply(
                plan,
                store,
                "apply",
                desired=desired,
                on_conflict=OnConflict(on_conflict),
                on_progress=progress.update,
                way=file.way.way,
            )
    if output is Output.JSON:
        print_fields(plan_view.result_document(result), output=output)
    plan_view.conclude(result, output)
    return EXIT_OK


def _read(path: Path) -> PlanFile:
    from sync_agent.reconcile.plan_file import BYTES_MAX, PlanFile

    try:
        if path.stat().st_size > BYTES_MAX:
            raise InputError(
                f"is larger than {BYTES_MAX:,} bytes", place=str(path), remedy="plan smaller parts"
            )
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}",
            place=str(path),
            remedy="make it with sync-agent plan --out FILE",
        ) from error
    return PlanFile.from_bytes(data, place=str(path))


def _check_instance(file: PlanFile, instance: str) -> None:
    if file.instance != instance:
        raise GuardError(
            f"the plan was made for {file.instance}, adt.url is {instance}",
            remedy="name the plan's instance with --target or adt.url, or plan again",
        )


async def _unchanged_source(
    settings: Settings, file: PlanFile, store: TwinService
) -> DesiredGraph | None:
    """Return the graph of the source the plan was made from, None when no source is set.

    Raises:
        GuardError: the source is not what it was.
    """
    from sync_agent.agent.inventory_pass import inventory_of
    from sync_agent.runs.observe import deployed_models

    if not settings.inventory.configured:
        Progress("apply").note(
            "no inventory source is set: that of the plan is not checked, nor noted for drift"
        )
        return None
    desired = await inventory_of(settings).read(await deployed_models(store))
    if desired.digest != file.plan.digest:
        raise GuardError(
            f"the source changed since the plan was made: its digest was {file.plan.digest[:12]}"
            f" and is {desired.digest[:12]}",
            remedy="make a new plan",
        )
    return desired.graph
