"""Lists that are read page by page by offset, and whether they stood still meanwhile.

When an object in front of the reader is deleted, all others move up by one, and the first of the
next page is never seen; if one is created at the end as well, not even their number tells. So one
object more than a page is asked for, and the next page has to begin with it: where another one
stands there, the list has moved. Objects that come or go behind the reader do no harm. Where the
service gives no more than a page, the list must keep its number instead, and where it does not tell
that, the last object of each page is asked for again. Links to a next page are not followed,
because they may lead, with our token, where nobody sent it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sync_agent.errors import ServiceError

Item = TypeVar("Item")


class ShiftedError(ServiceError):
    """A list moved while it was read, so that objects may have been skipped."""

    def __init__(self, what: str) -> None:
        super().__init__(what, remedy="nothing to do: it is read again, and nothing is deleted")


class Pages:
    """Where in a list a reader is: ``taken`` objects from its beginning on."""

    def __init__(self, size: int) -> None:
        """Begin at the beginning; ``size`` objects are taken at once."""
        self._size = size
        self._expected: object = None
        self._total: int | None = None
        self.taken = 0

    def window(self) -> dict[str, str | int]:
        """Return which part of the list to ask for."""
        return {"limit": self._size + 1, "offset": self.taken}

    def turn(
        self, items: list[Item], total: int | None, name: Callable[[Item], object], path: str
    ) -> list[Item]:
        """Return what of a page is taken; ``total`` is what the service says the list has.

        Raises:
            ShiftedError: it does not begin where the last one ended.
        """
        first = name(items[0]) if items else None
        moved = self._expected is None and self.taken and total != self._total
        if moved or (self._expected is not None and first != self._expected):
            raise ShiftedError(f"{path} changed while it was read")
        self._total = total
        ended = total is not None and self.taken + len(items) >= total
        more_than_one = len(items) > (self._size if total is not None else 1)
        ahead = more_than_one and not ended
        self._expected = name(items[-1]) if ahead else None
        taken = items[:-1] if ahead else items
        self.taken += len(taken)
        return taken
