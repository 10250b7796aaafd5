from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.stub.adt.plane import Plane


@pytest.fixture
def plane() -> Iterator[Plane]:
    plane = Plane()
    yield plane
    plane.close()
