"""The owner's twins and relationships as they were last read, kept from one pass to the next.

The first reading, and one every ``full_every_s``, is of everything. One in between asks only for

- the twins that changed: by ``$metadata.$lastUpdateTime``, from ``OVERLAP_S`` before the last
  reading on, because queries lag. The service's clock is told from the times on its twins and how
  long ago they were seen; ours need not agree with it;
- how many twins and relationships there are. Whoever comes or is changed is among the twins that
  changed, so the same number is the same set: only where it differs are all of them read again;
- all relationships, ``EDGES_PER_FULL`` times as often as everything: the service keeps no time of
  them, so a value somebody changed, or one put in the place of another, shows no other way. By
  query that is a request for a thousand, by id one for each twin;
- by id, what this agent itself wrote since and queries may not show yet, and what a plan would
  delete or edit although the service keeps no time of it (``reread``);
- others' twins that have an id the inventory wants, and what leads to twins that are about to go.

**A stale snapshot does no harm.** It can only make a plan leave something out, never do something
wrong. Creating is refused where something exists. An edit carries the ETag of the document it rests
on; a 412 has that one element read and planned again. Nothing is deleted, and no relationship
edited, that was not read by id in this very pass, a twin with its relationships, or in a full
reading; its ETag goes along. And whether an element is gone from the inventory is never told from
here, only from scopes that were read whole.

Bounds: a document per managed twin and relationship. More than ``WRITTEN_MAX`` elements written
since are read with everything else. What fails on the way makes the next reading a full one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime

from sync_agent.inventory.desired import DesiredGraph
from sync_agent.inventory.owner import Owner
from sync_agent.ports.twin_store import TwinReader
from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.part import Touched
from sync_agent.reconcile.plan import managed_by
from sync_agent.runs.observe import (
    count,
    in_the_way,
    observe,
    read_elements,
    relationships_at,
    twins_named,
)
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.time import parse_time_ms
from sync_agent.twins.twin import Document, Key, key_of, model_of

LAG_S = 15.0
"""How long queries may not see a write, a little more than the service says."""
OVERLAP_S = 60.0
EDGES_PER_FULL = 4
WRITTEN_MAX = 2_000


class TwinSnapshot:
    """What is known of one owner's twins; ``graph`` also has others' as far as they matter."""

    def __init__(
        self, owner: Owner, *, full_every_s: float, at_once: int, clock_s: Callable[[], float]
    ) -> None:
        """Begin with nothing known."""
        self.owner = owner
        self.graph = TwinGraph()
        self.managed: Counter[str] = Counter()
        self._full_every_s = full_every_s
        self._at_once = at_once
        self._clock_s = clock_s
        self._full_at_s: float | None = None
        self._edges_at_s = float("-inf")
        self._asked_at_s = 0.0
        self._service_ahead_ms: float | None = None
        self._proven = False
        self._own_twins = 0
        self._own_edges = 0
        self._written: list[Change] = []
        self._written_at_s = float("-inf")
        self._touched = Touched()

    def forget(self) -> None:
        """Have everything read again next time."""
        self._full_at_s = None

    def written(self, changes: Sequence[Change]) -> None:
        """Hear of changes that may have been made; what they are about is read again."""
        self._written += changes
        self._written_at_s = self._clock_s()
        if len(self._written) > WRITTEN_MAX:
            self.forget()

    async def refresh(self, reader: TwinReader, desired: DesiredGraph) -> Touched | None:
        """Bring the snapshot up to date; return what moved, None when everything was read.

        Raises:
            ServiceError: twins cannot be read; everything is read the next time.
        """
        full_at_s, self._full_at_s = self._full_at_s, None  # in case this does not come to its end
        began_s = self._clock_s()
        self._touched = Touched()
        young = full_at_s is not None and began_s - full_at_s < self._full_every_s
        told = young and await self._read_changed(reader, desired)
        if not told:
            await self._read_all(reader, desired)
        self._full_at_s = full_at_s if told else began_s
        self._asked_at_s = began_s
        return self._touched if told else None

    async def reread(self, reader: TwinReader, changes: Sequence[Change]) -> Touched:
        """Read by id what changes are about, around twins that go too; return what had moved.

        Raises:
            ServiceError: it cannot be read.
        """
        self._touched = Touched()
        going = [c for c in changes if c.action is Action.DELETE and c.twin is not None]
        await self._read_by_id(reader, going, around=True)
        await self._read_by_id(reader, [c for c in changes if c.relationship is not None])
        return self._touched

    # -- readings -------------------------------------------------------------------------------

    async def _read_all(self, reader: TwinReader, desired: DesiredGraph) -> None:
        self._edges_at_s = self._clock_s()
        self.graph = await observe(reader, desired)
        self._written.clear()
        self._proven = False
        self.managed = managed_by(self.owner, self.graph)
        self._own_twins = sum(map(self.owner.owns_twin, self.graph.twins()))
        self._own_edges = self.managed.total() - self._own_twins
        self._service_ahead_ms = None
        self._learn_time(self.graph.twins())

    async def _read_changed(self, reader: TwinReader, desired: DesiredGraph) -> bool:
        """Read what moved; False where that cannot be told, so that everything has to be read."""
        if self._service_ahead_ms is None:
            return False
        since_ms = self._service_ahead_ms + (self._asked_at_s - OVERLAP_S) * 1000
        own = self.owner.own_twins()
        condition = f"{own} AND T.$metadata.$lastUpdateTime >= '{_stamp(since_ms)}'"
        rows = [row async for row in reader.query(f"SELECT * FROM {condition}")]  # noqa: S608 - a name and a time
        if not rows and not self._proven:
            return False  # the newest twin of the full reading has to come back
        self._proven = True
        self._learn_time(rows)
        for row in rows:
            self._put_twin(row)
        written, self._written = self._written, []
        if self._clock_s() - self._written_at_s < LAG_S:
            await self._read_by_id(reader, written)  # counting would count the lag
        else:
            await self._read_by_id(reader, [c for c in written if not _comes_back(c)])
            await self._read_if_others(reader)
        await self._read_in_the_way(reader, desired)
        await self._read_around_going(reader, desired)
        return True

    async def _read_if_others(self, reader: TwinReader) -> None:
        """Read all twins, or all relationships, where their number is not what is known.

        Relationships also where it is time for them.
        """
        owner = self.owner
        if await count(reader, owner.own_twins()) != self._own_twins:
            twins = [row async for row in reader.query(owner.twins_query())]
            known = {t["$dtId"] for t in self.graph.twins() if owner.owns_twin(t)}
            for id_ in known - {twin["$dtId"] for twin in twins}:
                self._remove_twin(id_)
            for twin in twins:
                self._put_twin(twin)
        now_s = self._clock_s()
        due = now_s - self._edges_at_s >= self._full_every_s / EDGES_PER_FULL
        if due or await count(reader, owner.own_relationships()) != self._own_edges:
            self._edges_at_s = now_s
            edges = [row async for row in reader.query(owner.relationships_query())]
            own = (e for e in self.graph.relationships() if owner.owns_relationship(e))
            self._put_edges(edges, instead_of=list(map(key_of, own)))

    async def _read_by_id(
        self, reader: TwinReader, changes: Sequence[Change], *, around: bool = False
    ) -> None:
        if not changes:
            return
        found = await read_elements(reader, changes, at_once=self._at_once, around=around)
        twins = {change.twin.id for change in changes if change.twin is not None}
        for id_ in twins:
            if (twin := found.twin(id_)) is None:
                self._remove_twin(id_)
            else:
                self._put_twin(twin)
        known = self.graph
        sources = {change.edge.source for change in changes if change.relationship is not None}
        before = {key_of(edge) for source in sources for edge in known.outgoing(source)}
        if around:
            for id_ in twins:
                before |= {key_of(edge) for edge in (*known.outgoing(id_), *known.incoming(id_))}
        self._put_edges(found.relationships(), instead_of=before)

    async def _read_in_the_way(self, reader: TwinReader, desired: DesiredGraph) -> None:
        """Read others' twins that have an id the inventory wants."""
        others = [t["$dtId"] for t in self._others()]
        found = {twin["$dtId"]: twin for twin in await twins_named(reader, others)}
        for id_ in others:
            if id_ in desired.twins and id_ in found:
                self._put_twin(found[id_])
            else:
                self._remove_twin(id_)
        new = desired.twins.keys() - self.graph.twin_ids
        for twin in await in_the_way(reader, new, self.graph):
            self._put_twin(twin)

    async def _read_around_going(self, reader: TwinReader, desired: DesiredGraph) -> None:
        """Read the relationships, others' included, at twins the inventory does not want."""
        graph = self.graph
        going = graph.twin_ids - desired.twins.keys() - desired.held
        before = {
            key_of(edge) for id_ in going for edge in (*graph.outgoing(id_), *graph.incoming(id_))
        }
        self._put_edges(await relationships_at(reader, going), instead_of=before)

    # -- the graph ------------------------------------------------------------------------------

    def _others(self) -> Collection[Document]:
        if self.graph.twin_count == self._own_twins:
            return ()
        return [twin for twin in self.graph.twins() if not self.owner.owns_twin(twin)]

    def _put_twin(self, twin: Document) -> None:
        """Take a twin in, unless it is as known, or what is known is newer."""
        id_, owner = twin["$dtId"], self.owner
        known = self.graph.twin(id_)
        if known is not None and (known["$etag"] == twin["$etag"] or _time(known) > _time(twin)):
            return
        owned = known is not None and owner.owns_twin(known)
        owns = owner.owns_twin(twin)
        if known is None or owned != owns:
            self._touched.turned.add(id_)
        self._touched.twins.add(id_)
        if owned and known is not None:
            self.managed[model_of(known)] -= 1
        if owns:
            self.managed[model_of(twin)] += 1
        self._own_twins += owns - owned
        self.graph.put_twin(twin)

    def _remove_twin(self, id_: str) -> None:
        known = self.graph.twin(id_)
        if known is None:
            return
        if self.owner.owns_twin(known):
            self.managed[model_of(known)] -= 1
            self._own_twins -= 1
        self._touched.turned.add(id_)
        self._touched.twins.add(id_)
        self.graph.remove_twin(id_)

    def _put_edges(self, edges: Iterable[Document], *, instead_of: Collection[Key]) -> None:
        """Take relationships in, in place of those that were known where they were looked for."""
        found = {key_of(edge): edge for edge in edges}
        for key in set(instead_of) - found.keys():
            self._count_edge(self.graph.relationship(*key), -1)
            self.graph.remove_relationship(*key)
            self._touched.edges.add(key)
        for key, edge in found.items():
            known = self.graph.relationship(*key)
            if known is None or known["$etag"] != edge["$etag"]:
                self._count_edge(known, -1)
                self._count_edge(edge, 1)
                self.graph.put_relationship(edge)
                self._touched.edges.add(key)

    def _count_edge(self, edge: Document | None, by: int) -> None:
        if edge is not None and self.owner.owns_relationship(edge):
            self.managed[edge["$relationshipName"]] += by
            self._own_edges += by

    # -- time -----------------------------------------------------------------------------------

    def _learn_time(self, twins: Iterable[Document]) -> None:
        """Note how far ahead of our own clock the service's at least is."""
        newest = max(map(_time, twins), default="")
        if newest:
            ahead = parse_time_ms(newest) - self._clock_s() * 1000
            self._service_ahead_ms = max(self._service_ahead_ms or ahead, ahead)


def _time(twin: Document) -> str:
    time: str = (twin.get("$metadata") or {}).get("$lastUpdateTime") or ""
    return time


def _comes_back(change: Change) -> bool:
    """Tell whether what was written is among the twins that changed, once queries see it."""
    return change.twin is not None and change.action is not Action.DELETE


def _stamp(time_ms: float) -> str:
    """Return a time as the service writes it, with seven digits, so that texts compare."""
    moment = datetime.fromtimestamp(max(time_ms, 0) / 1000, UTC).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='milliseconds')}0000Z"
