"""Hands out the changes of one phase so that no twin is in the way of the others, nor late.

The service takes few operations a second of one twin, and fifty times as many of all. Changes of
one twin side by side would only queue, so the least busy twin of the moment goes first, and of
several the one with most left. A hub that decides how long the phase takes always has a few changes
under way, from the first moment on, and the rest is done beside it.

A change of a relationship is counted for that of its ends which has more to do. Time is
O(log twins) a change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import chain

from sync_agent.reconcile.change import Change

BESIDES = 50
"""How many operations the service takes of all twins in the time of one of a single twin."""
HUB_UNDER_WAY = 3
"""How many changes of a hub wait or are under way; the service may take 300 ms for each."""


@dataclass(eq=False, slots=True)
class Busy:
    """A twin with several changes: those left, the next one last, and how many are under way."""

    number: int
    left: list[Change] = field(default_factory=list)
    under_way: int = 0
    version: int = 0


class Spread:
    """The changes of one phase; ``take`` one, and say when it is ``done``."""

    def __init__(self, changes: Sequence[Change]) -> None:
        """Begin with all of them."""
        load = Counter(chain.from_iterable(change.twins for change in changes))
        busy: dict[str, Busy] = {}
        self._count = len(changes)
        self._alone: list[Change] = []
        for change in reversed(changes):
            twin = max(change.twins, key=load.__getitem__)
            if load[twin] == 1:
                self._alone.append(change)
            else:
                busy.setdefault(twin, Busy(len(busy))).left.append(change)
        self._busy = list(busy.values())
        self._order: list[tuple[int, int, int, int]] = []
        for of in self._busy:
            self._place(of)

    def take(self) -> tuple[Change, Busy | None] | None:
        """Return the next change and what to be ``done`` with, None when there is none left."""
        while self._order:
            rank, _, number, version = self._order[0]
            of = self._busy[number]
            if version == of.version and rank and self._alone:
                break
            heappop(self._order)
            if version == of.version:
                self._count -= 1
                of.under_way += 1
                change = of.left.pop()
                self._place(of)
                return change, of
        if not self._alone:
            return None
        self._count -= 1
        return self._alone.pop(), None

    def done(self, of: Busy | None) -> None:
        """Hear that a change ended."""
        if of is not None:
            of.under_way -= 1
            self._place(of)

    def _place(self, of: Busy) -> None:
        """Put a twin where it belongs in the order; what stood there before is void."""
        of.version += 1
        if of.left:
            is_hub = len(of.left) * BESIDES >= self._count
            rank = max(0, of.under_way - HUB_UNDER_WAY + 1) if is_hub else of.under_way
            heappush(self._order, (rank, -len(of.left), of.number, of.version))
