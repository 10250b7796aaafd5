"""Records of one kind converted column by column, a few times quicker than one by one.

Most records have nothing unusual: all have an id, of each column every text converts. Then what is
done with a cell can be done with a whole column by functions that loop in C, and texts that come
again are converted once. Where anything is unusual there is no answer from here, and the records
are taken one by one, which finds out what is wrong with which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sync_agent.inventory.conversion import as_text, fits_as_text
from sync_agent.inventory.record import Record
from sync_agent.twins.twin import JsonValue

Convert = Callable[[JsonValue], JsonValue]


def values_by_column(
    records: Sequence[Record], plain: Sequence[tuple[str, str, Convert]]
) -> list[dict[str, JsonValue]] | None:
    """Return the values of each record by name, None if they have to be looked at one by one.

    ``plain`` says which column becomes which name, and how its cells are converted; an empty cell
    is no value.
    """
    rows = [record.attributes for record in records]
    columns: list[Sequence[JsonValue]] = []
    for column, _, convert in plain:
        cells = [row.get(column) for row in rows]
        if not set(map(type, cells)) <= {str}:
            return None
        try:
            columns.append(_converted(cells, convert))
        except ValueError:
            return None
    names = tuple(name for _, name, _ in plain)
    if any(None in column for column in columns):
        return [
            {name: value for name, value in zip(names, row, strict=True) if value is not None}
            for row in zip(*columns, strict=True)
        ]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _converted(cells: list[JsonValue], convert: Convert) -> Sequence[JsonValue]:
    """Return texts converted, None where one is empty.

    Raises:
        ValueError: one cannot be converted.
    """
    if convert is as_text and fits_as_text(cells):
        return [cell or None for cell in cells] if "" in cells else cells
    becomes = {cell: convert(cell) if cell else None for cell in set(cells)}
    return [becomes[cell] for cell in cells]
