from __future__ import annotations

from typing import Any

import pytest

from sync_agent.migration.rule_check import misnamed
from sync_agent.migration.rules import Conversion, Pair, Rules
from tests.unit.migration.radios import NEW, OLD, PAIR, registry


def faults(rules: Rules) -> tuple[str, ...]:
    return misnamed(Pair(OLD, NEW, rules), registry())


def test_rules_that_name_what_is_there_are_fine() -> None:
    assert faults(PAIR.rules) == ()
    assert faults(Rules(rename={"ports.count": "health.score"})) == ()


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ({"rename": {"rssl": "rslDbm"}}, f"rename: rssl is no property of {OLD}"),
        ({"rename": {"rsl": "rsl"}}, f"rename: rsl is no property of {NEW}"),
        ({"rename": {"ports": "vendor"}}, f"rename: ports is no property of {OLD}"),
        ({"convert": {"note": Conversion()}}, f"convert: note is no property of {NEW}"),
        ({"set": {"health": 1}}, f"set: health is no property of {NEW}"),
        ({"relationships": {"feed": ""}}, f"relationships: feed is no relationship of {OLD}"),
        ({"relationships": {"old": "x"}}, f"relationships: x is no relationship of {NEW}"),
    ],
)
def test_a_misspelt_name_is_told(rules: dict[str, Any], fault: str) -> None:
    assert faults(Rules(**rules)) == (fault,)
