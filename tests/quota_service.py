"""A service that only counts: token buckets of the published limits, and 429 beyond them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sync_agent.errors import ThrottledError
from sync_agent.ports.pace import Gate, Operation


@dataclass
class Bucket:
    """Tokens that grow at a rate up to one second's worth."""

    per_s: float
    tokens: float = -1.0
    at_s: float = 0.0

    def take(self, now_s: float) -> bool:
        grown = self.per_s if self.tokens < 0 else self.tokens + (now_s - self.at_s) * self.per_s
        self.tokens, self.at_s = min(self.per_s, grown), now_s
        if self.tokens < 1 - 1e-9:
            return False
        self.tokens -= 1
        return True


@dataclass
class QuotaService:
    """Takes any request, at once or after ``latency_s``, unless a quota is used up."""

    per_s: dict[Operation, float]
    twin_per_s: float = 10
    latency_s: float = 0.02
    retry_after_s: float = 1.0
    served: Counter[str] = field(default_factory=Counter)
    moments: dict[str, list[float]] = field(default_factory=dict)
    refused: int = 0
    under_way: int = 0
    most_under_way: int = 0
    _classes: dict[Operation, Bucket] = field(default_factory=dict)
    _twins: dict[str, Bucket] = field(default_factory=dict)

    async def request(self, party: str, operation: Operation, twins: Sequence[str]) -> None:
        now_s = asyncio.get_running_loop().time()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            self._count(operation, twins, now_s)
            await asyncio.sleep(self.latency_s)
        finally:
            self.under_way -= 1
        self.served[party] += 1
        for name in (party, *twins):
            self.moments.setdefault(name, []).append(now_s)

    def _count(self, operation: Operation, twins: Sequence[str], now_s: float) -> None:
        bucket = self._classes.setdefault(operation, Bucket(self.per_s[operation]))
        if not bucket.take(now_s):
            self.refused += 1
            raise ThrottledError("too many", status=429, retry_after_s=self.retry_after_s)
        for twin in twins:
            if not self._twins.setdefault(twin, Bucket(self.twin_per_s)).take(now_s):
                self.refused += 1
                raise ThrottledError(
                    "too many to this twin",
                    status=429,
                    code="TooManyRequests",
                    retry_after_s=self.retry_after_s,
                )


async def patiently(
    gate: Gate, service: QuotaService, party: str, operation: Operation, twins: Sequence[str]
) -> None:
    """Make one request through a gate, again and again while it is throttled."""
    while True:
        try:
            async with gate.turn(operation, twins):
                await service.request(party, operation, twins)
                return
        except ThrottledError:
            continue


async def workers(
    count: int, jobs: Sequence[tuple[Operation, tuple[str, ...]]], *at: object
) -> None:
    """Make requests ``(operation, twins)`` with so many workers; ``at``: gate, service, party."""
    gate, service, party = at
    waiting = iter(jobs)

    async def work() -> None:
        for operation, twins in waiting:
            await patiently(gate, service, party, operation, twins)  # type: ignore[arg-type]

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(work())
