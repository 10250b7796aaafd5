"""Rate limits as the service has them: what may be asked in a second, of the instance and a twin.

Each limit is a bucket that holds one second's worth and fills steadily. A request that finds its
bucket empty is told how long to wait. Query units are known only after a query, so a query is let
in while any are left, and what it cost is taken then.

Source of the figures: "Azure Digital Twins service limits" (2025-01), rate limits. Bounds: the
twins remembered are those written within the last second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sync_agent.stub.adt.operation import Operation, Quota

TWINS_SWEPT_AT = 10_000


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests a second; 0 stands for no limit. ``twin_writes`` is for one twin."""

    models: float = 0
    reads: float = 0
    patches: float = 0
    creates_and_deletes: float = 0
    twin_writes: float = 0
    queries: float = 0
    query_units: float = 0
    routes: float = 0
    jobs: float = 0

    @classmethod
    def published(cls) -> RateLimits:
        """Return the limits the service publishes."""
        return cls(
            models=100,
            reads=1000,
            patches=1000,
            creates_and_deletes=500,
            twin_writes=10,
            queries=500,
            query_units=4000,
            routes=100,
            jobs=1,
        )

    def of(self, quota: Quota) -> float:
        """Return the limit an operation of that kind counts for."""
        return {
            Quota.MODELS: self.models,
            Quota.READ: self.reads,
            Quota.PATCH: self.patches,
            Quota.CREATE_DELETE: self.creates_and_deletes,
            Quota.TELEMETRY: 0.0,
            Quota.QUERY: self.queries,
            Quota.ROUTES: self.routes,
            Quota.JOBS: self.jobs,
        }[quota]


class Spent(StrEnum):
    """What there is no more of: requests to the instance, writes on one twin, query units."""

    REQUESTS = "requests"
    TWIN = "twin"
    UNITS = "units"


@dataclass(frozen=True, slots=True)
class Throttled:
    """A request that is too many: how long to wait, and what was spent."""

    retry_after_s: float
    spent: Spent


@dataclass(slots=True)
class _Bucket:
    """Fills by ``rate`` a second up to ``rate``."""

    rate: float
    level: float
    at_s: float

    def fill(self, now_s: float) -> None:
        self.level = min(self.rate, self.level + (now_s - self.at_s) * self.rate)
        self.at_s = now_s

    def wait_s(self, now_s: float, amount: float = 1.0) -> float:
        """Return how long until the amount is there, 0 when it is."""
        self.fill(now_s)
        return 0.0 if self.level >= amount else (amount - self.level) / self.rate


@dataclass(slots=True)
class RateLimiter:
    """What is left of each limit; ``clock_s`` never goes back."""

    limits: RateLimits
    clock_s: Callable[[], float]
    _classes: dict[str, _Bucket] = field(default_factory=dict)
    _twins: dict[str, _Bucket] = field(default_factory=dict)

    def admit(self, operation: Operation, twins: Sequence[str]) -> Throttled | None:
        """Let a request in and count it for its class and for each twin, or tell why not.

        A refused request is counted nowhere.
        """
        now_s = self.clock_s()
        buckets = []
        rate = self.limits.of(operation.quota)
        if rate:
            bucket = self._bucket(self._classes, operation.quota, rate, now_s)
            if wait := bucket.wait_s(now_s):
                return Throttled(wait, Spent.REQUESTS)
            buckets.append(bucket)
        if operation.quota is Quota.QUERY and self.limits.query_units:
            units = self._bucket(self._classes, "units", self.limits.query_units, now_s)
            if wait := units.wait_s(now_s, 0.0):
                return Throttled(wait, Spent.UNITS)
        if operation.writes_twin and self.limits.twin_writes:
            for twin in set(twins):
                own = self._bucket(self._twins, twin, self.limits.twin_writes, now_s)
                if wait := own.wait_s(now_s):
                    return Throttled(wait, Spent.TWIN)
                buckets.append(own)
            self._sweep(now_s)
        for bucket in buckets:
            bucket.level -= 1
        return None

    def charge(self, units: float) -> None:
        """Take the query units a query cost."""
        if self.limits.query_units:
            bucket = self._bucket(self._classes, "units", self.limits.query_units, self.clock_s())
            bucket.fill(self.clock_s())
            bucket.level -= units

    def _bucket(self, buckets: dict[str, _Bucket], key: str, rate: float, now_s: float) -> _Bucket:
        bucket = buckets.get(key)
        if bucket is None:
            bucket = buckets[key] = _Bucket(rate, rate, now_s)
        return bucket

    def _sweep(self, now_s: float) -> None:
        if len(self._twins) > TWINS_SWEPT_AT:
            self._twins = {k: b for k, b in self._twins.items() if now_s - b.at_s < 1.0}
