"""A stub a person controls while it runs: faults, request log, save and load, instances, TLS."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.digitaltwins.core import DigitalTwinsClient
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from sync_agent.cli.main import run
from sync_agent.stub.adt.faults import FaultProfile
from sync_agent.stub.certificate import made_in
from sync_agent.stub.server import InstanceOptions, StubOptions, StubServer
from tests.adt_clients import client_at
from tests.stubs import running_stub
from tests.unit.stub.adt.plane import MODELS, ROOM

ROOM_TWIN: dict[str, Any] = {"$metadata": {"$model": ROOM}, "thermostat": {"$metadata": {}}}
PATCH = [{"op": "add", "path": "/temperature", "value": 21.0}]


def client_of(url: str, **options: Any) -> AbstractContextManager[DigitalTwinsClient]:
    return client_at(url, **{"retry_total": 0, **options})


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with running_stub() as server, client_of(server.adt_url) as client:
        client.create_models(list(MODELS))
        client.upsert_digital_twin("a", ROOM_TWIN)
        yield server


def faults(stub: StubServer, folder: Path, text: str) -> None:
    path = folder / "faults.toml"
    path.write_text(text)
    assert run(["stub", "faults", str(path), "--url", stub.adt_url]) == 0


def test_a_connection_that_ends_before_the_commit_did_nothing(
    stub: StubServer, tmp_path: Path
) -> None:
    faults(stub, tmp_path, '[[fault]]\nkind = "reset-before"\noperations = ["patch"]\ntimes = 1\n')
    with client_of(stub.adt_url) as client:
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            client.update_digital_twin("a", PATCH)
        assert "temperature" not in client.get_digital_twin("a")
        client.update_digital_twin("a", PATCH)


def test_a_connection_that_ends_after_the_commit_did_it_all(
    stub: StubServer, tmp_path: Path
) -> None:
    faults(stub, tmp_path, '[[fault]]\nkind = "reset-after"\noperations = ["patch"]\ntimes = 1\n')
    with client_of(stub.adt_url) as client:
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            client.update_digital_twin("a", PATCH)
        assert client.get_digital_twin("a")["temperature"] == 21.0


def test_a_slow_answer_runs_into_the_client_s_patience(stub: StubServer, tmp_path: Path) -> None:
    text = '[[fault]]\nkind = "delay"\noperations = ["read"]\ndelay_s = 5\ntimes = 1\n'
    faults(stub, tmp_path, text)
    with client_of(stub.adt_url, read_timeout=0.2) as client:
        with pytest.raises(ServiceResponseError):
            client.get_digital_twin("a")
        assert client.get_digital_twin("a")["$dtId"] == "a"


def test_the_sdk_waits_as_long_as_a_429_asks_for(stub: StubServer, tmp_path: Path) -> None:
    text = '[[fault]]\nkind = "status"\noperations = ["read"]\nstatus = 429\nretry_after_s = 1\n'
    faults(stub, tmp_path, text + "times = 1\n")
    with client_of(stub.adt_url, retry_total=3) as client:
        assert client.get_digital_twin("a")["$dtId"] == "a"


def test_faults_are_shown_and_cleared(
    stub: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults(stub, tmp_path, "[limits]\nreads = 1\n")
    assert json.loads(capsys.readouterr().out)["limits"] == {"reads": 1}
    assert run(["stub", "faults", "--clear", "--url", stub.adt_url]) == 0
    assert json.loads(capsys.readouterr().out)["limits"] == {}


def test_a_profile_that_makes_no_sense_ends_with_1(
    stub: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faults.toml"
    path.write_text("[limits]\nwrites = 1\n")
    assert run(["stub", "faults", str(path), "--url", stub.adt_url]) == 1
    assert "limits.writes is none of" in capsys.readouterr().err


def test_requests_are_shown_with_what_they_would_cost(
    stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stub", "requests", "--url", stub.adt_url, "--reset"]) == 0
    shown = capsys.readouterr().out
    assert "DigitalTwins_Add" in shown
    assert "1 x 200" in shown
    assert "Billable:" in shown
    assert run(["stub", "requests", "--url", stub.adt_url, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["operations"] == {}


def test_save_and_load_bring_everything_back(stub: StubServer, tmp_path: Path) -> None:
    file = tmp_path / "twins.snapshot"
    assert run(["stub", "save", str(file), "--url", stub.adt_url]) == 0
    with client_of(stub.adt_url) as client:
        etag = client.get_digital_twin("a")["$etag"]
        client.delete_digital_twin("a")
        assert run(["stub", "load", str(file), "--url", stub.adt_url]) == 0
        assert client.get_digital_twin("a")["$etag"] == etag


def test_a_stub_that_is_not_there_is_an_error_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stub", "save", str(tmp_path / "f"), "--url", "http://127.0.0.1:1"]) == 1
    assert "does not answer" in capsys.readouterr().err
    assert run(["stub", "requests", "--url", "nonsense"]) == 1
    assert "is no address of a stub" in capsys.readouterr().err


def test_several_instances_have_twins_of_their_own(tmp_path: Path) -> None:
    options = StubOptions(data_dir=tmp_path, instances=(InstanceOptions("lab"),))
    with running_stub(options) as stub:
        urls = stub.instance_urls
        with client_of(urls[""]) as first, client_of(urls["lab"]) as second:
            first.create_models(list(MODELS))
            second.create_models(list(MODELS))
            second.upsert_digital_twin("only-here", ROOM_TWIN)
            assert list(first.query_twins("SELECT * FROM digitaltwins")) == []
            assert len(list(second.query_twins("SELECT * FROM digitaltwins"))) == 1
    assert (tmp_path / "adt-lab.db").exists()
    with running_stub(options) as stub, client_of(stub.instance_urls["lab"]) as again:
        assert again.get_digital_twin("only-here")["$dtId"] == "only-here"


def test_both_services_speak_tls_with_a_certificate_of_their_own(tmp_path: Path) -> None:
    certificate = made_in(tmp_path / "data")
    assert stat.S_IMODE(certificate.key.stat().st_mode) == 0o600
    assert made_in(tmp_path / "data") == certificate
    with running_stub(StubOptions(data_dir=tmp_path / "data", tls=certificate)) as stub:
        trusted = str(certificate.certificate)
        assert stub.adt_url.startswith("https://")
        with client_of(stub.adt_url, connection_verify=trusted) as client:
            client.create_models(list(MODELS))
            assert len(list(client.list_models())) == len(MODELS)
        with client_of(stub.adt_url) as client, pytest.raises(ServiceRequestError):
            list(client.list_models())
        connection = stub.event_hub_connection_string
        assert "UseDevelopmentEmulator" not in connection
        address = connection.split(";")[0].removeprefix("Endpoint=")
        sent_and_received(connection, connection_verify=trusted, custom_endpoint_address=address)
        code = run(["stub", "requests", "--url", stub.adt_url, "--certificate", trusted])
        assert code == 0


def sent_and_received(connection: str, **options: Any) -> None:
    names = {"eventhub_name": "telemetry", **options}
    with EventHubProducerClient.from_connection_string(connection, **names) as producer:
        producer.send_event(EventData("hello"), partition_id="0")
    found: list[str] = []
    consumer = EventHubConsumerClient.from_connection_string(connection, "$Default", **names)
    with consumer:

        def take(_: Any, event: EventData | None) -> None:
            if event is not None:
                found.append(event.body_as_str())
            consumer.close()

        consumer.receive(take, partition_id="0", starting_position="-1", max_wait_time=5)
    assert found == ["hello"]


def test_strict_limits_throttle_one_twin_at_ten_a_second() -> None:
    options = StubOptions(faults=FaultProfile(strict_limits=True))
    with running_stub(options) as stub, client_of(stub.adt_url) as client:
        client.create_models(list(MODELS))
        client.upsert_digital_twin("a", ROOM_TWIN)

        def patch_often() -> None:
            for _ in range(15):
                client.update_digital_twin("a", PATCH)

        with pytest.raises(HttpResponseError) as raised:
            patch_often()
    assert raised.value.status_code == 429
    assert raised.value.error is not None
    assert raised.value.error.code == "TooManyRequests"


def test_a_throttled_hub_tells_senders_it_is_busy(stub: StubServer, tmp_path: Path) -> None:
    faults(stub, tmp_path, "[event_hubs]\nthrottle_s = 60\n")
    connection = stub.event_hub_connection_string
    producer = EventHubProducerClient.from_connection_string(
        connection, eventhub_name="telemetry", retry_total=0
    )
    with producer, pytest.raises(EventHubError, match="throttled"):
        producer.send_event(EventData("x"))
    assert run(["stub", "faults", "--clear", "--url", stub.adt_url]) == 0
    sent_and_received(connection)


# The SDK leaves the socket of a connection that was cut to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("fault", "kept"), [("reset_before", 1), ("reset_after", 2)])
def test_a_batch_whose_answer_was_lost_is_there_twice_when_it_is_sent_again(
    stub: StubServer, tmp_path: Path, fault: str, kept: int
) -> None:
    faults(stub, tmp_path, f"[event_hubs]\n{fault} = 1\n")
    options: dict[str, Any] = {"eventhub_name": "telemetry", "retry_backoff_factor": 0.05}
    producer = EventHubProducerClient.from_connection_string(
        stub.event_hub_connection_string, **options
    )
    with producer:
        producer.send_event(EventData("x"), partition_id="0")
        last = producer.get_partition_properties("0")["last_enqueued_sequence_number"]
    assert last + 1 == kept


@pytest.mark.parametrize("fault", ["detach_links = true", "drop_connections = true"])
async def test_a_consumer_goes_on_after_its_link_or_connection_was_lost(
    stub: StubServer, tmp_path: Path, fault: str
) -> None:
    from azure.eventhub.aio import EventHubConsumerClient as Consumer

    found: list[str] = []
    connection = stub.event_hub_connection_string

    async def take(_: Any, event: EventData | None) -> None:
        assert event is not None
        found.append(event.body_as_str())

    def send(text: str) -> None:
        producer = EventHubProducerClient.from_connection_string(
            connection, eventhub_name="telemetry"
        )
        with producer:
            producer.send_event(EventData(text), partition_id="0")

    consumer = Consumer.from_connection_string(connection, "$Default", eventhub_name="telemetry")
    async with consumer:
        receiving = asyncio.create_task(
            consumer.receive(take, partition_id="0", starting_position="-1")
        )
        await asyncio.to_thread(send, "before")
        async with asyncio.timeout(20):
            while found != ["before"]:  # noqa: ASYNC110 - another client's state
                await asyncio.sleep(0.02)
        await asyncio.to_thread(faults, stub, tmp_path, f"[event_hubs]\n{fault}\n")
        await asyncio.to_thread(send, "after")
        async with asyncio.timeout(30):
            while found != ["before", "after"]:  # noqa: ASYNC110 - another client's state
                await asyncio.sleep(0.02)
        receiving.cancel()
