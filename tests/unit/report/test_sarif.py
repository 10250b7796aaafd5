from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.report.sarif import sarif

FINDING = Diagnostic(
    "invalidId", "it is wrong", "dtmi:t:A;1", "/contents/0/@id", "ran/A.json", "mend it", 7, 5
)


HERE = Path("/work/repository")


def run_of(*findings: Diagnostic, folder: str = "models") -> Any:
    log: Any = sarif(findings, Path(folder), HERE)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    return run


def test_a_finding_stands_at_its_file_and_line() -> None:
    (result,) = run_of(FINDING)["results"]

    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "models/ran/A.json"},
        "region": {"startLine": 7, "startColumn": 5},
    }
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "dtmi:t:A;1/contents/0/@id"
    assert (result["ruleId"], result["level"]) == ("invalidId", "error")
    assert result["message"] == {"text": "it is wrong; mend it"}


@pytest.mark.parametrize(
    ("folder", "uri"),
    [
        ("", "ran/A.json"),
        (".", "ran/A.json"),
        ("/work/repository/my models", "my%20models/ran/A.json"),
        ("../other", "file:///work/other/ran/A.json"),
        ("/else where", "file:///else%20where/ran/A.json"),
    ],
)
def test_a_file_is_named_from_the_working_folder_or_whole(folder: str, uri: str) -> None:
    (result,) = run_of(FINDING, folder=folder)["results"]

    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri}


def test_each_code_is_one_rule_with_what_code_hosting_sites_show_of_it() -> None:
    rules = run_of(FINDING, FINDING, Diagnostic("adt:tooMany", "many"))["tool"]["driver"]["rules"]

    assert [
        [rule[key] for key in ("id", "shortDescription", "fullDescription", "help")]
        for rule in rules
    ] == [
        [
            "invalidId",
            {"text": "Invalid id."},
            {"text": "A rule of DTDL, by the name the official parser has for it."},
            {"text": "mend it"},
        ],
        [
            "adt:tooMany",
            {"text": "Too many."},
            {"text": "A rule of Azure Digital Twins beyond those of DTDL."},
            {"text": "many"},
        ],
    ]


def test_a_finding_without_a_place_and_a_log_without_findings_are_whole() -> None:
    (result,) = run_of(Diagnostic("adt:x", "odd"))["results"]

    assert result["locations"] == []
    assert run_of()["results"] == []
