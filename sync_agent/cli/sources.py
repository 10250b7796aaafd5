"""``sync-agent sources``: do the inventory's sources answer, and what do they have?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli import context
from sync_agent.errors import SyncAgentError
from sync_agent.report.output import Column, Output, print_rows

if TYPE_CHECKING:
    from sync_agent.agent.source_check import SourceCheck

FAULTS_SHOWN = 20
NO_RULE = "no rule takes it"

_ANSWERS = (
    Column("source", "SOURCE"),
    Column("kind", "KIND"),
    Column("answer", "ANSWER"),
)
_SCOPES = (
    Column("source", "SOURCE"),
    Column("scope", "SCOPE"),
    Column("records", "RECORDS", justify="right"),
    Column("whole", "READ WHOLE", styles={"no": "red"}),
    Column("columns", "COLUMNS"),
)


def sources(
    ctx: typer.Context,
    source: context.SourceOption = None,
    mapping: context.MappingOption = None,
    read: Annotated[
        bool, typer.Option("--read", help="Read all that the mappings name, and show what it is.")
    ] = False,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Check that the inventory's sources answer, and that their mappings can be read.

    Twins are not asked for and nothing is changed. Exit code 1 when something is wrong with one.
    """
    from sync_agent.agent.source_check import check_sources

    settings = context.settings(ctx, {"inventory.source": source, "inventory.mapping": mapping})
    checked = context.run(check_sources(settings, read=read))
    if read:
        print_rows(_scope_rows(checked, output), _SCOPES, output=output)
    else:
        print_rows(_answer_rows(checked), _ANSWERS, output=output)
    faults = [fault for one in checked for fault in one.faults]
    if faults:
        more = len(faults) - FAULTS_SHOWN
        shown = faults[:FAULTS_SHOWN]
        if more > 0:
            shown.append(SyncAgentError(f"{more:,} more faults in the sources"))
        raise ExceptionGroup("faulty sources", shown)


def _answer_rows(checked: tuple[SourceCheck, ...]) -> list[dict[str, object]]:
    return [
        {"source": one.name, "kind": one.kind, "answer": one.answer or one.faults[0].message}
        for one in checked
    ]


def _scope_rows(checked: tuple[SourceCheck, ...], output: Output) -> list[dict[str, object]]:
    """Return a row a scope, and one for what no rule takes; JSON has values as they are."""
    as_json = output is Output.JSON
    rows: list[dict[str, object]] = []
    for one in checked:
        for scope in one.scopes:
            whole = scope.coverage.complete
            row: dict[str, object] = {
                "source": one.name,
                "scope": scope.coverage.scope,
                "records": scope.records,
                "whole": whole if as_json else ("yes" if whole else "no"),
                "columns": list(scope.columns) if as_json else ", ".join(scope.columns),
            }
            rows.append({**row, "reason": scope.coverage.reason} if as_json else row)
        for name, count in sorted(one.unasked.items()):
            row = {"source": one.name, "scope": name, "records": count, "whole": NO_RULE}
            if as_json:
                row |= {"whole": None, "columns": [], "reason": NO_RULE}
            rows.append(row)
    return rows
