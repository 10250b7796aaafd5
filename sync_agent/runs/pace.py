"""Keeps every request of the agent inside the service's quotas: one pacer for one service.

A request waits until all that limits it has room at once: its class (creating and deleting,
patching, querying, reading, models), each twin it counts against (the service counts a twin's own
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
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType

from sync_agent.errors import ThrottledError
from sync_agent.ports.pace import Charge, Operation
from sync_agent.runs.lane import Lane

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
    model_ops_per_s: float = 100
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
    count: int = 0
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
            Operation.MODEL: _Class(Lane(quotas.model_ops_per_s)),
        }
        self._units = Lane(quotas.query_units_per_s)
        self._twins: dict[str, Lane] = {}
        self._waiting_for: dict[str, Counter[str]] = {}
        self._served_last: dict[str, str] = {}
        self._under_way: Counter[str] = Counter()
        self._under_way_of_all = 0
        self._weights: dict[str, float] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at_s = float("inf")

    def gate(self, party: str, *, weight: float = 1.0) -> PartyGate:
        """Return the gate of one party; ``weight`` is its share where several wait."""
        self._weights[party] = weight
        return PartyGate(self, party)

    # -- waiting --------------------------------------------------------------------------------

    async def enter(self, party: str, operation: Operation, twins: tuple[str, ...]) -> _Request:
        """Wait for a turn; whoever got one has to ``leave``."""
        loop = asyncio.get_running_loop()
        of = self._classes[operation]
        tag = of.tag(party, self._weights[party])
        request = _Request(party, operation, twins, loop.time(), tag, loop.create_future())
        of.waiting.setdefault(party, []).append(request)
        of.count += 1
        for twin in twins:
            self._waiting_for.setdefault(twin, Counter())[party] += 1
        self._serve()
        try:
            await request.admitted
        except asyncio.CancelledError:
            if request.admitted.done() and not request.admitted.cancelled():
                self._end(request)
            else:
                self._forget(request)
                self._serve()
            raise
        return request

    def leave(self, request: _Request, error: BaseException | None) -> None:
        """End a turn; a refusal of the service slows down what it refused."""
        if isinstance(error, ThrottledError):
            self._refused(request, error)
        self._end(request)

    def _end(self, request: _Request) -> None:
        full = self._under_way_of_all >= self._quotas.requests_in_flight
        self._under_way[request.party] -= 1
        self._under_way_of_all -= 1
        if full:  # otherwise who waits does so for a moment, and the alarm is set for that
            self._serve()

    def _forget(self, request: _Request) -> None:
        """Take a request out of the waiting ones."""
        of = self._classes[request.operation]
        of.waiting[request.party].remove(request)
        of.count -= 1
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
        now = asyncio.get_running_loop().time()
        soonest = float("inf")
        while self._under_way_of_all < self._quotas.requests_in_flight:
            ready: list[_Request] = []
            soonest = float("inf")
            for operation, of in self._classes.items():
                if not of.count:
                    continue
                free_at = self._class_free_at(operation)
                if free_at > now:
                    soonest = min(soonest, free_at)
                    continue
                first, later = self._first_of(of, now)
                ready += [first] if first else []
                soonest = min(soonest, later)
            if not ready:
                break
            self._admit(min(ready, key=self._precedence) if len(ready) > 1 else ready[0], now)
        else:
            soonest = float("inf")  # whoever ends next serves again
        self._set_alarm(soonest)

    def _set_alarm(self, at_s: float) -> None:
        if self._alarm_at_s == at_s:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_at_s = at_s
        if at_s < float("inf"):
            self._alarm = asyncio.get_running_loop().call_at(at_s, self._ring)

    def _ring(self) -> None:
        self._alarm, self._alarm_at_s = None, float("inf")
        self._serve()

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
        self._under_way_of_all += 1
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
            and any(
                other.party != request.party and not self._yields_to(other, request)
                for other in self._open_requests(twin, now)
            )
            for twin in request.twins
        )

    def _yields_to(self, one: _Request, other: _Request) -> bool:
        """Tell whether a request would let another go first on a twin they share."""
        return any(
            self._served_last.get(twin) == one.party and twin in other.twins for twin in one.twins
        )

    def _open_requests(self, twin: str, now: float) -> Iterator[_Request]:
        """Yield the requests that wait for a twin and whose class is not closed."""
        parties = self._waiting_for.get(twin, ())
        for operation, of in self._classes.items():
            if of.count and self._class_free_at(operation) <= now + YIELD_S:
                for party in parties:
                    for request in of.waiting.get(party, ()):
                        if twin in request.twins:
                            yield request

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

    def charge(self, units: float) -> None:
        """Count what a query turned out to cost."""
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
        return _Turn(self._pacer, self._party, operation, tuple(dict.fromkeys(twins)))


class _Turn:
    """One turn: waited for on entering, given back on leaving."""

    __slots__ = ("_asked", "_pacer", "_request")

    def __init__(
        self, pacer: Pacer, party: str, operation: Operation, twins: tuple[str, ...]
    ) -> None:
        self._pacer = pacer
        self._asked = (party, operation, twins)

    async def __aenter__(self) -> Charge:
        self._request = await self._pacer.enter(*self._asked)
        return self._pacer.charge

    async def __aexit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        self._pacer.leave(self._request, error)
