from __future__ import annotations

import pytest

from sync_agent.query.charge import charge_of_count, charge_of_reading, charge_of_rows


@pytest.mark.parametrize(
    ("rows", "recorded"),
    [(0, 2.79), (1, 2.87), (3, 2.99), (5, 3.18), (45, 8.94), (86, 20.75), (100, 25.9)],
)
def test_a_charge_is_within_five_percent_of_the_recorded_one(rows: int, recorded: float) -> None:
    assert charge_of_rows(rows) == pytest.approx(recorded, rel=0.05)


def test_a_charge_grows_with_the_rows_and_a_count_costs_less_than_its_rows() -> None:
    charges = [charge_of_rows(count) for count in range(1_001)]
    assert charges == sorted(charges)
    assert charges[1_000] == pytest.approx(2.79 + 10 * (charges[100] - 2.79), rel=0.01)
    assert charge_of_count(40) == pytest.approx(6.05, rel=0.05)
    assert charge_of_count(100) < charges[100]
    assert charge_of_count(200_000) < 100


def test_query_units_are_those_of_the_pages_a_reading_takes() -> None:
    assert charge_of_reading(0) == 0
    assert charge_of_reading(100) == charge_of_rows(100)
    assert charge_of_reading(2_100) == 2 * charge_of_rows(1_000) + charge_of_rows(100)
