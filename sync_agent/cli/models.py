"""``sync-agent models``: validate DTDL models, deploy them, and take twins to new versions."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_agent.cli import context, model_migration
from sync_agent.cli.context import OutputOption
from sync_agent.cli.context import settings as load_settings
from sync_agent.cli.reading import reading
from sync_agent.errors import EXIT_CHANGES_PENDING, EXIT_ERROR, EXIT_OK
from sync_agent.report.output import Column, Output, print_fields, print_line, print_rows
from sync_agent.report.progress import Progress

if TYPE_CHECKING:
    from sync_agent.dtdl.compatibility import Comparison
    from sync_agent.lifecycle.deploy_models import ModelPlan
    from sync_agent.settings.settings import Settings

models = typer.Typer(
    no_args_is_help=True, help="Validate DTDL models, deploy them, migrate twins between versions."
)
models.command("migrate")(model_migration.migrate)

PathArgument = Annotated[
    Path | None,
    typer.Argument(help="A DTDL file or a folder of them; by default models.path."),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without, only show what it does.")]


class Findings(StrEnum):
    """How findings are printed."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"


_FINDINGS = (
    Column("place", "FILE"),
    Column("model", "MODEL"),
    Column("pointer", "AT"),
    Column("message", "FINDING"),
    Column("remedy", "REMEDY"),
    Column("code", "CODE"),
)
_CHANGES = (
    Column("change", "", styles={"+": "green", "!": "red"}),
    Column("model", "MODEL"),
    Column("against", "REPLACES"),
    Column("verdict", "TWINS"),
)
VERDICT_STYLES = {"compatible": "green", "migratable": "yellow", "breaking": "red"}
_DIFFERENCES = (
    Column("model", "MODEL"),
    Column("against", "AGAINST"),
    Column("path", "PATH"),
    Column("change", "CHANGE"),
    Column("verdict", "TWINS", styles=VERDICT_STYLES),
    Column("reason", "WHY"),
)


@models.command("validate")
def validate(
    ctx: typer.Context,
    path: PathArgument = None,
    output: Annotated[
        Findings, typer.Option("--output", "-o", help="For people, for programs, or as SARIF.")
    ] = Findings.TABLE,
) -> None:
    """Check models against DTDL and against what Azure Digital Twins takes of it."""
    from dataclasses import asdict

    from sync_agent.dtdl.adt_profile import ignored_by_adt
    from sync_agent.lifecycle.deploy_models import check_models
    from sync_agent.report.sarif import sarif

    place = path or load_settings(ctx).models.path
    interfaces, findings = check_models(place)
    if output is Findings.SARIF:
        folder = place if place.is_dir() else place.parent
        print_fields(sarif(findings, folder, Path.cwd()), output=Output.JSON)
    elif findings or output is Findings.JSON:
        rows: list[dict[str, Any]] = [asdict(finding) for finding in findings]
        shape = Output.JSON if output is Findings.JSON else Output.TABLE
        if shape is Output.TABLE:
            for row, finding in zip(rows, findings, strict=True):
                row["place"] = finding.place
        print_rows(rows, _FINDINGS, output=shape)
    else:
        print_line(f"All models in {place} are valid: {len(interfaces)}.")
        for feature, count in sorted(ignored_by_adt(interfaces).items()):
            print_line(f"Azure Digital Twins does nothing with `{feature}` ({count} times).")
    raise typer.Exit(EXIT_ERROR if findings else EXIT_OK)


@models.command("plan")
def plan(
    ctx: typer.Context, path: PathArgument = None, output: OutputOption = Output.TABLE
) -> None:
    """Show which models are to be deployed, and what new versions mean for the twins.

    Exit code 0: all are deployed; 2: models are to be deployed; 1: error, or a model is deployed
    with other content.
    """
    settings = load_settings(ctx, {"models.path": path})
    raise typer.Exit(context.run(_plan(settings, output)))


async def _plan(settings: Settings, output: Output) -> int:
    from sync_agent.lifecycle.deploy_models import plan_models, refuse_conflicts

    async with reading(settings) as store:
        made = await plan_models(store, settings.models.path)
    _show_plan(made, output)
    refuse_conflicts(made, settings.models.path)
    return EXIT_CHANGES_PENDING if made.create else EXIT_OK


