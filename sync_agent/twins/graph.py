"""A twin graph in memory: documents by id, edges by either end.

It is what the reference interpreter queries and what a diff compares. Documents are the service's
own (``$dtId``, ``$metadata``, ...), so a row of a query is a document as it stands. Insertion
order is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, KeysView

from sync_agent.twins.twin import Document, Key, key_of

_ByEnd = defaultdict[str, dict[Key, Document]]


class TwinGraph:
    """Twin and relationship documents with an index on both ends of each edge.

    The index is made when it is first asked for: a comparison by ids never does.
    """

    def __init__(
        self, twins: Iterable[Document] = (), relationships: Iterable[Document] = ()
    ) -> None:
        self._twins = {twin["$dtId"]: twin for twin in twins}
        self._edges = {key_of(edge): edge for edge in relationships}
        self._ends: tuple[_ByEnd, _ByEnd] | None = None

    def put_twin(self, document: Document) -> None:
        """Add a twin, or replace the one of that ``$dtId``."""
        self._twins[document["$dtId"]] = document

    def remove_twin(self, twin_id: str) -> None:
        """Remove a twin; its edges stay, as they do in the service until they are deleted."""
        self._twins.pop(twin_id, None)

    def put_relationship(self, document: Document) -> None:
        """Add a relationship, or replace the one of that source and id."""
        key = key_of(document)
        self.remove_relationship(*key)
        self._edges[key] = document
        if self._ends is not None:
            outgoing, incoming = self._ends
            outgoing[document["$sourceId"]][key] = document
            incoming[document["$targetId"]][key] = document

    def remove_relationship(self, source: str, relationship_id: str) -> None:
        """Remove a relationship if it is there."""
        key = (source, relationship_id)
        document = self._edges.pop(key, None)
        if document is not None and self._ends is not None:
            outgoing, incoming = self._ends
            del outgoing[source][key]
            del incoming[document["$targetId"]][key]

    def twin(self, twin_id: str) -> Document | None:
        """Return the twin of that id, or None."""
        return self._twins.get(twin_id)

    def relationship(self, source: str, relationship_id: str) -> Document | None:
        """Return the relationship of that source and id, or None."""
        return self._edges.get((source, relationship_id))

    def twins(self) -> Iterator[Document]:
        """Yield every twin in insertion order."""
        return iter(self._twins.values())

    def relationships(self) -> Iterator[Document]:
        """Yield every relationship in insertion order."""
        return iter(self._edges.values())

    def outgoing(self, twin_id: str) -> Iterator[Document]:
        """Yield the relationships that start at a twin."""
        outgoing, _ = self._by_end()
        return iter(outgoing.get(twin_id, {}).values())

    def incoming(self, twin_id: str) -> Iterator[Document]:
        """Yield the relationships that end at a twin."""
        _, incoming = self._by_end()
        return iter(incoming.get(twin_id, {}).values())

    @property
    def twin_ids(self) -> KeysView[str]:
        """Return the ids of all twins, as a set that follows the graph."""
        return self._twins.keys()

    @property
    def relationship_keys(self) -> KeysView[Key]:
        """Return the source and id of all relationships, as a set that follows the graph."""
        return self._edges.keys()

    @property
    def twin_count(self) -> int:
        """Return how many twins there are."""
        return len(self._twins)

    @property
    def relationship_count(self) -> int:
        """Return how many relationships there are."""
        return len(self._edges)

    def _by_end(self) -> tuple[_ByEnd, _ByEnd]:
        if self._ends is None:
            outgoing: _ByEnd = defaultdict(dict)
            incoming: _ByEnd = defaultdict(dict)
            for key, document in self._edges.items():
                outgoing[key[0]][key] = document
                incoming[document["$targetId"]][key] = document
            self._ends = (outgoing, incoming)
        return self._ends
