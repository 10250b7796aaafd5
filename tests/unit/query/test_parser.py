from __future__ import annotations

import pytest

from sync_agent.errors import QueryError
from sync_agent.query.parser import DEPTH_MAX, parse
from sync_agent.query.tokens import RESERVED
from sync_agent.query.tree import (
    And,
    Collection,
    Comparator,
    Comparison,
    Count,
    Direction,
    Everything,
    Join,
    Match,
    Membership,
    Not,
    OfModel,
    Or,
    Path,
    Projected,
    Query,
    Segment,
    TypeCheck,
    TypeTest,
)


def where(text: str) -> object:
    return parse(f"SELECT * FROM DIGITALTWINS WHERE {text}").where


def segment(text: str) -> Segment:
    match = parse(f"SELECT a FROM DIGITALTWINS MATCH (a){text}(b) WHERE a.$dtId = 'x'").match
    assert match is not None
    return match.segments[0]


def test_keywords_and_collections_are_read_in_any_case() -> None:
    expected = Query(Everything(), where=TypeCheck(TypeTest.IS_NULL, Path(("a",))))
    assert parse("select * From digitalTwins WHERE is_null(a)") == expected


def test_a_whole_query_becomes_one_tree() -> None:
    assert parse(
        "SELECT TOP(3) C.name AS n, R FROM DIGITALTWINS T JOIN C RELATED T.has R"
        " WHERE T.$dtId IN ['a', 'b'] AND IS_OF_MODEL(C, 'dtmi:x;1', exact)"
    ) == Query(
        (Projected(Path(("C", "name")), "n"), Projected(Path(("R",)))),
        Collection.TWINS,
        "T",
        3,
        (Join("C", "T", "has", "R"),),
        None,
        And((Membership(Path(("T", "$dtId")), ("a", "b")), OfModel("dtmi:x;1", "C", exact=True))),
    )


def test_top_without_items_selects_everything() -> None:
    assert parse("SELECT TOP (5) FROM DIGITALTWINS").projection == Everything()


def test_count_may_have_a_collection_of_relationships() -> None:
    query = parse("SELECT COUNT() FROM relationships r")
    assert (query.projection, query.collection, query.alias) == (
        Count(),
        Collection.RELATIONSHIPS,
        "r",
    )


def test_a_chain_of_one_operator_is_one_node() -> None:
    a, b, c = (Comparison(Path((name,)), Comparator.EQ, 1) for name in "abc")
    assert where("a = 1 OR b = 1 OR c = 1") == Or((a, b, c))
    assert where("a = 1 OR b = 1 AND NOT c = 1") == Or((a, And((b, Not(c)))))
    assert where("(a = 1 OR b = 1) AND c = 1") == And((Or((a, b)), c))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-0", 0),
        ("1.0", 1.0),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", 2.0**63),
        ("-9223372036854775808", -(2**63)),
        ("true", True),
        ("NULL", None),
        ("'x'", "x"),
    ],
)
def test_a_literal_has_its_type(text: str, value: object) -> None:
    comparison = where(f"a = {text}")
    assert isinstance(comparison, Comparison)
    assert repr(comparison.value) == repr(value)


@pytest.mark.parametrize(
    ("text", "hops"),
    [
        ("-[]-", (1, 1)),
        ("-[*1]-", (1, 1)),
        ("-[*3]-", (3, 3)),
        ("-[*1..3]-", (2, 3)),
        ("-[*0..3]-", (1, 3)),
        ("-[*..3]-", (1, 3)),
        ("-[*3 .. 5]-", (4, 5)),
        ("-[*..10]-", (1, 10)),
    ],
)
def test_the_lower_bound_of_hops_is_exclusive(text: str, hops: tuple[int, int]) -> None:
    found = segment(text)
    assert (found.hops_min, found.hops_max) == hops


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-[]->", Segment(Direction.OUT)),
        ("<-[]-", Segment(Direction.IN)),
        ("-[]-", Segment(Direction.EITHER)),
        ("-[r]->", Segment(Direction.OUT, "r")),
        ("-[:r]->", Segment(Direction.OUT, "", ("r",))),
        ("-[r:has|[[is in]]]->", Segment(Direction.OUT, "r", ("has", "is in"))),
        ("-[[[my r]]]->", Segment(Direction.OUT, "my r")),
        ("-[:has*..2]-", Segment(Direction.EITHER, "", ("has",), 1, 2)),
    ],
)
def test_a_relationship_of_a_pattern_is_read(text: str, expected: Segment) -> None:
    assert segment(text) == expected


def test_nodes_may_be_anonymous_and_a_pattern_may_be_one_node() -> None:
    assert parse("SELECT a FROM DIGITALTWINS MATCH (a) WHERE a.$dtId = ''").match == Match(
        ("a",), ()
    )
    match = parse("SELECT a FROM DIGITALTWINS MATCH ()-[]->(a) WHERE a.$dtId = ''").match
    assert match is not None
    assert match.nodes == ("", "a")


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_a_reserved_word_is_a_name_only_in_brackets(word: str) -> None:
    query = parse(f"SELECT [[{word}]] FROM DIGITALTWINS WHERE T.[[{word}]] = 1")
    assert query.projection == (Projected(Path((word,))),)
    with pytest.raises(QueryError):
        parse(f"SELECT a FROM DIGITALTWINS WHERE T.{word.lower()} = 1")


@pytest.mark.parametrize("nested", ["NOT ", "("])
def test_nesting_is_bounded(nested: str) -> None:
    def text(depth: int) -> str:
        return f"{nested * depth}a = 1{')' * depth if nested == '(' else ''}"

    where(text(DEPTH_MAX))
    with pytest.raises(QueryError, match="nest deeper than 100"):
        where(text(DEPTH_MAX + 1))


def test_an_error_says_where() -> None:
    with pytest.raises(QueryError) as refusal:
        parse("SELECT *\nFROM DIGITALTWINS\nWHERE a == 1")
    assert (refusal.value.line, refusal.value.position) == (3, 9)
    assert refusal.value.message == "mismatched input '=' expecting a literal"


def test_what_does_not_start_with_select_is_refused_in_the_words_of_the_service() -> None:
    with pytest.raises(QueryError) as refusal:
        parse("foo")
    found = refusal.value
    assert (found.message, found.line, found.position) == ("missing SELECT at 'foo'", 1, 0)
