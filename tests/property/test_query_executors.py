"""The stub's SQL and the reference interpreter give the same rows for any graph and query."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.query.interpreter import run
from sync_agent.query.tree import (
    And,
    ArrayContains,
    Collection,
    Comparator,
    Comparison,
    Condition,
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
    TextCheck,
    TextTest,
    TypeCheck,
    TypeTest,
)
from sync_agent.stub.adt.lowering import lower
from sync_agent.twins.graph import TwinGraph

IDS = [f"t{number}" for number in range(5)]
MODELS = ["dtmi:a:Base;1", "dtmi:a:Base;2", "dtmi:a:Leaf;1"]
REGISTRY = ModelRegistry(
    parse_models(
        {
            "@context": "dtmi:dtdl:context;3",
            "@id": model,
            "@type": "Interface",
            "extends": ["dtmi:a:Base;2"] if "Leaf" in model else [],
        }
        for model in MODELS
    ).interfaces
)
KEYS = ["p", "q", "the key", 'k"q', "IN", "$dtId"]
texts = st.sampled_from(["", "a", "ab", "B", "é", "a'b", "10", "t1", "\U0001f4e1"])
numbers = st.sampled_from([0, 1, -1, 10, 1.0, 1.5, -0.0, 2**53 + 1, 1e300])
scalars = st.one_of(st.none(), st.booleans(), texts, numbers)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS[:5]), inner, max_size=3)
    ),
    max_leaves=6,
)
properties = st.dictionaries(st.sampled_from(KEYS[:5]), values, max_size=4)


@st.composite
def graphs(draw: st.DrawFn) -> TwinGraph:
    graph = TwinGraph()
    for twin_id in IDS[: draw(st.integers(0, 5))]:
        model = draw(st.sampled_from([*MODELS, "dtmi:gone:Model;1"]))
        graph.put_twin(
            {"$dtId": twin_id, **draw(properties), "$metadata": {"$model": model}}
        )
    present = [twin["$dtId"] for twin in graph.twins()]
    for number in range(draw(st.integers(0, 7)) if present else 0):
        graph.put_relationship(
            {
                "$relationshipId": f"r{number}",
                "$sourceId": draw(st.sampled_from(present)),
                "$relationshipName": draw(st.sampled_from(["n", "m"])),
                "$targetId": draw(st.sampled_from(present)),
                **draw(properties),
            }
        )
    return graph


def paths(names: list[str]) -> st.SearchStrategy[Path]:
    tails = st.one_of(
        st.tuples(st.sampled_from(KEYS)),
        st.tuples(st.sampled_from(KEYS[:5]), st.sampled_from(KEYS[:5])),
        st.sampled_from(
            [("$metadata", "$model"), ("$sourceId",), ("$targetId",), ("$relationshipName",)]
        ),
    )
    if not names:
        return tails.map(Path)
    return st.builds(lambda name, tail: Path((name, *tail)), st.sampled_from(names), tails)


def conditions(names: list[str], twin_names: list[str]) -> st.SearchStrategy[Condition]:
    path = paths(names)
    predicates: list[st.SearchStrategy[Any]] = [
        st.builds(Comparison, path, st.sampled_from(Comparator), scalars),
        st.builds(
            Membership, path, st.lists(scalars, min_size=1, max_size=3).map(tuple), st.booleans()
        ),
        st.builds(TypeCheck, st.sampled_from(TypeTest), path),
        st.builds(TextCheck, st.sampled_from(TextTest), path, texts),
        st.builds(ArrayContains, path, scalars),
    ]
    if twin_names:
        model = st.sampled_from([*MODELS, "dtmi:gone:Model;1"])
        predicates.append(st.builds(OfModel, model, st.sampled_from(twin_names), st.booleans()))
    return st.recursive(
        st.one_of(predicates),
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
            st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        ),
        max_leaves=4,
    )


segments = st.builds(
    lambda direction, alias, names, low, more: Segment(
        direction, alias if low == 1 and not more else "", names, low, low + more
    ),
    st.sampled_from(Direction),
    st.sampled_from(["", "R"]),
    st.sampled_from([(), ("n",), ("n", "m")]),
    st.integers(1, 2),
    st.integers(0, 2),
)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    kind = draw(st.sampled_from(["twins", "relationships", "join", "match"]))
    fixed: Condition | None = None
    query = Query(Everything(), alias=draw(st.sampled_from(["", "T"])))
    if kind == "relationships":
        query = Query(Everything(), Collection.RELATIONSHIPS, query.alias)
    elif kind == "join":
        joins = [Join("C", "T", "n", draw(st.sampled_from(["", "R"])))]
        if draw(st.booleans()):
            joins.append(Join("D", draw(st.sampled_from(["T", "C"])), "m"))
        query = Query(Count(), alias="T", joins=tuple(joins))
    elif kind == "match":
        parts = tuple(draw(st.lists(segments, max_size=2)))
        if len(parts) == 2 and parts[0].alias and parts[1].alias:
            parts = (parts[0], Segment(parts[1].direction, "", parts[1].names))
        nodes = ("A", *(draw(st.sampled_from(["", "A", "B"])) for _ in parts))
        query = Query(Count(), match=Match(nodes, parts))
    names = list(query.aliases)
    if kind in ("join", "match"):
        first = "T" if kind == "join" else "A"
        fixed = Membership(Path((first, "$dtId")), tuple(draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=3))))
    where = draw(st.none() | conditions(names, list(query.twin_aliases)))
    if fixed is not None:
        where = fixed if where is None else And((fixed, where))
    projection: Any = draw(st.sampled_from([Count(), Everything(), "items"]))
    if projection == "items" or (kind in ("join", "match") and isinstance(projection, Everything)):
        items = st.one_of(
            [*([st.sampled_from(names).map(lambda name: Path((name,)))] if names else []), paths(names)]
        )
        chosen = draw(st.lists(items, min_size=1, max_size=3))
        projection = tuple(
            Projected(path, draw(st.sampled_from(["", f"x{number}"])))
            for number, path in enumerate(chosen)
        )
    top = None if kind in ("join", "match") else draw(st.none() | st.integers(1, 3))
    return Query(projection, query.collection, query.alias, top, query.joins, query.match, where)


def models_of(of: str, exact: bool) -> list[str]:
    known = [*MODELS, "dtmi:gone:Model;1"]
    return [model for model in known if REGISTRY.is_of_model(model, of, exact=exact)]


def run_in_sqlite(query: Query, graph: TwinGraph) -> list[Any]:
    db = apsw.Connection(":memory:")
    db.execute(
        "CREATE TABLE twins(pk INTEGER PRIMARY KEY, id TEXT UNIQUE, model TEXT, document BLOB);"
        "CREATE TABLE relationships(pk INTEGER PRIMARY KEY, source TEXT, id TEXT, name TEXT,"
        " target TEXT, document BLOB)"
    )
    for twin in graph.twins():
        db.execute(
            "INSERT INTO twins(id, model, document) VALUES(?,?,jsonb(?))",
            (twin["$dtId"], twin["$metadata"]["$model"], json.dumps(twin, ensure_ascii=False)),
        )
    for edge in graph.relationships():
        db.execute(
            "INSERT INTO relationships(source, id, name, target, document)"
            " VALUES(?,?,?,?,jsonb(?))",
            (
                edge["$sourceId"],
                edge["$relationshipId"],
                edge["$relationshipName"],
                edge["$targetId"],
                json.dumps(edge, ensure_ascii=False),
            ),
        )
    lowered = lower(query, models_of)
    limit = "" if query.top is None or lowered.is_count else f" LIMIT {query.top}"
    return [lowered.row(row) for row in db.execute(lowered.sql + limit, lowered.parameters)]


def check_agreement(graph: TwinGraph, query: Query) -> None:
    expected = list(run(query, graph, REGISTRY))
    found = run_in_sqlite(query, graph)
    if query.joins or query.match is not None:
        assert counted(found) == counted(expected)
    else:
        assert found == expected


def counted(rows: list[Any]) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


@settings(max_examples=300, deadline=None)
@given(graphs(), queries())
def test_both_executors_give_the_same_rows(graph: TwinGraph, query: Query) -> None:
    check_agreement(graph, query)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(graphs(), queries())
def test_both_executors_give_the_same_rows_ten_thousand_times(
    graph: TwinGraph, query: Query
) -> None:
    check_agreement(graph, query)
