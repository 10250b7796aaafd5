"""Rate limits, by a clock of the test's own."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from sync_agent.stub.adt.operation import OPERATIONS, Operation
from sync_agent.stub.adt.quotas import RateLimiter, RateLimits, Spent

BY_NAME = {operation.name: operation for operation in OPERATIONS}
PATCH, QUERY, READ = (
    BY_NAME[name] for name in ("DigitalTwins_Update", "Query_QueryTwins", "DigitalTwins_GetById")
)
EDGE = BY_NAME["DigitalTwins_AddRelationship"]


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def admitted(limiter: RateLimiter, operation: Operation, count: int, *twins: str) -> int:
    return sum(limiter.admit(operation, twins) is None for _ in range(count))


def test_a_second_s_worth_passes_and_the_next_is_told_how_long_to_wait() -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimits(patches=5), clock)
    assert admitted(limiter, PATCH, 9, "a") == 5
    refused = limiter.admit(PATCH, ("a",))
    assert refused is not None
    assert (refused.retry_after_s, refused.spent) == (0.2, Spent.REQUESTS)
    clock.now_s = 0.2
    assert admitted(limiter, PATCH, 9, "a") == 1


def test_one_twin_may_be_written_ten_times_a_second() -> None:
    limiter = RateLimiter(RateLimits.published(), Clock())
    assert admitted(limiter, PATCH, 20, "a") == 10
    refused = limiter.admit(PATCH, ("a",))
    assert refused is not None
    assert refused.spent is Spent.TWIN
    assert admitted(limiter, PATCH, 20, "b") == 10


def test_a_relationship_counts_for_both_its_ends() -> None:
    limiter = RateLimiter(RateLimits(twin_writes=2), Clock())
    assert admitted(limiter, EDGE, 1, "a", "hub") == 1
    assert admitted(limiter, EDGE, 1, "b", "hub") == 1
    assert admitted(limiter, EDGE, 1, "c", "hub") == 0


def test_reading_a_twin_is_no_write() -> None:
    limiter = RateLimiter(RateLimits(twin_writes=1), Clock())
    assert admitted(limiter, READ, 50, "a") == 50


def test_what_is_refused_is_counted_nowhere() -> None:
    limiter = RateLimiter(RateLimits(patches=3, twin_writes=1), Clock())
    assert admitted(limiter, PATCH, 10, "a") == 1
    assert admitted(limiter, PATCH, 1, "b") == 1
    assert admitted(limiter, PATCH, 1, "c") == 1


def test_a_dear_query_has_the_next_one_wait() -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimits(queries=100, query_units=10), clock)
    assert admitted(limiter, QUERY, 1) == 1
    limiter.charge(30)
    assert admitted(limiter, QUERY, 1) == 0
    clock.now_s = 2.1
    assert admitted(limiter, QUERY, 1) == 1


def test_without_limits_everything_passes() -> None:
    limiter = RateLimiter(RateLimits(), Clock())
    assert admitted(limiter, PATCH, 10_000, "a") == 10_000


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 30)), min_size=1, max_size=20),
)
def test_never_more_than_the_limit_and_a_second_s_worth(
    rate: int, bursts: list[tuple[float, int]]
) -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimits(patches=rate), clock)
    passed = 0
    for pause_s, count in bursts:
        clock.now_s += pause_s
        passed += admitted(limiter, PATCH, count, "a")
    assert passed <= rate + clock.now_s * rate + 1e-6
