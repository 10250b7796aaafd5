"""Reads what a plan needs to know of the twins there are, and no more.

By query: the owner's twins and relationships; twins of others that have an id the inventory wants;
and every relationship at a twin that is about to go. Queries may lag ten seconds behind writes.
That is safe here: creating is refused where something exists, and every edit carries the ETag it
rests on.

Bounds: ``IDS_PER_QUERY`` and ``TEXT_CHARS_MAX`` a query, ``QUERIES_AT_ONCE``. Memory is one
document per managed twin and relationship.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import NotFoundError
from sync_agent.inventory.desired import DesiredGraph
from sync_agent.ports.twin_store import ModelStore, TwinReader
from sync_agent.query.charge import charge_of_reading
from sync_agent.reconcile.change import Change
from sync_agent.runs.bounded import each
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document

IDS_PER_QUERY = 50
TEXT_CHARS_MAX = 8_000
QUERIES_AT_ONCE = 8
POINT_READS_MAX = 5_000


async def deployed_models(store: ModelStore) -> ModelRegistry:
    """Return the models that twins can be of.

    Raises:
        ServiceError: they cannot be read.
    """
    documents = [m["model"] async for m in store.list_models() if m.get("model")]
    return ModelRegistry(parse_models(documents).interfaces)


async def observe(reader: TwinReader, desired: DesiredGraph) -> TwinGraph:
    """Return the twins and relationships a plan for ``desired`` has to know.

    Raises:
        ServiceError: they cannot be read.
    """
    owner = desired.owner
    graph = TwinGraph(
        [twin async for twin in reader.query(owner.twins_query())],
        [edge async for edge in reader.query(owner.relationships_query())],
    )
    doomed = [
        twin["$dtId"]
        for twin in graph.twins()
        if twin["$dtId"] not in desired.twins and twin["$dtId"] not in desired.held
    ]
    new = [id_ for id_ in desired.twins if graph.twin(id_) is None]
    for twin in await in_the_way(reader, new, graph):
        graph.put_twin(twin)
    for edge in await relationships_at(reader, doomed):
        graph.put_relationship(edge)
    return graph


async def in_the_way(reader: TwinReader, new: Collection[str], known: TwinGraph) -> list[Document]:
    """Return the twins there are of ids that are new to us; ``known`` has all of ours.

    Of many ids there would be a query for each fifty, so where that costs more query units than to
    look through all twins there are, these are looked through.

    Raises:
        ServiceError: they cannot be read.
    """
    if not new:
        return []
    there = await count(reader, "digitaltwins")
    if there <= known.twin_count:
        return []
    if charge_of_reading(there) > -(-len(new) // IDS_PER_QUERY) * charge_of_reading(1):
        return await twins_named(reader, new)
    wanted = set(new)
    every = reader.query("SELECT * FROM digitaltwins")
    return [twin async for twin in every if twin["$dtId"] in wanted]


async def read_elements(
    reader: TwinReader, changes: Sequence[Change], *, at_once: int, around: bool = False
) -> TwinGraph:
    """Return the twins and relationships that changes are about, as they are now.

    Few are read one by one, which is current at once, more than ``POINT_READS_MAX`` by query, which
    may lag. ``around`` adds the ends of relationships and what leads to and from the twins.

    Raises:
        ServiceError: they cannot be read.
    """
    twins = {c.twin.id: None for c in changes if c.twin is not None}
    sources = {c.edge.source: None for c in changes if c.relationship is not None}
    graph = TwinGraph()
    if around:
        for edge in await _rows(reader, "relationships", "$targetId", twins):
            graph.put_relationship(edge)
        sources |= twins
        twins |= {end: None for c in changes for end in c.twins}
    if len(twins) + len(sources) > POINT_READS_MAX:
        for twin in await twins_named(reader, twins):
            graph.put_twin(twin)
        for edge in await _rows(reader, "relationships", "$sourceId", sources):
            graph.put_relationship(edge)
        return graph
    for found in await each(twins, reader.get_twin, at_once=at_once):
        if found is not None:
            graph.put_twin(found.as_stored())

    async def outgoing(source: str) -> list[Document]:
        try:
            return [edge.as_stored() async for edge in reader.relationships_of(source)]
        except NotFoundError:
            return []

    for edges in await each(sources, outgoing, at_once=at_once):
        for edge in edges:
            graph.put_relationship(edge)
    return graph


def quoted(text: str) -> str:
    """Return text as a literal of the query language."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


async def count(reader: TwinReader, what: str) -> int:
    """Return how many there are of ``what``: a collection, with or without a condition.

    Raises:
        ServiceError: they cannot be counted.
    """
    async for row in reader.query(f"SELECT COUNT() FROM {what}"):  # noqa: S608 - our own text
        return int(row["COUNT"])
    return 0


async def twins_named(reader: TwinReader, ids: Iterable[str]) -> list[Document]:
    """Return the twins of these ids, as queries see them.

    Raises:
        ServiceError: they cannot be read.
    """
    return await _rows(reader, "digitaltwins", "$dtId", ids)


async def relationships_at(reader: TwinReader, ids: Collection[str]) -> list[Document]:
    """Return the relationships that begin or end at twins, as queries see them.

    Raises:
        ServiceError: they cannot be read.
    """
    return [
        edge
        for end in ("$sourceId", "$targetId")
        for edge in await _rows(reader, "relationships", end, ids)
    ]


async def _rows(
    reader: TwinReader, collection: str, field: str, ids: Iterable[str]
) -> list[Document]:
    """Return the documents of a collection whose field is one of ``ids``."""
    head = f"SELECT * FROM {collection} T WHERE T.{field} IN ["  # noqa: S608 - ids are quoted

    async def ask(literals: str) -> list[Document]:
        return [row async for row in reader.query(f"{head}{literals}]")]

    pages = await each(_literals(ids, len(head) + 1), ask, at_once=QUERIES_AT_ONCE)
    return [row for page in pages for row in page]


def _literals(ids: Iterable[str], taken: int) -> Iterator[str]:
    """Yield comma-separated literals, as many at a time as a query may hold."""
    batch: list[str] = []
    length = taken
    for literal in map(quoted, ids):
        if len(batch) == IDS_PER_QUERY or length + len(literal) + 1 > TEXT_CHARS_MAX:
            yield ",".join(batch)
            batch, length = [], taken
        batch.append(literal)
        length += len(literal) + 1
    if batch:
        yield ",".join(batch)
