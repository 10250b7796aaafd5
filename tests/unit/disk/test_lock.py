from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sync_agent.disk.lock import LockTakenError, is_locked, open_locked, take_lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "a.lock"


def test_a_lock_keeps_others_out_until_its_file_is_closed(path: Path) -> None:
    handle = open_locked(path)
    with pytest.raises(LockTakenError):
        open_locked(path)
    os.close(handle)
    os.close(open_locked(path))


def test_a_file_that_is_open_already_can_be_locked(path: Path) -> None:
    path.parent.mkdir()
    with path.open("wb") as mine, path.open("rb") as other:
        take_lock(mine.fileno())
        with pytest.raises(LockTakenError):
            take_lock(other.fileno())


def test_whoever_is_refused_leaves_no_handle_behind(path: Path) -> None:
    handle = open_locked(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(LockTakenError):
            open_locked(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    os.close(handle)


def test_a_process_that_dies_gives_its_lock_back(path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys; from sync_agent.disk.lock import open_locked;"
        " open_locked(pathlib.Path(sys.argv[1])); print('held', flush=True); signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockTakenError):
            open_locked(path)
        holder.kill()
    os.close(open_locked(path))


def test_a_file_system_without_locks_is_not_taken_for_another_process(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(_handle: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    with pytest.raises(OSError, match="No locks available"):
        open_locked(path)


def test_whether_a_file_is_locked_can_be_told_without_locking_it(path: Path) -> None:
    assert not is_locked(path)
    handle = open_locked(path)
    assert is_locked(path)
    os.close(handle)
    assert not is_locked(path)
    os.close(open_locked(path))
