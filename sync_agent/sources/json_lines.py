"""A file of JSON as part of an inventory: NDJSON, a JSON array, a list inside JSON, or GeoJSON.

A record is a line of NDJSON, an object of the array, a feature of GeoJSON. A list inside a document
is named with its path (``net.json#nodes``); of an object of objects each is a record, under its
``$key``. Parts of objects are reached with dots (``site.name``). A feature's attributes are its
properties, and beside them ``$id``, ``$geometry``, ``$geometryType`` and what ``geometry`` reads
out of that.

A bad line of NDJSON is a diagnostic with ``file:line``, a feature whose geometry is wrong one with
``file[number]``. An array or GeoJSON that is cut off gives
no records at all, since nothing says where an object ends. Either way the file's coverage is
incomplete.

Bounds: ``LINE_BYTES_MAX`` a line, ``FILE_BYTES_MAX`` an array or GeoJSON, ``FAULTS_MAX`` bad lines
before a file is given up; nesting as deep as the decoder goes.
"""

from __future__ import annotations

import hashlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from sync_agent.errors import InputError
from sync_agent.inventory.nested import Nested
from sync_agent.inventory.record import Record, RecordDiagnostic
from sync_agent.sources.geometry import geometry_attributes
from sync_agent.sources.geometry_check import Unfit, geometry_fault, system_fault
from sync_agent.sources.text_file import text_fault

LINE_BYTES_MAX = 1_048_576
FILE_BYTES_MAX = 268_435_456
FAULTS_MAX = 1_000
COLUMNS_MAX = 1_000
NAMES_SHOWN = 12
DEPTH_SHOWN = 4

_MEND = "correct it, or write the file again"


@dataclass(slots=True)
class JsonLinesFile:
    """A file with a JSON object a line, while it is read."""

    path: Path
    scope: str
    digest: hashlib._Hash
    open: bool = True
    columns: tuple[str, ...] = ()
    faults: list[RecordDiagnostic] = field(default_factory=list)

    def records(self) -> Iterator[Record]:
        """Yield the file's records; ``columns`` and ``faults`` fill up meanwhile.

        Raises:
            OSError: it cannot be read.
            InputError: it is given up.
        """
        columns: dict[str, None] = {}
        name = self.path.name
        with self.path.open("rb") as file:
            self.digest.update(f"{name}\n".encode())
            number = 0
            while line := file.readline(LINE_BYTES_MAX):
                number += 1
                self.digest.update(line)
                if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
                    raise InputError(
                        f"is longer than {LINE_BYTES_MAX:,} bytes",
                        place=f"{self.path}:{number}",
                        remedy="write one object a line",
                    )
                line = line.removeprefix(BOM_UTF8) if number == 1 else line
                if not line.strip():
                    continue
                item = self._decoded(line, number)
                if item is not None:
                    _gather(columns, item)
                    yield Record(self.scope, "", Nested(item), f"{name}:{number}")
        self.columns = tuple(columns)

    def _decoded(self, line: bytes, number: int) -> dict[str, Any] | None:
        try:
            item = msgspec.json.decode(line)
            fault = "" if isinstance(item, dict) else "is no JSON object"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            item, fault = None, text_fault(line) or f"is no JSON: {error}"
        if not fault:
            return item  # type: ignore[no-any-return]
        place = f"{self.path.name}:{number}"
        self.faults.append(RecordDiagnostic(place, fault, _MEND))
        if len(self.faults) > FAULTS_MAX:
            raise InputError(
                f"has more than {FAULTS_MAX} lines that cannot be read",
                place=str(self.path),
                remedy="check that it is UTF-8 text with one JSON object a line",
            )
        return None


