"""The stub's own addresses: the request log and snapshots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import apsw
import pytest

from sync_agent.errors import StoreError
from sync_agent.stub.adt import control
from sync_agent.stub.adt.control import load, save
from sync_agent.stub.adt.request_log import LATEST, RequestLog, steps
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.amqp.sqlite_log import SqliteEventLog
from tests.unit.stub.adt.plane import Plane, Reply, twin


def log(plane: Plane, latest: int = 0) -> dict[str, object]:
    found: dict[str, object] = plane.ask("GET", f"/stub/requests?latest={latest}").body
    return found


def test_requests_are_counted_by_operation_and_status(plane: Plane) -> None:
    plane.put("a")
    plane.ask("GET", twin("a"))
    plane.ask("GET", twin("nobody"))
    plane.ask("GET", "/nowhere")
    operations = log(plane)["operations"]
    assert operations == {
        "DigitalTwinModels_Add": {"requests": 1, "statuses": {"201": 1}},
        "DigitalTwins_Add": {"requests": 1, "statuses": {"200": 1}},
        "DigitalTwins_GetById": {"requests": 2, "statuses": {"200": 1, "404": 1}},
        "Other": {"requests": 1, "statuses": {"404": 1}},
    }


@pytest.mark.parametrize("latest", ["9" * 5_000, "-1", "x", "\u00b2"])
def test_a_number_of_requests_that_is_none_shows_none_of_them(plane: Plane, latest: str) -> None:
    reply = plane.ask("GET", f"/stub/requests?latest={quote(latest)}", version="")
    assert reply.status == 200
    assert reply.body["latest"] == []


def test_a_snapshot_that_cannot_be_made_is_told_in_the_envelope(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bytes:
        raise StoreError("the disk is full", remedy="make room")

    monkeypatch.setattr(control, "save", full)
    reply = plane.ask("GET", "/stub/snapshot", version="")
    assert (reply.status, reply.code) == (503, "ServiceUnavailable")


def test_the_latest_requests_are_shown_one_by_one(plane: Plane) -> None:
    for name in "abc":
        plane.put(name)
    latest = log(plane, 2)["latest"]
    assert isinstance(latest, list)
    assert [entry["path"] for entry in latest] == [twin("b"), twin("c")]
    assert latest[-1]["ms"] > 0


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (32_768, 32)])
def test_billing_goes_in_steps_of_a_kilobyte(size: int, units: int) -> None:
    assert steps(size) == units


def test_operations_and_query_units_are_billed(plane: Plane) -> None:
    plane.ask("DELETE", "/stub/requests")
    plane.put("a", label="x" * 3000)
    plane.ask("POST", "/query", {"query": "SELECT COUNT() FROM digitaltwins"})
    billed = log(plane)["billed"]
    assert billed == {"operations": 4 + 1, "queryUnits": 2.87, "messages": 0}


def test_what_is_throttled_is_not_billed(plane: Plane) -> None:
    plane.ask("PUT", "/stub/faults", {"limits": {"reads": 1}})
    plane.ask("DELETE", "/stub/requests")
    statuses = [plane.ask("GET", twin("x")).status for _ in range(3)]
    assert statuses == [404, 429, 429]
    assert log(plane)["billed"] == {"operations": 1, "queryUnits": 0.0, "messages": 0}


def test_the_log_is_bounded() -> None:
    assert RequestLog().latest.maxlen == LATEST


def test_a_reset_begins_anew(plane: Plane) -> None:
    plane.put("a")
    assert plane.ask("DELETE", "/stub/requests").status == 204
    assert log(plane)["operations"] == {}


def test_an_address_that_is_not_there_is_refused(plane: Plane) -> None:
    reply: Reply = plane.ask("GET", "/stub/nothing")
    assert (reply.status, reply.code) == (404, "NotFound")


def test_explorer_s_proxy_does_not_lead_to_the_controls(plane: Plane) -> None:
    assert plane.ask("GET", "/api/proxy/stub/requests").status == 404


def test_a_snapshot_brings_everything_back(plane: Plane) -> None:
    plane.put("a", temperature=20)
    plane.put("b")
    plane.link("a", "r", "b")
    etag = plane.get("a")["$etag"]
    data = save(plane.db)
    plane.ask("DELETE", f"{twin('a')}/relationships/r")
    plane.ask("DELETE", twin("a"))
    plane.put("c")
    assert plane.ask("PUT", "/stub/snapshot", data).status == 204
    assert plane.get("a")["$etag"] == etag
    assert plane.ask("GET", f"{twin('a')}/relationships/r").status == 200
    assert plane.ask("GET", twin("c")).status == 404


def test_a_snapshot_of_one_stub_starts_another() -> None:
    first, second = Plane(), Plane(models=False)
    first.put("a")
    load(second.db, save(first.db))
    assert second.get("a") == first.get("a")
    assert second.put("b").status == 200  # the models came along
    first.close()
    second.close()


@pytest.mark.parametrize("spoil", [lambda d: b"x" * 100, lambda d: d[: len(d) // 2], lambda d: b""])
def test_what_is_no_snapshot_changes_nothing(plane: Plane, spoil: Callable[[bytes], bytes]) -> None:
    plane.put("a")
    reply = plane.ask("PUT", "/stub/snapshot", spoil(save(plane.db)))
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert plane.ask("GET", twin("a")).status == 200


def test_a_snapshot_of_which_one_byte_is_another_is_refused_and_changes_nothing(
    plane: Plane,
) -> None:
    plane.put("a", label="x" * 1_000)
    plane.link("a", "r", "a")
    data = save(plane.db)
    for place in range(0, len(data), len(data) // 60):
        spoilt = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        reply = plane.ask("PUT", "/stub/snapshot", spoilt)
        assert (reply.status, reply.code) == (400, "InvalidArgument"), place
    assert plane.get("a")["label"] == "x" * 1_000


def test_another_database_is_no_snapshot(plane: Plane, tmp_path: Path) -> None:
    events = SqliteEventLog(tmp_path / "event-hubs.db")
    events.close()
    plane.put("a")
    reply = plane.ask("PUT", "/stub/snapshot", (tmp_path / "event-hubs.db").read_bytes())
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert plane.ask("GET", twin("a")).status == 200


def test_a_file_of_the_first_format_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "adt.db"
    TwinDb(path).close()
    old = apsw.Connection(str(path))
    for table in ("event_routes", "outbox", "jobs"):
        old.execute(f"DROP TABLE {table}")
    old.execute("PRAGMA user_version=1")
    old.close()
    db = TwinDb(path)
    assert db.fetch("SELECT count(*) FROM jobs", ()) == [(0,)]
    db.close()
