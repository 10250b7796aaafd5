"""The fixtures the SDK's own tests ask for."""

from __future__ import annotations

import os
from typing import Any

import pytest


class Variables:
    """The environment of the tests."""

    def get(self, name: str) -> str:
        return os.environ[name]

    def sanitize_batch(self, _: Any) -> None:
        """There is nothing to hide."""


@pytest.fixture(scope="session")
def environment_variables() -> Variables:
    return Variables()


@pytest.fixture(scope="session")
def test_proxy() -> None:
    return None


@pytest.fixture
def recorded_test() -> None:
    return None
