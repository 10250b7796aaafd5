"""``sync-agent models migrate``: take twins from one version of a model to another, and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli import context
from sync_agent.cli.context import OutputOption
from sync_agent.cli.context import settings as load_settings
from sync_agent.errors import (
    EXIT_CHANGES_PENDING,
    EXIT_ERROR,
    EXIT_OK,
    InputError,
    ModelError,
    SyncAgentError,
)
from sync_agent.report.output import Column, Output, print_fields, print_line, print_rows
from sync_agent.report.progress import Progress

if TYPE_CHECKING:
    from sync_agent.lifecycle.migrate_models import Migration, MigrationPlan, MigrationResult
    from sync_agent.lifecycle.migration_journal import MigrationJournal
    from sync_agent.migration.rules import Pair
    from sync_agent.migration.step import Step
    from sync_agent.settings.settings import Settings

_CHANGES = (
    Column("twins", "TWINS", justify="right"),
    Column("change", "CHANGE"),
    Column("path", "PATH"),
    Column("example", "EXAMPLE"),
)
_EACH = (
    Column("twin", "TWIN"),
    Column("change", "CHANGE"),
    Column("path", "PATH"),
    Column("before", "BEFORE"),
    Column("after", "AFTER"),
)
REASONS_SHOWN = 20
VALUE_SHOWN = 40


def migrate(
    ctx: typer.Context,
    pair: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FROM TO]",
            help="The model twins are of, and the one they are to be of; by default every deployed"
            " model with twins that has a newer version deployed, or those of --rules.",
        ),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="What becomes of values the models leave open.")
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            help="Folder of the files a migration keeps to be resumed and undone; by default"
            " beside the state file.",
        ),
    ] = None,
    undo: Annotated[
        Path | None, typer.Option("--undo", help="Take back the migration that kept this file.")
    ] = None,
    each: Annotated[
        bool,
        typer.Option("--each", help="Show what happens to every twin, not only how many."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without, only show what it does.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take twins to a new version of their model, one patch a twin, while telemetry goes on.

    Run again after a kill: it goes on where it was. Exit code 0: nothing (left) to do; 2: twins are
    to be migrated; 1: error, or twins that could not be taken along.
    """
    settings = load_settings(ctx)
    if pair and len(pair) != 2:
        raise InputError("give two models: FROM and TO, or none")
    chosen = (pair[0], pair[1]) if pair else None
    folder = journal or settings.state.path.parent / "migrations"
    if undo is not None:
        raise typer.Exit(context.run(_undo(settings, undo, yes=yes, output=output)))
    work = _migrate(settings, chosen, rules, folder, each=each, yes=yes, output=output)
    raise typer.Exit(context.run(work))


async def _migrate(
    settings: Settings,
    chosen: tuple[str, str] | None,
    rules: Path | None,
    folder: Path,
    *,
    each: bool,
    yes: bool,
    output: Output,
) -> int:
    from sync_agent.agent.twin_service import paced_twins
    from sync_agent.lifecycle.deploy_models import read_deployed
    from sync_agent.lifecycle.migrate_models import Migration
    from sync_agent.lifecycle.migration_journal import journal_file, open_journal
    from sync_agent.lifecycle.outdated_models import pairs_to_migrate

    declared = _rules(rules)
    async with paced_twins(settings) as store:
        deployed = await read_deployed(store)
        pairs = _pairs(chosen, declared) or await pairs_to_migrate(store, deployed.registry)
        at_once = settings.limits.requests_in_flight
        migrations = [Migration(pair, store, deployed.registry, at_once) for pair in pairs]
        failed = pending = False
        documents = []
        for migration in migrations:
            file = journal_file(folder, migration.pair, str(settings.adt.url))
            plan, rows = await _plan(migration, each=each)
            begun = file.exists()
            documents.append(_document(plan, rows if each else None))
            if output is Output.TABLE:
                _show_plan(plan, rows)
            pending = pending or bool(plan.twins)
            if yes and (plan.twins or begun):
                with (
                    open_journal(file, migration.pair, str(settings.adt.url)) as kept,
                    _what_then(file, output),
                ):
                    result = await _run(migration, plan, kept)
                failed = failed or bool(result.failed)
                documents[-1]["result"] = _result(result, file)
                if output is Output.TABLE:
                    _show_result(result, migration.pair, file)
    if output is Output.JSON:
        print_fields({"migrations": documents}, output=output)
        return _exit_code(yes=yes, pending=pending, failed=failed)
    if not migrations:
        print_line("No twin is of a model that has a newer version deployed.")
    elif pending and not yes:
        print_line("Nothing was changed; --yes migrates these twins.")
    return _exit_code(yes=yes, pending=pending, failed=failed)


async def _plan(
    migration: Migration, *, each: bool
) -> tuple[MigrationPlan, list[dict[str, object]]]:
    """Return the plan, and the rows of every twin if they are wanted."""
    rows: list[dict[str, object]] = []

    def keep(step: Step) -> None:
        rows.extend(_each(step))

    return await migration.plan(keep if each else None), rows


def _exit_code(*, yes: bool, pending: bool, failed: bool) -> int:
    if not yes:
        return EXIT_CHANGES_PENDING if pending else EXIT_OK
    return EXIT_ERROR if failed else EXIT_OK


