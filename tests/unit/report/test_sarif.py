from __future__ import annotations

from typing import Any

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.report.sarif import sarif

FINDING = Diagnostic(
    "invalidId", "it is wrong", "dtmi:t:A;1", "/contents/0/@id", "ran/A.json", "mend it", 7
)


def run_of(*findings: Diagnostic, folder: str = "models") -> Any:
    log: Any = sarif(findings, folder)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    return run


def test_a_finding_stands_at_its_file_and_line() -> None:
    (result,) = run_of(FINDING)["results"]

    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "models/ran/A.json"},
        "region": {"startLine": 7},
    }
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "dtmi:t:A;1/contents/0/@id"
    assert (result["ruleId"], result["level"]) == ("invalidId", "error")
    assert result["message"] == {"text": "it is wrong: mend it"}


def test_each_code_is_one_rule() -> None:
    rules = run_of(FINDING, FINDING)["tool"]["driver"]["rules"]

    assert rules == [{"id": "invalidId", "help": {"text": "mend it"}}]


def test_a_finding_without_a_place_and_a_log_without_findings_are_whole() -> None:
    (result,) = run_of(Diagnostic("adt:x", "odd"))["results"]

    assert result["locations"] == []
    assert run_of()["results"] == []
