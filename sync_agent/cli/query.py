"""``sync-agent query``: one ADT query, its rows printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from sync_agent.cli import context, reading
from sync_agent.report.output import Column, Output, print_line, print_rows
from sync_agent.report.progress import Progress
from sync_agent.twins.twin import model_of

TABLE_ROWS = 1_000
JSON_ROWS_MAX = 1_000_000
COLUMNS_MAX = 10


def query(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Query text.")],
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=JSON_ROWS_MAX, help="Most rows to print."),
    ] = None,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Run an Azure Digital Twins query, such as "SELECT * FROM digitaltwins".

    A table shows the first columns of whole twins; JSON has them as the service sent them. A table
    has 1,000 rows unless --limit says otherwise.
    """
    most = limit or (JSON_ROWS_MAX if output is Output.JSON else TABLE_ROWS)
    rows, more = context.run(reading.read_rows(context.settings(ctx), text, most))
    if output is Output.JSON:
        print_rows(rows, (), output=output)
    elif rows:
        flat = [_flat(row) for row in rows]
        print_rows(flat, _columns(flat), output=output)
    else:
        print_line("No rows.")
    if more:
        Progress("query").note(f"there are more than {most:,} rows; --limit shows more")


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for a table: documents inside it by their id, bookkeeping left out."""
    flat = {k: _cell(v) for k, v in row.items() if k not in ("$etag", "$metadata")}
    if "$dtId" in row:
        kind = reading.type_name(model_of(row))
        return {"$dtId": row["$dtId"], "type": kind, **flat}
    return flat


def _cell(value: Any) -> Any:
    match value:
        case {"$dtId": str(id_)}:
            return id_
        case {"$relationshipId": str(id_)}:
            return id_
        case dict():
            return {k: v for k, v in value.items() if k != "$metadata"}
        case _:
            return value


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for name in row)
    # An empty component says nothing in a table.
    filled = [n for n in names if any(row.get(n) not in (None, {}, "") for row in rows)]
    return [Column(name, name) for name in filled[:COLUMNS_MAX]]
