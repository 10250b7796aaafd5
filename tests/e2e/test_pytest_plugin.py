"""The fixtures as another project has them: its own folder, its own pytest, unmodified SDKs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import asyncio
import pytest
from azure.core.exceptions import HttpResponseError
from azure.digitaltwins.core import DigitalTwinsEventRoute
from azure.eventhub import EventData

MODEL = {"@id": "dtmi:x:A;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2",
         "contents": [{"@type": "Property", "name": "p", "schema": "double"}]}
TWIN = {"$metadata": {"$model": "dtmi:x:A;1"}}

def put(stub):
    client = stub.client()
    client.create_models([dict(MODEL)])
    client.upsert_digital_twin("a", dict(TWIN))
    return client

def first(hub):
    found = []
    with hub.consumer() as consumer:
        def take(context, event):
            if event is not None:
                found.append(event)
                consumer.close()
        consumer.receive(take, starting_position="-1", max_wait_time=5)
    return found[0]

def test_twins(adt_stub):
    assert put(adt_stub).get_digital_twin("a")["$dtId"] == "a"
    assert adt_stub.requests()["operations"]["DigitalTwins_Add"]["requests"] == 1

def test_each_test_has_a_stub_of_its_own(adt_stub):
    assert list(adt_stub.client().list_models()) == []

def test_events(event_hub_stub):
    with event_hub_stub.producer() as producer:
        producer.send_event(EventData("hello"), partition_id="0")
    assert first(event_hub_stub).body_as_str() == "hello"

def test_both_are_one_stub(adt_stub, event_hub_stub):
    client = adt_stub.client()
    client.create_models([dict(MODEL)])
    route = DigitalTwinsEventRoute(endpoint_name=event_hub_stub.hub, filter="true")
    client.upsert_event_route("r", route)
    client.upsert_digital_twin("a", dict(TWIN))
    assert first(event_hub_stub).properties[b"cloudEvents:subject"] == b"a"

def test_faults(adt_stub):
    client = put(adt_stub)
    adt_stub.set_faults({"fault": [{"kind": "status", "status": 418, "operations": ["read"]}]})
    with pytest.raises(HttpResponseError) as raised:
        client.get_digital_twin("a")
    assert raised.value.status_code == 418
    adt_stub.set_faults()
    assert client.get_digital_twin("a")["$dtId"] == "a"

def test_from_a_coroutine(adt_stub):
    async def work():
        return await asyncio.to_thread(put, adt_stub)
    asyncio.run(work())
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )


def test_another_project_s_tests_pass_on_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(TESTS)
    done = run_pytest(tmp_path, "-W", "error::pytest.PytestUnhandledThreadExceptionWarning")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_a_project_that_uses_none_of_it_loads_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "import sys\ndef test_it():\n"
        "    assert not {'apsw', 'azure.eventhub', 'uvicorn'} & sys.modules.keys()\n"
    )
    done = run_pytest(tmp_path, "-p", "no:schemathesis")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_fixtures_say_what_they_are(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "--fixtures", "-v")
    assert "adt_stub" in done.stdout
    assert "An empty Azure Digital Twins instance for one test." in done.stdout


@pytest.mark.parametrize("name", ["adt_stub", "event_hub_stub"])
def test_the_fixtures_are_here_as_well(request: pytest.FixtureRequest, name: str) -> None:
    assert request.getfixturevalue(name)
