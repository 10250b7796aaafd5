"""The demo as a user runs it: one command, real processes, real sockets."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)

SMALL = ("--elements", "600", "--seed", "3")
FLAGGED = {"degraded", "critical", "down"}


def demo(temporary: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "sync_agent", "demo", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), "SYNC_AGENT__ADT__URL": "http://192.0.2.1"},
    )


def children_of(folder: Path) -> list[int]:
    """The processes whose command line names the folder of a demo."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue  # it ended meanwhile
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """One demo that is left running, for all tests that look at it."""
    process = demo(tmp_path_factory.mktemp("demo"), *SMALL, "--keep", "--output", "json")
    printed, said = process.communicate(timeout=280)
    assert process.returncode == 0, said
    report: dict[str, Any] = json.loads(printed)
    yield report
    for pid in report["processes"]:
        os.kill(pid, signal.SIGTERM)


def test_every_row_sent_is_accounted_for(kept: dict[str, Any]) -> None:
    rows = kept["rows"]
    assert rows["sent"] == rows["rows"] == rows["applied"] + rows["coalesced"]
    assert rows["missing"] == rows["dead_lettered"] == 0


def test_the_injected_faults_are_found(kept: dict[str, Any]) -> None:
    assert kept["injected"] >= 10
    assert kept["recall"] == 1.0, kept["missed"]
    assert kept["precision"] == 1.0, kept["false"]
    assert {fault["fault"] for fault in kept["faults"] if fault["found"]} >= {
        "rain fade",
        "mains failure",
        "battery discharge",
        "congestion",
        "silence",
    }


def test_the_table_is_worst_first_and_says_since_when_and_why(kept: dict[str, Any]) -> None:
    scores = [row["score"] for row in kept["degraded"]]
    assert scores == sorted(scores)
    for row in kept["degraded"]:
        assert row["state"] in FLAGGED
        assert row["since"].endswith("Z")
        assert row["why"]


def test_what_is_left_running_answers_the_same_query(kept: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sync_agent", "--config", kept["config"], "degraded", "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert {row["element"] for row in json.loads(done.stdout)} == {
        row["element"] for row in kept["degraded"]
    }


def test_the_stub_left_running_serves_explorers_path(kept: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"{kept['adt_url']}/api/proxy/query?api-version=2021-06-30-preview",
        data=json.dumps({"query": "SELECT COUNT() FROM digitaltwins"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert json.load(response)["value"] == [{"COUNT": kept["elements"]}]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_and_no_file(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = demo(tmp_path, *SMALL)
    deadline = time.monotonic() + 60
    while not children_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children_of(tmp_path)
    process.send_signal(number)
    process.send_signal(number)  # an impatient person presses Ctrl-C twice
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in said
    assert children_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_cannot_be_made_is_refused_before_anything_starts(tmp_path: Path) -> None:
    process = demo(tmp_path, "--elements", "5")
    printed, said = process.communicate(timeout=60)
    assert (process.returncode, printed) == (1, "")
    assert "5 elements cannot be made" in said
    assert "remedy: choose 600 to 500000" in said
    assert list(tmp_path.iterdir()) == []
