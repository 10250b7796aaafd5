"""How a plan and what became of it are shown: by the commands that make, apply and take back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sync_agent.cli import reading
from sync_agent.errors import GuardError, InputError, SyncAgentError
from sync_agent.report.output import Column, Output, print_line, print_rows, shown
from sync_agent.twins.time import duration

if TYPE_CHECKING:
    from sync_agent.agent.inventory_pass import Prepared
    from sync_agent.inventory.record import RecordDiagnostic
    from sync_agent.reconcile.change import Change
    from sync_agent.reconcile.cost import Cost
    from sync_agent.reconcile.plan import Plan
    from sync_agent.reconcile.stale import Stale
    from sync_agent.reconcile.way import Decision
    from sync_agent.runs.apply_plan import ApplyResult
    from sync_agent.runs.reconciler import Reconciler

FAULTS_SHOWN = 20
CHANGES_SHOWN = 20
VALUE_CHARS_SHOWN = 60

_COLUMNS = (
    Column("change", "", styles={"+": "green", "~": "yellow", "-": "red"}),
    Column("kind", "KIND"),
    Column("element", "ELEMENT"),
    Column("what", "WHAT"),
)
BUSY_SHARE = 0.05
"""A twin with a larger share of the writes than this decides how long a plan takes."""


def judged(reconciler: Reconciler, prepared: Prepared) -> tuple[Prepared, GuardError | None]:
    """Return what was prepared with the plan as it may be applied, or with the guards' refusal."""
    try:
        return replace(prepared, plan=reconciler.guarded(prepared.plan)), None
    except GuardError as refusal:
        return prepared, refusal


def show_plan(plan: Plan, nothing: str = "") -> None:
    """Print a plan for people: its changes, what is left alone, and how many there are.

    ``nothing`` says in other words that there are none, where nobody counted what is managed.
    """
    counts = {action.name.lower(): count for action, count in plan.counts().items()}
    if plan.changes:
        show_changes(plan.changes)
    for warning in plan.warnings:
        print_line(f"warning: {warning}")
    if plan.changes:
        managed = "" if nothing else f" ({plan.managed:,} managed now)"
        print_line(
            f"Plan: {counts['create']:,} to create, {counts['update']:,} to update,"
            f" {counts['delete']:,} to delete{managed}."
        )
    else:
        as_it_should = (
            f"Nothing to do: {plan.managed:,} twins and relationships are as they should."
        )
        print_line(nothing or as_it_should)


def show_changes(changes: Sequence[Change]) -> None:
    """Print changes for people, many of a kind summed up."""
    print_rows(list(_rows(changes)), _COLUMNS, output=Output.TABLE)
    print_line("")


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


def result_document(result: ApplyResult) -> dict[str, Any]:
    """Return what became of a plan, for programs."""
    return {
        "run": result.run,
        "applied": {action.name.lower(): n for action, n in result.applied.items()},
        "already": result.already,
        "replanned": result.replanned,
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


def show_cost(cost: Cost) -> None:
    """Print what a plan costs."""
    if not cost.operations:
        return
    print_line(
        f"Cost: {cost.operations:,} operations (billed as {cost.billed_operations:,}), about"
        f" {cost.query_units:,.0f} query units, at least {duration(cost.seconds)} at the quotas."
    )
    if cost.busiest_operations > 1 and cost.busiest_operations / cost.operations > BUSY_SHARE:
        print_line(f"Busiest: {cost.busiest} with {cost.busiest_operations:,} of the writes.")


def show_way(way: Decision) -> None:
    """Print which way a plan goes, if it goes by import job or would better do so."""
    if way.would_pay:
        print_line(way.reason)


def conclude(result: ApplyResult, output: Output) -> None:
    """Print for people what was done.

    Raises:
        ExceptionGroup: something of it could not be done.
    """
    if not result.complete:
        raise failures(result)
    if output is not Output.TABLE:
        return
    done = _made(result)
    if result.already:
        done += f", {result.already:,} were made already"
    if result.replanned:
        done += f", {len(result.replanned):,} of them planned anew"
    how = f"; sync-agent undo {result.run} takes them back" if result.applied else ""
    print_line(f"{done}{how}.")


def _made(result: ApplyResult) -> str:
    count = result.applied.total()
    return "1 change was made" if count == 1 else f"{count:,} changes were made"


def faults(diagnostics: Sequence[RecordDiagnostic]) -> ExceptionGroup[SyncAgentError]:
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


def say_unused(diagnostics: Sequence[RecordDiagnostic], say: Callable[[str], None]) -> None:
    """Say what of the input is not used, where the rest is done all the same."""
    for fault in diagnostics[:FAULTS_SHOWN]:
        say(f"not used: {fault}")
    if (more := len(diagnostics) - FAULTS_SHOWN) > 0:
        say(f"not used: {more:,} more faults in the input")


def staleness(stale: Sequence[Stale]) -> ExceptionGroup[SyncAgentError]:
    """Return what changed since a plan was made as errors that end the command."""
    errors: list[SyncAgentError] = [
        GuardError(f"{one.element} changed since the plan was made: {one.reason}")
        for one in stale[:FAULTS_SHOWN]
    ]
    errors.append(
        GuardError(
            f"{len(stale):,} element(s) changed since the plan was made; nothing was changed",
            remedy="make a new plan, or apply this one with --on-conflict skip or replan",
        )
    )
    return ExceptionGroup("stale plan", errors)


def failures(result: ApplyResult) -> ExceptionGroup[SyncAgentError]:
    """Return what could not be changed as errors that end the command: the roots, then the rest."""
    errors: list[SyncAgentError] = [
        SyncAgentError(f"{failure.change.element} was not changed: {failure.reason}")
        for failure in result.failures[:FAULTS_SHOWN]
    ]
    if result.stopped is not None:
        errors.append(result.stopped)
    done = _made(result)
    failed, skipped = len(result.failures), len(result.skipped)
    errors.append(
        SyncAgentError(
            f"{done}, {failed:,} failed, {skipped:,} were skipped because of those",
            remedy="run it again: it does what is left to do; what others changed needs a new plan",
        )
    )
    return ExceptionGroup("changes failed", errors)
