from __future__ import annotations

import pytest

from sync_agent.health.kpi import Aggregate, Band, Deviation, Kpi

FADE = Kpi("fade", ("rsl",), 5, 10, 25, references=("nominal",), unit="dB")
SUCCESS = Kpi("setup success", ("ok",), 99, 98, 95)
BER = Kpi("ber", ("ber",), 1e-6, 1e-4, 1e-3, log=True)


@pytest.mark.parametrize(
    ("kpi", "value", "band"),
    [
        (FADE, 9.99, Band.GOOD),
        (FADE, 10.0, Band.DEGRADED),
        (FADE, 25.0, Band.CRITICAL),
        (SUCCESS, 98.01, Band.GOOD),
        (SUCCESS, 98.0, Band.DEGRADED),
        (SUCCESS, 95.0, Band.CRITICAL),
    ],
)
def test_a_value_on_a_limit_is_beyond_it_whichever_way_is_bad(
    kpi: Kpi, value: float, band: Band
) -> None:
    assert kpi.band(value) is band


@pytest.mark.parametrize(
    ("kpi", "value", "utility"),
    [
        (FADE, 0, 1.0),
        (FADE, 5, 1.0),
        (FADE, 10, 0.7),
        (FADE, 17.5, 0.5),
        (FADE, 25, 0.3),
        (FADE, 100, 0.0),
        (SUCCESS, 100, 1.0),
        (SUCCESS, 98, 0.7),
        (BER, 1e-5, 0.85),
        (BER, 0, 1.0),
        (BER, 1e-3, 0.3),
    ],
)
def test_utility_runs_from_good_over_degraded_to_critical(
    kpi: Kpi, value: float, utility: float
) -> None:
    assert kpi.utility(value) == pytest.approx(utility)


def test_a_deviation_is_measured_from_the_twins_own_reference() -> None:
    assert FADE.value_of("rsl", -57.1, {"nominal": -47.1}) == 10.0
    assert FADE.value_of("rsl", -57.1, {}) is None
    above = Kpi("loss", ("loss",), 1, 3, 6, references=("base",), deviation=Deviation.ABOVE)
    assert above.value_of("loss", 24.5, {"base": 20.0}) == 4.5


def test_truth_values_count_as_one_and_zero_and_text_as_nothing() -> None:
    assert SUCCESS.value_of("ok", True, {}) == 1.0
    assert SUCCESS.value_of("ok", "up", {}) is None


def test_the_worst_of_two_values_depends_on_the_direction() -> None:
    assert FADE.worse(3, 7) == 7
    assert SUCCESS.worse(97, 99) == 97
    assert Aggregate("worst") is Aggregate.WORST
