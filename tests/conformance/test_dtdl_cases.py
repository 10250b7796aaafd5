"""Our DTDL library beside the official parser's own test cases, the half of them that is here."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from sync_agent.dtdl.dtmi import is_dtmi, path_of, version_of
from sync_agent.dtdl.elements import Schema
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.values import check_value
from tests.conformance import dtdl_cases
from tests.conformance.dtdl_cases import ARCHIVE, MISSING, Case

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(ARCHIVE is None, reason=MISSING),
    pytest.mark.xdist_group("dtdl_cases"),
]

PAGE = Path(__file__).parents[2] / "docs/dtdl-conformance.md"


@pytest.fixture(scope="module")
def judged() -> list[tuple[Case, list[str]]]:
    assert ARCHIVE is not None
    return [(case, dtdl_cases.findings(case)) for case in dtdl_cases.cases(ARCHIVE)]


def right_verdict(case: Case, codes: list[str]) -> bool:
    return case.valid is not bool(codes)


def right_code(case: Case, codes: list[str]) -> bool:
    return bool(case.codes & set(codes))


def is_value(schema: Schema, text: str) -> bool:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return False
    return check_value(schema, value) is None


def test_nearly_all_verdicts_are_the_official_ones_in_each_version(
    judged: list[tuple[Case, list[str]]],
) -> None:
    for version in ("2", "3"):
        of_version = [j for j in judged if j[0].version == version]
        assert len(of_version) > 3_000
        assert sum(right_verdict(*j) for j in of_version) >= 0.995 * len(of_version)


def test_nearly_all_invalid_cases_get_the_official_code(
    judged: list[tuple[Case, list[str]]],
) -> None:
    coded = [j for j in judged if not j[0].valid and j[0].codes]
    assert len(coded) > 400
    assert sum(right_code(*j) for j in coded) >= 0.9 * len(coded)


def test_the_page_has_every_disagreement_and_no_other(
    judged: list[tuple[Case, list[str]]],
) -> None:
    disagreed = {
        case.name
        for case, codes in judged
        if not right_verdict(case, codes)
        or (not case.valid and case.codes and not right_code(case, codes))
    }
    listed = set(re.findall(r"^\| `([^`]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))

    assert listed == disagreed


def test_the_page_has_the_figures_measured_here(judged: list[tuple[Case, list[str]]]) -> None:
    right: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for case, codes in judged:
        total[case.version, case.folder] += 1
        right[case.version, case.folder] += right_verdict(case, codes)
    page = PAGE.read_text("utf-8")

    for (version, folder), count in total.items():
        assert f"| v{version} | {folder} | {right[version, folder]:,} of {count:,} |" in page


def test_values_conform_as_the_official_parser_says() -> None:
    assert ARCHIVE is not None
    checked = 0
    for name, schema, submitted, conforms in dtdl_cases.instances(ARCHIVE):
        assert is_value(schema, submitted) is conforms, (name, schema, submitted)
        checked += 1
    assert checked > 600


def test_identifiers_are_read_as_the_official_parser_does() -> None:
    assert ARCHIVE is not None
    checked = 0
    for name, case in dtdl_cases.identifiers(ARCHIVE):
        text = case["idText"]
        if "#" in text:  # a fragment is DTDL v4's
            continue
        assert is_dtmi(text) is case["valid"], name
        checked += 1
        if case["valid"]:
            expected = case["expect"]
            assert path_of(text) == expected["Versionless"], name
            assert version_of(text) == (expected["MajorVersion"], expected["MinorVersion"]), name
    assert checked > 10


def test_every_finding_says_what_to_do() -> None:
    assert ARCHIVE is not None
    seen: dict[str, str] = {}
    for case in dtdl_cases.cases(ARCHIVE):
        for finding in parse_models(case.content["input"]).diagnostics:
            assert finding.message, case.name
            assert finding.remedy, (case.name, finding.code)
            seen[finding.code] = finding.remedy
    assert len(seen) > 60
