"""The sample queries of the service's documentation: read, or refused where they are faulty."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sync_agent.errors import QueryError
from sync_agent.query.checks import check
from sync_agent.query.parser import parse
from sync_agent.query.render import render

SAMPLES = next(
    (
        path
        for folder in Path(__file__).resolve().parents
        if (path := folder / "shared/conformance/adt/documented_queries.jsonl").is_file()
    ),
    None,
)

# Samples that are not queries as they stand: the name, and what is wrong at which column.
FAULTY = {
    "SelectSyntax": ("mismatched input '<EOF>' expecting FROM", 8),  # a fragment
    "SelectCountSyntax": ("mismatched input '<EOF>' expecting FROM", 14),  # a fragment
    "SelectCount2": ("extraneous input 'SELECT'", 73),  # two queries in a row
    "MatchNameAllExample": ("missing ')'", 57),  # a bracket is missing
    "MatchVariableExample": ("missing FROM", 23),  # FROM is missing
    "IsStringExample": ("mismatched input 'DIGITIALTWINS'", 14),  # a slip of the pen
    "INOperatorWithout": ("token recognition error at: '@'", 100),  # a parameter of a program
    "INOperatorWith": ("mismatched input '..'", 110),  # an ellipsis
}
# Samples marked as templates that have nothing left open; the mark is for their arrows.
COMPLETE = frozenset(("MatchDirectionRLExample", "MatchCombinedChainBDExample"))
# Samples that are well-formed and still not allowed.
NOT_ALLOWED = {
    "MatchNameMultiExample": "'building.$dtId' must start with",  # introduced as Building
    "OtherExamples1": "'has.role' must start with",  # a relationship name in place of a variable
}


def samples() -> list[Any]:
    if SAMPLES is None:
        reason = "../shared/conformance/adt/documented_queries.jsonl is not here"
        return [pytest.param({}, marks=pytest.mark.skip(reason=reason))]
    lines = map(json.loads, SAMPLES.read_text("utf-8").splitlines())
    return [pytest.param(line, id=line["name"]) for line in lines]


@pytest.mark.real_data
@pytest.mark.parametrize("sample", samples())
def test_a_documented_query_is_read_unless_it_is_faulty(sample: dict[str, Any]) -> None:
    text, name = sample["query"], sample["name"]
    if name in FAULTY:
        message, column = FAULTY[name]
        with pytest.raises(QueryError, match=re.escape(message)) as refusal:
            parse(text)
        assert refusal.value.position == column
        return
    if sample["is_template"] and name not in COMPLETE:
        with pytest.raises(QueryError):
            parse(text)
        return
    query = parse(text)
    assert repr(parse(render(query))) == repr(query)
    if name in NOT_ALLOWED:
        with pytest.raises(QueryError) as refusal:
            check(query)
        assert NOT_ALLOWED[name] in refusal.value.message
    else:
        check(query)
