"""A recorded time series as rows in event-time order: CSV or NDJSON, plain or gzip.

Which columns hold time, element, labels and values is the ``Layout``. Files are often grouped by
element, so rows are sorted by time, rows of one moment in file order; for that they are all held
in memory, at most
``ROWS_MAX`` (about 250 bytes each).
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import msgspec

from sync_agent.errors import InputError
from sync_agent.telemetry.sample import Sample
from sync_agent.toml_file.reader import read_toml
from sync_agent.twins.time import parse_time_ms
from sync_agent.twins.twin import JsonValue

ROWS_MAX = 10_000_000
LINE_CHARS_MAX = 1_000_000
EPOCH_SECONDS_MAX = 100_000_000_000  # beyond it a bare number is milliseconds


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which column of a recording is what; ``values`` and ``labels`` keep their column names."""

    time: str = "time"
    element: str = "element"
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def parse_layout(text: str, *, place: str) -> Layout:
    """Read a layout from TOML: ``time``, ``element``, ``labels``, ``values``.

    Raises:
        InputError: it is no TOML, or has a key or type a layout does not have.
    """
    remedy = "docs/telemetry.md shows the form of a layout"
    return read_toml(text, Layout, place=place, remedy=remedy)


def read_recording(path: Path, layout: Layout) -> list[Sample]:
    """Read a recording, sorted by event time.

    Raises:
        InputError: it cannot be read, a column is missing, or a row has no time or element.
    """
    samples: list[Sample] = []
    for place, row in _rows(path):
        if len(samples) >= ROWS_MAX:
            raise InputError(
                f"holds more than {ROWS_MAX} rows", place=str(path), remedy="replay it in parts"
            )
        samples.append(_sample(row, layout, place))
    samples.sort(key=lambda sample: sample.time_ms)
    return samples


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    with _opened(path) as lines:
        name = path.name.removesuffix(".gz")
        if name.endswith((".ndjson", ".jsonl")):
            yield from _json_rows(path.name, lines)
        else:
            yield from _csv_rows(path.name, lines)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
            yield lines
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {reason}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(
            "is not UTF-8 text", place=str(path), remedy="save the file as UTF-8"
        ) from error


def _csv_rows(name: str, lines: TextIO) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise InputError("is empty", place=name, remedy="its first line names the columns")
        for row in reader:
            place = f"{name}:{reader.line_num}"
            if len(row) != len(header):
                raise InputError(
                    f"has {len(row)} fields, the header has {len(header)}", place=place
                )
            yield place, dict(zip(header, map(_cell, row), strict=True))
    except csv.Error as error:
        raise InputError(f"cannot be read: {error}", place=f"{name}:{reader.line_num}") from error


def _json_rows(name: str, lines: TextIO) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    for number, line in enumerate(lines, 1):
        place = f"{name}:{number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line[:LINE_CHARS_MAX])
        except (ValueError, RecursionError) as error:
            raise InputError("is not JSON", place=place) from error
        if not isinstance(row, dict):
            raise InputError("is not a JSON object", place=place)
        yield place, row


def _cell(text: str) -> JsonValue:
    """Return a number where the text is one, None where it is empty, else the text."""
    if text == "":
        return None
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def _sample(row: Mapping[str, JsonValue], layout: Layout, place: str) -> Sample:
    for column in (layout.time, layout.element, *layout.labels, *layout.values):
        if column not in row:
            raise InputError(
                f"there is no column {column!r}",
                place=place,
                remedy=f"it has {', '.join(row)}; say which is what with --layout or options",
            )
    fixed = {layout.time, layout.element, *layout.labels}
    values = layout.values or tuple(column for column in row if column not in fixed)
    return Sample(
        element=str(row[layout.element] or ""),
        time_ms=_time_ms(row[layout.time], place),
        values={column: row[column] for column in values},
        labels={column: str(row[column]) for column in layout.labels},
    )


def _time_ms(value: JsonValue, place: str) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return int(value * 1000) if value < EPOCH_SECONDS_MAX else int(value)
    try:
        return parse_time_ms(str(value))
    except ValueError as error:
        raise InputError(str(error), place=place) from error
