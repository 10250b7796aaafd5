"""What every end-to-end test needs: that what the SDKs leave behind is no other test's fault."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _sdk_leftovers() -> Iterator[None]:
    """Collect the sockets azure-eventhub leaves open, before another test is blamed for them.

    Its asynchronous client does not close the socket of a connection that was cut, or cancelled
    while it opened. Warnings are errors here, and the collector would raise it wherever it runs.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
