"""Query text: what the parser makes of it survives being written, and nothing crashes it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_agent.errors import QueryError
from sync_agent.query.checks import check
from sync_agent.query.parser import parse
from sync_agent.query.render import render
from sync_agent.query.tokens import RESERVED, TEXT_MAX
from sync_agent.query.tree import Query
from sync_agent.stub.adt.lowering import lower
from tests.property.query_strategies import any_queries

FRAGMENTS = [
    *sorted(RESERVED),
    *("JOIN", "MATCH", "RELATED", "NIN", "exact", "DIGITALTWINS", "relationships", "STARTSWITH"),
    *("ENDSWITH", "CONTAINS", "ARRAY_CONTAINS", "T", "a", "$dtId", "$metadata", "[[a b]]", "[["),
    *("'x'", "'", "\\'", "1", "1..3", "-1.5e3", "9" * 30, "1e999", ".", ",", "*", "..", "<", ">"),
    *("<=", ">=", "!=", "=", "(", ")", "[", "]", "]]", "-", "->", "<-", "|", ":", "@", "\n", "é"),
]
soups = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(" ".join)
tails = soups.map("SELECT * FROM DIGITALTWINS T WHERE T.a = 1 AND ".__add__)


@settings(max_examples=200, deadline=None)
@given(any_queries)
def test_a_tree_written_and_read_again_is_the_same_tree(query: Query) -> None:
    # repr, because 1, 1.0 and true are equal values but not the same literals
    assert repr(parse(render(query))) == repr(query)


@settings(max_examples=300, deadline=None)
@given(st.text() | soups | tails)
@example("SELECT * FROM DIGITALTWINS WHERE " + "NOT " * 1_900 + "a = 1")
@example("SELECT * FROM DIGITALTWINS WHERE " + "(" * 3_900 + "a = 1" + ")" * 3_900)
@example("SELECT TOP(" + "9" * 5_000 + ") FROM DIGITALTWINS")
@example("SELECT * FROM DIGITALTWINS WHERE a = " + "9" * 7_000)
@example("SELECT a FROM DIGITALTWINS MATCH (a)-[*" + "9" * 5_000 + "]-() WHERE a.$dtId = 'x'")
@example("'" * TEXT_MAX)
@example("[" * TEXT_MAX)
@example("\ud800")
def test_any_text_is_read_or_refused_as_a_query(text: str) -> None:
    refusal: QueryError | None = None
    try:
        query = parse(text)
    except QueryError as error:
        refusal = error
    if refusal is not None:
        assert refusal.message
        assert refusal.line >= 1
        assert refusal.position >= 0
        return
    assert repr(parse(render(query))) == repr(query)
    try:
        check(query)
    except QueryError:
        return
    lower(query, lambda of, exact: [of])


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(soups | tails)
def test_twenty_thousand_texts_are_read_or_refused(text: str) -> None:
    try:
        query = parse(text)
    except QueryError:
        return
    assert repr(parse(render(query))) == repr(query)
