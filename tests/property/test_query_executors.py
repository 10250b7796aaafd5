"""The stub's SQL and the reference interpreter give the same rows for any graph and query."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.query.checks import check
from sync_agent.query.tree import Query
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document
from tests.property.query_strategies import KINDS, MODELS, any_cases, graphs, queries
from tests.unit.query.executors import ALL, in_memory, in_sqlite


def check_agreement(graph: TwinGraph, query: Query, page: int = ALL) -> None:
    check(query)
    expected = [json.dumps(row) for row in in_memory(query, graph, MODELS)]
    found = [json.dumps(row) for row in in_sqlite(query, graph, MODELS, page=page)]
    if query.match is not None and query.top is not None:
        # which rows of a MATCH stand first is not promised
        whole = in_memory(replace(query, top=None), graph, MODELS)
        assert Counter(found) <= Counter(json.dumps(row) for row in whole)
        assert len(found) == len(expected)
    elif query.match is not None:
        assert Counter(found) == Counter(expected)
    else:
        assert found == expected


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_both_executors_give_the_same_rows(kind: str, data: st.DataObject) -> None:
    check_agreement(data.draw(graphs(kind)), data.draw(queries(kind)))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_pages_put_together_are_the_whole_answer(kind: str, data: st.DataObject) -> None:
    page = data.draw(st.integers(1, 3))
    check_agreement(data.draw(graphs(kind)), data.draw(queries(kind)), page)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@settings(max_examples=10_000, deadline=None)
@given(any_cases)
def test_both_executors_give_the_same_rows_ten_thousand_times(
    case: tuple[TwinGraph, Query],
) -> None:
    check_agreement(*case)


def test_rows_that_differ_are_told_apart() -> None:
    rows: list[list[Document]] = [[{"a": 1}], [{"a": 1.0}], [{"a": True}]]
    assert len({json.dumps(row) for row in rows}) == 3
