"""Event routes end to end: a change through the ADT SDK comes out of Event Hubs through its SDK."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from azure.digitaltwins.core import DigitalTwinsClient, DigitalTwinsEventRoute
from azure.eventhub import EventData, EventHubConsumerClient

from sync_agent.stub.server import StubOptions, StubServer
from tests.adt_clients import client_at
from tests.stubs import running_stub
from tests.unit.stub.adt.plane import MODELS, ROOM

WAIT_S = 20.0
ROOM_TWIN: dict[str, Any] = {
    "$metadata": {"$model": ROOM},
    "thermostat": {"$metadata": {}},
    "temperature": 20.0,
}


def client_of(stub: StubServer) -> AbstractContextManager[DigitalTwinsClient]:
    return client_at(stub.adt_url)


def received(stub: StubServer, count: int, hub: str = "telemetry") -> list[EventData]:
    """Return so many events of a hub from its beginning, in order of enqueueing."""
    events: list[EventData] = []
    consumer = EventHubConsumerClient.from_connection_string(
        f"{stub.event_hub_connection_string};EntityPath={hub}", "$Default"
    )
    with consumer:

        def take(_: Any, event: EventData | None) -> None:
            if event is not None:
                events.append(event)
            if len(events) >= count or time.monotonic() > end:
                consumer.close()

        end = time.monotonic() + WAIT_S
        consumer.receive(take, starting_position="-1", max_wait_time=0.2)
    return sorted(events, key=lambda e: (e.enqueued_time, e.sequence_number))


def property_of(event: EventData, name: str) -> str:
    value = event.properties[f"cloudEvents:{name}".encode()]
    return value.decode() if isinstance(value, bytes) else str(value)


def test_a_change_comes_out_as_the_service_s_cloud_event(tmp_path: Path) -> None:
    with running_stub(StubOptions(data_dir=tmp_path)) as stub, client_of(stub) as client:
        client.create_models(list(MODELS))
        route = DigitalTwinsEventRoute(endpoint_name="telemetry", filter="true")
        client.upsert_event_route("all", route)
        client.upsert_digital_twin("room1", ROOM_TWIN)
        patch = [{"op": "replace", "path": "/temperature", "value": 21.0}]
        client.update_digital_twin("room1", patch)
        client.publish_telemetry("room1", {"humidity": 5}, message_id="m1")
        events = received(stub, 3)
    kinds = [property_of(event, "type") for event in events]
    assert kinds == [
        "Microsoft.DigitalTwins.Twin.Create",
        "Microsoft.DigitalTwins.Twin.Update",
        "microsoft.iot.telemetry",
    ]
    assert len({event.partition_key for event in events}) == 1
    made = json.loads(events[0].body_as_str())
    assert (made["$dtId"], made["temperature"]) == ("room1", 20.0)
    assert made["$metadata"]["$model"] == ROOM
    assert json.loads(events[1].body_as_str()) == {
        "modelId": ROOM,
        "patch": [{"value": 21.0, "path": "/temperature", "op": "replace"}],
    }
    assert property_of(events[1], "subject") == "room1"
    assert property_of(events[1], "source") == stub.adt_url.removeprefix("http://")
    assert property_of(events[1], "time").endswith("Z")
    assert events[1].content_type == "application/json"
    assert json.loads(events[2].body_as_str()) == {"humidity": 5}
    assert property_of(events[2], "id") == "m1"


def test_what_waited_when_the_stub_was_killed_is_delivered_after(tmp_path: Path) -> None:
    options = StubOptions(data_dir=tmp_path)
    with running_stub(options) as stub, client_of(stub) as client:
        client.create_models(list(MODELS))
        route = DigitalTwinsEventRoute(endpoint_name="telemetry", filter="true")
        client.upsert_event_route("all", route)
    from sync_agent.stub.adt.routes import Notifier
    from sync_agent.stub.adt.store import TwinDb

    db = TwinDb(tmp_path / "adt.db")
    with db.writing():
        Notifier(db, {"telemetry": "telemetry"}, "host").came(
            {"$dtId": "left", "$metadata": {"$model": ROOM}}
        )
    db.close()
    with running_stub(options) as stub:
        (event,) = received(stub, 1)
    assert json.loads(event.body_as_str())["$dtId"] == "left"


def test_an_endpoint_may_have_a_name_of_its_own() -> None:
    from sync_agent.stub.amqp.broker import HubOptions

    hubs = (HubOptions("telemetry"), HubOptions("changes"))
    options = StubOptions(hubs=hubs, endpoints={"to-changes": "changes"})
    with running_stub(options) as stub, client_of(stub) as client:
        client.create_models(list(MODELS))
        route = DigitalTwinsEventRoute(endpoint_name="to-changes", filter="true")
        client.upsert_event_route("r", route)
        client.upsert_digital_twin("room1", ROOM_TWIN)
        (event,) = received(stub, 1, hub="changes")
    assert property_of(event, "subject") == "room1"
