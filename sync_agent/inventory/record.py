"""What a source gives: records, what it really covered, and what it could not read.

A record is one row of a file or one object of an interface, with its provenance. Coverage says of
each scope (a file, a site, a page set) whether all of it was read: only inside complete scopes may
the absence of an element mean that it is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import msgspec

from sync_agent.errors import InputError
from sync_agent.twins.twin import JsonValue


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record: ``kind`` is the scope it was read in (``links.csv``), ``id`` its id there.

    Rows of files have none. ``place`` is where to look when something is wrong with it
    (``links.csv:17``).
    """

    kind: str
    id: str
    attributes: Mapping[str, JsonValue]
    place: str


class Row(Mapping[str, JsonValue]):
    """The attributes of one row of a table: a cell of each of its columns."""

    __slots__ = ("_columns", "_place")

    def __init__(self, columns: Mapping[str, Sequence[str]], place: int) -> None:
        """Begin with the columns of the table, and the place of the row in them."""
        self._columns = columns
        self._place = place

    def __getitem__(self, name: str) -> str:
        return self._columns[name][self._place]

    def get(self, name: str, default: JsonValue = None) -> JsonValue:
        """Return the cell of a column."""
        column = self._columns.get(name)
        return default if column is None else column[self._place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a file, column by column: a record of its own is made of a row when one is asked for.

    ``lines`` tells where each row stands in the file ``name``; there are as many cells in each of
    the ``columns``.
    """

    kind: str
    name: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Record]:
        for place, line in enumerate(self.lines):
            yield Record(self.kind, "", Row(self.columns, place), f"{self.name}:{line}")


@dataclass(frozen=True, slots=True)
class Records(Sequence[Record]):
    """Records in the order they were read; those of ``parts`` that are tables have many."""

    parts: tuple[Record | Table, ...] = ()

    def __len__(self) -> int:
        return sum(len(part) if isinstance(part, Table) else 1 for part in self.parts)

    def __iter__(self) -> Iterator[Record]:
        for part in self.parts:
            if isinstance(part, Table):
                yield from part
            else:
                yield part

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, index: int | slice) -> Record | tuple[Record, ...]:
        """Return one or some of them, to look at: all are made for it."""
        return tuple(self)[index]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether a scope was read to its end; ``reason`` says why not."""

    scope: str
    complete: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RecordDiagnostic:
    """Something in the input that cannot be used: where it stands, what it is, what to do.

    ``element`` is the id of the twin that is left alone because of it, "" when it is not known.
    """

    place: str
    message: str
    remedy: str = ""
    element: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"

    @classmethod
    def of(cls, error: InputError) -> RecordDiagnostic:
        """Return an error as a finding: the rest is read all the same."""
        return cls(error.place, error.message.removeprefix(f"{error.place}: "), error.remedy)


@dataclass(frozen=True, slots=True)
class SourceRead:
    """All that one reading of a source gave.

    ``columns`` are the attribute names of each kind, ``digest`` a hash of what was read: the same
    content gives the same digest. Records of an ``open_kinds`` may lack any column; of others a
    column that is not there is a mistake in the mapping. ``gone`` are the ids (or aliases) of
    elements the source itself said were deleted, ``gone_records`` the last records of what has no
    name of its own. Records of ``partial_kinds`` may lack what their element has, as those made of
    changes do whose beginning was not read. ``unasked`` is what else the source has, with its
    records where they were counted.
    """

    records: Sequence[Record] = ()
    coverage: tuple[Coverage, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    diagnostics: tuple[RecordDiagnostic, ...] = ()
    digest: str = ""
    open_kinds: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    partial_kinds: frozenset[str] = frozenset()
    gone_records: tuple[Record, ...] = ()
    unasked: Mapping[str, int | None] = field(default_factory=dict)


def complete_scopes(coverage: Iterable[Coverage]) -> frozenset[str]:
    """Return the scopes that every statement about them calls complete."""
    stated = list(coverage)
    gaps = {c.scope for c in stated if not c.complete}
    return frozenset(c.scope for c in stated) - gaps
