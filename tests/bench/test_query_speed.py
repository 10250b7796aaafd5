"""Queries over 20,000 twins and 40,000 relationships: reading the text, and both executors.

``first page`` is 100 rows from the stub's store, decoded and shaped; ``whole`` all rows from the
reference interpreter.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.query.checks import check
from sync_agent.query.interpreter import run
from sync_agent.query.parser import parse
from sync_agent.stub.adt.lowering import lower
from sync_agent.stub.adt.store import TwinDb
from sync_agent.twins.graph import TwinGraph
from tests.unit.query.executors import model, store_of

TWINS = 20_000
KINDS = ("Router", "Link", "Cell", "Cell")
MODELS = [
    model("dtmi:t:Node;1"),
    model("dtmi:t:Router;1", "dtmi:t:Node;1"),
    model("dtmi:t:Link;1"),
    model("dtmi:t:Cell;1"),
]
HUNDRED = ", ".join(f"'e{number:05}'" for number in range(100))
QUERIES = {
    "by id": "SELECT * FROM DIGITALTWINS WHERE $dtId = 'e00077'",
    "by component": "SELECT * FROM DIGITALTWINS T WHERE T.health.state IN ['degraded', 'down']",
    "by prefix": "SELECT T.$dtId FROM DIGITALTWINS T WHERE STARTSWITH(T.name, 'Element 77')",
    "count of a model": "SELECT COUNT() FROM DIGITALTWINS T WHERE T.health.score < 50"
    " AND IS_OF_MODEL('dtmi:t:Node;1')",
    "edges of 100 twins": f"SELECT * FROM RELATIONSHIPS r WHERE r.$sourceId IN [{HUNDRED}]",
    "join": "SELECT A FROM DIGITALTWINS A JOIN B RELATED A.dependsOn JOIN C RELATED B.connects"
    " WHERE C.$dtId = 'e00077'",
    "match 1 to 5 hops": "SELECT b.$dtId FROM DIGITALTWINS MATCH (a)-[:dependsOn*..5]->(b)"
    " WHERE a.$dtId = 'e00077'",
    "match 1 to 4 hops, both ways": "SELECT b.$dtId FROM DIGITALTWINS MATCH (a)-[*..4]-(b)"
    " WHERE a.$dtId = 'e00077' AND b.health.score < 10",
}

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]
by_query = pytest.mark.parametrize("text", QUERIES.values(), ids=QUERIES.keys())


@pytest.fixture(scope="module")
def graph() -> TwinGraph:
    chance = random.Random(7)
    graph = TwinGraph()
    for number in range(TWINS):
        score = chance.uniform(0, 100)
        state = "degraded" if score < 3 else "healthy"
        graph.put_twin(
            {
                "$dtId": f"e{number:05}",
                "name": f"Element {number}",
                "rslDbm": -40 - score / 10,
                "frequency": 23.1,
                "health": {"score": score, "state": state, "explanation": "x" * 60},
                "$metadata": {
                    "$model": f"dtmi:t:{KINDS[number % 4]};1",
                    "rslDbm": {"lastUpdateTime": "2026-01-01T00:00:00.0000000Z"},
                },
            }
        )
    for number in range(2 * TWINS):
        graph.put_relationship(
            {
                "$relationshipId": f"r{number}",
                "$sourceId": f"e{chance.randrange(TWINS):05}",
                "$relationshipName": chance.choice(["dependsOn", "connects"]),
                "$targetId": f"e{chance.randrange(TWINS):05}",
            }
        )
    return graph


@pytest.fixture(scope="module")
def db(graph: TwinGraph) -> Any:
    db = store_of(graph, MODELS)
    yield db
    db.close()


@by_query
def test_reading_and_checking_the_text(benchmark: Any, text: str) -> None:
    benchmark(lambda: check(parse(text)))


@by_query
def test_first_page_from_the_store(benchmark: Any, db: TwinDb, text: str) -> None:
    query = parse(text)

    def first_page() -> list[Any]:
        lowered = lower(query, db.models_of)
        return [lowered.row(row) for row in db.select(*lowered.page(100))]

    benchmark.pedantic(first_page, rounds=20, warmup_rounds=2)


@by_query
def test_whole_answer_from_the_interpreter(benchmark: Any, graph: TwinGraph, text: str) -> None:
    query, models = parse(text), ModelRegistry(parse_models(MODELS).interfaces)
    benchmark.pedantic(lambda: list(run(query, graph, models)), rounds=3)
