"""``sync-agent sync``: what the inventory would change, and with ``--yes`` the change itself."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_agent.cli import context, reading
from sync_agent.errors import (
    EXIT_CHANGES_PENDING,
    EXIT_OK,
    InputError,
    SyncAgentError,
)
from sync_agent.report.output import Column, Output, print_fields, print_line, print_rows, shown
from sync_agent.report.progress import Progress

if TYPE_CHECKING:
    from sync_agent.agent.apply_plan import ApplyResult
    from sync_agent.agent.inventory_pass import Prepared
    from sync_agent.agent.settings import Settings
    from sync_agent.inventory.record import RecordDiagnostic
    from sync_agent.reconcile.change import Change
    from sync_agent.reconcile.plan import Plan

FAULTS_SHOWN = 20
CHANGES_SHOWN = 20
VALUE_CHARS_SHOWN = 60

_COLUMNS = (
    Column("change", "", styles={"+": "green", "~": "yellow", "-": "red"}),
    Column("kind", "KIND"),
    Column("element", "ELEMENT"),
    Column("what", "WHAT"),
)


def sync(
    ctx: typer.Context,
    source: Annotated[
        Path | None, typer.Option("--source", help="Folder of CSV files (inventory.source).")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="Mapping file (inventory.mapping).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Make the changes of the plan.")] = False,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="Leave faulty records alone and do the rest."),
    ] = False,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Show what the inventory changes in the twins, and change it with --yes.

    Only what the inventory owns is changed. Exit code 0: nothing (left) to do; 2: changes are
    pending; 1: error.
    """
    settings = context.settings(ctx, {"inventory.source": source, "inventory.mapping": mapping})
    raise typer.Exit(asyncio.run(_sync(settings, yes=yes, keep_going=keep_going, output=output)))


async def _sync(settings: Settings, *, yes: bool, keep_going: bool, output: Output) -> int:
    from sync_agent.agent.inventory_pass import inventory_of
    from sync_agent.agent.twin_service import paced_twins
    from sync_agent.reconcile.guard import check_guards

    inventory = inventory_of(settings)
    async with reading.reading(settings) as store:
        prepared = await inventory.prepare(store)
    plan = prepared.plan
    if prepared.diagnostics and not keep_going:
        raise _faults(prepared.diagnostics)
    progress = Progress("sync", total=len(plan.changes), unit="changes")
    for fault in prepared.diagnostics:
        progress.note(f"not used: {fault}")
    if output is Output.TABLE:
        _show(plan)
    result = None
    if plan.changes:
        check_guards(plan, inventory.limits)
        if yes:
            async with paced_twins(settings) as store:
                with progress:
                    result = await inventory.apply(plan, store, on_progress=progress.update)
    if output is Output.JSON:
        print_fields(_document(prepared, result), output=output)
    if result is None:
        if plan.changes and output is Output.TABLE:
            print_line("Nothing was changed; --yes makes these changes.")
        return EXIT_CHANGES_PENDING if plan.changes else EXIT_OK
    if not result.complete:
        raise _failures(result)
    return EXIT_OK


def _show(plan: Plan) -> None:
    counts = {action.name.lower(): count for action, count in plan.counts().items()}
    if plan.changes:
        print_rows(list(_rows(plan.changes)), _COLUMNS, output=Output.TABLE)
        print_line("")
    for warning in plan.warnings:
        print_line(f"warning: {warning}")
    if plan.changes:
        print_line(
            f"Plan: {counts['create']:,} to create, {counts['update']:,} to update,"
            f" {counts['delete']:,} to delete ({plan.managed:,} managed now)."
        )
    else:
        print_line(f"Nothing to do: {plan.managed:,} twins and relationships are as they should.")


def _rows(changes: Sequence[Change]) -> Iterator[dict[str, Any]]:
    """Yield a row per change; of many creations of a kind only how many, of others the first."""
    groups: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        kind = reading.type_name(change.kind) if change.twin else change.kind
        groups[change.action.value, kind].append(change)
    for (action, kind), group in groups.items():
        many = len(group) > CHANGES_SHOWN
        listed = [] if many and action == "+" else group[:CHANGES_SHOWN]
        for change in listed:
            what = _what(change)
            yield {"change": action, "kind": kind, "element": change.element, "what": what}
        if many:
            rest = f"{len(group) - len(listed):,}{' more' if listed else ''}"
            yield {"change": action, "kind": kind, "element": rest, "what": ""}


def _what(change: Change) -> str:
    if change.edits:
        return ", ".join(
            f"{edit.name}: {_value(edit.before)} -> {_value(edit.after)}" for edit in change.edits
        )
    return f"to {change.edge.target}" if change.relationship is not None else ""


def _value(value: object) -> str:
    text = "(none)" if value is None else shown(value)
    return text if len(text) <= VALUE_CHARS_SHOWN else f"{text[:VALUE_CHARS_SHOWN]}..."


def _document(prepared: Prepared, result: ApplyResult | None) -> dict[str, Any]:
    """Return the plan and what became of it, for programs."""
    plan = prepared.plan
    document = {
        "plan": plan.to_json(),
        "counts": {action.name.lower(): count for action, count in plan.counts().items()},
        "diagnostics": [asdict(fault) for fault in prepared.diagnostics],
        "result": None,
    }
    if result is not None:
        document["result"] = {
            "applied": {action.name.lower(): n for action, n in result.applied.items()},
            "already": result.already,
            "failed": [
                {"element": failure.change.element, "reason": failure.reason}
                for failure in result.failures
            ],
            "skipped": [
                {"element": skipped.change.element, "because": skipped.because}
                for skipped in result.skipped
            ],
            "stopped": result.stopped.message if result.stopped else None,
        }
    return document


def _faults(diagnostics: Sequence[RecordDiagnostic]) -> ExceptionGroup[SyncAgentError]:
    """Return what is wrong with the input as errors that end the command."""
    errors: list[SyncAgentError] = [
        InputError(fault.message, place=fault.place, remedy=fault.remedy)
        for fault in diagnostics[:FAULTS_SHOWN]
    ]
    more = len(diagnostics) - FAULTS_SHOWN
    count = (
        f"{more:,} more faults in the input; nothing was changed"
        if more > 0
        else ("nothing was changed because of faulty input")
    )
    errors.append(InputError(count, remedy="correct it, or do the rest with --keep-going"))
    return ExceptionGroup("faulty input", errors)


def _failures(result: ApplyResult) -> ExceptionGroup[SyncAgentError]:
    """Return what could not be changed as errors that end the command: the roots, then the rest."""
    errors: list[SyncAgentError] = [
        SyncAgentError(f"{failure.change.element} was not changed: {failure.reason}")
        for failure in result.failures[:FAULTS_SHOWN]
    ]
    if result.stopped is not None:
        errors.append(result.stopped)
    done = f"{result.applied.total():,} changes were made"
    failed, skipped = len(result.failures), len(result.skipped)
    errors.append(
        SyncAgentError(
            f"{done}, {failed:,} failed, {skipped:,} were skipped because of those",
            remedy="run sync again: it does what is left to do",
        )
    )
    return ExceptionGroup("changes failed", errors)
