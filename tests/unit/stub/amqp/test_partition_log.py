"""Both event logs keep the same promises; the file keeps them across restarts and full disks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sync_agent.errors import StoreError
from sync_agent.stub.amqp.memory_log import MemoryEventLog
from sync_agent.stub.amqp.message import IncomingEvent, read_delivery
from sync_agent.stub.amqp.partition_log import NEVER_MS, Append, EventLog, Retention
from sync_agent.stub.amqp.selector import Position, PositionKind
from sync_agent.stub.amqp.sqlite_log import SqliteEventLog
from tests.unit.stub.amqp.raw_client import data_message

KEY = ("hub", 0)
Opener = Callable[..., EventLog]


@pytest.fixture(params=["memory", "sqlite"])
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Return a function that opens a fresh log with two partitions."""
    opened: list[EventLog] = []

    def opener(retention: Retention | None = None) -> EventLog:
        log: EventLog = (
            MemoryEventLog(retention)
            if request.param == "memory"
            else SqliteEventLog(tmp_path / "events.db", retention)
        )
        log.open_hub("hub", 2, 1_000)
        opened.append(log)
        return log

    yield opener
    for log in opened:
        log.close()


def events(*bodies: bytes) -> list[IncomingEvent]:
    return [event for body in bodies for event in read_delivery(data_message(body), 0).events]


def put(log: EventLog, *bodies: bytes, now_ms: int = 2_000, key: tuple[str, int] = KEY) -> None:
    log.append([Append(key, events(*bodies))], now_ms)


def test_an_unused_partition_is_empty_since_ever(open_log: Opener) -> None:
    info = open_log().info(KEY)
    assert info.is_empty
    assert (info.last_sequence, info.last_offset, info.last_enqueued_ms) == (-1, -1, NEVER_MS)


def test_events_are_numbered_without_gaps_per_partition(open_log: Opener) -> None:
    log = open_log()
    log.append([Append(KEY, events(b"a", b"b")), Append(("hub", 1), events(b"c"))], 5)
    log.append([Append(KEY, events(b"d")), Append(KEY, events(b"e"))], 6)
    assert (log.info(KEY).last_sequence, log.info(("hub", 1)).last_sequence) == (3, 0)
    found = log.read(KEY, 1, 10, 1_000_000)
    assert found.first_sequence == 1
    assert [payload[-1:] for payload in found.payloads] == [b"b", b"d", b"e"]


def test_a_read_stops_at_its_bounds(open_log: Opener) -> None:
    log = open_log()
    put(log, *[bytes(100)] * 10)
    assert len(log.read(KEY, 0, 3, 1_000_000).payloads) == 3
    assert len(log.read(KEY, 0, 10, 250).payloads) == 2
    assert log.read(KEY, 10, 10, 250).payloads == []


def test_the_oldest_events_are_dropped_by_number_and_reading_goes_on(open_log: Opener) -> None:
    log = open_log(Retention(events_max=3))
    for number in range(10):
        put(log, b"%d" % number)
    info = log.info(KEY)
    assert (info.first_sequence, info.next_sequence) == (7, 10)
    found = log.read(KEY, 0, 10, 1_000_000)
    assert (found.first_sequence, len(found.payloads)) == (7, 3)
    assert info.bytes == sum(map(len, found.payloads))


def test_the_oldest_events_are_dropped_by_bytes_but_never_the_newest(open_log: Opener) -> None:
    log = open_log(Retention(bytes_max=1_000))
    for _ in range(5):
        put(log, bytes(300))
    assert log.info(KEY).bytes <= 1_000
    put(log, bytes(5_000))
    info = log.info(KEY)
    assert (info.first_sequence, info.next_sequence) == (5, 6)


def test_many_drops_keep_positions_right(open_log: Opener) -> None:
    log = open_log(Retention(events_max=10))
    for start in range(0, 12_000, 500):
        put(log, *[b"%d" % number for number in range(start, start + 500)], now_ms=start)
    found = log.read(KEY, 11_995, 10, 1_000_000)
    assert found.payloads[0].endswith(b"11995")
    offset = log.info(KEY).last_offset
    assert log.locate(KEY, Position(PositionKind.OFFSET, offset, inclusive=True)) == 11_999


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (Position(PositionKind.OFFSET, -1), 0),
        (Position(PositionKind.LATEST), 4),
        (Position(PositionKind.SEQUENCE_NUMBER, 1), 2),
        (Position(PositionKind.SEQUENCE_NUMBER, 1, inclusive=True), 1),
        (Position(PositionKind.SEQUENCE_NUMBER, 99), 4),
        (Position(PositionKind.OFFSET, 0), 1),
        (Position(PositionKind.OFFSET, 0, inclusive=True), 0),
        (Position(PositionKind.OFFSET, 1), 1),
        (Position(PositionKind.ENQUEUED_MS, 100), 2),
        (Position(PositionKind.ENQUEUED_MS, 100, inclusive=True), 0),
        (Position(PositionKind.ENQUEUED_MS, 150), 2),
        (Position(PositionKind.ENQUEUED_MS, 200), 4),
    ],
)
def test_a_position_finds_its_event(open_log: Opener, position: Position, expected: int) -> None:
    log = open_log()
    put(log, b"a", b"b", now_ms=100)
    put(log, b"c", b"d", now_ms=200)
    assert log.locate(KEY, position) == expected


def test_enqueued_times_never_fall_when_the_clock_does(open_log: Opener) -> None:
    log = open_log()
    put(log, b"a", now_ms=200)
    put(log, b"b", now_ms=100)
    assert log.info(KEY).last_enqueued_ms == 200


def test_numbers_go_on_after_a_restart_even_when_all_was_dropped(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    log = SqliteEventLog(path, Retention(events_max=1))
    assert log.open_hub("hub", 2, 1_000) == 1_000
    put(log, b"a", b"b", b"c")
    before = log.info(KEY)
    log.close()
    log = SqliteEventLog(path)
    assert log.open_hub("hub", 4, 9_000) == 1_000
    assert log.info(KEY) == before
    put(log, b"d", now_ms=3_000)
    after = log.info(KEY)
    assert after.last_sequence == 3
    assert after.last_offset > before.last_offset
    assert [p[-1:] for p in log.read(KEY, 0, 9, 9_999).payloads] == [b"c", b"d"]
    log.close()


def test_a_second_process_is_refused_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    log = SqliteEventLog(path)
    log.open_hub("hub", 1, 0)
    with pytest.raises(StoreError, match=r"events\.db is in use"):
        SqliteEventLog(path)
    log.close()


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"certainly not a database" * 100)
    with pytest.raises(StoreError, match=r"events\.db"):
        SqliteEventLog(path)


def test_a_full_disk_keeps_nothing_of_the_group_and_recovers(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "events.db")
    log.open_hub("hub", 2, 0)
    put(log, b"first")
    pages = log._db.execute("PRAGMA page_count").get
    log._db.execute(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(StoreError, match="disk is full"):
        log.append(
            [Append(("hub", 1), events(b"small")), Append(KEY, events(bytes(200_000)))], 3_000
        )
    assert log.info(KEY).last_sequence == 0
    assert log.info(("hub", 1)).is_empty
    log._db.execute("PRAGMA max_page_count=1000000")
    put(log, bytes(200_000))
    assert log.info(KEY).last_sequence == 1
    assert len(log.read(KEY, 0, 9, 9_999_999).payloads) == 2
    log.close()
