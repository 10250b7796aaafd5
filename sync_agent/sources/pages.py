"""Lists that are read page by page by offset, and whether they stood still meanwhile.

When an object in front of the reader is deleted, all others move up by one, and the first of the
next page is never seen; if one is created at the end as well, not even their number tells. So each
page begins with the last object of the page before: where another one stands there, the list has
moved. Objects that come or go behind the reader do no harm. Links to a next page are not followed,
because they may lead, with our token, where nobody sent it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sync_agent.errors import ServiceError

Item = TypeVar("Item")

SIZE_MIN = 2


class ShiftedError(ServiceError):
    """A list moved while it was read, so that objects may have been skipped."""

    def __init__(self, what: str) -> None:
        super().__init__(what, remedy="nothing to do: it is read again, and nothing is deleted")


class Pages:
    """Where in a list a reader is: ``taken`` objects from its beginning on."""

    def __init__(self, size: int) -> None:
        """Begin at the beginning; ``size`` objects are asked for at once."""
        self._size = max(size, SIZE_MIN)
        self._last: object = None
        self.taken = 0

    def window(self) -> dict[str, str | int]:
        """Return which page to ask for."""
        return {"limit": self._size, "offset": max(self.taken - 1, 0)}

    def turn(self, items: list[Item], name: Callable[[Item], object], path: str) -> list[Item]:
        """Return what is new on a page.

        Raises:
            ShiftedError: it does not begin where the last one ended.
        """
        if self.taken:
            if not items or name(items[0]) != self._last:
                raise ShiftedError(f"{path} changed while it was read")
            items = items[1:]
        if items:
            self._last = name(items[-1])
        self.taken += len(items)
        return items
