"""`sync-agent stub` as a process: durable, on loopback, and clear about what it cannot do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.errors import ServiceError
from sync_agent.runs.bounded import each
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.server import StubOptions
from sync_agent.twins.twin import Twin
from tests.stubs import running_stub

WAIT_S = 30.0
MODEL = {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:t:A;1", "@type": "Interface"}
MODEL["contents"] = [{"@type": "Property", "name": "p", "schema": "string"}]  # type: ignore[assignment]

T = TypeVar("T")


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "sync_agent", "stub", "--output", "json", *options]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("SYNC_AGENT")}


@contextmanager
def stub(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        command(*options),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def on(url: str, work: Callable[[AzureTwinStore], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        async with AzureTwinStore(url, credential_for("none"), retry_for_s=0) as store:
            return await work(store)

    return asyncio.run(run())


async def fill(store: AzureTwinStore) -> None:
    await store.create_models([MODEL])
    for number in range(20):
        await store.put_twin(Twin(f"t{number}", "dtmi:t:A;1", {"p": "x"}))


async def count(store: AzureTwinStore) -> int:
    rows = [row async for row in store.query("SELECT COUNT() FROM digitaltwins")]
    return int(rows[0]["COUNT"])


def test_what_was_answered_survives_a_kill_and_a_clean_stop_ends_with_zero(
    tmp_path: Path,
) -> None:
    with stub("--data-dir", str(tmp_path)) as (process, place):
        on(place["adt_url"], fill)
        process.kill()
        process.wait(WAIT_S)
    with stub("--data-dir", str(tmp_path)) as (process, place):
        assert on(place["adt_url"], count) == 20
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0


@pytest.mark.parametrize("option", ["--adt-port", "--event-hub-port"])
def test_a_port_that_is_taken_is_named_with_the_remedy(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command(option, str(port)),
            check=False,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            env=environment(),
        )
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in done.stderr
    assert "choose another port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--listen", "0.0.0.0"), "without a token"),
        (("--hub", ":4"), "names no hub"),
        (("--hub", "a:0"), "1 to 32 partitions"),
        (("--data-dir", "/proc/nowhere"), "/proc/nowhere"),
    ],
)
def test_what_it_will_not_do_it_says_in_one_message(options: tuple[str, ...], message: str) -> None:
    done = subprocess.run(
        command(*options),
        check=False,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        env=environment(),
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_refuses_the_write_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[TwinDb] = []
    original = TwinDb.__init__

    def remember(self: TwinDb, *given: Any, **options: Any) -> None:
        original(self, *given, **options)
        opened.append(self)

    monkeypatch.setattr(TwinDb, "__init__", remember)

    async def overfill(store: AzureTwinStore) -> str:
        await fill(store)
        # SQLite's page ceiling gives the very error a full disk gives.
        opened[0]._db.execute("PRAGMA max_page_count = 1")
        big = [Twin(f"big{number}", "dtmi:t:A;1", {"p": "x" * 4_000}) for number in range(1_000)]
        with pytest.raises(ServiceError) as caught:
            await each(big, store.put_twin, at_once=1)
        opened[0]._db.execute("PRAGMA max_page_count = 1000000")
        await store.put_twin(Twin("after", "dtmi:t:A;1", {"p": "x"}))
        return caught.value.message

    with running_stub(StubOptions(data_dir=tmp_path)) as server:
        message = on(server.adt_url, overfill)
        twins = on(server.adt_url, count)
    assert "503" in message
    assert twins >= 21