@models.command("apply")
def apply(
    ctx: typer.Context,
    path: PathArgument = None,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Deploy the models that are missing, bases first (with --yes).

    Exit code 0: nothing (left) to do; 2: models are to be deployed; 1: error.
    """
    settings = load_settings(ctx, {"models.path": path})
    raise typer.Exit(context.run(_apply(settings, yes=yes, output=output)))


async def _apply(settings: Settings, *, yes: bool, output: Output) -> int:
    from sync_agent.agent.twin_service import paced_twins
    from sync_agent.lifecycle.deploy_models import apply_models, plan_models, refuse_conflicts

    async with paced_twins(settings) as store:
        made = await plan_models(store, settings.models.path)
        _show_plan(made, output)
        refuse_conflicts(made, settings.models.path)
        if not made.create:
            return EXIT_OK
        if not yes:
            if output is Output.TABLE:
                print_line("Nothing was deployed; --yes deploys these models.")
            return EXIT_CHANGES_PENDING
        with Progress("models", total=len(made.models), unit="models") as progress:
            await apply_models(store, made, progress.update)
    return EXIT_OK


def _show_plan(made: ModelPlan, output: Output) -> None:
    rows = [_plan_row(model.id, made) for model in made.models]
    rows += [
        {"change": "!", "model": c.new, "against": c.old, "verdict": "deployed with other content"}
        for c in made.conflicts
    ]
    if output is Output.JSON:
        compared = [*made.versions.values(), *made.conflicts]
        document = {
            "create": [model.id for model in made.models],
            "unchanged": made.unchanged,
            "conflicts": [comparison.new for comparison in made.conflicts],
            "elsewhere": list(made.elsewhere),
            "decommissioned": list(made.decommissioned),
            "differences": list(_difference_rows(compared)),
        }
        print_fields(document, output=output)
        return
    if rows:
        print_rows(rows, _CHANGES, output=output)
        print_line("")
    if made.elsewhere:
        print_line(f"{len(made.elsewhere)} deployed models are not in the folder.")
    if made.decommissioned:
        print_line(f"Decommissioned, so no new twins of it: {', '.join(made.decommissioned)}")
    if made.create:
        print_line(f"{len(made.models)} models to deploy, {made.unchanged} are deployed.")
    elif not made.conflicts:
        print_line(f"All {made.unchanged} models are deployed.")


def _plan_row(model: str, made: ModelPlan) -> dict[str, str]:
    comparison = made.versions.get(model)
    if comparison is None:
        return {"change": "+", "model": model, "against": "", "verdict": ""}
    return {
        "change": "+",
        "model": model,
        "against": comparison.old,
        "verdict": comparison.verdict.word,
    }


@models.command("diff")
def diff(
    ctx: typer.Context,
    path: PathArgument = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Another file or folder, instead of what is deployed."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare models with the deployed ones (or another folder's), version by version.

    A model is compared with that of the same id, else with its newest earlier version. TWINS says
    what the difference means for them: compatible, migratable or breaking. Exit code 0: no
    difference; 2: differences; 1: error.
    """
    settings = load_settings(ctx, {"models.path": path})
    raise typer.Exit(context.run(_diff(settings, against, output)))


async def _diff(settings: Settings, against: Path | None, output: Output) -> int:
    from sync_agent.lifecycle.deploy_models import compare_models, compare_with_deployed

    if against is not None:
        compared = compare_models(settings.models.path, against)
    else:
        async with reading(settings) as store:
            compared = await compare_with_deployed(store, settings.models.path)
    rows = list(_difference_rows(compared))
    if rows or output is Output.JSON:
        print_rows(rows, _DIFFERENCES, output=output)
    else:
        print_line(f"No difference in {len(compared)} models.")
    return EXIT_CHANGES_PENDING if rows else EXIT_OK


def _difference_rows(compared: Iterable[Comparison]) -> Iterable[dict[str, str]]:
    for comparison in compared:
        for difference in comparison.differences:
            yield {
                "model": comparison.new,
                "against": comparison.old,
                "path": difference.path,
                "change": difference.change,
                "verdict": difference.verdict.word,
                "reason": difference.reason,
            }


@models.command("delete")
def delete(
    ctx: typer.Context,
    model: Annotated[list[str], typer.Argument(help="Ids of deployed models.")],
    only_decommission: Annotated[
        bool,
        typer.Option("--only-decommission", help="Forbid new twins, and keep the models."),
    ] = False,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Decommission and delete models that no twin uses and no other model needs (with --yes).

    Exit code 0: done; 2: shown what would be done; 1: error, such as twins that use a model.
    """
    settings = load_settings(ctx)
    work = _delete(settings, model, only_decommission=only_decommission, yes=yes, output=output)
    raise typer.Exit(context.run(work))


async def _delete(
    settings: Settings, names: list[str], *, only_decommission: bool, yes: bool, output: Output
) -> int:
    from sync_agent.agent.twin_service import paced_twins
    from sync_agent.lifecycle import retire_models

    async with paced_twins(settings) as store:
        made = await retire_models.plan_retirement(store, list(dict.fromkeys(names)))
        work = made.active if only_decommission else made.order
        verb = "decommission" if only_decommission else "delete"
        if output is Output.JSON:
            document = {
                "order": list(work),
                "decommissioned": sorted(made.decommissioned),
                "against": list(made.blocked),
            }
            print_fields(document, output=output)
        else:
            for name in work:
                print_line(f"- {verb} {name}")
        if not only_decommission:
            retire_models.refuse_blocked(made)
        if not work:
            if output is Output.TABLE:
                print_line("They take no new twins already.")
            return EXIT_OK
        if not yes:
            if output is Output.TABLE:
                print_line(f"Nothing was done; --yes does it (models: {len(work)}).")
            return EXIT_CHANGES_PENDING
        if only_decommission:
            await retire_models.decommission(store, made)
            return EXIT_OK
        with Progress("models", total=len(made.order), unit="models") as progress:
            await retire_models.delete(store, made, progress.update)
    return EXIT_OK
