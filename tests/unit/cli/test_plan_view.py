"""What is said about a plan and its input."""

from __future__ import annotations

from sync_agent.cli.plan_view import FAULTS_SHOWN, say_unused
from sync_agent.inventory.record import RecordDiagnostic


def test_a_thousand_faults_are_no_flood_where_the_rest_is_done() -> None:
    said: list[str] = []
    say_unused([RecordDiagnostic(f"a.csv:{n}", "is bad") for n in range(1_000)], said.append)
    assert said[0] == "not used: a.csv:0: is bad"
    assert said[FAULTS_SHOWN:] == [f"not used: {1_000 - FAULTS_SHOWN} more faults in the input"]


def test_few_faults_are_all_said() -> None:
    said: list[str] = []
    say_unused([RecordDiagnostic("a.csv:1", "is bad")], said.append)
    assert said == ["not used: a.csv:1: is bad"]
