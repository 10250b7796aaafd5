"""Records of one kind converted column by column, a few times quicker than one by one.

Most records have nothing unusual: all have an id, of each column every text converts. Then what is
done with a cell can be done with a whole column by functions that loop in C, and texts that come
again are converted once. Where anything is unusual there is no answer from here, and the records
are taken one by one, which finds out what is wrong with which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sync_agent.inventory.conversion import as_text, fits_as_text
from sync_agent.inventory.record import Record, Records, Table
from sync_agent.inventory.template import Template
from sync_agent.twins.twin import JsonValue

Convert = Callable[[JsonValue], JsonValue]


@dataclass(frozen=True, slots=True)
class Rows:
    """Values of records that all have all of them, in ``columns`` in the order of ``names``.

    No record has more than ``chars_max`` characters of text.
    """

    names: tuple[str, ...]
    columns: Sequence[Sequence[JsonValue]]
    chars_max: int

    def __iter__(self) -> Iterator[tuple[JsonValue, ...]]:
        return zip(*self.columns, strict=True)


class ScopeRecords:
    """The records of one scope, and their cells column by column."""

    def __init__(self, parts: Iterable[Record | Table]) -> None:
        """Prepare; a column is taken when it is asked for."""
        self.records = Records(tuple(parts))
        self._cells: dict[str, Sequence[str] | None] = {}

    def cells(self, columns: Sequence[str]) -> list[Sequence[str]] | None:
        """Return the cells of each column, None unless there are records and all are texts."""
        if not self.records or not self._begins_with_texts(columns):
            return None
        for column in columns:
            if column not in self._cells:
                self._take(column)
        found = [self._cells[column] for column in columns]
        texts = [cells for cells in found if cells is not None]
        return texts if len(texts) == len(found) else None

    def texts(self, templates: Sequence[Template]) -> list[Sequence[str]] | None:
        """Return for each template the text every record gives.

        None if they have to be looked at one by one: a template is more than a column, or a cell is
        empty or no text.
        """
        columns = [template.column for template in templates]
        named = [column for column in columns if column is not None]
        cells = self.cells(named) if len(named) == len(columns) else None
        return None if cells is None or any("" in column for column in cells) else cells

    def _begins_with_texts(self, columns: Sequence[str]) -> bool:
        """Tell whether the first record has a text in each column: mostly a no is seen here."""
        first = next(iter(self.records)).attributes
        return all(type(first.get(column)) is str for column in columns)

    def _take(self, column: str) -> None:
        """Take a column, which the tables among the records have as it is."""
        cells: list[JsonValue] = []
        for part in self.records.parts:
            if isinstance(part, Record):
                cells.append(part.attributes.get(column))
            elif column in part.columns:
                cells += part.columns[column]
            else:
                cells.append(None)
        self._cells[column] = cells if set(map(type, cells)) <= {str} else None


def values_by_column(
    records: ScopeRecords, plain: Sequence[tuple[str, str, Convert]]
) -> Rows | list[dict[str, JsonValue]] | None:
    """Return the values of each record, by name where not all records have all of them.

    ``plain`` says which column becomes which name, and how its cells are converted; an empty cell
    is no value. None if the records have to be looked at one by one.
    """
    columns: list[Sequence[JsonValue]] = []
    cells = records.cells([column for column, _, _ in plain])
    if cells is None:
        return None
    longest = [max(map(len, column), default=0) for column in cells]
    gaps = ["" in column for column in cells]
    try:
        for column, chars, gap, (_, _, convert) in zip(cells, longest, gaps, plain, strict=True):
            columns.append(_converted(column, convert, chars, gap=gap))
    except ValueError:
        return None
    names = tuple(name for _, name, _ in plain)
    rows = zip(*columns, strict=True)
    if any(gaps):
        pairs = (zip(names, row, strict=True) for row in rows)
        return [{name: v for name, v in row if v is not None} for row in pairs]
    return Rows(names, columns, sum(longest))


def _converted(
    cells: Sequence[str], convert: Convert, longest: int, *, gap: bool
) -> Sequence[JsonValue]:
    """Return texts converted, None where one is empty.

    ``longest`` is the length of the longest, ``gap`` tells whether one is empty.

    Raises:
        ValueError: one cannot be converted.
    """
    if convert is as_text and fits_as_text(cells, longest):
        return [cell or None for cell in cells] if gap else cells
    becomes = {cell: convert(cell) if cell else None for cell in set(cells)}
    return [becomes[cell] for cell in cells]
