"""The journal says of each run what became of it, and of a run that has no end, why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs

from sync_agent.errors import InputError, StoreError
from sync_agent.inventory.owner import Owner
from sync_agent.reconcile.change import Action, Change, Edit
from sync_agent.runs import journal as module
from sync_agent.runs.journal import Journal, RunState
from sync_agent.twins.twin import Twin

HERE, THERE = "https://here.test", "https://there.test"
OURS = Owner("inventory")
CHANGES = [Change(Action.CREATE, twin=Twin(f"S{n}", "dtmi:test:Site;1")) for n in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "journal.db"


def begin(journal: Journal) -> int:
    return journal.begin("sync", OURS, CHANGES, digest="d", now_ms=1_000)


def states(path: Path) -> list[tuple[int, RunState]]:
    with Journal(path, HERE, readonly=True) as journal:
        return [(run.id, run.state) for run in journal.runs()]


def locks(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.glob("*.lock"))


def test_a_run_is_under_way_until_it_is_ended(path: Path) -> None:
    with Journal(path, HERE) as journal:
        run = begin(journal)
        journal.settle(run, [(0, "done"), (2, "failed")])
        assert journal.run(run).state is RunState.UNDER_WAY
        assert states(path) == [(run, RunState.UNDER_WAY)]
        journal.end(run, now_ms=2_000)
        found = journal.run(run)
        assert (found.state, found.ended_ms) == (RunState.ENDED, 2_000)
        assert found.outcomes == {"done": 1, "failed": 1, "": 1}
        assert [c.element for c in journal.made(run)] == ["S0", "S1"]
    assert locks(path) == []


def test_a_run_whose_journal_was_closed_without_an_end_broke_off(path: Path) -> None:
    with Journal(path, HERE) as journal:
        run = begin(journal)
    assert states(path) == [(run, RunState.BROKEN_OFF)]
    assert locks(path) == []


def test_a_run_whose_process_was_killed_broke_off(path: Path) -> None:
    code = (
        "import pathlib, signal, sys; from sync_agent.inventory.owner import Owner;"
        " from sync_agent.runs.journal import Journal;"
        f" journal = Journal(pathlib.Path(sys.argv[1]), {HERE!r});"
        " journal.begin('sync', Owner('inventory'), [], digest='d', now_ms=1_000);"
        " print('begun', flush=True); signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert states(path) == [(1, RunState.UNDER_WAY)]
        process.kill()
    assert states(path) == [(1, RunState.BROKEN_OFF)]


def test_runs_at_once_are_told_apart(path: Path) -> None:
    with Journal(path, HERE) as one:
        begin(one)
        with Journal(path, HERE) as other:
            begin(other)
        assert states(path) == [(2, RunState.BROKEN_OFF), (1, RunState.UNDER_WAY)]


def test_the_oldest_runs_go_with_all_that_is_left_of_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RUNS_MAX", 2)
    with Journal(path, HERE) as journal:
        for _ in range(2):
            journal.end(begin(journal), now_ms=2_000)
        killed = path.with_name("journal.db.run-1.lock")
        killed.touch()
        journal.end(begin(journal), now_ms=2_000)
        assert [run.id for run in journal.runs()] == [3, 2]
        assert journal.made(1) == []
        assert not killed.exists()


def test_a_lock_that_cannot_be_made_is_told_and_nothing_is_begun(path: Path) -> None:
    with Journal(path, HERE) as journal:
        path.with_name("journal.db.run-1.lock").mkdir()
        with pytest.raises(StoreError, match=r"lock .*run-1\.lock: Is a directory"):
            begin(journal)
        assert journal.runs() == []


def test_a_run_of_a_journal_that_was_removed_keeps_its_number(path: Path) -> None:
    with Journal(path, HERE) as old:
        begin(old)
        for file in path.parent.glob("journal.db*"):
            if not file.name.endswith(".lock"):
                file.unlink()
        with Journal(path, HERE) as new, pytest.raises(StoreError, match="another run 1 holds"):
            begin(new)


def test_runs_are_those_of_one_service(path: Path) -> None:
    with Journal(path, HERE) as here, Journal(path, THERE) as there:
        begin(here)
        assert there.runs() == []
        assert here.owners() == [OURS]
        with pytest.raises(InputError, match=r"there is no run 1 in .*journal\.db"):
            there.run(1)


def test_reading_makes_no_journal(path: Path) -> None:
    with pytest.raises(StoreError):
        Journal(path, HERE, readonly=True)
    assert not path.parent.exists()


def edit(*values: int) -> Change:
    edits = tuple(Edit((f"p{value}",), None, value) for value in values)
    return Change(Action.UPDATE, twin=Twin("S0", "dtmi:test:Site;1"), edits=edits)


def deletion(change: Change) -> Change:
    return structs.replace(change, action=Action.DELETE)


@pytest.mark.parametrize(
    ("change", "later", "made"),
    [
        (CHANGES[0], [], True),
        (CHANGES[0], [[CHANGES[0]]], False),
        (CHANGES[0], [[CHANGES[1]]], True),
        (CHANGES[0], [[edit(1)], [CHANGES[0]]], True),
        (CHANGES[0], [[deletion(CHANGES[0])], [CHANGES[0]]], True),
        (CHANGES[0], [[deletion(CHANGES[0]), CHANGES[0]]], False),
        (deletion(CHANGES[0]), [[deletion(CHANGES[0])]], False),
        (edit(1), [[edit(1, 2)]], False),
        (edit(1, 2), [[edit(1)]], True),
    ],
)
def test_what_the_next_run_still_had_to_do_was_not_made(
    path: Path, change: Change, later: list[list[Change]], made: bool
) -> None:
    with Journal(path, HERE) as journal, Journal(path, THERE) as elsewhere:
        killed = journal.begin("sync", OURS, [change], digest="d", now_ms=1_000)
        for changes in later:
            run = journal.begin("sync", OURS, changes, digest="d", now_ms=1_000)
            journal.settle(run, [(number, "done") for number, _ in enumerate(changes)])
        run = elsewhere.begin("sync", OURS, [change], digest="d", now_ms=1_000)
        elsewhere.settle(run, [(0, "done")])
        assert journal.made(killed) == ([change] if made else [])
        journal.settle(killed, [(0, "done")])
        assert journal.made(killed) == [change]
