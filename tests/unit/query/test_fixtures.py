"""The language by example: each file of cases is one clause, each case runs on both executors."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sync_agent.errors import QueryError
from sync_agent.query.checks import check
from sync_agent.query.parser import parse
from sync_agent.query.tokens import tokenize
from sync_agent.query.tree import Collection, Comparator, Direction, TextTest, TypeTest
from sync_agent.twins.graph import TwinGraph
from tests.unit.query.executors import in_memory, in_sqlite

FIXTURES = Path(__file__).parent / "fixtures"
NETWORK: dict[str, Any] = json.loads((FIXTURES / "network.json").read_text("utf-8"))
GRAPH = TwinGraph(NETWORK["twins"], NETWORK["relationships"])


def cases(*, refused: bool) -> list[Any]:
    found = []
    for path in sorted(FIXTURES.glob("*.toml")):
        for case in tomllib.loads(path.read_text("utf-8"))["case"]:
            if ("refused" in case) is refused:
                name = f"{path.stem}: {case.get('says', case['query'])}"
                found.append(pytest.param(case, path.stem == "match", id=name))
    return found


LANGUAGE = (
    *("SELECT", "FROM", "WHERE", "TOP", "COUNT", "AS", "JOIN", "RELATED", "MATCH", "AND", "OR"),
    *("NOT", "IN", "NIN", "EXACT", "TRUE", "FALSE", "NULL", "IS_OF_MODEL", "ARRAY_CONTAINS"),
    *Collection,
    *TypeTest,
    *TextTest,
    *Comparator,
    *Direction,
)


@pytest.mark.parametrize("word", LANGUAGE)
def test_every_word_of_the_language_has_an_example(word: str) -> None:
    texts = [case.values[0]["query"] for case in cases(refused=False)]
    found = [t.text.upper() for text in texts for t in tokenize(text)]
    if word in tuple(Direction):
        assert any(word in text.replace(" ", "") for text in texts)
    else:
        assert found.count(word) >= 2, found


@pytest.mark.parametrize("execute", [in_memory, in_sqlite])
@pytest.mark.parametrize(("case", "unordered"), cases(refused=False))
def test_a_query_gives_its_rows(case: dict[str, Any], unordered: bool, execute: Any) -> None:
    query = parse(case["query"])
    check(query)

    rows = [json.dumps(row) for row in execute(query, GRAPH, NETWORK["models"])]

    expected = [json.dumps(json.loads(row)) for row in case["rows"]]
    if unordered:
        assert Counter(rows) == Counter(expected)
    else:
        assert rows == expected


@pytest.mark.parametrize(("case", "unordered"), cases(refused=True))
def test_a_query_that_is_not_allowed_is_refused(case: dict[str, Any], unordered: bool) -> None:
    with pytest.raises(QueryError) as refusal:
        check(parse(case["query"]))

    assert case["refused"] in refusal.value.message
