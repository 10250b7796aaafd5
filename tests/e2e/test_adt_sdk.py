"""The unmodified azure-digitaltwins-core, synchronous and asynchronous, against the stub."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.digitaltwins.core import DigitalTwinsClient, DigitalTwinsEventRoute
from azure.digitaltwins.core.aio import DigitalTwinsClient as AsyncDigitalTwinsClient

from sync_agent.stub.server import StubOptions, StubServer
from tests.adt_clients import FixedCredential, NoCredential, OverHttp, client_at
from tests.stubs import running_stub
from tests.unit.stub.adt.plane import MODELS, ROOM

TWIN: dict[str, Any] = {"$metadata": {"$model": ROOM}, "thermostat": {"$metadata": {}}}
ONTOLOGY = Path(__file__).resolve().parents[2] / "dtdl_models"


def client_of(stub: StubServer, policy: Any = None) -> AbstractContextManager[DigitalTwinsClient]:
    return client_at(stub.adt_url, policy)


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with running_stub() as server, client_of(server) as client:
        client.create_models(list(MODELS))
        yield server


@pytest.fixture
def client(stub: StubServer) -> Iterator[DigitalTwinsClient]:
    with client_of(stub) as client:
        yield client


@pytest.fixture
def twin_id(client: DigitalTwinsClient) -> str:
    identifier = f"room {uuid.uuid4()}/1"
    client.upsert_digital_twin(identifier, {**TWIN, "temperature": 20})
    return identifier


def test_a_twin_lives_its_life(client: DigitalTwinsClient, twin_id: str) -> None:
    patch = [{"op": "replace", "path": "/temperature", "value": 21}]
    client.update_digital_twin(twin_id, patch)
    found = client.get_digital_twin(twin_id)
    assert (found["$dtId"], found["temperature"]) == (twin_id, 21)
    client.delete_digital_twin(twin_id)
    with pytest.raises(ResourceNotFoundError) as caught:
        client.get_digital_twin(twin_id)
    assert "DigitalTwinNotFound" in str(caught.value)


def test_conditions_become_the_sdk_s_errors(client: DigitalTwinsClient, twin_id: str) -> None:
    etag = client.get_digital_twin(twin_id)["$etag"]
    with pytest.raises(ResourceExistsError):
        client.upsert_digital_twin(twin_id, TWIN, match_condition=MatchConditions.IfMissing)
    client.update_digital_twin(
        twin_id, [], etag=etag, match_condition=MatchConditions.IfNotModified
    )
    with pytest.raises(ResourceModifiedError):
        client.delete_digital_twin(
            twin_id, etag=etag, match_condition=MatchConditions.IfNotModified
        )
    client.delete_digital_twin(twin_id, match_condition=MatchConditions.IfPresent)


def test_a_component_is_read_and_patched(client: DigitalTwinsClient, twin_id: str) -> None:
    patch = [{"op": "add", "path": "/setPoint", "value": 19.5}]
    client.update_component(twin_id, "thermostat", patch)
    assert client.get_component(twin_id, "thermostat")["setPoint"] == 19.5
    with pytest.raises(ResourceNotFoundError, match="ComponentNotFound"):
        client.get_component(twin_id, "heater")


def test_relationships_are_made_listed_from_both_ends_and_deleted(
    client: DigitalTwinsClient, twin_id: str
) -> None:
    names = [f"to {number}" for number in range(12)]
    for name in names:
        target = f"{twin_id} {name}"
        client.upsert_digital_twin(target, TWIN)
        edge: dict[str, object] = {"$relationshipName": "next", "$targetId": target}
        client.upsert_relationship(twin_id, name, {**edge, "door": "north"})
    client.update_relationship(
        twin_id, "to 3", [{"op": "replace", "path": "/door", "value": "south"}]
    )
    assert client.get_relationship(twin_id, "to 3")["door"] == "south"
    assert [e["$relationshipId"] for e in client.list_relationships(twin_id)] == names
    assert not list(client.list_relationships(twin_id, "in"))
    (incoming,) = client.list_incoming_relationships(f"{twin_id} to 5")
    assert (incoming.source_id, incoming.relationship_id) == (twin_id, "to 5")
    with pytest.raises(HttpResponseError, match="RelationshipsNotDeleted"):
        client.delete_digital_twin(twin_id)
    for name in names:
        client.delete_relationship(twin_id, name)
    client.delete_digital_twin(twin_id)


def test_models_are_listed_decommissioned_and_deleted(client: DigitalTwinsClient) -> None:
    model = {**MODELS[1], "@id": "dtmi:t:Short;1", "description": "not for long"}
    (created,) = client.create_models([model])
    assert (created.id, created.decommissioned) == ("dtmi:t:Short;1", False)
    assert "dtmi:t:Short;1" in [m.id for m in client.list_models()]
    assert [m.id for m in client.list_models([ROOM])] == [
        "dtmi:t:Thermostat;1",
        "dtmi:t:Space;1",
        ROOM,
    ]
    assert client.get_model("dtmi:t:Short;1", include_model_definition=True).model == model
    client.decommission_model("dtmi:t:Short;1")
    assert client.get_model("dtmi:t:Short;1").decommissioned is True
    with pytest.raises(ResourceExistsError, match="ModelIdAlreadyExists"):
        client.create_models([model])
    client.delete_model("dtmi:t:Short;1")
    with pytest.raises(ResourceExistsError, match="ModelReferencesNotDeleted"):
        client.delete_model("dtmi:t:Space;1")


def test_a_query_is_followed_through_its_pages(client: DigitalTwinsClient, twin_id: str) -> None:
    for number in range(23):
        client.upsert_digital_twin(f"{twin_id}-{number:02}", {**TWIN, "temperature": 1000 + number})
    text = f"SELECT * FROM digitaltwins T WHERE STARTSWITH(T.$dtId, '{twin_id}-')"
    rows = list(client.query_twins(text, headers={"max-items-per-page": "5"}))
    assert [row["temperature"] for row in rows] == [1000 + number for number in range(23)]
    with pytest.raises(HttpResponseError, match="SqlQueryError"):
        list(client.query_twins("foo"))


def test_telemetry_is_taken(client: DigitalTwinsClient, twin_id: str) -> None:
    client.publish_telemetry(twin_id, {"humidity": 40})
    client.publish_component_telemetry(twin_id, "thermostat", {"x": 1}, message_id="m1")
    with pytest.raises(ResourceNotFoundError):
        client.publish_telemetry("nobody", {})


def test_event_routes_come_and_go(client: DigitalTwinsClient) -> None:
    route = DigitalTwinsEventRoute(endpoint_name="telemetry", filter="true")
    client.upsert_event_route("r1", route)
    assert client.get_event_route("r1").endpoint_name == "telemetry"
    assert [route.id for route in client.list_event_routes()] == ["r1"]
    client.delete_event_route("r1")
    with pytest.raises(ResourceNotFoundError):
        client.get_event_route("r1")


def test_jobs_are_followed_by_the_sdk_s_own_layer() -> None:
    with running_stub() as server, client_of(server) as client:
        client.create_models(list(MODELS))
        jobs: Any = client._client  # the SDK has no public layer for jobs
        body = {
            "inputBlobUri": "https://far.example/c/in",
            "outputBlobUri": "https://far.example/c/o",
        }
        assert jobs.import_jobs.add("j", body).status == "notstarted"
        assert jobs.import_jobs.cancel("j").status == "cancelled"
        assert [job.id for job in jobs.import_jobs.list()] == ["j"]
        jobs.import_jobs.delete("j")
        with pytest.raises(ResourceNotFoundError, match="JobNotFound"):
            jobs.import_jobs.get_by_id("j")
        done = jobs.delete_jobs.begin_add(polling_interval=0.01).result()
        assert done.status == "succeeded"
        assert [job.id for job in jobs.delete_jobs.list()] == [done.id]
        assert list(client.list_models()) == []


def test_an_upload_of_the_whole_ontology_is_taken(tmp_path: Path) -> None:
    documents = [json.loads(file.read_text()) for file in sorted(ONTOLOGY.rglob("*.json"))]
    with running_stub(StubOptions(data_dir=tmp_path)) as server, client_of(server) as client:
        assert len(client.create_models(documents)) == len(documents) > 60


@pytest.mark.parametrize(("token", "welcome"), [("s3cret", True), ("wrong", False)])
def test_a_stub_with_a_token_takes_no_other(token: str, welcome: bool) -> None:
    with running_stub(StubOptions(token="s3cret", keys={"k": "s3cret"})) as server:
        policy = OverHttp(FixedCredential(token), "https://digitaltwins.azure.net/.default")
        with client_of(server, policy) as client:
            if welcome:
                assert list(client.list_models()) == []
            else:
                with pytest.raises(ClientAuthenticationError):
                    list(client.list_models())


async def test_the_asynchronous_client_lives_the_same_life(stub: StubServer) -> None:
    policy: SansIOHTTPPolicy[Any, Any] = SansIOHTTPPolicy()
    credential: Any = NoCredential()
    first, second = f"a {uuid.uuid4()}", f"b {uuid.uuid4()}"
    async with AsyncDigitalTwinsClient(
        stub.adt_url, credential, authentication_policy=policy
    ) as client:
        for name in (first, second):
            await client.upsert_digital_twin(name, {**TWIN, "temperature": 7})
        edge: dict[str, object] = {"$relationshipName": "next", "$targetId": second}
        await client.upsert_relationship(first, "r", edge)
        edges = [edge async for edge in client.list_relationships(first)]
        assert [edge["$targetId"] for edge in edges] == [second]
        text = f"SELECT B FROM DIGITALTWINS A JOIN B RELATED A.next WHERE A.$dtId = '{first}'"
        rows: list[Any] = [row async for row in client.query_twins(text)]
        assert rows[0]["B"]["$dtId"] == second
        await client.update_digital_twin(
            first,
            [
                {
                    "op": "add",
                    "path": "/$metadata/temperature/sourceTime",
                    "value": "2026-01-01T00:00:00Z",
                }
            ],
        )
        found: Any = await client.get_digital_twin(first)
        assert found["$metadata"]["temperature"]["sourceTime"] == "2026-01-01T00:00:00Z"
        await client.delete_relationship(first, "r")
        await client.delete_digital_twin(first)
        with pytest.raises(ResourceNotFoundError):
            await client.get_digital_twin(first)
