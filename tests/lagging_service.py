"""A twin service in memory that keeps time and whose queries lag, as the real one's do.

Reads by id are current; each query sees the graph as it was up to ``lag_s`` seconds ago, and how
long is drawn anew each time. Nothing passes time but ``wait``. ``asked`` counts requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from sync_agent.query.checks import check
from sync_agent.query.interpreter import run
from sync_agent.query.parser import parse
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document, Relationship, Twin
from tests.memory_service import MemoryService

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class LaggingService(MemoryService):
    """Twins with ``$lastUpdateTime`` by a clock of its own, ``ahead_s`` ahead of everybody's."""

    def __init__(
        self, models: Sequence[Document], *, lag_s: float, random: Random, ahead_s: float = 0.0
    ) -> None:
        super().__init__(models)
        self.now_s = 1_000.0
        self.lag_s = lag_s
        self.asked: Counter[str] = Counter()
        self._random = random
        self._ahead_s = ahead_s
        self._past: list[tuple[float, TwinGraph]] = [(0.0, TwinGraph())]

    def clock_s(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    async def get_twin(self, twin_id: str) -> Twin | None:
        self.asked["read"] += 1
        return await super().get_twin(twin_id)

    async def relationships_of(self, twin_id: str) -> AsyncIterator[Relationship]:
        self.asked["read"] += 1
        async for edge in super().relationships_of(twin_id):
            yield edge

    async def query(self, text: str) -> AsyncIterator[Document]:
        self.asked["query"] += 1
        query = parse(text)
        check(query)
        seen_s = self.now_s - self._random.uniform(0, self.lag_s)
        graph = next(graph for at_s, graph in reversed(self._past) if at_s <= seen_s)
        for row in list(run(query, graph, self.registry)):
            self.asked["row"] += 1
            yield dict(row)

    def keep(self) -> None:
        """Have the graph as it is now seen by later queries; every write does that by itself."""
        moment = EPOCH + timedelta(seconds=self.now_s + self._ahead_s)
        time = f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}0Z"
        before = self._past[-1][1]
        for twin in list(self.graph.twins()):
            known = before.twin(twin["$dtId"])
            if known is None or known["$etag"] != twin["$etag"]:
                metadata = {**twin["$metadata"], "$lastUpdateTime": time}
                self.graph.put_twin({**twin, "$metadata": metadata})
        self._past.append((self.now_s, TwinGraph(self.graph.twins(), self.graph.relationships())))

    def _after(self, operation: str, element: str) -> None:
        self.keep()
        super()._after(operation, element)
