"""Random twin graphs and random query trees that are allowed to run on them.

Few ids, keys and values, the likely ones drawn more often: so that most queries find something.
"""

from __future__ import annotations

from dataclasses import replace
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
properties = st.dictionaries(keys, values, min_size=1, max_size=4)
few = st.dictionaries(st.sampled_from(["p", "q"]), scalars, max_size=1)


@st.composite
def graphs(draw: st.DrawFn, kind: str) -> TwinGraph:
    """Draw a graph for queries of a kind: rich in values, or for JOIN and MATCH in edges."""
    graph = TwinGraph()
    follows = kind in ("join", "match")
    present = IDS[: draw(st.sampled_from([5, 5, 4, 2] if follows else [3, 2, 1, 0]))]
    bag = few if follows else properties
    for twin_id in present:
        metadata = {"$model": draw(st.sampled_from(MODEL_IDS))}
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
    tails = st.tuples(keys) | st.tuples(keys) | st.tuples(keys, keys) | fixed
    if not names:
        return tails.map(Path)
    return st.builds(lambda name, tail: Path((name, *tail)), st.sampled_from(names), tails)


def conditions(query: Query) -> st.SearchStrategy[Condition]:
    """Return conditions on the names of a query whose projection and WHERE are still open."""
    path = paths(query.aliases)
    several = st.lists(scalars, min_size=1, max_size=3).map(tuple)
    predicates: list[st.SearchStrategy[Any]] = [
        st.builds(Comparison, path, st.sampled_from(Comparator), scalars),
        st.builds(Membership, path, several, st.booleans()),
        st.builds(TypeCheck, st.sampled_from(TypeTest), path),
        st.builds(TextCheck, st.sampled_from(TextTest), path, texts),
    ]
    off_edges = [alias for alias in query.aliases or ("",) if not query.is_edge(alias)]
    if off_edges:
        predicates.append(st.builds(ArrayContains, paths(tuple(filter(None, off_edges))), scalars))
    if query.collection is Collection.TWINS and (query.twin_aliases or query.match is None):
        own = [*query.twin_aliases] + ([""] if len(query.twin_aliases) < 2 else [])
        alias = st.sampled_from(own)
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
    low = draw(st.integers(1, max(1, min(2, hops_left))))
    high = draw(st.integers(low, max(low, min(4, hops_left))))
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
    for number in range(draw(st.integers(1, 3))):
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
    # which rows TOP keeps is promised for one collection only
    top = None if follows else draw(st.sampled_from([None, None, 1, 3]))
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
