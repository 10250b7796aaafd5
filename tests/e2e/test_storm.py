"""The microwave storm: real levels through the chain, against a plain computation over the CSV.

The plain computation below uses nothing of the product: the rows, a dictionary and the rule as
docs/health.md words it.
"""

import csv
import gzip
import json
import sqlite3
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from statistics import median
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "microwave-storm" / "run.py"
CHANNELS = {"near-far": "AtoZ", "far-near": "ZtoA"}
NO_READING = {"", "-99.0", "-99.9"}
FADE_DB = 10.0
FLAGGED = {"degraded", "critical", "down"}

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.timeout(400)]


class Recording(NamedTuple):
    rows: int
    rows_without_value: int
    last: dict[tuple[str, str, str], tuple[float, int]]  # (link, channel, column) -> value, time
    flagged: dict[int, set[str]]  # end of a minute (epoch minutes) -> links


def real_data() -> Path:
    for parent in ROOT.parents:
        folder = parent / "shared" / "data" / "timeseries" / "microwave-cml"
        if folder.is_dir():
            return folder
    pytest.skip("the recording is not there: no shared/data/timeseries/microwave-cml above this")


@pytest.fixture(scope="module")
def data() -> Path:
    return real_data()


@pytest.fixture(scope="module")
def recording(data: Path) -> Recording:
    with gzip.open(data / "rsl_tsl.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    without = sum(r["rsl_dbm"] in NO_READING and r["tsl_dbm"] in NO_READING for r in rows)
    last: dict[tuple[str, str, str], tuple[float, int]] = {}
    levels = defaultdict(list)
    for row in rows:
        for column in ("rsl_dbm", "tsl_dbm"):
            if row[column] not in NO_READING:
                key = (row["link_id"], row["channel"], column)
                time = int(row["ts"])
                if key not in last or last[key][1] < time:
                    last[key] = (float(row[column]), time)
        if row["rsl_dbm"] not in NO_READING:
            levels[row["link_id"], row["channel"]].append(float(row["rsl_dbm"]))
    reference = {channel: round(median(values), 2) for channel, values in levels.items()}
    return Recording(len(rows), without, last, flagged_by_minute(rows, reference))


def flagged_by_minute(
    rows: list[dict[str, str]], reference: dict[tuple[str, str], float]
) -> dict[int, set[str]]:
    """Two faded of the last three minutes with data: in; three clean ones in a row: out."""
    faded: dict[str, dict[int, bool]] = defaultdict(dict)
    for row in rows:
        if row["rsl_dbm"] not in NO_READING:
            link, minute = row["link_id"], int(row["ts"]) // 60
            fade = round(reference[link, row["channel"]] - float(row["rsl_dbm"]), 6)
            faded[link][minute] = faded[link].get(minute, False) or fade >= FADE_DB
    first = min(min(minutes) for minutes in faded.values())
    end = max(max(minutes) for minutes in faded.values()) + 1
    flagged: dict[int, set[str]] = {minute: set() for minute in range(first + 1, end + 1)}
    for link, minutes in faded.items():
        recent: list[bool] = []
        inside = False
        for minute in range(first, end):
            if minute in minutes:
                recent = [*recent[-2:], minutes[minute]]
                if sum(recent) >= 2:
                    inside = True
                elif len(recent) == 3 and not any(recent):
                    inside = False
            if inside:
                flagged[minute + 1].add(link)
    return flagged


def run_storm(data: Path, work: Path, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(data), "--work", str(work), *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=380,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    sys.stdout.write(f"{done.stdout}\n{done.stderr[-3000:]}\n")
    figures: dict[str, Any] = json.loads((work / "figures.json").read_text())
    return figures


def agent_flagged(state: Path, minutes: list[int]) -> dict[int, set[str]]:
    """What the agent's own log of transitions says was flagged at the end of each minute."""
    database = sqlite3.connect(f"{state.as_uri()}?mode=ro", uri=True)
    changes = database.execute(
        "SELECT element, at_ms, after FROM transition ORDER BY id"
    ).fetchall()
    database.close()
    at: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for element, at_ms, after in changes:
        assert at_ms % 60_000 == 0
        at[at_ms // 60_000].append((element, after))
    assert set(at) <= set(minutes)
    now: set[str] = set()
    flagged = {}
    for minute in minutes:
        for element, after in at[minute]:
            (now.add if after in FLAGGED else now.discard)(element)
        flagged[minute] = set(now)
    return flagged


def prove(recording: Recording, work: Path, figures: dict[str, Any]) -> None:
    twins = {twin["$dtId"]: twin for twin in json.loads((work / "twins.json").read_text())}
    assert len(twins) == 75
    for (link, channel, column), (value, time) in recording.last.items():
        name = f"{column.removesuffix('_dbm')}{CHANNELS[channel]}Dbm"
        source_time = twins[link]["$metadata"][name]["sourceTime"]
        assert (link, name, twins[link][name]) == (link, name, value)
        assert datetime.fromisoformat(source_time) == datetime.fromtimestamp(time, UTC)
    assert sum(column == "rsl_dbm" for _, _, column in recording.last) == 150

    assert figures["rows_sent"] == recording.rows == figures["rows"]
    assert figures["missing"] == recording.rows_without_value
    assert figures["dead_lettered"] == 0
    assert figures["applied"] + figures["coalesced"] + figures["missing"] == recording.rows

    flagged = agent_flagged(work / "state.db", list(recording.flagged))
    wrong = {
        minute: flagged[minute] ^ links
        for minute, links in recording.flagged.items()
        if flagged[minute] != links
    }
    assert wrong == {}
    assert sum(map(len, recording.flagged.values())) > 1_000

    shown = {link for link, twin in twins.items() if twin["health"].get("state") in FLAGGED}
    assert shown == recording.flagged[max(recording.flagged)]
    assert figures["agent_exit_code"] == 0


def test_the_storm_ends_as_the_plain_computation_says(
    data: Path, recording: Recording, tmp_path: Path
) -> None:
    figures = run_storm(data, tmp_path / "work")
    prove(recording, tmp_path / "work", figures)


def test_killing_the_agent_three_times_changes_nothing(
    data: Path, recording: Recording, tmp_path: Path
) -> None:
    seed = SystemRandom().randrange(10**6)
    sys.stdout.write(f"seed of the kills: {seed}\n")
    figures = run_storm(data, tmp_path / "work", "--kills", "3", "--seed", str(seed))
    assert figures["kills"] == 3
    prove(recording, tmp_path / "work", figures)
