"""What health comes to depends on readings and times, not on batches or restarts."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from sync_agent.health.kpi import Kpi
from sync_agent.health.profile import Enter, Leave, Profile
from sync_agent.health.window import ElementHealth, Transition, close, observe

MINUTE = 60_000
readings = st.lists(
    st.tuples(st.integers(0, 40 * 6).map(lambda t: t * 10_000), st.sampled_from([0, 9.9, 10, 25])),
    max_size=60,
).map(sorted)
profiles = st.builds(
    lambda breaches, more, clean: Profile(
        "m",
        (Kpi("fade", ("level",), 3, 10, 20),),
        enter=Enter(breaches, breaches + more),
        leave=Leave(clean),
    ),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 3),
)


def run(
    profile: Profile, rows: list[tuple[int, float]], *, stored: bool, peeked: bool
) -> tuple[ElementHealth, list[Transition]]:
    health = ElementHealth()
    found: list[Transition] = []
    for time_ms, level in rows:
        if peeked:
            # Time passes up to this very reading before it comes, as when another element's came.
            health, early = close(profile, health, {}, time_ms)
            found += early
        health, more = observe(profile, health, {}, {"level": level}, time_ms)
        found += more
        if stored:
            health = ElementHealth.from_json(health.to_json())
    return health, found


@given(profiles, readings)
def test_storing_after_every_reading_changes_nothing(
    profile: Profile, rows: list[tuple[int, float]]
) -> None:
    plain = run(profile, rows, stored=False, peeked=False)
    assert run(profile, rows, stored=True, peeked=False) == plain


@given(profiles, readings)
def test_when_time_is_passed_changes_nothing(
    profile: Profile, rows: list[tuple[int, float]]
) -> None:
    plain = run(profile, rows, stored=False, peeked=False)
    assert run(profile, rows, stored=False, peeked=True) == plain


SHORT = Profile(
    "m", (Kpi("fade", ("level",), 3, 10, 20),), enter=Enter(breaches=1, of=2), leave=Leave(1)
)


@given(profiles, readings)
@example(SHORT, [(0, 25), (60_000, 0)])  # a critical period still counted, a clean one after it
def test_states_follow_the_rule_of_counts(profile: Profile, rows: list[tuple[int, float]]) -> None:
    worst: dict[int, float] = {}
    for time_ms, level in rows:
        worst[time_ms // MINUTE] = max(worst.get(time_ms // MINUTE, 0), level)
    faded = [worst[minute] >= 10 for minute in sorted(worst)]
    degraded = False
    for position in range(len(faded)):
        recent = faded[max(0, position + 1 - profile.enter.of) : position + 1]
        run_clean = faded[max(0, position + 1 - profile.leave.clean) : position + 1]
        clean = len(run_clean) == profile.leave.clean and not any(run_clean)
        if recent.count(True) >= profile.enter.breaches and not clean:
            degraded = True
        elif clean:
            degraded = False
    health, _ = run(profile, rows, stored=False, peeked=False)
    health, _ = close(profile, health, {}, 50 * MINUTE)
    assert (health.level in ("degraded", "critical")) == degraded
