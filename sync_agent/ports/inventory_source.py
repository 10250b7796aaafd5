"""What the agent needs of an inventory: does it answer, what does it have, how much was read.

A source never decides what is deleted. It says of each scope whether it was read to its end, and
why not; an error in the middle of a reading is such a reason and not an exception, so that the
records before it are not lost. Only what makes reading impossible from the start is raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sync_agent.inventory.record import SourceRead


class InventorySource(Protocol):
    """One inventory: a folder, a service, a stream, another twin instance."""

    async def check(self) -> str:
        """Return one sentence about what answered.

        Raises:
            InputError: it cannot be used as it is.
            ServiceError: it does not answer, or refuses us.
        """
        ...

    async def read(self, scopes: Sequence[str]) -> SourceRead:
        """Return the records of these scopes, those derived from others included.

        A source may remember the last reading and fetch only what changed since; the result is
        that of a full reading all the same.

        Raises:
            InputError: a scope is not there, or the source cannot be used at all.
            ServiceError: it does not answer, or refuses us, before anything was read.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
