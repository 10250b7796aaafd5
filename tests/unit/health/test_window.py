from __future__ import annotations

import pytest

from sync_agent.health.kpi import Kpi
from sync_agent.health.profile import Profile
from sync_agent.health.window import (
    ElementHealth,
    HealthState,
    Transition,
    close,
    health_values,
    is_late,
    observe,
)

MINUTE = 60_000
FADE = Kpi("fade", ("level",), 3, 10, 20, cap=0, unit="dB")
LOAD = Kpi("load", ("load",), 70, 85, 95, unit="%")
PROFILE = Profile("dtmi:t:Link;1", (FADE,))
BOTH = Profile("dtmi:t:Link;1", (FADE, LOAD))


class Element:
    """Feeds one element minute by minute and keeps what changed."""

    def __init__(self, profile: Profile = PROFILE, **attributes: object) -> None:
        self.profile = profile
        self.attributes = attributes
        self.health = ElementHealth()
        self.transitions: list[Transition] = []

    def see(self, minute: float, **readings: object) -> Element:
        self.health, found = observe(
            self.profile, self.health, self.attributes, readings, int(minute * MINUTE)
        )
        self.transitions += found
        return self

    def levels(self, *levels: float | None, start: int = 0) -> Element:
        for minute, level in enumerate(levels, start):
            if level is not None:
                self.see(minute, level=level)
        return self

    def close(self, minute: int) -> Element:
        self.health, found = close(self.profile, self.health, self.attributes, minute * MINUTE)
        self.transitions += found
        return self

    @property
    def story(self) -> list[tuple[int, str]]:
        return [(t.at_ms // MINUTE, t.after.value) for t in self.transitions]


def test_two_faded_minutes_of_three_put_in_and_three_clean_ones_take_out() -> None:
    element = Element().levels(0, 12, 0, 12, 0, 0, 0, 0)
    assert element.story == [(1, "healthy"), (4, "degraded"), (7, "healthy")]


def test_one_faded_minute_alone_changes_nothing() -> None:
    assert Element().levels(0, 12, 0, 0, 12, 0, 0, 0).story == [(1, "healthy")]


def test_a_faded_minute_starts_the_clean_count_anew() -> None:
    element = Element().levels(12, 12, 0, 0, 12, 0, 0, 0, 0)
    assert element.story == [(1, "healthy"), (2, "degraded"), (8, "healthy")]


def test_a_minute_without_data_is_neither_faded_nor_clean() -> None:
    element = Element().levels(0, 12, None, 12, 0, None, 0, 0, 0)
    assert element.story == [(1, "healthy"), (4, "degraded"), (8, "healthy")]


def test_critical_comes_and_goes_by_its_own_limit() -> None:
    element = Element().levels(0, 22, 22, 12, 12, 12, 0, 0, 0, 0)
    assert [state for _, state in element.story] == ["healthy", "critical", "degraded", "healthy"]


def test_the_worst_reading_of_a_minute_stands_for_it() -> None:
    element = Element().see(0.1, level=0).see(0.5, level=12).see(1.0, level=12).see(2, level=0)
    assert element.story == [(1, "healthy"), (2, "degraded")]


def test_a_late_reading_changes_no_verdict() -> None:
    element = Element().levels(0, 0, 0)
    before = element.health
    assert is_late(PROFILE, before, MINUTE)
    assert element.see(1, level=30).health == before


def test_a_healthy_element_that_falls_silent_is_unknown_and_data_brings_it_back() -> None:
    element = Element().levels(0, 0).close(10)
    assert element.story[-1] == (4, "unknown")
    assert element.health.state is HealthState.UNKNOWN
    element.levels(0, 0, start=20)
    assert element.story[-1] == (21, "healthy")


def test_silence_does_not_hide_a_known_problem() -> None:
    element = Element().levels(0, 12, 12).close(100)
    assert element.health.state is HealthState.DEGRADED


def test_less_than_half_of_the_weight_with_data_is_unknown_not_green() -> None:
    heavy = Kpi("load", ("load",), 70, 85, 95, weight=3)
    element = Element(Profile("m", (FADE, heavy))).levels(0, 0)
    assert element.story == []
    assert element.health.state is HealthState.UNKNOWN


@pytest.mark.parametrize(
    ("attributes", "state"),
    [
        ({"administrativeState": "locked", "operationalState": "disabled"}, "maintenance"),
        ({"operationalState": "disabled"}, "down"),
        ({"operationalState": "enabled"}, "healthy"),
    ],
)
def test_the_twins_own_states_overrule(attributes: dict[str, str], state: str) -> None:
    assert Element(PROFILE, **attributes).levels(0, 0).health.state == state


def test_what_the_twin_shows_says_how_bad_since_when_and_why() -> None:
    element = Element(BOTH)
    for minute in range(4):
        element.see(minute, level=12, load=60)
    shown = health_values(BOTH, element.health)
    assert shown == {
        "state": "degraded",
        "score": 62.0,
        "worstKpi": "fade",
        "worstKpiScore": 62.0,
        "explanation": "fade 12 dB (degraded at 10 dB)",
        "dataCoveragePct": 100.0,
        "stateSince": "1970-01-01T00:02:00Z",
        "computedAt": "1970-01-01T00:03:00Z",
        "profileVersion": "1",
    }


def test_a_window_survives_being_stored() -> None:
    element = Element(BOTH).levels(0, 12, 12, 0)
    assert ElementHealth.from_json(element.health.to_json()) == element.health


def test_a_state_held_by_its_clean_count_says_how_far_it_has_recovered() -> None:
    element = Element().levels(12, 12, 0, 0)
    shown = health_values(PROFILE, element.health)
    assert shown["state"] == "degraded"
    assert shown["explanation"] == "recovering: 1 of 3 clean periods"
