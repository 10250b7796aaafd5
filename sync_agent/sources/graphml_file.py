"""A GraphML file as part of an inventory: its nodes, its edges, or the graph itself.

Attributes are the file's own data, of the types its keys declare. Beside them ``$file`` (the name
without its ending); of a node ``$id``; of an edge ``$id`` (if it has one), ``$source``,
``$target``, ``$directed`` and ``$parallel``, the number of edges between the same two nodes that
stand before it (0 for the first), which tells parallel links apart.

The file is read as a stream, entities are refused (a small file could otherwise become gigabytes or
read other files), and what follows a mistake is not read: the coverage is then incomplete.
Source: GraphML primer, graphml.graphdrawing.org.

Bounds: ``FILE_BYTES_MAX``, ``DEPTH_MAX`` elements deep, ``TEXT_CHARS_MAX`` a value, ``KEYS_MAX``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.parsers import expat

from sync_agent.errors import InputError
from sync_agent.inventory.record import Record, RecordDiagnostic

FILE_BYTES_MAX = 268_435_456
CHUNK_BYTES = 65_536
DEPTH_MAX = 32
TEXT_CHARS_MAX = 32_768
KEYS_MAX = 1_000
PARTS = ("nodes", "edges", "graph")

_ELEMENT = MappingProxyType({"nodes": "node", "edges": "edge", "graph": "graph"})
_OWN = MappingProxyType(
    {
        "nodes": ("$file", "$id"),
        "edges": ("$file", "$id", "$source", "$target", "$directed", "$parallel"),
        "graph": ("$file", "$id"),
    }
)


class _GraphError(ValueError):
    """The file is no GraphML; the message says why."""


@dataclass(slots=True)
class GraphmlFile:
    """One part of one file while it is read; ``part`` is ``nodes``, ``edges`` or ``graph``."""

    path: Path
    scope: str
    digest: hashlib._Hash
    part: str = "nodes"
    open: bool = True
    columns: tuple[str, ...] = ()
    faults: list[RecordDiagnostic] = field(default_factory=list)

    def records(self) -> Iterator[Record]:
        """Yield the records of the part; ``columns`` and ``faults`` fill up meanwhile.

        Raises:
            OSError: it cannot be read.
            InputError: it is too large.
        """
        reader = _Reader(self.part, self.path.stem)
        name = self.path.name
        self.digest.update(f"{name}\n".encode())
        size = 0
        with self.path.open("rb") as file:
            while True:
                chunk = file.read(CHUNK_BYTES)
                self.digest.update(chunk)
                size += len(chunk)
                if size > FILE_BYTES_MAX:
                    raise InputError(
                        f"is larger than {FILE_BYTES_MAX:,} bytes", place=str(self.path)
                    )
                fault = reader.feed(chunk)
                for line, attributes in reader.taken():
                    yield Record(self.scope, str(line), attributes, f"{name}:{line}")
                if fault is not None:
                    line, message = fault
                    remedy = "write the file again; it may be cut off"
                    self.faults.append(RecordDiagnostic(f"{name}:{line}", message, remedy))
                if fault is not None or not chunk:
                    break
        self.columns = (*_OWN[self.part], *reader.names())


class _Reader:
    """Elements of one kind out of a stream of GraphML."""

    def __init__(self, part: str, stem: str) -> None:
        self._wanted = _ELEMENT[part]
        self._stem = stem
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._entity
        self._keys: dict[str, tuple[str, Callable[[str], Any]]] = {}
        self._defaults: dict[str, Any] = {}
        self._path: list[str] = []
        self._item: dict[str, Any] | None = None
        self._line = 0
        self._key = ""
        self._value = ""
        self._parallel: Counter[tuple[str, str]] = Counter()
        self._directed = False
        self._rooted = False
        self._done: list[tuple[int, dict[str, Any]]] = []

    def feed(self, chunk: bytes) -> tuple[int, str] | None:
        """Read on, to the end on an empty chunk; return line and message of a mistake."""
        try:
            self._parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            return error.lineno, f"is no XML: {expat.errors.messages[error.code]}"
        except _GraphError as error:
            return self._parser.CurrentLineNumber, str(error)
        except UnicodeError as error:
            return self._parser.CurrentLineNumber, f"is not in its declared encoding: {error}"
        return None

    def taken(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the elements that are complete, with their lines, and forget them."""
        done, self._done = self._done, []
        return done

    def names(self) -> tuple[str, ...]:
        """Return the names of the declared data."""
        return tuple(dict.fromkeys(name for name, _ in self._keys.values()))

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if not self._path and name != "graphml":
            raise _GraphError(f"is no GraphML: it begins with <{name[:40]}>")
        self._path.append(name)
        if len(self._path) > DEPTH_MAX:
            raise _GraphError(f"is nested deeper than {DEPTH_MAX}")
        match name:
            case "key":
                self._declare(attributes)
            case "graph":
                self._directed = attributes.get("edgedefault") == "directed"
                self._begin(name, {"$id": attributes.get("id")})
            case "node":
                self._begin(name, {"$id": _required(attributes, "id", name)})
            case "edge":
                self._begin(name, self._edge(attributes))
            case "data":
                self._key, self._value = attributes.get("key", ""), ""
            case "default":
                self._value = ""

    def _edge(self, attributes: Mapping[str, str]) -> dict[str, Any]:
        source, target = (_required(attributes, end, "edge") for end in ("source", "target"))
        directed = attributes.get("directed", "true" if self._directed else "false") == "true"
        pair = (source, target) if directed or source <= target else (target, source)
        number = self._parallel[pair]
        self._parallel[pair] += 1
        return {
            "$id": attributes.get("id"),
            "$source": source,
            "$target": target,
            "$directed": directed,
            "$parallel": number,
        }

    def _begin(self, name: str, own: dict[str, Any]) -> None:
        if name != self._wanted:
            return
        if name == "graph" and self._rooted:
            return
        self._rooted = True
        self._item = {**self._defaults, **own, "$file": self._stem}
        self._line = self._parser.CurrentLineNumber

    def _end(self, _: str) -> None:
        name = self._path.pop()
        parent = self._path[-1] if self._path else ""
        if name == "data" and parent == self._wanted and self._item is not None:
            known = self._keys.get(self._key)
            if known is None:
                raise _GraphError(f"has data of a key {self._key[:40]!r} that is not declared")
            self._item[known[0]] = known[1](self._value.strip())
        elif name == "default" and self._key in self._keys:
            word, read = self._keys[self._key]
            self._defaults[word] = read(self._value.strip())
        elif name == self._wanted and self._item is not None:
            self._done.append((self._line, self._item))
            self._item = None

    def _declare(self, attributes: Mapping[str, str]) -> None:
        self._key = _required(attributes, "id", "key")
        if attributes.get("for", "all") not in (self._wanted, "all"):
            return
        if len(self._keys) >= KEYS_MAX:
            raise _GraphError(f"declares more than {KEYS_MAX} keys")
        name = attributes.get("attr.name") or self._key
        self._keys[self._key] = (name, _TYPES.get(attributes.get("attr.type", ""), str))

    def _text(self, text: str) -> None:
        if self._path and self._path[-1] in ("data", "default"):
            self._value += text
            if len(self._value) > TEXT_CHARS_MAX:
                raise _GraphError(f"has a value of more than {TEXT_CHARS_MAX} characters")

    def _entity(self, *_: object) -> None:
        raise _GraphError("declares an entity, which is refused")


def _required(attributes: Mapping[str, str], name: str, element: str) -> str:
    value = attributes.get(name)
    if not value:
        raise _GraphError(f"has a <{element}> without {name}")
    return value


def _number(text: str) -> Any:
    """Return a number, or the text as it stands for the mapping to refuse."""
    try:
        return float(text)
    except ValueError:
        return text or None


def _whole(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return text or None


def _boolean(text: str) -> Any:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text or None)


_TYPES: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "int": _whole,
        "long": _whole,
        "float": _number,
        "double": _number,
        "boolean": _boolean,
    }
)
