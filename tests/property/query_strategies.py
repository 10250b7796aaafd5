"""Random twin graphs and random query trees that are allowed to run on them.

Few ids, keys and values, the likely ones drawn more often: so that most queries find something.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

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
from sync_agent.twins.graph import TwinGraph
from tests.unit.query.executors import model

IDS = ["t0", "t1", "t'2", "t\\3", "T é\U0001f4e1"]
MODELS = [
    model("dtmi:a:Base;1"),
    model("dtmi:a:Base;2"),
    model("dtmi:a:Leaf;1", "dtmi:a:Base;2"),
]
MODEL_IDS = [*(document["@id"] for document in MODELS), "dtmi:gone:Model;1"]
KEYS = ["p", "q", "the key", 'k"q', "IN", "a]b", "\\u0041", "\x00", "é"]
RELATIONS = ["n", "m"]
EDGE_MAX = 8
HOPS = [(1, 1), (1, 1), (1, 1), (1, 1), (1, 2), (2, 2), (1, 3), (2, 3), (1, 4), (2, 4)]
HOPS_SUM_MAX = 6  # a pattern of more hops has more paths than a quick test should walk

texts = st.sampled_from(
    [
        "",
        "a",
        "ab",
        "b",
        "B",
        "é",
        "a'b",
        "\\",
        "10",
        "t1",
        "\U0001f4e1",
        "\uffff",
        "a\x00b",
        "\x00",
    ]
)
integers = st.sampled_from([0, 1, -1, 10, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)])
numbers = integers | st.sampled_from([1.0, 1.5, -0.0, 0.1, 2.0**53, 2.0**63, 1e300, 5e-324])
scalars = st.none() | st.booleans() | texts | numbers
stored = scalars | st.sampled_from([2**63, 2**63 + 1, -(2**63) - 1, 10**30])
values = st.recursive(
    stored,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)
keys = st.sampled_from([*KEYS, "p", "p", "p", "p", "q", "q", "q"])
# Properties of one type each, as models make them, and beside them values of any kind.
few = st.fixed_dictionaries(
    {"n": numbers, "s": texts}, optional={"p": scalars, "on": st.booleans()}
)
typed = st.fixed_dictionaries(
    {"n": numbers, "s": texts},
    optional={
        "on": st.booleans(),
        "list": st.lists(scalars, max_size=3),
        "tags": st.dictionaries(st.just("the key"), texts),
        "part": st.fixed_dictionaries({"n": numbers, "s": texts, "$metadata": st.just({})}),
    },
)
properties = st.builds(
    lambda known, free: {**known, **free}, typed, st.dictionaries(keys, values, max_size=3)
)
NUMBERS_AT = [("n",), ("n",), ("part", "n")]
TEXTS_AT = [
    ("s",),
    ("s",),
    ("part", "s"),
    ("tags", "the key"),
    ("$dtId",),
    ("$relationshipId",),
    ("$metadata", "n", "lastUpdateTime"),
]
TYPED_AT = [*NUMBERS_AT, *TEXTS_AT, ("on",), ("list",), ("tags",), ("part",), ("$metadata",)]


@st.composite
def graphs(draw: st.DrawFn, kind: str) -> TwinGraph:
    """Draw a graph for queries of a kind: rich in values, or for JOIN and MATCH in edges."""
    graph = TwinGraph()
    follows = kind in ("join", "match")
    present = IDS[: draw(st.sampled_from([5, 5, 4, 2] if follows else [3, 2, 1, 0]))]
    bag = few if follows else properties
    for twin_id in present:
        metadata = {"$model": draw(st.sampled_from(MODEL_IDS)), "n": {"lastUpdateTime": "2026-01"}}
        graph.put_twin({"$dtId": twin_id, **draw(bag), "$metadata": metadata})
    ends = st.sampled_from([*present, *present, *IDS])  # now and then one that is missing
    for number in range(draw(st.sampled_from([EDGE_MAX, EDGE_MAX, 5] if follows else [3, 2, 0]))):
        graph.put_relationship(
            {
                "$relationshipId": f"r{number}",
                "$sourceId": draw(ends),
                "$relationshipName": draw(st.sampled_from(RELATIONS)),
                "$targetId": draw(ends),
                **draw(bag),
            }
        )
    return graph


@cache
def paths(names: tuple[str, ...]) -> st.SearchStrategy[Path]:
    fixed = st.sampled_from(
        [
            ("$dtId",),
            ("$metadata", "$model"),
            ("$relationshipId",),
            ("$sourceId",),
            ("$targetId",),
            ("$relationshipName",),
            ("$relationshipName", "p"),
        ]
    )
    tails = st.tuples(keys) | st.tuples(keys, keys) | fixed | st.sampled_from(TYPED_AT)
    return _behind(names, tails)


def _behind(
    names: tuple[str, ...], tails: st.SearchStrategy[tuple[str, ...]]
) -> st.SearchStrategy[Path]:
    if not names:
        return tails.map(Path)
    return st.builds(lambda name, tail: Path((name, *tail)), st.sampled_from(names), tails)


def typed_predicates(names: tuple[str, ...]) -> list[st.SearchStrategy[Any]]:
    """Return predicates whose path mostly leads to a value of the type they ask for."""
    number_at = _behind(names, st.sampled_from(NUMBERS_AT))
    text_at = _behind(names, st.sampled_from(TEXTS_AT))
    truth_at = _behind(names, st.just(("on",)))
    comparators = st.sampled_from(Comparator)
    numbers_in = st.lists(numbers, min_size=1, max_size=3)
    texts_in = st.lists(texts, min_size=1, max_size=3)
    return [
        st.builds(Comparison, number_at, comparators, numbers),
        st.builds(Comparison, text_at, comparators, texts | st.just("2026")),
        st.builds(Comparison, truth_at, comparators, st.booleans()),
        st.builds(Membership, number_at, numbers_in.map(tuple), st.booleans()),
        st.builds(Membership, text_at, texts_in.map(tuple), st.booleans()),
        st.builds(TextCheck, st.sampled_from(TextTest), text_at, texts),
        st.builds(TypeCheck, st.sampled_from(TypeTest), _behind(names, st.sampled_from(TYPED_AT))),
    ]


def conditions(query: Query) -> st.SearchStrategy[Condition]:
    """Return conditions on the names of a query whose projection and WHERE are still open."""
    return _conditions(query.twin_aliases, query.relationship_aliases, query.collection)


@cache  # to make and check them takes longer than to draw from them
def _conditions(
    twins: tuple[str, ...], edges: tuple[str, ...], collection: Collection
) -> st.SearchStrategy[Condition]:
    names = (*twins, *edges)
    path = paths(names)
    several = st.lists(scalars, min_size=1, max_size=3).map(tuple)
    predicates: list[st.SearchStrategy[Any]] = [
        st.builds(Comparison, path, st.sampled_from(Comparator), scalars),
        st.builds(Membership, path, several, st.booleans()),
        st.builds(TypeCheck, st.sampled_from(TypeTest), path),
        st.builds(TextCheck, st.sampled_from(TextTest), path, texts),
        *typed_predicates(names),
    ]
    if collection is Collection.TWINS:
        array_at = _behind(twins, st.just(("list",))) | paths(twins)
        predicates.append(st.builds(ArrayContains, array_at, scalars))
        alias = st.sampled_from([*twins] + ([""] if len(twins) < 2 else []))
        predicates.append(st.builds(OfModel, st.sampled_from(MODEL_IDS), alias, st.booleans()))
    return st.recursive(
        st.one_of(predicates),
        lambda inner: (
            st.builds(Not, inner)
            | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
            | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
        ),
        max_leaves=4,
    )


@st.composite
def segments(draw: st.DrawFn, *, alias: str, hops_left: int) -> Segment:
    low, high = draw(st.sampled_from([h for h in HOPS if h[1] <= max(1, hops_left)]))
    names = draw(st.sampled_from([(), ("n",), ("n", "m"), ("n", "n")]))
    own = draw(st.sampled_from(["", alias])) if high == 1 else ""
    return Segment(draw(st.sampled_from(Direction)), own, names, low, high)


@st.composite
def matches(draw: st.DrawFn) -> Match:
    nodes, parts, hops_left = [draw(st.sampled_from(["A", ""]))], [], HOPS_SUM_MAX
    for number in range(draw(st.sampled_from([0, 1, 2, 2, 3]))):
        parts.append(draw(segments(alias=f"R {number}", hops_left=hops_left)))
        hops_left -= parts[-1].hops_max
        nodes.append(draw(st.sampled_from(["", "B", "C", "the node", "A"])))
        if hops_left < 1:
            break
    if not any(nodes):
        nodes[draw(st.integers(0, len(nodes) - 1))] = "B"
    return Match(tuple(nodes), tuple(parts))


@st.composite
def joins(draw: st.DrawFn) -> tuple[Join, ...]:
    twins, found = ["T"], []
    for number in range(draw(st.sampled_from([1, 1, 2, 2, 3, 5]))):
        alias = draw(st.sampled_from(["", f"R{number}"]))
        relation = draw(st.sampled_from(RELATIONS))
        found.append(Join(f"C{number}", draw(st.sampled_from(twins)), relation, alias))
        twins.append(f"C{number}")
    return tuple(found)


@st.composite
def skeletons(draw: st.DrawFn, kind: str) -> Query:
    """Draw what stands behind FROM: ``twins``, ``relationships``, ``join`` or ``match``."""
    match kind:
        case "relationships":
            alias = draw(st.sampled_from(["", "R", "order"]))
            return Query(Everything(), Collection.RELATIONSHIPS, alias)
        case "join":
            return Query(Count(), alias="T", joins=draw(joins()))
        case "match":
            return Query(Count(), match=draw(matches()))
        case _:
            return Query(Everything(), alias=draw(st.sampled_from(["", "T", "match"])))


@st.composite
def queries(draw: st.DrawFn, kind: str) -> Query:
    query = draw(skeletons(kind))
    follows = kind in ("join", "match")
    with_where = draw(st.sampled_from([False, True] if follows else [True, True, True, False]))
    where = draw(conditions(query)) if with_where else None
    if follows:
        where = _anchored(draw, query, where)
    selected = draw(st.sampled_from(["items", "items", "count", "items" if follows else "*"]))
    projection: Any = Count() if selected == "count" else Everything()
    if selected == "items":
        wholes = [Path((alias,)) for alias in query.aliases]
        paths_of = paths(query.aliases)
        item = st.sampled_from(wholes) | paths_of if wholes else paths_of
        named = st.builds(Projected, item, st.sampled_from(["", "x", "SELECT", "p"]))
        projection = tuple(draw(st.lists(named, min_size=1, max_size=3)))
    top = draw(st.sampled_from([None, None, None, 1, 3]))
    return replace(query, projection=projection, top=top, where=where)


KINDS = ("twins", "relationships", "join", "match")
any_queries = st.sampled_from(KINDS).flatmap(queries)
any_cases = st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(graphs(kind), queries(kind)))


def _anchored(draw: st.DrawFn, query: Query, where: Condition | None) -> Condition:
    def fixed() -> Condition:
        path = Path((draw(st.sampled_from(query.twin_aliases)), "$dtId"))
        if draw(st.booleans()):
            return Comparison(path, Comparator.EQ, draw(st.sampled_from(IDS)))
        return Membership(path, tuple(draw(st.lists(st.sampled_from([*IDS, 1]), min_size=2))))

    anchor = fixed() if draw(st.booleans()) else Or((fixed(), fixed()))
    return anchor if where is None else And((where, anchor))
