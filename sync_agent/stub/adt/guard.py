"""What stands between a request and its operation: faults, limits, and late consistency.

All of it follows one profile, which can be replaced while the stub runs. With the empty profile,
the default, everything passes at once.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import Refusal
from sync_agent.stub.adt.capacity import Capacity
from sync_agent.stub.adt.faults import Fault, FaultProfile, FaultSource
from sync_agent.stub.adt.lag import LaggingView, Unsettled
from sync_agent.stub.adt.operation import Operation
from sync_agent.stub.adt.quotas import RateLimiter, Spent
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.adt.wire import Request, Response, refused

_GATEWAY = b"application/json"


class ConnectionCutError(Exception):
    """The profile has this connection end without an answer."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What was decided before an operation: an answer in its place, or a fault after it."""

    response: Response | None = None
    fault: Fault | None = None
    new_twin: str = ""
    parting: tuple[str, ...] = ()


_PASSED = Passed()


class Guard:
    """Lets requests of one instance pass, or not, by a profile."""

    def __init__(
        self,
        db: TwinDb,
        profile: FaultProfile,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with a profile."""
        self._db = db
        self._clock_s = clock_s
        self._view: LaggingView | None = None
        self.set(profile)

    @property
    def profile(self) -> FaultProfile:
        """Return the profile in force."""
        return self._faults.profile

    @property
    def hits(self) -> dict[int, int]:
        """Return how many requests each fault has seen, by its place from 0."""
        return dict(self._faults.hits)

    def set(self, profile: FaultProfile) -> None:
        """Replace the profile; counts and buckets begin anew."""
        self.close()
        self._faults = FaultSource(profile)
        self._limiter = RateLimiter(profile.rate_limits(), self._clock_s)
        self._capacity = profile.capacities()
        lag_s = profile.relationship_lag_s
        self._unsettled = Unsettled(lag_s, self._clock_s) if lag_s else None
        if profile.query_lag_s:
            self._view = LaggingView(self._db, profile.query_lag_s, self._clock_s)
        self._is_idle = profile == FaultProfile(seed=profile.seed)

    def close(self) -> None:
        """Let go of the past."""
        if self._view is not None:
            self._view.close()
            self._view = None

    def queried(self) -> TwinDb:
        """Return the store queries see."""
        return self._db if self._view is None else self._view.past()

    async def before(self, request: Request, operation: Operation | None) -> Passed:
        """Decide about a request, and wait if it is to be slow.

        Raises:
            ConnectionCutError: the connection ends before anything is done.
        """
        if self._is_idle:
            return _PASSED
        twins = self._touched(request, operation)
        fault = self._faults.next(operation, twins)
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.delay_s)
        elif fault is not None and fault.kind == "reset-before":
            raise ConnectionCutError
        elif fault is not None and fault.kind == "status":
            return Passed(_as_status(fault), fault)
        if operation is None:
            return Passed(fault=fault)
        throttled = self._limiter.admit(operation, twins)
        if throttled is not None:
            return Passed(too_many(throttled.retry_after_s, throttled.spent))
        full = self._full(request, operation, twins)
        if full is not None:
            return Passed(refused(full), fault)
        return self._settled(operation, twins, fault)

    def after(self, passed: Passed, response: Response) -> None:
        """Take note of what an operation did.

        Raises:
            ConnectionCutError: the connection ends without the answer.
        """
        if self._is_idle:
            return
        if self._unsettled is not None and response.status < 300:
            if passed.new_twin:
                self._unsettled.created(passed.new_twin)
            self._unsettled.parted(*passed.parting)
        if passed.fault is not None and passed.fault.kind == "reset-after":
            raise ConnectionCutError

    def charge(self, units: float) -> None:
        """Take what a query cost."""
        self._limiter.charge(units)

    def _full(
        self, request: Request, operation: Operation, twins: tuple[str, ...]
    ) -> Refusal | None:
        """Return why there is no room for what a request would add, None when there is."""
        if self._capacity == Capacity():
            return None
        match operation.name:
            case "DigitalTwinModels_Add":
                body = _json(request)
                return self._capacity.check_models(
                    self._db, len(body) if isinstance(body, list) else 0
                )
            case "DigitalTwins_Add":
                return self._capacity.check_twin(self._db, twins[0])
            case "DigitalTwins_AddRelationship":
                return self._capacity.check_relationship(self._db, request.parts[3], twins)
            case _:
                return None

    def _settled(self, operation: Operation, twins: tuple[str, ...], fault: Fault | None) -> Passed:
        unsettled, refusal, new = self._unsettled, None, ""
        parting: tuple[str, ...] = ()
        if unsettled is not None:
            if operation.name == "DigitalTwins_AddRelationship" and len(twins) == 2:
                refusal = unsettled.check_ends(*twins)
            elif operation.name == "DigitalTwins_Delete":
                refusal = unsettled.check_parted(twins[0])
            elif operation.name == "DigitalTwins_DeleteRelationship":
                parting = twins
            elif operation.name == "DigitalTwins_Add" and self._db.model_of(twins[0]) is None:
                new = twins[0]
        return Passed(refused(refusal) if refusal else None, fault, new, parting)

    def _touched(self, request: Request, operation: Operation | None) -> tuple[str, ...]:
        """Return the twins a request is about: a relationship's source, then its target."""
        parts = request.parts
        if operation is None or parts[0].lower() != "digitaltwins":
            return ()
        if not operation.name.endswith("Relationship") or len(parts) < 4:
            return (parts[1],)
        target = None
        if operation.method == "PUT":
            body = _json(request)
            target = body.get("$targetId") if isinstance(body, dict) else None
        else:
            document = self._db.relationship(parts[1], parts[3])
            target = None if document is None else document["$targetId"]
        return (parts[1], target) if isinstance(target, str) else (parts[1],)


def _json(request: Request) -> Any:
    """Return a body as JSON, None for what is none: its operation will say so."""
    try:
        return msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def too_many(retry_after_s: float, spent: Spent) -> Response:
    """Return the answer to a request beyond a rate limit; requests are counted by the gateway."""
    retry = (b"retry-after", str(max(1, math.ceil(retry_after_s))).encode())
    if spent is not Spent.REQUESTS:
        is_twin = spent is Spent.TWIN
        response = refused(answers.twin_throttled() if is_twin else answers.query_quota_reached())
        return Response(response.status, response.body, (*response.headers, retry))
    message = (
        "Maximum request rate limit reached. For Azure Digital Twins rate limiting details please"
        " see https://aka.ms/dtv2limits."
    )
    body = msgspec.json.encode({"error": {"statusCode": 429, "message": message}})
    return Response(429, body, ((b"content-type", _GATEWAY), retry), is_gateway=True)


def _as_status(fault: Fault) -> Response:
    if fault.status == 429:
        return too_many(fault.retry_after_s, Spent.TWIN if fault.twin else Spent.REQUESTS)
    response = refused(
        Refusal(fault.status, "InjectedFault", "The fault profile has this request fail.")
    )
    if not fault.retry_after_s:
        return response
    retry = (b"retry-after", str(math.ceil(fault.retry_after_s)).encode())
    return Response(response.status, response.body, (*response.headers, retry))
