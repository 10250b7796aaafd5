"""The twins of another instance as records, by its queries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from sync_agent.errors import ServiceError, UnavailableError
from sync_agent.inventory.record import SourceRead
from sync_agent.ports.twin_store import TwinReader
from sync_agent.sources.twin_instance import TwinInstanceSource
from sync_agent.twins.twin import Document, Relationship, Twin
from tests.memory_service import MemoryService
from tests.small_network import ELEMENT, MODELS, ROUTER, SITE

PLACE = "https://lab.example"


async def laboratory() -> MemoryService:
    """Return an instance with a site and two routers in it."""
    service = MemoryService(MODELS)
    await service.put_twin(Twin("S1", SITE, {"label": "North", "health": {"score": 5.0}}))
    for name in ("R1", "R2"):
        await service.put_twin(Twin(name, ROUTER, {"label": name}))
        await service.put_relationship(Relationship("in", name, "locatedIn", "S1", {}))
    return service


class Failing:
    """An instance that breaks off queries with a word in them, at once or after their first row."""

    def __init__(self, service: MemoryService, failing: str, *, at_once: bool = False) -> None:
        self._service = service
        self._failing = failing
        self._at_once = at_once

    async def query(self, text: str) -> AsyncIterator[Document]:
        async for row in self._service.query(text):
            if not self._at_once:
                yield row
            if self._failing in text:
                raise UnavailableError("it failed (503)", status=503)


def source_of(service: object, records_max: int = 100) -> TwinInstanceSource:
    @asynccontextmanager
    async def connect() -> AsyncIterator[TwinReader]:
        yield service  # type: ignore[misc]

    return TwinInstanceSource(connect, PLACE, records_max=records_max)


async def read(service: object, *scopes: str, records_max: int = 100) -> SourceRead:
    return await source_of(service, records_max).read(scopes)


def ids(found: SourceRead) -> Sequence[str]:
    return [record.id for record in found.records]


async def test_a_model_gives_its_twins_and_not_those_of_models_built_on_it() -> None:
    found = await read(await laboratory(), SITE, ELEMENT)
    (site,) = found.records
    assert site.attributes["$id"] == "S1"
    assert site.attributes["$model"] == SITE
    assert site.attributes["health.score"] == 5.0
    assert site.place == f"{PLACE}: S1"
    assert [stated.complete for stated in found.coverage] == [True, True]


async def test_a_name_gives_the_relationships_of_that_name() -> None:
    found = await read(await laboratory(), "locatedIn")
    assert [(r.attributes["$source"], r.attributes["$target"]) for r in found.records] == [
        ("R1", "S1"),
        ("R2", "S1"),
    ]
    assert ids(found) == ["R1/in", "R2/in"]


async def test_a_name_with_quotes_finds_nothing_and_breaks_nothing() -> None:
    assert ids(await read(await laboratory(), "x' OR '1' = '1")) == []


async def test_a_query_that_breaks_off_leaves_its_scope_incomplete() -> None:
    found = await read(Failing(await laboratory(), "Router"), ROUTER, SITE)
    assert ids(found) == ["R1", "S1"]
    assert [stated.complete for stated in found.coverage] == [False, True]
    (fault,) = found.diagnostics
    assert "503" in fault.message
    assert fault.remedy


async def test_more_twins_than_allowed_are_not_read_whole() -> None:
    found = await read(await laboratory(), ROUTER, records_max=1)
    assert not found.coverage[0].complete
    assert found.diagnostics[0].remedy == "raise records_max"


async def test_an_instance_that_refuses_everything_is_an_error() -> None:
    with pytest.raises(ServiceError):
        await read(Failing(await laboratory(), "", at_once=True), SITE)


async def test_check_counts_the_twins() -> None:
    assert await source_of(await laboratory()).check() == f"3 twins at {PLACE}"


async def test_the_digest_is_that_of_the_content() -> None:
    service = await laboratory()
    one = await read(service, SITE, ROUTER)
    assert (await read(service, SITE, ROUTER)).digest == one.digest
    await service.put_twin(Twin("R3", ROUTER, {}))
    assert (await read(service, SITE, ROUTER)).digest != one.digest
