"""The agent as a process: it drains, it survives a kill, and it says what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sync_agent.agent.state import StateStore
from sync_agent.azure.hub_address import HubAddress
from sync_agent.azure.hub_sender import HubSender
from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.errors import StoreError
from sync_agent.ports.events import OutgoingEvent
from sync_agent.stub.amqp.broker import HubOptions
from sync_agent.stub.server import StubOptions, StubServer
from sync_agent.telemetry.tally import Tally
from sync_agent.twins.twin import Twin
from tests.stubs import running_stub
from tests.unit.agent.test_telemetry_stage import BINDINGS, LINK, MODELS, PROFILES

HUB = "telemetry"
WAIT_S = 30.0
MINUTE = 60_000
FLAGS = """
[[flag]]
name = "degraded"
query = "SELECT * FROM digitaltwins T WHERE T.health.state IN ['degraded', 'critical']"
"""

T = TypeVar("T")


@dataclass
class Place:
    """A stub with one link in it, and a settings file that leads the agent to it."""

    stub: StubServer
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "sync-agent.toml"

    def write(self, **changes: dict[str, Any]) -> None:
        (self.folder / "bindings.toml").write_text(BINDINGS)
        (self.folder / "health.toml").write_text(PROFILES)
        (self.folder / "flags.toml").write_text(FLAGS)
        sections: dict[str, dict[str, Any]] = {
            "adt": {"url": self.stub.adt_url, "auth": "none"},
            "event_hub": {
                "connection_string": self.stub.event_hub_connection_string,
                "name": HUB,
            },
            "state": {"path": "state.db"},
            "telemetry": {"bindings": "bindings.toml", "batch_max_wait_s": 0.2},
            "health": {"profiles": "health.toml", "interval_s": 0.2, "idle_close_s": 1},
            "flags": {"queries": "flags.toml", "interval_s": 0.3},
            "limits": {"retry_for_s": 2},
        }
        for name, section in changes.items():
            sections[name] |= section
        text = ""
        for name, section in sections.items():
            text += f"[{name}]\n"
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())
        self.config.write_text(text)

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sync_agent", "--config", str(self.config), "run"],
            stderr=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("SYNC_AGENT")},
        )

    def state(self) -> StateStore:
        return StateStore(self.folder / "state.db", readonly=True)

    def tally(self) -> Tally:
        try:
            with self.state() as state:
                return state.tally()
        except StoreError:
            return Tally()

    def send(self, *rows: dict[str, Any], body: bytes | None = None) -> None:
        async def work() -> None:
            address = HubAddress(self.stub.event_hub_connection_string, name=HUB)
            sender = HubSender(address, retry_for_s=5)
            data = body or json.dumps(list(rows)).encode()
            try:
                await sender.send([OutgoingEvent(data, "L1")])
            finally:
                await sender.close()

        asyncio.run(work())

    def with_twins(self, work: Callable[[AzureTwinStore], Awaitable[T]]) -> T:
        async def run() -> T:
            credential = credential_for("none")
            async with AzureTwinStore(self.stub.adt_url, credential, retry_for_s=5) as store:
                return await work(store)

        return asyncio.run(run())

    def twin(self) -> Twin:
        twin = self.with_twins(lambda store: store.get_twin("L1"))
        assert twin is not None
        return twin

    def seed(self) -> None:
        """Put the models and one link there."""

        async def work(store: AzureTwinStore) -> None:
            models = [
                MODELS[0],
                {
                    **MODELS[1],
                    "contents": [
                        {"@type": "Property", "name": name, "schema": schema}
                        for name, schema in {
                            "state": "string",
                            "score": "double",
                            "worstKpi": "string",
                            "worstKpiScore": "double",
                            "explanation": "string",
                            "dataCoveragePct": "double",
                            "stateSince": "dateTime",
                            "computedAt": "dateTime",
                            "profileVersion": "string",
                        }.items()
                    ],
                },
            ]
            await store.create_models(models)
            await store.put_twin(
                Twin("L1", LINK, {"nominalRslDbm": -40.0, "health": {"$metadata": {}}})
            )

        self.with_twins(work)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with running_stub(StubOptions(hubs=(HubOptions(HUB, 2),))) as stub:
        place = Place(stub, tmp_path)
        place.write()
        place.seed()
        yield place


def row(minute: int, value: object, element: str = "L1") -> dict[str, Any]:
    return {"element": element, "time": minute * MINUTE, "values": {"rsl": value}}


def until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=WAIT_S)
    return process.returncode, errors


def test_telemetry_becomes_values_health_and_a_flag_raised_once_and_cleared_once(
    place: Place,
) -> None:
    agent = place.start()
    levels = [-40.0, -52.0, -52.0]
    place.send(*(row(minute, level) for minute, level in enumerate(levels)))
    until(lambda: place.twin().properties["health"].get("state") == "degraded", agent)
    assert place.twin().properties["rslDbm"] == -52.0
    assert place.twin().metadata["rslDbm"]["sourceTime"] == "1970-01-01T00:02:00Z"

    def flags() -> list[str]:
        with place.state() as state:
            return [event.kind for event in state.flag_events("degraded")]

    until(lambda: flags() == ["entered"], agent)
    place.send(*(row(minute, -40.0) for minute in range(3, 7)))
    until(lambda: flags() == ["entered", "left"], agent)
    agent.send_signal(signal.SIGTERM)
    assert ended(agent)[0] == 0
    assert flags() == ["entered", "left"]


def test_sigterm_stores_positions_and_the_next_life_reads_nothing_twice(place: Place) -> None:
    agent = place.start()
    place.send(row(0, -40.0), row(1, -41.0))
    until(lambda: place.tally().rows == 2, agent)
    agent.send_signal(signal.SIGTERM)
    assert ended(agent)[0] == 0
    place.send(row(2, -42.0))
    again = place.start()
    until(lambda: place.tally().rows == 3, again)
    again.send_signal(signal.SIGTERM)
    assert ended(again)[0] == 0
    assert place.tally().rows == 3
    assert place.twin().properties["rslDbm"] == -42.0


def test_a_killed_agent_goes_on_where_it_was_and_counts_nothing_twice(place: Place) -> None:
    total = 0
    for life in range(3):
        agent = place.start()
        place.send(*(row(life * 10 + minute, -40.0 - minute) for minute in range(10)))
        total += 10
        time.sleep(0.5 + 0.4 * life)
        agent.kill()
        ended(agent)
    agent = place.start()
    until(lambda: place.tally().rows == total, agent)
    agent.send_signal(signal.SIGTERM)
    assert ended(agent)[0] == 0
    tally = place.tally()
    assert tally.rows == tally.applied + tally.coalesced == total
    assert place.twin().properties["rslDbm"] == -49.0


def test_what_cannot_be_used_is_kept_with_its_reason_and_the_rest_goes_on(place: Place) -> None:
    agent = place.start()
    place.send(body=b"not json")
    place.send(row(1, -41.0, element="nobody"), row(1, "loud"), row(2, -41.0))
    until(lambda: place.tally().rows == 4, agent)
    agent.send_signal(signal.SIGTERM)
    assert ended(agent)[0] == 0
    assert place.tally() == Tally(rows=4, applied=1, dead_lettered=3)
    with place.state() as state:
        reasons = " / ".join(letter.reason for letter in state.dead_letters())
    assert "not JSON" in reasons
    assert "no twin 'nobody'" in reasons
    assert "must be a number" in reasons


@pytest.mark.parametrize(
    ("changes", "message", "remedy"),
    [
        ({"adt": {"url": "http://127.0.0.1:9"}}, "127.0.0.1:9 cannot be reached", "adt.url"),
        ({"adt": {"url": "http://192.0.2.1"}}, "is not https", "https"),
        (
            {
                "event_hub": {
                    "connection_string": "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=k;"
                    "SharedAccessKey=secret-key;UseDevelopmentEmulator=true"
                }
            },
            "event hub 127.0.0.1:9/telemetry cannot be reached",
            "check the address",
        ),
        ({"event_hub": {"name": "nowhere"}}, "nowhere", "event_hub.name"),
        ({"health": {"profiles": "missing.toml"}}, "missing.toml", "check the path"),
        ({"state": {"path": "/proc/nowhere/state.db"}}, "/proc/nowhere/state.db", "state.path"),
    ],
    ids=["adt-down", "plain-http", "hub-down", "no-such-hub", "rules-missing", "state-folder"],
)
def test_what_stops_the_agent_is_one_message_with_a_remedy(
    place: Place, changes: dict[str, dict[str, Any]], message: str, remedy: str
) -> None:
    place.write(**changes)
    code, errors = ended(place.start())
    assert code == 1
    assert message in errors
    assert remedy in errors
    assert "Traceback" not in errors
    assert "secret-key" not in errors


def test_a_wrong_event_hub_key_is_refused_by_name_without_showing_it(place: Place) -> None:
    good = place.stub.event_hub_connection_string
    wrong = good.replace("SharedAccessKey=loopback", "SharedAccessKey=guessed-secret")
    place.write(event_hub={"connection_string": wrong})
    code, errors = ended(place.start())
    assert code == 1
    assert "refuses the credentials" in errors
    assert "guessed-secret" not in errors


def test_a_wrong_adt_token_is_refused_with_the_role_to_give(tmp_path: Path) -> None:
    options = StubOptions(hubs=(HubOptions(HUB, 1),), token="the-right-one")
    with running_stub(options) as stub:
        place = Place(stub, tmp_path)
        place.write(adt={"auth": "token", "token": "the-wrong-one"})
        code, errors = ended(place.start())
    assert code == 1
    assert "refuses the credentials" in errors
    assert "Azure Digital Twins Data Owner" in errors
    assert "the-wrong-one" not in errors


@pytest.mark.slow
def test_an_outage_longer_than_retries_is_waited_out_and_nothing_is_lost(tmp_path: Path) -> None:
    options = StubOptions(hubs=(HubOptions(HUB, 1),), data_dir=tmp_path / "stub")
    with running_stub(options) as stub:
        place = Place(stub, tmp_path)
        place.write()
        place.seed()
        agent = place.start()
        place.send(row(0, -40.0))
        until(lambda: place.tally().rows == 1, agent)
        hub_port = int(stub.event_hub_connection_string.partition(";")[0].rpartition(":")[2])
        adt_port = int(stub.adt_url.rpartition(":")[2])
    assert agent.stderr is not None
    said = ""
    while "telemetry failed" not in said:
        said = agent.stderr.readline()
        assert said, "the agent ended"
    options = replace(options, adt_port=adt_port, event_hub_port=hub_port)
    with running_stub(options) as place.stub:
        place.send(row(1, -41.0))
        until(lambda: place.tally().rows == 2, agent)
        assert place.twin().properties["rslDbm"] == -41.0
        agent.send_signal(signal.SIGTERM)
        code, errors = ended(agent)
    assert code == 0
    assert "cannot be reached" in said
    assert "telemetry failed" not in errors  # it is said once
    assert "telemetry recovered" in errors


def test_two_agents_on_one_state_file_are_told_apart(place: Place) -> None:
    agent = place.start()
    until((place.folder / "state.db").exists, agent)
    code, errors = ended(place.start())
    assert code == 1
    assert "in use by another sync-agent" in errors
    agent.send_signal(signal.SIGTERM)
    assert ended(agent)[0] == 0
