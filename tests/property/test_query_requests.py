"""Whatever is sent as a query is answered with rows or refused, soon and in the service's words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_agent.query.render import render
from sync_agent.query.tokens import TEXT_MAX, Kind, tokenize
from tests.property.query_strategies import any_queries
from tests.property.test_query_text import FRAGMENTS, soups, tails
from tests.unit.stub.adt.plane import Plane, Reply

ANSWER_MAX_S = 10.0
FIND = "SELECT * FROM DIGITALTWINS WHERE "
DENSE = "SELECT COUNT() FROM DIGITALTWINS MATCH (a)-[*..10]-()-[*..10]-(b) WHERE a.$dtId = 't0'"


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    plane = Plane()
    for name in ("t0", "t1", "t'2"):
        plane.put(name, temperature=20, tags={"p": 1})
    for number, (source, target) in enumerate([("t0", "t1"), ("t1", "t'2"), ("t0", "t'2")]):
        plane.link(source, f"r{number}", target)
    yield plane
    plane.close()


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Draw a query that is allowed, with a few of its tokens taken out, moved or replaced."""
    words = [
        f"[[{token.value}]]" if token.kind is Kind.QUOTED else token.text
        for token in tokenize(render(draw(any_queries)))[:-1]
    ]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(words) - 1))
        match draw(st.sampled_from(["take out", "repeat", "replace", "move"])):
            case "take out" if len(words) > 1:
                del words[at]
            case "repeat":
                words.insert(at, words[at])
            case "move":
                words.insert(draw(st.integers(0, len(words) - 1)), words.pop(at))
            case _:
                words[at] = draw(st.sampled_from(FRAGMENTS))
    return " ".join(words)


nested = st.builds(
    lambda opening, depth, tail: FIND + opening * depth + "temperature = 20" + tail * depth,
    st.sampled_from(["NOT ", "(", "NOT (", "((", "NOT NOT("]),
    st.integers(0, 700),
    st.sampled_from([")", "", "))", " OR tags.p = 1)"]),
)


def check_answer(reply: Reply) -> None:
    if reply.status == 200:
        assert isinstance(reply.body["value"], list)
        assert float(reply.headers["query-charge"]) >= 2.79
        return
    assert (reply.status, reply.code) == (400, "SqlQueryError"), reply
    assert reply.message.startswith("SQL query parse failed: SQL Parser Error, Line=")


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_text_is_answered_or_refused(plane: Plane, data: st.DataObject) -> None:
    text = data.draw(soups | tails | damaged() | nested)
    began = time.monotonic()
    reply = plane.query(text)
    assert time.monotonic() - began < ANSWER_MAX_S
    if text:
        check_answer(reply)


@pytest.mark.parametrize(
    "text",
    [
        "'" * TEXT_MAX,
        "[[" * (TEXT_MAX // 2),
        FIND + "a." * 3_900 + "a = 1",
        FIND + "a = " + "9" * 7_000,
        FIND + "a IN [" + "1," * 3_900 + "1]",
        FIND + "STARTSWITH(a, '" + "\\" * 7_000 + "x')",
        FIND + "a = 1 OR " * 50 + "a = 1",
        FIND + "NOT " * 100 + "a IN [" + "'x'," * 1_800 + "1]",
        "SELECT " + "a," * 3_900 + "a FROM DIGITALTWINS",
        "SELECT a FROM DIGITALTWINS MATCH (a)" + "-[*..10]-()" * 700 + " WHERE a.$dtId = 't0'",
        "SELECT a FROM DIGITALTWINS MATCH (a)" + "-[]-(a)" * 1_100 + " WHERE a.$dtId = 't0'",
        "SELECT a FROM DIGITALTWINS MATCH (a)-[:" + "n|" * 3_900 + "n]-() WHERE a.$dtId = 't0'",
        DENSE,
        FIND + "a = '\x00\x01\u202e\ufffe\U0010ffff'",
        FIND + "[[\x00]] = 1 OR tags.[[\u202e]] = 1",
    ],
    ids=lambda text: f"{text[:60]!r} {len(text)}",
)
def test_a_query_at_a_bound_of_the_language_is_answered_or_refused(plane: Plane, text: str) -> None:
    began = time.monotonic()
    check_answer(plane.query(text))
    assert time.monotonic() - began < ANSWER_MAX_S


members: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "_q": st.sampled_from(["SELECT * FROM DIGITALTWINS", "foo", DENSE, 5, None]),
        "_tr": st.integers(-1, 2**65) | st.sampled_from(["1", "x", None, 1e300]),
        "_rc": st.integers(-1, 2**65) | st.sampled_from(["2", "x", "", None, [], "9" * 5_000]),
        "_pn": st.integers(-1, 3) | st.text(max_size=3),
        "_t": st.integers(),
    },
)
tokens = st.text(max_size=20) | members.map(json.dumps) | st.integers() | members


@settings(max_examples=150, deadline=None)
@given(token=tokens)
@example(token="[" * 10_000)
@example(token='{"_q":"SELECT * FROM DIGITALTWINS","_tr":0,"_rc":"0","_pn":1}')
def test_any_token_goes_on_or_is_refused(plane: Plane, token: Any) -> None:
    reply = plane.ask("POST", "/query", {"continuationToken": token})
    assert reply.status in (200, 400)
    if reply.status == 400:
        assert reply.code in ("BadRequest", "SqlQueryError", "MissingArgument")


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@settings(max_examples=10_000, deadline=None)
@given(st.data())
def test_ten_thousand_texts_are_answered_or_refused(plane: Plane, data: st.DataObject) -> None:
    text = data.draw(soups | tails | damaged() | nested)
    if text:
        check_answer(plane.query(text))