@dataclass(slots=True)
class JsonFile:
    """A file with one JSON document while it is read; ``part`` is the path of a list in it."""

    path: Path
    scope: str
    digest: hashlib._Hash
    part: str = ""
    open: bool = True
    columns: tuple[str, ...] = ()
    faults: list[RecordDiagnostic] = field(default_factory=list)

    def records(self) -> Iterator[Record]:
        """Yield the file's records; ``columns`` and ``faults`` fill up meanwhile.

        Raises:
            OSError: it cannot be read.
            InputError: it is too large.
        """
        name = self.path.name
        with self.path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        self.digest.update(f"{name}\n".encode())
        self.digest.update(data)
        if len(data) > FILE_BYTES_MAX:
            raise InputError(
                f"is larger than {FILE_BYTES_MAX:,} bytes",
                place=str(self.path),
                remedy="write it as NDJSON, one object a line",
            )
        columns: dict[str, None] = {}
        for number, item in enumerate(self._items(data)):
            place = f"{name}[{number}]"
            if isinstance(item, dict):
                _gather(columns, item)
                yield Record(self.scope, "", Nested(item), place)
            elif isinstance(item, Unfit):
                self._fault(place, item.message, item.remedy)
            else:
                self._fault(place, "is no JSON object")
        self.columns = tuple(columns)

    def _items(self, data: bytes) -> Iterator[Any]:
        try:
            document = msgspec.json.decode(data.removeprefix(BOM_UTF8))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._fault(self.path.name, text_fault(data) or f"is no JSON: {error}")
            return
        if self.part:
            yield from self._inner(document)
        elif isinstance(document, list):
            yield from document
        elif isinstance(document, dict) and (fault := system_fault(document)) is not None:
            self._fault(self.path.name, fault.message, fault.remedy)
        elif isinstance(document, dict) and document.get("type") == "Feature":
            yield _attributes_of(document)
        elif isinstance(document, dict) and document.get("type") == "FeatureCollection":
            features = document.get("features")
            if isinstance(features, list):
                yield from map(_attributes_of, features)
            else:
                self._fault(self.path.name, "is a FeatureCollection without a list of features")
        else:
            self._fault(
                self.path.name,
                "is neither a JSON array nor GeoJSON",
                _naming_a_list(self.path.name, document),
            )

    def _inner(self, document: Any) -> Iterator[Any]:
        """Yield the objects of a list inside the document."""
        found = document
        for name in self.part.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, list):
            yield from found
        elif isinstance(found, dict):
            for key, item in found.items():
                yield {**item, "$key": key} if isinstance(item, dict) else None
        else:
            named = ", ".join(list(document)[:NAMES_SHOWN]) if isinstance(document, dict) else ""
            remedy = f"the file has {named}" if named else _MEND
            self._fault(self.path.name, f"has no list {self.part}", remedy)

    def _fault(self, place: str, message: str, remedy: str = _MEND) -> None:
        self.faults.append(RecordDiagnostic(place, message, remedy))
        if len(self.faults) > FAULTS_MAX:
            raise InputError(
                f"has more than {FAULTS_MAX} items that are no records",
                place=str(self.path),
                remedy="check that it is a list of objects",
            )


def _naming_a_list(name: str, document: Any) -> str:
    """Return how a rule names a list inside a document, with those there are."""
    found = [f"{name}#{path}" for path in islice(_lists(document, ()), NAMES_SHOWN)]
    return f"name a list in it: {' or '.join(found)}" if found else "it holds no list of objects"


def _lists(part: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the paths of lists that hold objects."""
    if isinstance(part, list) and part and isinstance(part[0], dict):
        yield ".".join(path)
    elif isinstance(part, dict) and len(path) < DEPTH_SHOWN:
        for key, inner in part.items():
            yield from _lists(inner, (*path, key))


def _attributes_of(feature: Any) -> dict[str, Any] | Unfit:
    """Return a feature's properties, with its id and geometry, or why it is none."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        return Unfit("is no feature of GeoJSON", _MEND)
    id_, geometry, properties = map(feature.get, ("id", "geometry", "properties"))
    named = "" if id_ is None else f"feature {id_!r}: "
    if not isinstance(properties, dict | None):
        return Unfit(f"{named}its properties are no object", _MEND)
    if (fault := geometry_fault(geometry)) is not None:
        return Unfit(f"{named}{fault.message}", fault.remedy)
    return {
        **(properties or {}),
        "$id": id_,
        "$geometry": geometry,
        "$geometryType": geometry["type"] if geometry else None,
        **geometry_attributes(geometry),
    }


def _gather(columns: dict[str, None], item: Mapping[str, Any]) -> None:
    if len(columns) < COLUMNS_MAX:
        columns.update(dict.fromkeys(item))
