"""A CSV file as part of an inventory: a record a row.

Cells stay text, without blanks at their ends; the mapping gives them types. What cannot be read -
bytes that are no UTF-8, NULs, rows that are too short or too long - is a diagnostic with
``file:line``, and its file's coverage is then incomplete, because nobody knows which element the
line was about. RFC 4180 with a header; a byte order mark is fine. Cells are separated by commas,
semicolons, tabs or bars, as the first two lines tell; a line ``sep=;`` before the header, as Excel
takes it, says so itself. Columns without a name and rows without anything in them, as spreadsheets
leave them, are passed over.

Bounds: ``LINE_BYTES_MAX`` a line, ``FIELD_CHARS_MAX`` a cell, ``FAULTS_MAX`` bad lines before the
file is given up. Memory is that of the records.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, islice
from pathlib import Path
from typing import BinaryIO, Protocol

from sync_agent.errors import InputError
from sync_agent.inventory.record import RecordDiagnostic, Table
from sync_agent.sources.text_file import text_fault

LINE_BYTES_MAX = 1_048_576
FIELD_CHARS_MAX = 32_768
BLOCK_BYTES = 262_144
COLUMNS_MAX = 1_000
FAULTS_MAX = 1_000
ROWS_AT_ONCE = 4_096

SEPARATORS = ",;\t|"

_SURELY_SHORT = 1_000
_STATED = re.compile(r'"?sep=([^"\w\s]|\t)"?\r?\n')
_QUOTED = re.compile(r'"[^"]*("|$)')


@dataclass(slots=True)
class CsvFile:
    """One file while it is read; ``scope`` is the kind of its records.

    ``columns`` and ``faults`` fill up as ``records`` are taken. ``may_be_odd`` tells that rows have
    to be looked at one by one: some line may be no text, or is long.
    """

    path: Path
    scope: str
    digest: hashlib._Hash
    open: bool = False
    columns: tuple[str, ...] = ()
    faults: list[RecordDiagnostic] = field(default_factory=list)
    bad_lines: dict[int, str] = field(default_factory=dict)
    may_be_odd: bool = False

    def records(self) -> Iterator[Table]:
        """Yield the file's records, some thousands in a go.

        Raises:
            OSError: it cannot be read.
            InputError: it is no CSV with a header.
        """
        with self.path.open("rb") as file:
            self.digest.update(f"{self.path.name}\n".encode())
            yield from self._records(file)

    def _records(self, file: BinaryIO) -> Iterator[Table]:
        lines = self._lines(file)
        first_line, second_line = next(lines, ""), next(lines, "")
        stated = _STATED.fullmatch(first_line)
        reader = csv.reader(
            chain(("\n" if stated else first_line, second_line), lines),  # each keeps its number
            strict=True,
            delimiter=stated[1]
            if stated
            else _separator(first_line, second_line, self.path.suffix),
        )
        if stated:
            next(reader)
        header = self._read_header(reader)
        while rows := _Rows.read(reader):
            if table := self._table(header, *self._sound(rows, len(header))):
                yield table
            if isinstance(rows.broken, csv.Error):
                self._fault(rows.end + 1, f"is no CSV: {rows.broken}", "check its quotes")
            if len(self.faults) > FAULTS_MAX:
                raise self._given_up()
            if rows.broken is not None and not isinstance(rows.broken, csv.Error):
                raise rows.broken

    def _sound(self, rows: _Rows, width: int) -> tuple[list[list[str]], Sequence[int]]:
        """Return the rows that can be used, and their lines; note what is wrong with the others.

        Those behind one fault too many are neither: there the file is given up.
        """
        firsts = rows.firsts()
        # Mostly each row is one line, and no line is so long that a cell could be too long.
        is_plain = isinstance(firsts, range) and not self.may_be_odd
        if is_plain and set(map(len, rows.cells)) <= {width}:
            return rows.cells, firsts
        sound: list[tuple[list[str], int]] = []
        for cells, first, last in zip(rows.cells, firsts, rows.lasts, strict=True):
            if len(self.faults) > FAULTS_MAX:
                break
            fault = self._row_fault(cells, width, first, last)
            if fault:
                self._fault(first, *fault)
            elif cells:
                sound.append((cells, first))
        return [cells for cells, _ in sound], [first for _, first in sound]

    def _table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[int]
    ) -> Table | None:
        """Return sound rows without those whose cells are all empty, None where none is left."""
        columns = [list(map(str.strip, cells)) for cells in zip(*rows, strict=True)]
        if columns and "" in columns[0]:
            filled = list(map(any, zip(*columns, strict=True)))
            columns = [list(compress(cells, filled)) for cells in columns]
            lines = list(compress(lines, filled))
        if not lines:
            return None
        named = {name: cells for name, cells in zip(header, columns, strict=True) if name}
        return Table(self.scope, self.path.name, named, lines)

    def _read_header(self, reader: _Reader) -> tuple[str, ...]:
        """Return the name of each column, "" where it has none."""
        try:
            header = next(reader, [])
        except csv.Error as error:
            if "new-line" in str(error):
                raise self._no_header("has lines that end in a carriage return alone") from error
            raise self._no_header(f"is no CSV: {error}") from error
        names = tuple(name.strip() for name in header)
        if self.bad_lines and min(self.bad_lines) <= reader.line_num:
            raise self._no_header(next(iter(self.bad_lines.values())))
        if not any(names):
            raise self._no_header("has no header line")
        if len(names) > COLUMNS_MAX:
            raise self._no_header(f"has more than {COLUMNS_MAX} columns")
        for name, count in Counter(name for name in names if name).items():
            if count > 1:
                raise self._no_header(f"has the column {name!r} twice")
        self.columns = tuple(name for name in names if name)
        return names

    def _no_header(self, message: str) -> InputError:
        return InputError(
            message,
            place=f"{self.path}:1",
            remedy="it must be UTF-8 CSV with the names of the columns in its first line",
        )

    def _row_fault(
        self, cells: list[str], width: int, first: int, last: int
    ) -> tuple[str, str] | None:
        for line in range(first, last + 1):
            if line in self.bad_lines:
                return self.bad_lines[line], "save the file as UTF-8 text"
        if not cells:  # a blank line
            return None
        if len(cells) != width:
            return (
                f"has {len(cells)} cells, the header has {width}",
                "complete the line, or quote cells that hold the separator",
            )
        if max(map(len, cells)) > FIELD_CHARS_MAX:
            return f"has a cell of more than {FIELD_CHARS_MAX} characters", "check its quotes"
        return None

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        """Yield lines as text; those that are none are noted in ``bad_lines``.

        Most files are sound, so lines are taken many at once as long as that shows no fault.
        """
        number = 0
        self.may_be_odd = False
        while block := file.read(BLOCK_BYTES):
            block += file.readline(LINE_BYTES_MAX)
            text = (
                "" if b"\0" in block else _decoded(block.removeprefix(b"" if number else BOM_UTF8))
            )
            longest = max(map(len, block.split(b"\n")))
            if text and longest < LINE_BYTES_MAX - 1 and block.endswith(b"\n"):
                self.digest.update(block)
                number += block.count(b"\n")
                self.may_be_odd |= longest > _SURELY_SHORT
                yield from io.StringIO(text, newline="\n")
            else:
                file.seek(-len(block), os.SEEK_CUR)
                break
        self.may_be_odd = True
        yield from self._lines_one_by_one(file, number)

    def _lines_one_by_one(self, file: BinaryIO, number: int) -> Iterator[str]:
        while line := file.readline(LINE_BYTES_MAX):
            number += 1
            self.digest.update(line)
            if number == 1:
                line = line.removeprefix(BOM_UTF8)
            if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
                raise InputError(
                    f"is longer than {LINE_BYTES_MAX:,} bytes",
                    place=f"{self.path}:{number}",
                    remedy="check that it is CSV",
                )
            text = line.decode(errors="replace")
            if ("\ufffd" in text or "\0" in text) and (fault := text_fault(line)):
                self.bad_lines[number] = fault
                text = text.replace("\0", "?")
            if len(self.bad_lines) > FAULTS_MAX:
                raise self._given_up()
            yield text

    def _fault(self, line: int, message: str, remedy: str) -> None:
        self.faults.append(RecordDiagnostic(f"{self.path.name}:{line}", message, remedy))

    def _given_up(self) -> InputError:
        return InputError(
            f"has more than {FAULTS_MAX} lines that cannot be read",
            place=str(self.path),
            remedy="check that it is UTF-8 CSV, and its quotes",
        )


class _Reader(Protocol):
    """What ``csv.reader`` gives: rows, and the line the last of them ended on."""

    @property
    def line_num(self) -> int: ...
    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class _Rows:
    """Some rows in a go, the line each ends on, and what kept more from being read.

    They were read behind line ``start``. It is true unless the file is at its end.
    """

    start: int
    cells: list[list[str]]
    lasts: list[int]
    broken: Exception | None

    def __bool__(self) -> bool:
        return bool(self.cells) or self.broken is not None

    @classmethod
    def read(cls, reader: _Reader) -> _Rows:
        """Read what comes next; what comes before a fault is not lost."""
        start, broken = reader.line_num, None
        cells: list[list[str]] = []
        lasts: list[int] = []
        try:
            for row in islice(reader, ROWS_AT_ONCE):
                cells.append(row)
                lasts.append(reader.line_num)
        except (csv.Error, InputError, OSError) as error:
            broken = error
        return cls(start, cells, lasts, broken)

    @property
    def end(self) -> int:
        """Return the line the last of them ends on."""
        return self.lasts[-1] if self.lasts else self.start

    def firsts(self) -> Sequence[int]:
        """Return the line each row begins on, as a range if each has just one line."""
        if self.end == self.start + len(self.lasts):
            return range(self.start + 1, self.end + 1)
        return [self.start + 1, *(last + 1 for last in self.lasts[:-1])]


def _separator(header: str, second: str, suffix: str) -> str:
    """Return what separates the cells of a file that begins with these lines.

    >>> _separator("Standort;Länge, km;Typ", "S1;12,5;Glas", ".csv")
    ';'
    """
    above, below = _QUOTED.sub("", header), _QUOTED.sub("", second)
    there = [sign for sign in SEPARATORS if sign in above]
    if suffix.lower() == ".tsv" and ("\t" in there or not there):
        return "\t"
    as_many = [sign for sign in there if above.count(sign) == below.count(sign)]
    return max(as_many, key=above.count) if as_many else next(iter(there), SEPARATORS[0])


def _decoded(line: bytes) -> str:
    """Return bytes as text, none where they are no UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return ""
