"""Eventual consistency on request: queries of a past state, relationships that settle late.

A lagging query is answered from a second database in memory, to which every write is applied when
it is old enough. What a client may meet shortly after a write on the service: a relationship to a
twin that was just created finds no twin, and a twin whose last relationship was just deleted still
counts as connected. Bounds: the writes, twins and relationships of the last ten seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import Refusal
from sync_agent.stub.adt.store import TwinDb, Write

SWEPT_AT = 10_000


class LaggingView:
    """The store as it was ``lag_s`` ago."""

    def __init__(self, db: TwinDb, lag_s: float, clock_s: Callable[[], float]) -> None:
        """Begin with the present state."""
        self._db = db
        self._lag_s = lag_s
        self._clock_s = clock_s
        self._past = TwinDb(None)
        db.copy_into(self._past)
        self._coming: deque[tuple[float, Sequence[Write]]] = deque()
        db.follower = self._note

    def past(self) -> TwinDb:
        """Return the store as queries see it now."""
        due = self._clock_s() - self._lag_s
        while self._coming and self._coming[0][0] <= due:
            self._past.replay(self._coming.popleft()[1])
        return self._past

    def close(self) -> None:
        """Follow no more."""
        self._db.follower = None
        self._past.close()

    def _note(self, writes: Sequence[Write]) -> None:
        self._coming.append((self._clock_s(), writes))


class Unsettled:
    """Twins and relationships too new to be relied on."""

    def __init__(self, lag_s: float, clock_s: Callable[[], float]) -> None:
        """Begin with everything settled."""
        self._lag_s = lag_s
        self._clock_s = clock_s
        self._created: dict[str, float] = {}
        self._parted: dict[str, float] = {}

    def check_ends(self, source: str, target: str) -> Refusal | None:
        """Return the refusal of a relationship between twins one of which is too new."""
        if self._is_new(self._created, source):
            return answers.twin_not_found(source)
        return answers.target_not_found() if self._is_new(self._created, target) else None

    def check_parted(self, twin: str) -> Refusal | None:
        """Return the refusal to delete a twin that lost a relationship just now."""
        return answers.twin_connected(twin) if self._is_new(self._parted, twin) else None

    def created(self, twin: str) -> None:
        """Note a twin that came."""
        self._created[twin] = self._clock_s()
        self._sweep(self._created)

    def parted(self, *twins: str) -> None:
        """Note the ends of a relationship that went."""
        for twin in twins:
            self._parted[twin] = self._clock_s()
        self._sweep(self._parted)

    def _sweep(self, times: dict[str, float]) -> None:
        if len(times) > SWEPT_AT:
            past = self._clock_s() - self._lag_s
            for twin in [twin for twin, since in times.items() if since < past]:
                del times[twin]

    def _is_new(self, times: dict[str, float], twin: str) -> bool:
        since = times.get(twin)
        if since is None:
            return False
        if self._clock_s() - since < self._lag_s:
            return True
        del times[twin]
        return False
