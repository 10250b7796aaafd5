"""Keeps every request of the agent inside the service's quotas: one pacer for one service.

A request waits until all that limits it has room at the same moment: its class (creating and
deleting, patching, querying, reading), each twin it counts against (the service counts a twin's own
writes and those of its relationships, in either direction, together), and the number of requests
under way. Nothing is taken for later, so nothing is held that another could use.

Who waits is served fairly. In a class, parties (inventory, telemetry) take turns by weight:
start-time fair queueing, so a party that was silent saves nothing up and one that floods
delays only itself. On one twin, parties that both wait alternate. A request that waits longest for
a busy twin keeps the other end of its relationship free for itself, so edges between two busy
twins get through.

A refusal by the service (429) slows down what was refused: the class, or the one twin if the
service says it was that. See ``lane``. Lanes of twins are made when needed and dropped when
idle, at ``TWIN_LANES_MAX``. Waiting requests are bounded by their callers, who run so many at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from sync_agent.agent.lane import Lane
from sync_agent.errors import ThrottledError
from sync_agent.ports.pace import Charge, Operation

TWIN_LANES_MAX = 100_000
PAUSE_S = 1.0
"""How long a refusal that names no time closes its lane."""
YIELD_S = 0.05
"""A twin's turn is kept for another party whose class opens again within this time."""
TWIN_REFUSAL = "TooManyRequests"
"""Code of a 429 about one twin; that of the whole instance comes from a gateway and has none."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """What the service allows, a second, and how many requests may be under way."""

    twin_ops_per_s: float = 10
    patches_per_s: float = 1000
    create_delete_per_s: float = 500
    queries_per_s: float = 500
    query_units_per_s: float = 4000
    reads_per_s: float = 1000
    requests_in_flight: int = 64


@dataclass(eq=False, slots=True)
class _Request:
    """One request that waits for its turn; ``tag`` orders it among those of its class."""

    party: str
    operation: Operation
    twins: tuple[str, ...]
    asked_s: float
    tag: float
    admitted: asyncio.Future[None]


@dataclass(slots=True)
class _Class:
    """The requests of one class that wait, and how far its fair clock went."""

    lane: Lane
    waiting: dict[str, list[_Request]] = field(default_factory=dict)
    clock: float = 0.0
    ends: dict[str, float] = field(default_factory=dict)

    def tag(self, party: str, weight: float) -> float:
        start = max(self.clock, self.ends.get(party, 0.0))
        self.ends[party] = start + 1.0 / weight
        return start


class Pacer:
    """Gives the turns of one service; all of it belongs to one event loop."""

    def __init__(self, quotas: Quotas) -> None:
        """Begin idle."""
        self._quotas = quotas
        self._classes = {
            Operation.READ: _Class(Lane(quotas.reads_per_s)),
            Operation.QUERY: _Class(Lane(quotas.queries_per_s)),
            Operation.PATCH: _Class(Lane(quotas.patches_per_s)),
            Operation.CREATE_DELETE: _Class(Lane(quotas.create_delete_per_s)),
        }
        self._units = Lane(quotas.query_units_per_s)
        self._twins: dict[str, Lane] = {}
        self._waiting_for: dict[str, Counter[str]] = {}
        self._served_last: dict[str, str] = {}
        self._under_way: Counter[str] = Counter()
        self._weights: dict[str, float] = {}
        self._alarm: asyncio.TimerHandle | None = None

    def gate(self, party: str, *, weight: float = 1.0) -> PartyGate:
        """Return the gate of one party; ``weight`` is its share where several wait."""
        self._weights[party] = weight
        return PartyGate(self, party)

    @asynccontextmanager
    async def turn(
        self, party: str, operation: Operation, twins: Sequence[str]
    ) -> AsyncIterator[Charge]:
        """Wait for a turn and hold it while the request is made."""
        request = await self._wait(party, operation, tuple(dict.fromkeys(twins)))
        try:
            yield self._charge
        except ThrottledError as error:
            self._refused(request, error)
            raise
        finally:
            self._under_way[party] -= 1
            self._serve()

    # -- waiting --------------------------------------------------------------------------------

    async def _wait(self, party: str, operation: Operation, twins: tuple[str, ...]) -> _Request:
        loop = asyncio.get_running_loop()
        of = self._classes[operation]
        tag = of.tag(party, self._weights[party])
        request = _Request(party, operation, twins, loop.time(), tag, loop.create_future())
        of.waiting.setdefault(party, []).append(request)
        for twin in twins:
            self._waiting_for.setdefault(twin, Counter())[party] += 1
        self._serve()
        try:
            await request.admitted
        except asyncio.CancelledError:
            if request.admitted.done() and not request.admitted.cancelled():
                self._under_way[party] -= 1
            else:
                self._forget(request)
            self._serve()
            raise
        return request

    def _forget(self, request: _Request) -> None:
        """Take a request out of the waiting ones."""
        self._classes[request.operation].waiting[request.party].remove(request)
        for twin in request.twins:
            waiting = self._waiting_for[twin]
            waiting[request.party] -= 1
            if not waiting[request.party]:
                del waiting[request.party]
            if not waiting:
                del self._waiting_for[twin]
                self._served_last.pop(twin, None)

    def _serve(self) -> None:
        """Admit whoever may go now, and set the alarm for who may go next."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        soonest = float("inf")
        while self._under_way.total() < self._quotas.requests_in_flight:
            ready: list[_Request] = []
            soonest = float("inf")
            for operation, of in self._classes.items():
                free_at = self._class_free_at(operation)
                if free_at > now:
                    if any(of.waiting.values()):
                        soonest = min(soonest, free_at)
                    continue
                first, later = self._first_of(of, now)
                ready += [first] if first else []
                soonest = min(soonest, later)
            if not ready:
                break
            self._admit(min(ready, key=self._precedence), now)
        else:
            return  # whoever ends next serves again
        if soonest < float("inf"):
            self._alarm = loop.call_at(soonest, self._serve)

    def _precedence(self, request: _Request) -> tuple[float, float]:
        under_way = self._under_way[request.party] / self._weights[request.party]
        return (under_way, request.asked_s)

    def _admit(self, request: _Request, now: float) -> None:
        of = self._classes[request.operation]
        self._forget(request)
        of.lane.take(now, request.asked_s)
        of.clock = max(of.clock, request.tag)
        for twin in request.twins:
            self._lane_of(twin, now).take(now, request.asked_s)
            if twin in self._waiting_for:
                self._served_last[twin] = request.party
        self._under_way[request.party] += 1
        request.admitted.set_result(None)

    def _first_of(self, of: _Class, now: float) -> tuple[_Request | None, float]:
        """Return the request of a class that goes first, and when else one could go."""
        best: _Request | None = None
        soonest = float("inf")
        for waiting in of.waiting.values():
            kept: set[str] = set()
            for request in waiting:
                if best is not None and request.tag >= best.tag:
                    break
                if request.admitted.cancelled():  # its caller is about to take it out
                    continue
                free_at = self._twins_free_at(request.twins)
                if free_at > now:
                    soonest = min(soonest, free_at)
                    if kept.isdisjoint(request.twins):
                        kept.update(request.twins)
                elif kept.isdisjoint(request.twins) and not self._yields(request, now):
                    best = request
                    break
        return best, soonest

    def _yields(self, request: _Request, now: float) -> bool:
        """Tell whether it is another party's turn on one of the request's twins."""
        return any(
            self._served_last.get(twin) == request.party
            and any(other != request.party for other in self._open_parties(twin, now))
            for twin in request.twins
        )

    def _open_parties(self, twin: str, now: float) -> Iterator[str]:
        """Yield the parties that wait for a twin with a request whose class is not closed."""
        for party in self._waiting_for.get(twin, ()):
            for operation, of in self._classes.items():
                if self._class_free_at(operation) <= now + YIELD_S and any(
                    twin in request.twins for request in of.waiting.get(party, ())
                ):
                    yield party
                    break

    def _class_free_at(self, operation: Operation) -> float:
        free_at = self._classes[operation].lane.free_at()
        return max(free_at, self._units.free_at()) if operation is Operation.QUERY else free_at

    def _twins_free_at(self, twins: Sequence[str]) -> float:
        known = (self._twins.get(twin) for twin in twins)
        return max((lane.free_at() for lane in known if lane is not None), default=0.0)

    def _lane_of(self, twin: str, now: float) -> Lane:
        lane = self._twins.get(twin)
        if lane is None:
            if len(self._twins) >= TWIN_LANES_MAX:
                self._twins = {t: ln for t, ln in self._twins.items() if not ln.idle(now)}
            lane = self._twins[twin] = Lane(self._quotas.twin_ops_per_s)
        return lane

    # -- what the service says ------------------------------------------------------------------

    def _charge(self, units: float) -> None:
        self._units.charge(asyncio.get_running_loop().time(), units)

    def _refused(self, request: _Request, error: ThrottledError) -> None:
        now = asyncio.get_running_loop().time()
        pause_s = PAUSE_S if error.retry_after_s is None else error.retry_after_s
        if error.code == TWIN_REFUSAL and request.twins:
            for twin in request.twins:
                self._lane_of(twin, now).refuse(now, pause_s)
        else:
            self._classes[request.operation].lane.refuse(now, pause_s)


class PartyGate:
    """The pacer as one party sees it (port ``Gate``)."""

    def __init__(self, pacer: Pacer, party: str) -> None:
        self._pacer = pacer
        self._party = party

    def turn(
        self, operation: Operation, twins: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Charge]:
        """Return a context that waits for the party's turn and holds it."""
        return self._pacer.turn(self._party, operation, twins)
