"""The lock of a file: one process of this machine at a time.

The system gives a lock back when its process dies, so none is ever left behind. What a taken one
means, and what to do then, is said by whoever wanted it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class LockTakenError(Exception):
    """Another process holds the lock, or this one does through another handle."""


def take_lock(handle: int) -> None:
    """Lock an open file; closing it gives the lock back.

    Raises:
        LockTakenError: somebody else holds it.
        OSError: it cannot be locked at all.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LockTakenError from error


def open_locked(path: Path) -> int:
    """Open a file that is there to be locked, made if need be, and lock it; return its handle.

    Raises:
        LockTakenError: somebody else holds its lock.
        OSError: it cannot be made, opened or locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        take_lock(handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds the lock of a file; nobody holds that of one that is not there.

    Raises:
        OSError: it cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