async def _undo(settings: Settings, file: Path, *, yes: bool, output: Output) -> int:
    from sync_agent.agent.twin_service import paced_twins
    from sync_agent.lifecycle.deploy_models import read_deployed
    from sync_agent.lifecycle.migrate_models import Migration
    from sync_agent.lifecycle.migration_journal import read_journal

    with read_journal(file, str(settings.adt.url)) as kept:
        pair, twins = kept.pair, len(kept.twins)
        document: dict[str, object] = {"from": pair.new, "to": pair.old, "twins": twins}
        if not yes or not twins:
            if output is Output.JSON:
                print_fields(document, output=output)
            elif twins:
                print_line(f"{twins:,} twins would go back from {pair.new} to {pair.old}.")
                print_line("Nothing was changed; --yes takes them back.")
            else:
                print_line(f"Everything in {file} is taken back.")
            return EXIT_CHANGES_PENDING if twins else EXIT_OK
        async with paced_twins(settings) as store:
            registry = (await read_deployed(store)).registry
            migration = Migration(pair, store, registry, settings.limits.requests_in_flight)
            with Progress("undo", total=twins, unit="twins") as progress:
                result = await migration.undo(kept, progress.update)
    if output is Output.JSON:
        print_fields({**document, "result": _result(result, file)}, output=output)
    else:
        _show_result(result, pair, file, back=True)
    return EXIT_ERROR if result.failed else EXIT_OK


@contextmanager
def _what_then(file: Path, output: Output) -> Iterator[None]:
    """Say how to go on after an interruption or an error, before it is told itself."""
    try:
        yield
    except (asyncio.CancelledError, SyncAgentError):
        if output is Output.TABLE:
            print_line(
                "It was cut off. Run it again to go on, or take back what was done:"
                f" `sync-agent models migrate --undo {file}`."
            )
        raise


async def _run(
    migration: Migration, plan: MigrationPlan, kept: MigrationJournal
) -> MigrationResult:
    with Progress("migrate", total=plan.twins, unit="twins") as progress:
        return await migration.run(kept, progress.update)


def _rules(path: Path | None) -> tuple[Pair, ...]:
    from sync_agent.migration.rules import parse_rules
    from sync_agent.sources.text_file import read_text

    return () if path is None else parse_rules(read_text(path), place=str(path))


def _pairs(chosen: tuple[str, str] | None, declared: Sequence[Pair]) -> tuple[Pair, ...]:
    """Return the pairs that were asked for; a chosen one with the rules declared for it."""
    from sync_agent.migration.rules import Pair

    if chosen is None:
        return tuple(declared)
    wanted = Pair(*chosen)
    same = [pair for pair in declared if (pair.old, pair.new) == chosen]
    if declared and not same:
        raise ModelError(
            f"the rules speak of no migration from {wanted.old} to {wanted.new}",
            remedy="add a [[migration]] for it, or leave out --rules",
        )
    return (same[0],) if same else (wanted,)


def _document(plan: MigrationPlan, each: list[dict[str, object]] | None) -> dict[str, object]:
    """Return a plan as JSON has it; ``each`` are the rows of single twins, if asked for."""
    document: dict[str, object] = {
        "from": plan.pair.old,
        "to": plan.pair.new,
        "verdict": plan.comparison.verdict.word,
        "twins": plan.twins,
        "changes": [
            {"twins": count, "change": change, "path": path}
            for (path, change), count in sorted(plan.changes.items())
        ],
        "unfit": plan.unfit,
        "problems": {p.twin: list(p.reasons) for p in plan.problems},
    }
    return document if each is None else {**document, "each": each}


def _result(result: MigrationResult, file: Path) -> dict[str, object]:
    return {
        "migrated": result.migrated,
        "failed": len(result.failed),
        "reasons": result.reasons,
        "journal": str(file),
    }


def _each(step: Step) -> Iterator[dict[str, object]]:
    from sync_agent.migration.outline import entries

    for entry in entries(step):
        yield {
            "twin": step.twin,
            "change": entry.change.value,
            "path": entry.path,
            "before": entry.before,
            "after": entry.after,
        }


def _show_plan(plan: MigrationPlan, each: list[dict[str, object]]) -> None:
    verdict = plan.comparison.verdict.word
    print_line(f"{plan.pair.old} -> {plan.pair.new}: {plan.twins:,} twins, {verdict}")
    rows = []
    for (path, change), count in sorted(plan.changes.items()):
        twin, entry = plan.examples[path, change]
        example = f"{twin}: {_value(entry.before)} -> {_value(entry.after)}"
        if entry.before is None and entry.after is None:
            example = twin
        rows.append({"twins": count, "change": change, "path": path, "example": example})
    if rows:
        print_rows(rows, _CHANGES, output=Output.TABLE)
    if each:
        print_line("")
        print_rows(each, _EACH, output=Output.TABLE)
    for problem in plan.problems[:REASONS_SHOWN]:
        print_line(f"cannot be migrated: {problem}")
    if plan.unfit > REASONS_SHOWN:
        print_line(f"and {plan.unfit - REASONS_SHOWN:,} more cannot be migrated")


def _value(value: object) -> str:
    """Return a value so that text and number look different, cut when it is long."""
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_SHOWN else f"{text[:VALUE_SHOWN]}..."


def _show_result(result: MigrationResult, pair: Pair, file: Path, *, back: bool = False) -> None:
    for twin, reason in list(result.reasons.items())[:REASONS_SHOWN]:
        print_line(f"left alone: {twin}: {reason}")
    if back:
        print_line(f"{result.migrated:,} twins are of {pair.old} again.")
        return
    print_line(
        f"{result.migrated:,} twins are of {pair.new} now, {len(result.failed):,} left alone."
    )
    print_line(f"`sync-agent models migrate --undo {file}` takes them back.")
