"""Records of one kind converted column by column, a few times quicker than one by one.

Most records have nothing unusual: all have an id, of each column every text converts. Then what is
done with a cell can be done with a whole column by functions that loop in C, and texts that come
again are converted once. Where anything is unusual there is no answer from here, and the records
are taken one by one, which finds out what is wrong with which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from sync_agent.inventory.conversion import as_text, fits_as_text
from sync_agent.inventory.record import Record
from sync_agent.inventory.template import Template
from sync_agent.twins.twin import JsonValue

Convert = Callable[[JsonValue], JsonValue]


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """What records that were converted together have in common: what holds for one holds for all.

    Each has a value of every name, and at most ``chars_max`` characters of text in all of them.
    """

    names: tuple[str, ...]
    chars_max: int


class AlikeRows(NamedTuple):
    """Values of records that are alike, each row in the order of their names."""

    alike: Alike
    rows: list[tuple[JsonValue, ...]]


def texts_by_column(
    records: Sequence[Record], templates: Sequence[Template]
) -> list[Sequence[str]] | None:
    """Return for each template the text every record gives.

    None if they have to be looked at one by one: a template is more than a column, or a cell is
    empty or no text.
    """
    columns = [template.column for template in templates]
    named = [column for column in columns if column is not None]
    cells = _cells(records, named) if len(named) == len(columns) else None
    if cells is None or any("" in column for column in cells):
        return None
    return cells


def values_by_column(
    records: Sequence[Record], plain: Sequence[tuple[str, str, Convert]]
) -> AlikeRows | list[dict[str, JsonValue]] | None:
    """Return the values of each record, by name where not all records have all of them.

    ``plain`` says which column becomes which name, and how its cells are converted; an empty cell
    is no value. None if the records have to be looked at one by one.
    """
    columns: list[Sequence[JsonValue]] = []
    cells = _cells(records, [column for column, _, _ in plain])
    if cells is None:
        return None
    longest = [max(map(len, column), default=0) for column in cells]
    try:
        for column, chars, (_, _, convert) in zip(cells, longest, plain, strict=True):
            columns.append(_converted(column, convert, chars))
    except ValueError:
        return None
    names = tuple(name for _, name, _ in plain)
    rows = zip(*columns, strict=True)
    if any(None in column for column in columns):
        pairs = (zip(names, row, strict=True) for row in rows)
        return [{name: v for name, v in row if v is not None} for row in pairs]
    return AlikeRows(Alike(names, sum(longest)), list(rows))


def _cells(records: Sequence[Record], columns: Sequence[str]) -> list[Sequence[str]] | None:
    """Return the cells of each column, None unless all are texts.

    All of a record's cells are taken at once: going through a hundred thousand records again for
    each column would wait for memory.
    """
    if not records:
        return [() for _ in columns]
    rows = [record.attributes for record in records]
    try:
        taken = list(map(itemgetter(*columns), rows))
    except KeyError:
        return None
    cells: list[Sequence[str]] = [taken] if len(columns) == 1 else list(zip(*taken, strict=True))
    return cells if all(set(map(type, column)) <= {str} for column in cells) else None


def _converted(cells: Sequence[str], convert: Convert, longest: int) -> Sequence[JsonValue]:
    """Return texts converted, None where one is empty; ``longest`` is the length of the longest.

    Raises:
        ValueError: one cannot be converted.
    """
    if convert is as_text and fits_as_text(cells, longest):
        return [cell or None for cell in cells] if "" in cells else cells
    becomes = {cell: convert(cell) if cell else None for cell in set(cells)}
    return [becomes[cell] for cell in cells]
