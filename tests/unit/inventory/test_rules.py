"""Conditions of a rule."""

from __future__ import annotations

from typing import Any

import pytest

from sync_agent.inventory.rules import Condition

SOME = Condition("rack", frozenset({"*"}))
NONE = Condition("rack", frozenset({"*"}), negated=True)


@pytest.mark.parametrize("value", [7, "x", 0, False, "*"])
def test_a_star_stands_for_anything_there_is(value: Any) -> None:
    assert SOME.holds({"rack": value})
    assert not NONE.holds({"rack": value})


@pytest.mark.parametrize("attributes", [{}, {"rack": None}, {"rack": ""}])
def test_a_star_does_not_stand_for_nothing(attributes: dict[str, Any]) -> None:
    assert not SOME.holds(attributes)
    assert NONE.holds(attributes)


def test_booleans_are_compared_as_json_has_them() -> None:
    assert Condition("up", frozenset({"true"})).holds({"up": True})
