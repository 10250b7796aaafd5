"""What every twin service must keep: the adapter (over the stub) and the one in memory."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

import pytest
from msgspec.structs import replace

from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.errors import ConflictError, NotFoundError, PreconditionError, ServiceError
from sync_agent.ports.pace import Charge, Operation
from sync_agent.ports.twin_store import ModelStore, TwinReader, TwinWriter
from sync_agent.stub.adt.operation import OPERATIONS
from sync_agent.stub.server import StubServer
from sync_agent.twins.twin import Document, Relationship, Twin
from tests.memory_service import MemoryService
from tests.small_network import MODELS, SITE
from tests.stubs import running_stub


class Service(TwinReader, TwinWriter, ModelStore, Protocol):
    """All ports."""


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with running_stub() as server:
        yield server


@pytest.fixture(params=["memory", "adapter"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    if request.param == "memory":
        yield MemoryService(MODELS)
        return
    stub = request.getfixturevalue("stub")
    async with AzureTwinStore(stub.adt_url, credential_for("none"), retry_for_s=0) as store:
        if not [m async for m in store.list_models()]:
            await store.create_models(MODELS)
        async for edge in store.query("SELECT * FROM relationships"):
            await store.delete_relationship(edge["$sourceId"], edge["$relationshipId"])
        async for twin in store.query("SELECT * FROM digitaltwins"):
            await store.delete_twin(twin["$dtId"])
        yield store


def site(id_: str, **properties: Any) -> Twin:
    return Twin(id_, SITE, {"health": {"$metadata": {}}, **properties})


async def test_a_twin_comes_back_as_it_was_put(service: Service) -> None:
    await service.put_twin(site("S 1/ä", label="North", latitude=50.5))
    twin = await service.get_twin("S 1/ä")
    assert twin is not None
    assert (twin.id, twin.model) == ("S 1/ä", SITE)
    assert twin.properties["label"] == "North"
    assert twin.properties["latitude"] == 50.5
    assert twin.etag


async def test_a_twin_that_is_not_there_is_none(service: Service) -> None:
    assert await service.get_twin("S1") is None


async def test_put_replaces_unless_it_is_to_create(service: Service) -> None:
    await service.put_twin(site("S1", label="a", latitude=1))
    await service.put_twin(site("S1", label="b"))
    with pytest.raises(PreconditionError):
        await service.put_twin(site("S1", label="c"), only_if_absent=True)
    twin = await service.get_twin("S1")
    assert twin is not None
    assert twin.properties["label"] == "b"
    assert "latitude" not in twin.properties


async def test_a_patch_is_applied_whole_under_its_etag(service: Service) -> None:
    before = await service.put_twin(site("S1", label="a"))
    patch: list[Document] = [
        {"op": "add", "path": "/label", "value": "b"},
        {"op": "add", "path": "/health/score", "value": 5.5},
    ]
    await service.patch_twin("S1", patch, etag=before.etag)
    with pytest.raises(PreconditionError):
        await service.patch_twin("S1", patch, etag=before.etag)
    after = await service.get_twin("S1")
    assert after is not None
    assert after.etag != before.etag
    assert after.properties["label"] == "b"
    assert after.properties["health"]["score"] == 5.5


async def test_a_patch_of_a_twin_that_is_not_there_is_refused(service: Service) -> None:
    with pytest.raises(NotFoundError):
        await service.patch_twin("S1", [{"op": "add", "path": "/label", "value": "b"}])


async def test_a_twin_is_deleted_under_its_etag(service: Service) -> None:
    twin = await service.put_twin(site("S1"))
    await service.patch_twin("S1", [{"op": "add", "path": "/label", "value": "b"}])
    with pytest.raises(PreconditionError):
        await service.delete_twin("S1", etag=twin.etag)
    await service.delete_twin("S1")
    with pytest.raises(NotFoundError):
        await service.delete_twin("S1")


async def test_a_twin_with_relationships_is_not_deleted(service: Service) -> None:
    await service.put_twin(site("S1"))
    await service.put_twin(site("S2"))
    await service.put_relationship(Relationship("e", "S1", "dependsOn", "S2"))
    for end in ("S1", "S2"):
        with pytest.raises(ServiceError) as raised:
            await service.delete_twin(end)
        assert raised.value.code == "RelationshipsNotDeleted"


async def test_a_relationship_needs_both_of_its_ends(service: Service) -> None:
    await service.put_twin(site("S1"))
    for source, target in (("S1", "S9"), ("S9", "S1")):
        with pytest.raises(NotFoundError):
            await service.put_relationship(Relationship("e", source, "dependsOn", target))


async def test_a_relationship_is_created_patched_listed_and_deleted(service: Service) -> None:
    await service.put_twin(site("S1"))
    await service.put_twin(site("S2"))
    edge = Relationship("e 1", "S1", "dependsOn", "S2", {"weight": 1.5})
    made = await service.put_relationship(edge)
    assert replace(made, etag="") == edge
    with pytest.raises(PreconditionError):
        await service.put_relationship(edge, only_if_absent=True)
    weigh = [{"op": "add", "path": "/weight", "value": 2.5}]
    await service.patch_relationship("S1", "e 1", weigh, etag=made.etag)
    with pytest.raises(PreconditionError):
        await service.patch_relationship("S1", "e 1", weigh, etag=made.etag)
    (listed,) = [e async for e in service.relationships_of("S1")]
    assert listed.properties == {"weight": 2.5}
    with pytest.raises(PreconditionError):
        await service.delete_relationship("S1", "e 1", etag=made.etag)
    await service.delete_relationship("S1", "e 1", etag=listed.etag)
    with pytest.raises(NotFoundError):
        await service.delete_relationship("S1", "e 1")


async def test_all_rows_of_a_query_come_page_after_page(service: Service) -> None:
    for n in range(25):
        await service.put_twin(site(f"S{n:02}", latitude=n))
    rows = [r async for r in service.query("SELECT * FROM digitaltwins T WHERE T.latitude >= 5")]
    assert [row["$dtId"] for row in rows] == [f"S{n:02}" for n in range(5, 25)]
    counts = [r async for r in service.query("SELECT COUNT() FROM digitaltwins")]
    assert counts == [{"COUNT": 25}]


async def test_models_are_listed_with_their_documents_and_created_once(service: Service) -> None:
    listed = {m["id"]: m["model"] async for m in service.list_models()}
    assert {id_: listed[id_]["contents"] for id_ in listed} == {
        m["@id"]: m["contents"] for m in MODELS
    }
    with pytest.raises(ConflictError):
        await service.create_models(MODELS[:1])


async def test_a_model_is_decommissioned_and_deleted(service: Service) -> None:
    lone = {
        "@context": "dtmi:dtdl:context;3",
        "@id": "dtmi:test:Lone;1",
        "@type": "Interface",
        "contents": [],
    }
    await service.create_models([lone])
    await service.decommission_model("dtmi:test:Lone;1")
    await service.delete_model("dtmi:test:Lone;1")
    with pytest.raises(NotFoundError):
        await service.delete_model("dtmi:test:Lone;1")


class CountingGate:
    """Lets everything pass and notes it."""

    def __init__(self) -> None:
        self.turns: Counter[str] = Counter()
        self.units = 0.0

    def turn(
        self, operation: Operation, _twins: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Charge]:
        self.turns[operation.value] += 1
        return nullcontext(self.charge)

    def charge(self, units: float) -> None:
        self.units += units


def request_log(stub: StubServer) -> dict[str, Any]:
    with urllib.request.urlopen(f"{stub.adt_url}/stub/requests") as answer:
        log: dict[str, Any] = json.load(answer)
    return log


async def test_every_request_of_the_adapter_waits_for_a_turn_of_its_class() -> None:
    gate = CountingGate()
    edge = Relationship("e", "S1", "dependsOn", "S2")
    with running_stub() as stub:
        async with AzureTwinStore(stub.adt_url, credential_for("none"), retry_for_s=0) as service:
            store = service.paced(gate)
            await store.create_models(MODELS)
            for n in range(1, 14):  # relationships come ten a page
                await store.put_twin(site(f"S{n}"))
            await store.put_relationship(edge)
            for n in range(3, 14):
                await store.put_relationship(replace(edge, id=f"e{n}", target=f"S{n}"))
            assert len([e async for e in store.relationships_of("S1")]) == 12
            await store.patch_relationship(
                "S1", "e", [{"op": "add", "path": "/weight", "value": 1}]
            )
            await store.patch_twin("S1", [{"op": "add", "path": "/label", "value": "x"}])
            assert await store.get_twin("nobody") is None
            assert len([t async for t in store.query("SELECT * FROM digitaltwins")]) == 13
            await store.delete_relationship("S1", "e")
            await store.delete_twin("S2")
            await store.decommission_model(SITE)
            await store.delete_model(SITE)
            assert [m async for m in store.list_models()]
        log = await asyncio.to_thread(request_log, stub)
    classes = {operation.name: operation.quota.value for operation in OPERATIONS}
    asked: Counter[str] = Counter()
    for name, of in log["operations"].items():
        asked[classes[name]] += of["requests"]
    named = {"models": "model"}
    assert gate.turns == {named.get(kind, kind): count for kind, count in asked.items()}
    assert gate.units == pytest.approx(log["billed"]["queryUnits"])
