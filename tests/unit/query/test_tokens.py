from __future__ import annotations

import pytest

from sync_agent.errors import QueryError
from sync_agent.query.tokens import TEXT_MAX, Kind, tokenize


def values(text: str) -> list[str]:
    return [token.value for token in tokenize(text)[:-1]]


def test_lines_count_from_one_and_columns_from_zero() -> None:
    places = [(t.text, t.line, t.position) for t in tokenize("SELECT *\n  FROM\nx")]
    assert places == [
        ("SELECT", 1, 0),
        ("*", 1, 7),
        ("FROM", 2, 2),
        ("x", 3, 0),
        ("<EOF>", 3, 1),
    ]


def test_a_text_over_several_lines_keeps_the_count() -> None:
    tokens = tokenize("'a\nb' x")
    assert (tokens[1].line, tokens[1].position) == (2, 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"'D\'Souza'", "D'Souza"),
        (r"'a\\b'", r"a\b"),
        (r"'a\b'", r"a\b"),  # what a client sends that escapes quotes only
        (r"'C:\temp\new'", r"C:\temp\new"),
        ("''", ""),
        ("'\u00e9\U0001f4e1'", "\u00e9\U0001f4e1"),
    ],
)
def test_a_backslash_escapes_quotes_and_itself_only(text: str, value: str) -> None:
    assert values(text) == [value]


def test_double_brackets_make_a_name_of_anything() -> None:
    assert values("[[a b]] [[1x]] [[a]b]]") == ["a b", "1x", "a]b"]
    assert {token.kind for token in tokenize("[[a b]]")[:-1]} == {Kind.QUOTED}


def test_a_third_bracket_belongs_to_what_surrounds_the_name() -> None:
    assert values("[[[a b]]]") == ["[", "a b", "]"]


def test_a_hop_range_is_not_two_fractions() -> None:
    assert values("*1..3") == ["*", "1", "..", "3"]


@pytest.mark.parametrize("text", ["1", "-1", "1.5", "1.", ".5", "1e5", "-1.5E-3"])
def test_numbers_come_in_all_forms(text: str) -> None:
    (token, _) = tokenize(text)
    assert (token.kind, token.text) == (Kind.NUMBER, text)


def test_a_text_too_long_is_refused_with_a_remedy() -> None:
    tokenize(" " * TEXT_MAX)
    with pytest.raises(QueryError, match="8001 characters, the most is 8000") as refusal:
        tokenize(" " * (TEXT_MAX + 1))
    assert "several queries" in refusal.value.remedy


def test_half_a_surrogate_pair_is_refused_where_it_stands() -> None:
    with pytest.raises(QueryError) as refusal:
        tokenize("SELECT\n '\ud800'")
    assert (refusal.value.line, refusal.value.position) == (2, 2)


def test_an_unknown_character_is_named_where_it_stands() -> None:
    with pytest.raises(QueryError, match="token recognition error at: ';'") as refusal:
        tokenize("SELECT ;")
    assert (refusal.value.line, refusal.value.position) == (1, 7)
