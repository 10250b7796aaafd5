"""What the fixtures do not show: laziness, sharing, and the cost of a search."""

from __future__ import annotations

from collections.abc import Iterator

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.query.interpreter import run
from sync_agent.query.parser import parse
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document


class CountingGraph(TwinGraph):
    """A graph that counts the twins whose edges are asked for."""

    asked = 0

    def outgoing(self, twin_id: str) -> Iterator[Document]:
        self.asked += 1
        return super().outgoing(twin_id)

    def incoming(self, twin_id: str) -> Iterator[Document]:
        self.asked += 1
        return super().incoming(twin_id)


def ring(size: int) -> CountingGraph:
    graph = CountingGraph()
    for number in range(size):
        graph.put_twin({"$dtId": f"n{number}", "$metadata": {"$model": "dtmi:n;1"}})
        graph.put_relationship(
            {
                "$relationshipId": "next",
                "$sourceId": f"n{number}",
                "$relationshipName": "next",
                "$targetId": f"n{(number + 1) % size}",
            }
        )
    return graph


def test_top_reads_no_further_than_it_must() -> None:
    graph = ring(5)
    rows = run(parse("SELECT TOP(1) FROM DIGITALTWINS"), graph, ModelRegistry())
    assert next(rows) is graph.twin("n0")
    assert list(rows) == []


def test_a_search_walks_from_the_twin_that_is_fixed_at_either_end() -> None:
    for fixed in ("a", "b"):
        graph = ring(1_000)
        text = f"SELECT a, b FROM DIGITALTWINS MATCH (a)-[*2]->(b) WHERE {fixed}.$dtId = 'n7'"
        assert len(list(run(parse(text), graph, ModelRegistry()))) == 1
        assert graph.asked == 2


def test_a_join_walks_from_the_twin_that_is_fixed() -> None:
    graph = ring(1_000)
    text = "SELECT b FROM DIGITALTWINS a JOIN b RELATED a.next WHERE a.$dtId = 'n7'"
    assert [row["b"]["$dtId"] for row in run(parse(text), graph, ModelRegistry())] == ["n8"]
    assert graph.asked == 1


def test_an_integer_no_double_holds_is_beyond_all_others() -> None:
    graph = TwinGraph([{"$dtId": "a", "p": 10**400, "$metadata": {"$model": "dtmi:n;1"}}])
    query = parse("SELECT $dtId FROM DIGITALTWINS WHERE p > 1e308")
    assert list(run(query, graph, ModelRegistry())) == [{"$dtId": "a"}]
