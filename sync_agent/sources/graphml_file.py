"""A GraphML file as part of an inventory: its nodes, its edges, or its graphs.

Attributes are the file's own data, of the types its keys declare; of data that holds markup (as yEd
writes it) the text. Beside them ``$file`` (the name without its ending); of a node ``$id``,
``$graph`` (the id of the graph it is in) and ``$parent`` (of the node whose inner graph it is in);
of an edge ``$id`` (if it has one), ``$graph``, ``$source``, ``$target``, their ports
``$sourcePort`` and ``$targetPort``, ``$directed`` and ``$parallel``, the number of edges between
the same two nodes that stand before it (0 for the first), which tells parallel links apart.

A number that is NaN is no value: so NetworkX, igraph and pandas write what is missing.

Ports and their data are passed over. Hyperedges and what stands in other files are not read, and
told. The file is read as a stream, entities are refused (a small file could otherwise become
gigabytes or read other files), and what follows a mistake is not read: the coverage is then
incomplete. Source: GraphML specification, graphml.graphdrawing.org.

Bounds: ``FILE_BYTES_MAX``, ``DEPTH_MAX`` elements deep, ``TEXT_CHARS_MAX`` a value, ``KEYS_MAX``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.parsers import expat

from sync_agent.errors import InputError
from sync_agent.inventory.record import Record, RecordDiagnostic

FILE_BYTES_MAX = 268_435_456
CHUNK_BYTES = 65_536
DEPTH_MAX = 256
TEXT_CHARS_MAX = 32_768
KEYS_MAX = 1_000
PARTS = ("nodes", "edges", "graph")

_ELEMENT = MappingProxyType({"nodes": "node", "edges": "edge", "graph": "graph"})
_OWN = MappingProxyType(
    {
        "nodes": ("$file", "$id", "$graph", "$parent"),
        "edges": (
            *("$file", "$id", "$graph", "$source", "$target", "$sourcePort", "$targetPort"),
            *("$directed", "$parallel"),
        ),
        "graph": ("$file", "$id"),
    }
)

_NOT_READ = MappingProxyType({("edges", "hyperedge"): "a hyperedge", ("", "locator"): "a locator"})


_MEND = "correct it; it may be cut off, or in another encoding than its first line says"


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
                        f"is larger than {FILE_BYTES_MAX:,} bytes",
                        place=str(self.path),
                        remedy="split it into several files",
                    )
                fault = reader.feed(chunk)
                for line, attributes in reader.taken():
                    yield Record(self.scope, "", attributes, f"{name}:{line}")
                if fault is not None:
                    self._fault(*fault, _MEND)
                if fault is not None or not chunk:
                    break
        for what, line in reader.not_read.items():
            self._fault(line, f"has {what}, which is not read", "write nodes and edges instead")
        self.columns = (*_OWN[self.part], *reader.names())

    def _fault(self, line: int, message: str, remedy: str) -> None:
        self.faults.append(RecordDiagnostic(f"{self.path.name}:{line}", message, remedy))


@dataclass(slots=True)
class _Item:
    """An element that is open: where it began, what it is, and its data so far."""

    line: int
    own: dict[str, Any]
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Graph:
    """A graph that is open."""

    id: str | None
    directed: bool


class _Reader:
    """Elements of one kind out of a stream of GraphML.

    Elements of other namespaces, and all that stands inside data, are no part of the graph.
    """

    def __init__(self, part: str, stem: str) -> None:
        self._part = part
        self._wanted = _ELEMENT[part]
        self._stem = stem
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._entity
        self._parser.SkippedEntityHandler = self._entity
        self._namespace = ""
        self._keys: dict[str, tuple[str, Callable[[str], Any]]] = {}
        self._defaults: dict[str, Any] = {}
        self._path: list[str] = []
        self._graphs: list[_Graph] = []
        self._nodes: list[str] = []
        self._items: list[_Item] = []
        self._key = ""
        self._value: list[str] | None = None
        self._chars = 0
        self._parallel: Counter[tuple[str, str]] = Counter()
        self._done: list[tuple[int, dict[str, Any]]] = []
        self.not_read: dict[str, int] = {}

    def feed(self, chunk: bytes) -> tuple[int, str] | None:
        """Read on, to the end on an empty chunk; return line and message of a mistake."""
        try:
            self._parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            return error.lineno, f"is no XML: {expat.errors.messages[error.code]}"
        except _GraphError as error:
            return self._parser.CurrentLineNumber, str(error)
        except (ValueError, LookupError) as error:
            return self._parser.CurrentLineNumber, f"is in an encoding that is not read: {error}"
        return None

    def taken(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the elements that are complete, with their lines, and forget them."""
        done, self._done = self._done, []
        return done

    def names(self) -> tuple[str, ...]:
        """Return the names of the declared data."""
        return tuple(dict.fromkeys(name for name, _ in self._keys.values()))

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, _, name = tag.rpartition(" ")
        if not self._path:
            if name != "graphml":
                raise _GraphError(f"is no GraphML: it begins with <{name[:40]}>")
            self._namespace = namespace
        if len(self._path) >= DEPTH_MAX:
            raise _GraphError(f"is nested deeper than {DEPTH_MAX}")
        if self._value is not None or namespace != self._namespace:
            name = ""  # of markup inside data the text counts, its names do not
            self._part_text()
        self._path.append(name)
        match name:
            case "key":
                self._declare(attributes)
            case "data":
                self._key, self._value, self._chars = attributes.get("key", ""), [""], 0
            case "default":
                self._value, self._chars = [""], 0
            case "graph":
                self._begin_graph(attributes)
            case "node":
                self._begin_node(attributes)
            case "edge":
                self._begin_edge(attributes)
            case _:
                what = _NOT_READ.get((self._part, name)) or _NOT_READ.get(("", name))
                if what is not None:
                    self.not_read.setdefault(what, self._parser.CurrentLineNumber)

    def _begin_graph(self, attributes: Mapping[str, str]) -> None:
        graph = _Graph(attributes.get("id"), attributes.get("edgedefault") == "directed")
        self._graphs.append(graph)
        if len(self._graphs) == 1 and self._wanted == "graph":
            self._begin({"$id": graph.id})

    def _begin_node(self, attributes: Mapping[str, str]) -> None:
        id_ = _required(attributes, "id", "node")
        if self._wanted == "node":
            parent = self._nodes[-1] if self._nodes else None
            self._begin({"$id": id_, "$graph": self._graph_id(), "$parent": parent})
        self._nodes.append(id_)

    def _begin_edge(self, attributes: Mapping[str, str]) -> None:
        if self._wanted != "edge":
            return
        source, target = (_required(attributes, end, "edge") for end in ("source", "target"))
        default = "true" if self._graphs and self._graphs[-1].directed else "false"
        pair = (source, target) if source <= target else (target, source)
        number = self._parallel[pair]
        self._parallel[pair] += 1
        self._begin(
            {
                "$id": attributes.get("id"),
                "$graph": self._graph_id(),
                "$source": source,
                "$target": target,
                "$sourcePort": attributes.get("sourceport"),
                "$targetPort": attributes.get("targetport"),
                "$directed": attributes.get("directed", default) == "true",
                "$parallel": number,
            }
        )

    def _graph_id(self) -> str | None:
        return self._graphs[0].id if self._graphs else None

    def _begin(self, own: dict[str, Any]) -> None:
        own["$file"] = self._stem
        self._items.append(_Item(self._parser.CurrentLineNumber, own, {}))

    def _end(self, _: str) -> None:
        name = self._path.pop()
        match name:
            case "data" | "default":
                self._end_value(name, self._path[-1])
            case "graph":
                self._graphs.pop()
                if not self._graphs:
                    self._finish(name)
            case "node":
                self._nodes.pop()
                self._finish(name)
            case "edge":
                self._finish(name)
            case "":
                self._part_text()

    def _end_value(self, name: str, parent: str) -> None:
        pieces, self._value = self._value or [], None
        known = self._keys.get(self._key)
        if name == "default":
            if known is not None and parent == "key":
                self._defaults[known[0]] = known[1](_joined(pieces))
        elif parent == self._wanted and not (parent == "graph" and len(self._graphs) > 1):
            if known is None:
                raise _GraphError(f"has data of a key {self._key[:40]!r} that is not declared")
            self._items[-1].data[known[0]] = known[1](_joined(pieces))

    def _finish(self, name: str) -> None:
        if name == self._wanted:
            item = self._items.pop()
            self._done.append((item.line, {**self._defaults, **item.data, **item.own}))

    def _declare(self, attributes: Mapping[str, str]) -> None:
        self._key = _required(attributes, "id", "key")
        if attributes.get("for", "all") not in (self._wanted, "all"):
            return
        if len(self._keys) >= KEYS_MAX:
            raise _GraphError(f"declares more than {KEYS_MAX} keys")
        name = attributes.get("attr.name") or self._key
        self._keys[self._key] = (name, _TYPES.get(attributes.get("attr.type", ""), str))

    def _text(self, text: str) -> None:
        if self._value is not None:
            self._value[-1] += text
            self._chars += len(text)
            if self._chars > TEXT_CHARS_MAX:
                raise _GraphError(f"has a value of more than {TEXT_CHARS_MAX} characters")

    def _part_text(self) -> None:
        """Keep the texts of different elements inside data apart."""
        if self._value is not None and self._value[-1]:
            self._value.append("")

    def _entity(self, *_: object) -> None:
        raise _GraphError("declares or uses an entity, which is refused")


def _joined(pieces: list[str]) -> str:
    """Return the text of data, that of each element inside on a line of its own."""
    if len(pieces) == 1:
        return pieces[0].strip()
    return "\n".join(text for piece in pieces if (text := piece.strip()))


def _required(attributes: Mapping[str, str], name: str, element: str) -> str:
    value = attributes.get(name)
    if not value:
        raise _GraphError(f"has a <{element}> without {name}")
    return value


def _number(text: str) -> Any:
    """Return a number, or the text as it stands for the mapping to refuse; NaN is none."""
    try:
        number = float(text)
    except ValueError:
        return text or None
    if "_" in text:
        return text
    return None if isnan(number) else number


def _whole(text: str) -> Any:
    try:
        return int(text) if "_" not in text else text
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
