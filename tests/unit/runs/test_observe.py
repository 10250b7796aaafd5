from collections.abc import AsyncIterator

import pytest

from sync_agent.query.parser import parse
from sync_agent.runs.observe import TEXT_CHARS_MAX, deployed_models, observe, quoted
from sync_agent.twins.twin import Document, Twin
from tests.memory_service import MemoryService
from tests.small_network import MODELS, SITE, SITES, mapped, records


class Counting(MemoryService):
    """Remembers the queries it was asked."""

    def __init__(self) -> None:
        super().__init__(MODELS)
        self.asked: list[str] = []

    async def query(self, text: str) -> AsyncIterator[Document]:
        self.asked.append(text)
        async for row in super().query(text):
            yield row


def site(id_: str, owner: str = "") -> Twin:
    tags = {"tags": {"managedBy": owner}} if owner else {}
    return Twin(id_, SITE, {"health": {"$metadata": {}}, **tags})


async def test_the_owners_twins_and_those_in_the_way_are_read_and_no_others() -> None:
    service = Counting()
    for twin in (site("S1"), site("S2", "inventory"), site("X"), site("Y", "other")):
        await service.put_twin(twin)
    graph = await observe(service, mapped().desired)
    assert {t["$dtId"] for t in graph.twins()} == {"S1", "S2"}


async def test_an_instance_without_others_costs_three_queries() -> None:
    service = Counting()
    await service.put_twin(site("S1", "inventory"))
    await observe(service, mapped().desired)
    assert len(service.asked) == 3


async def test_twins_in_the_way_are_found_however_many_there_are() -> None:
    service = Counting()
    rows = [{**SITES[0], "id": f"{'long' * 30}{n:03}"} for n in range(300)]
    for row in rows:
        await service.put_twin(site(row["id"]))
    for number in range(301):
        await service.put_twin(site(f"X{number}"))
    desired = mapped(records(sites=rows, routers=[], links=[])).desired
    assert len(desired.twins) == 300
    graph = await observe(service, desired)
    assert graph.twin_count == 300
    assert max(map(len, service.asked)) <= TEXT_CHARS_MAX


async def test_of_an_instance_with_few_twins_all_are_looked_through() -> None:
    service = Counting()
    rows = [{**SITES[0], "id": f"S{n}"} for n in range(1_000)]
    for twin in (site("S7"), site("X")):
        await service.put_twin(twin)
    graph = await observe(service, mapped(records(sites=rows, routers=[], links=[])).desired)
    assert [t["$dtId"] for t in graph.twins()] == ["S7"]
    assert len(service.asked) == 4


@pytest.mark.parametrize(("others", "named"), [(100, False), (500, True), (3_000, True)])
async def test_new_twins_are_looked_for_in_the_way_that_costs_less(
    others: int, named: bool
) -> None:
    service = Counting()
    rows = [{**SITES[0], "id": f"S{n}"} for n in range(1_000)]
    for twin in (site("S7"), *(site(f"X{n}") for n in range(others))):
        await service.put_twin(twin)
    graph = await observe(service, mapped(records(sites=rows, routers=[], links=[])).desired)
    assert [t["$dtId"] for t in graph.twins()] == ["S7"]
    assert (len(service.asked) > 4) is named


async def test_relationships_of_others_at_a_twin_that_is_to_go_are_read() -> None:
    service = Counting()
    for twin in (site("GONE", "inventory"), site("X")):
        await service.put_twin(twin)
    service.graph.put_relationship(
        {
            "$relationshipId": "theirs",
            "$sourceId": "X",
            "$relationshipName": "dependsOn",
            "$targetId": "GONE",
        }
    )
    graph = await observe(service, mapped().desired)
    assert [e["$relationshipId"] for e in graph.incoming("GONE")] == ["theirs"]


def test_quotes_and_backslashes_in_ids_are_escaped() -> None:
    id_ = r"a'b\c\'d"
    query = parse(f"SELECT * FROM digitaltwins T WHERE T.$dtId = {quoted(id_)}")
    assert repr(query.where).count(repr(id_)) == 1


async def test_deployed_models_are_read_into_a_registry() -> None:
    assert SITE in await deployed_models(MemoryService(MODELS))
