r"""Printing results: a table for people or JSON for programs, on standard output.

Everything printed may hold text from twins, which strangers can write. In tables such text is
never read as markup, and characters that a terminal obeys instead of showing (C0 and C1 controls,
DEL, bidirectional overrides) are shown as ``\x1b``-like escapes. JSON has them as ``\u001b``
escapes, so that it stays true and is safe to look at.

JSON holds the rows as the command made them, with the keys in their order; a table shows the
columns it was asked for. A table on a terminal folds to its width; anywhere else it is as wide as
its text, one row a line, so that it can be searched.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

PIPE_WIDTH = 100_000
"""Columns of a "terminal" that is none: wide enough that nothing folds."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_UNSAFE_IN_JSON = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

STATE_STYLES: Mapping[str, str] = {
    "healthy": "green",
    "degraded": "yellow",
    "critical": "bold red",
    "down": "bold red reverse",
    "maintenance": "blue",
    "unknown": "dim",
}
"""Colours of the health states, for a column of them."""


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the row's key, its header, and how its cells look.

    ``styles`` gives the style of a cell by its text, over ``style``, which holds for every cell.
    """

    key: str
    header: str
    justify: Literal["left", "right", "center"] = "left"
    style: str = ""
    styles: Mapping[str, str] = field(default_factory=dict)


def print_rows(
    rows: Sequence[Mapping[str, object]],
    columns: Sequence[Column],
    *,
    output: Output,
    title: str = "",
) -> None:
    """Print rows as a table of ``columns``, or whole as a JSON array."""
    if output is Output.JSON:
        sys.stdout.write(to_json([dict(row) for row in rows]) + "\n")
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console = _console()
    if title:
        console.print(_text(title, "bold"))
    table = Table(box=SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for column in columns:
        table.add_column(_text(column.header), justify=column.justify, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column.key), column) for column in columns))
    _print_table(console, table)


def print_fields(document: Mapping[str, object], *, output: Output, title: str = "") -> None:
    """Print one document as names and values, or whole as a JSON object."""
    if output is Output.JSON:
        sys.stdout.write(to_json(dict(document)) + "\n")
        return
    from rich.table import Table

    console = _console()
    if title:
        console.print(_text(title, "bold"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in document.items():
        table.add_row(_text(name), _text(shown(value)))
    _print_table(console, table)


def print_line(text: str) -> None:
    """Print one line of plain text on standard output."""
    sys.stdout.write(printable(text) + "\n")


def to_json(value: object) -> str:
    """Return indented JSON that a terminal can show safely."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shown(value: object) -> str:
    """Return a value as a table shows it.

    >>> [shown(v) for v in (None, True, 3.14159265, [1, "a"], "x")]
    ['', 'yes', '3.14159', '[1,"a"]', 'x']
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case dict() | list() | tuple():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
        case _:
            return str(value)


def printable(text: str) -> str:
    r"""Return text with every character that a terminal would obey written as an escape.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _UNSAFE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _cell(value: object, column: Column) -> Text:
    text = shown(value)
    return _text(text, column.styles.get(text, column.style))


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(printable(text), style=style)


def _print_table(console: Console, table: Table) -> None:
    """Print a table, without the blanks that pad its lines where nobody sees them."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console
