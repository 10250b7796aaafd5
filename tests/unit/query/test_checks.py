"""Limits and anchors; what else is refused is in fixtures/refused.toml."""

from __future__ import annotations

import pytest

from sync_agent.errors import QueryError
from sync_agent.query.checks import OPERATORS_MAX, PATTERN_MAX, anchors, check, predicates
from sync_agent.query.parser import parse

JOIN = "SELECT C FROM DIGITALTWINS T JOIN C RELATED T.has WHERE "


def test_fifty_operators_are_allowed_and_one_more_is_not() -> None:
    def text(operators: int) -> str:
        return "SELECT * FROM DIGITALTWINS WHERE a = 1" + " OR a = 1" * operators

    check(parse(text(OPERATORS_MAX)))
    with pytest.raises(QueryError, match="51 AND and OR, the most is 50"):
        check(parse(text(OPERATORS_MAX + 1)))


def test_a_pattern_has_thirty_relationships_at_most() -> None:
    def text(parts: int) -> str:
        return f"SELECT a FROM DIGITALTWINS MATCH (a){'-[]->()' * parts} WHERE a.$dtId = 'x'"

    check(parse(text(PATTERN_MAX)))
    with pytest.raises(QueryError, match="31 relationships in a pattern, the most is 30"):
        check(parse(text(PATTERN_MAX + 1)))


def test_a_long_list_is_allowed_because_the_explorer_sends_one() -> None:
    ids = ", ".join(f"'twin-{number:03}'" for number in range(300))
    check(parse(f"SELECT * FROM RELATIONSHIPS r WHERE r.$sourceId IN [{ids}]"))


@pytest.mark.parametrize(
    "where",
    [
        "T.$dtId = 'a'",
        "C.$dtId IN ['a', 'b'] AND T.x = 1",
        "T.x = 1 AND (T.$dtId = 'a' OR C.$dtId = 'b')",
        "(T.$dtId = 'a' AND C.x = 1) OR (C.$dtId = 'b' AND NOT T.x = 1)",
    ],
)
def test_a_search_is_anchored_when_every_way_to_meet_it_names_a_twin(where: str) -> None:
    check(parse(JOIN + where))


@pytest.mark.parametrize(
    "where",
    [
        "T.x = 1",
        "T.$dtId != 'a'",
        "T.$dtId NIN ['a']",
        "STARTSWITH(T.$dtId, 'a')",
        "NOT (NOT T.$dtId = 'a')",
        "T.$dtid = 'a'",
        "T.$dtId = 'a' OR T.x = 1",
        "T.component.$dtId = 'a'",
    ],
)
def test_any_other_search_is_open_and_refused(where: str) -> None:
    with pytest.raises(QueryError, match=r"by \$dtId, with = or IN") as refusal:
        check(parse(JOIN + where))
    assert "T.$dtId = 'id'" in refusal.value.remedy


def test_a_pattern_without_any_name_is_refused() -> None:
    with pytest.raises(QueryError, match=r"by \$dtId"):
        check(parse("SELECT COUNT() FROM DIGITALTWINS MATCH ()-[]->()"))


def test_anchors_are_the_ids_every_row_must_have() -> None:
    where = "T.$dtId IN ['a', 'b', 1] AND T.$dtId = 'b' AND (C.$dtId = 'c' OR C.$dtId = 'd')"
    assert anchors(parse(JOIN + where)) == {"T": frozenset("b"), "C": frozenset("cd")}
    where = "(T.$dtId = 'a' AND C.$dtId = 'c' AND T.p = 1) OR ((T.$dtId = 'b' AND T.q = 1))"
    assert anchors(parse(JOIN + where)) == {"T": frozenset("ab")}
    assert anchors(parse(JOIN + "(T.$dtId = 'a' AND C.p = 1) AND C.q = 1")) == {"T": frozenset("a")}
    assert anchors(parse(JOIN + "T.$dtId = 'a' OR C.$dtId = 'c'")) == {}
    assert anchors(parse("SELECT * FROM DIGITALTWINS WHERE $dtId = 'a'")) == {"": frozenset("a")}
    assert anchors(parse("SELECT * FROM RELATIONSHIPS WHERE $dtId = 'a'")) == {}
    assert anchors(parse("SELECT * FROM DIGITALTWINS")) == {}


def test_predicates_come_from_left_to_right() -> None:
    where = parse("SELECT * FROM DIGITALTWINS WHERE NOT (a = 1 OR b = 1) AND c = 1").where
    assert [str(p)[:11] for p in predicates(where)] == ["Comparison("] * 3
    assert len(list(predicates(None))) == 0
