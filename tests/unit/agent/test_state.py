"""The agent's durable memory keeps what belongs together in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sync_agent.agent import state as state_module
from sync_agent.agent.outcomes import (
    BatchOutcome,
    DeadLetter,
    FlagEvent,
    HealthRecord,
    Position,
    TransitionRecord,
)
from sync_agent.agent.state import StateStore
from sync_agent.errors import StoreError
from sync_agent.telemetry.tally import Tally


def outcome(number: int = 7, **changes: object) -> BatchOutcome:
    values: dict[str, object] = {
        "partition": "0",
        "position": Position(number, 60_000),
        "tally": Tally(rows=3, applied=2, coalesced=0, missing=0, dead_lettered=1),
        "health": [HealthRecord("L1", "dtmi:m;1", "0", {"p": 1}, {"state": "degraded"}, 1)],
        "transitions": [
            TransitionRecord("L1", 60_000, "healthy", "degraded", 55.0, "fade", "fade 12 dB")
        ],
        "dead_letters": [DeadLetter("0", number, "L9", "no twin L9", b"{}", 1)],
    }
    return BatchOutcome(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent" / "state.db"


def test_a_committed_batch_is_there_after_a_reopen(path: Path) -> None:
    with StateStore(path, stream="hub/$Default") as store:
        store.commit(outcome())
    with StateStore(path, stream="hub/$Default") as store:
        assert store.positions() == {"0": Position(7, 60_000)}
        assert store.tally() == Tally(rows=3, applied=2, coalesced=0, missing=0, dead_lettered=1)
        assert [t.after for t in store.transitions()] == ["degraded"]
        assert [d.reason for d in store.dead_letters()] == ["no twin L9"]
        assert store.health() == [
            HealthRecord("L1", "dtmi:m;1", "0", {"p": 1}, {"state": "degraded"}, 1)
        ]


def test_counts_of_successive_batches_add_up(path: Path) -> None:
    with StateStore(path) as store:
        store.commit(outcome(7))
        store.commit(outcome(9))
        assert store.tally().rows == 6
        assert store.positions()["0"].sequence_number == 9


def test_a_batch_that_fails_halfway_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StateStore(path) as store:
        store.commit(outcome(7))
        monkeypatch.setattr(state_module, "DEAD_LETTERS_MAX", 1)
        with pytest.raises(StoreError, match="holds its maximum of 1"):
            store.commit(outcome(9))
        assert store.positions()["0"].sequence_number == 7
        assert store.tally().rows == 3
        assert len(store.transitions()) == 1


def test_health_is_unwritten_until_its_newest_revision_is_marked(path: Path) -> None:
    with StateStore(path) as store:
        store.commit(outcome())
        assert [h.element for h in store.unwritten_health(10)] == ["L1"]
        store.mark_health_written([("L1", 1)])
        assert store.unwritten_health_count() == 0
        newer = HealthRecord("L1", "dtmi:m;1", "0", {"p": 2}, {"state": "healthy"}, 2)
        store.commit_health([newer], [])
        store.mark_health_written([("L1", 1)])
        assert store.unwritten_health(10) == [newer]


def test_a_flag_is_raised_once_and_cleared_once(path: Path) -> None:
    with StateStore(path) as store:
        store.commit_flags([FlagEvent("degraded", "L1", "entered", 5)])
        assert store.flagged("degraded") == {"L1": 5}
        store.commit_flags([FlagEvent("degraded", "L1", "left", 9)])
        assert store.flagged("degraded") == {}
        assert [e.kind for e in store.flag_events("degraded")] == ["entered", "left"]


def test_positions_belong_to_their_own_hub_and_consumer_group(path: Path) -> None:
    with StateStore(path, stream="one") as store:
        store.commit(outcome())
    with StateStore(path, stream="two") as store:
        assert store.positions() == {}
        assert store.tally().rows == 3


def test_a_second_writer_is_refused_by_name(path: Path) -> None:
    with StateStore(path), pytest.raises(StoreError, match="in use by another sync-agent"):
        StateStore(path)


def test_a_reader_may_look_while_a_writer_works(path: Path) -> None:
    with StateStore(path) as writer:
        writer.commit(outcome())
        with StateStore(path, readonly=True) as reader:
            assert reader.tally().rows == 3


def test_reading_a_state_that_is_not_there_says_so_and_creates_nothing(path: Path) -> None:
    with pytest.raises(StoreError, match="no agent state"):
        StateStore(path, readonly=True)
    assert not path.exists()


def test_a_file_that_is_no_database_is_refused_with_its_name(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"state\.db"):
        StateStore(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_state_of_another_version_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="version 99"):
        StateStore(path)


def test_a_full_disk_is_reported_as_such_and_keeps_the_last_position(path: Path) -> None:
    with StateStore(path) as store:
        store.commit(outcome(7))
        # SQLite's own page ceiling gives the very error a full disk gives.
        pages = store._file.rows("PRAGMA page_count")[0][0]
        store._file.rows(f"PRAGMA max_page_count={pages}")
        big = DeadLetter("0", 9, "L9", "big", b"x" * 1_000_000, 1)
        with pytest.raises(StoreError, match="full") as caught:
            store.commit(outcome(9, dead_letters=[big]))
        assert "free space" in caught.value.remedy
        assert store.positions()["0"].sequence_number == 7


def test_only_the_newest_transitions_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "TRANSITIONS_MAX", 2)
    with StateStore(path) as store:
        for minute in range(5):
            change = TransitionRecord("L1", minute, "healthy", "degraded", 1.0, "k", "e")
            store.commit_health([], [change])
        assert [t.at_ms for t in store.transitions()] == [3, 4]
