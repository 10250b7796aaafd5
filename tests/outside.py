"""What tests need of the world outside: Node.js, a browser, packages of registries."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(reason: str) -> NoReturn:
    """Skip the test, since what it needs is not on this machine.

    Where ``CI`` is set it fails: ``.ci/run`` installs what is needed, and a witness that nobody
    called must not pass for one that agreed.
    """
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
