"""``sync-agent models``: validate DTDL models and deploy them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli.context import OutputOption
from sync_agent.cli.context import settings as load_settings
from sync_agent.errors import EXIT_CHANGES_PENDING, EXIT_ERROR, EXIT_OK
from sync_agent.report.output import Column, Output, print_line, print_rows
from sync_agent.report.progress import Progress

if TYPE_CHECKING:
    from sync_agent.agent.settings import Settings

models = typer.Typer(no_args_is_help=True, help="Validate DTDL models and deploy them.")

PathArgument = Annotated[
    Path | None,
    typer.Argument(help="A DTDL file or a folder of them; by default models.path."),
]

_FINDINGS = (
    Column("source", "FILE"),
    Column("model", "MODEL"),
    Column("pointer", "AT"),
    Column("message", "FINDING"),
    Column("remedy", "REMEDY"),
    Column("code", "CODE"),
)
_CHANGES = (Column("change", ""), Column("model", "MODEL"))


@models.command("validate")
def validate(
    ctx: typer.Context, path: PathArgument = None, output: OutputOption = Output.TABLE
) -> None:
    """Check models against DTDL and against what Azure Digital Twins takes of it."""
    from dataclasses import asdict

    from sync_agent.agent.apply_models import check_models

    place = path or load_settings(ctx).models.path
    interfaces, findings = check_models(place)
    if findings or output is Output.JSON:
        print_rows([asdict(finding) for finding in findings], _FINDINGS, output=output)
    else:
        print_line(f"{len(interfaces)} models in {place} are valid.")
    raise typer.Exit(EXIT_ERROR if findings else EXIT_OK)


@models.command("apply")
def apply(
    ctx: typer.Context,
    path: PathArgument = None,
    yes: Annotated[bool, typer.Option("--yes", help="Deploy what is missing.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show which models are not deployed yet, and deploy them with --yes.

    Exit code 0: nothing (left) to do; 2: models are to be deployed; 1: error.
    """
    settings = load_settings(ctx, {"models.path": path})
    raise typer.Exit(asyncio.run(_apply(settings, yes=yes, output=output)))


async def _apply(settings: Settings, *, yes: bool, output: Output) -> int:
    from sync_agent.agent.apply_models import apply_models, plan_models
    from sync_agent.agent.twin_service import twin_store

    async with twin_store(settings) as store:
        plan = await plan_models(store, settings.models.path)
        rows = [{"change": "+", "model": model.id} for model in plan.create]
        if rows or output is Output.JSON:
            print_rows(rows, _CHANGES, output=output)
        if not plan.create:
            if output is Output.TABLE:
                print_line(f"All {plan.unchanged} models are deployed.")
            return EXIT_OK
        if not yes:
            if output is Output.TABLE:
                print_line(f"{len(plan.create)} models to deploy; run again with --yes.")
            return EXIT_CHANGES_PENDING
        with Progress("models", total=len(plan.create), unit="models") as progress:
            await apply_models(store, plan.create, progress.update)
    return EXIT_OK
