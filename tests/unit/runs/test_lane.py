import pytest

from sync_agent.runs.lane import CATCH_UP_S, HEADROOM, Lane


def moments(lane: Lane, count: int, asked_s: float = 0.0) -> list[float]:
    """Take as many turns as soon as each is free."""
    taken = []
    for _ in range(count):
        now = max(asked_s, lane.free_at())
        lane.take(now, asked_s)
        taken.append(now)
    return taken


def test_turns_come_at_the_rate_less_the_headroom() -> None:
    taken = moments(Lane(10), 11)
    assert taken[-1] == pytest.approx(1.0 / HEADROOM)


def test_a_lane_that_was_idle_saves_nothing_up() -> None:
    lane = Lane(10)
    moments(lane, 3)
    taken = moments(lane, 3, asked_s=60.0)
    assert taken == pytest.approx([60.0, 60.0 + 0.1 / HEADROOM, 60.0 + 0.2 / HEADROOM])


def test_a_lane_that_is_late_catches_up_a_little_and_no_more() -> None:
    lane = Lane(1000)
    lane.take(0.0, 0.0)
    late, passed = 5.0, 0
    while lane.free_at() <= late:
        lane.take(late, 0.0)
        passed += 1
    assert passed == pytest.approx(CATCH_UP_S * 1000, abs=2)


def test_a_refusal_closes_a_lane_for_as_long_as_was_asked_and_halves_its_rate() -> None:
    lane = Lane(10)
    lane.refuse(1.0, 4.0)
    assert lane.free_at() == 5.0
    taken = moments(lane, 2, asked_s=5.0)
    assert taken[1] - taken[0] == pytest.approx(0.2 / HEADROOM)


def test_refusals_at_the_same_time_count_once() -> None:
    one, many = Lane(10), Lane(10)
    one.refuse(1.0, 1.0)
    for _ in range(64):
        many.refuse(1.0, 1.0)
    assert moments(one, 3, 2.0) == moments(many, 3, 2.0)


def test_a_refused_lane_comes_back_to_its_full_rate() -> None:
    lane = Lane(10)
    lane.refuse(0.0, 0.0)
    assert not lane.idle(5.0)
    assert lane.idle(30.0)


def test_what_an_operation_cost_is_waited_out_afterwards() -> None:
    lane = Lane(4000)
    lane.take(0.0, 0.0)
    lane.charge(1.0, 400.0)
    assert lane.free_at() == pytest.approx(1.0 + 0.1 / HEADROOM)
