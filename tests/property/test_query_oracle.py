"""Both executors give what a third reading gives, which enumerates where they walk and look up.

Queries are written as text here, so that the parser is on trial too.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.query.checks import check
from sync_agent.query.parser import parse
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document
from tests.property import query_oracle as oracle
from tests.property.query_oracle import RELATIONS, Binding, Condition, Part, Pattern, Related
from tests.property.query_strategies import MODEL_IDS, MODELS
from tests.unit.query.executors import in_memory, in_sqlite

IDS = ["t0", "t1", "t2", "it's"]
EDGE_MAX = 5
HOPS_SUM_MAX = 4
HOPS = {"": (1,), "*1": (1,), "*2": (2,), "*..2": (1, 2), "*1..2": (2,), "*1..3": (2, 3)}
PATHS = [("p",), ("q",), ("$dtId",), ("tags", "k 1"), ("list",), ("part", "s"), ("gone",)]
Graph = tuple[list[Document], list[Document]]
FUNCTIONS = ["BOOL", "DEFINED", "NULL", "NUMBER", "OBJECT", "PRIMITIVE", "STRING"]

literals = st.sampled_from([0, 1, 2, 1.5, -1, "a", "ab", "b", "", "t1", True, False, None])
values = literals | st.sampled_from([[1, "a"], [], [None, True], {"k 1": 1}, {}])
properties = st.fixed_dictionaries(
    {"p": values},
    optional={
        "q": values,
        "list": st.lists(literals, max_size=2),
        "tags": st.dictionaries(st.just("k 1"), literals),
        "part": st.fixed_dictionaries({"s": literals, "$metadata": st.just({})}),
    },
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    twins = [
        {"$dtId": i, **draw(properties), "$metadata": {"$model": draw(st.sampled_from(MODEL_IDS))}}
        for i in IDS[: draw(st.sampled_from([4, 4, 3, 2]))]
    ]
    ends = st.sampled_from(IDS[:2] * 2 + IDS)
    edges = [
        {
            "$relationshipId": f"r{number}",
            "$sourceId": draw(ends),
            "$relationshipName": draw(st.sampled_from(["n", *RELATIONS])),
            "$targetId": draw(ends),
            "p": draw(values),
        }
        for number in range(draw(st.sampled_from([EDGE_MAX, EDGE_MAX, 3])))
    ]
    return twins, edges


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    nodes, parts, left = [draw(st.sampled_from(["a", "a", ""]))], [], HOPS_SUM_MAX
    for number in range(draw(st.sampled_from([1, 2, 2, 3, 0]))):
        hops = draw(st.sampled_from([h for h in HOPS.values() if max(h) <= left] or [(1,)]))
        if left < 1:
            break
        left -= max(hops)
        variable = draw(st.sampled_from(["", f"r {number}"])) if hops == (1,) else ""
        names = draw(st.sampled_from([(), (), (), ("n",), ("n", "m")]))
        parts.append(Part(draw(st.sampled_from(["->", "<-", "-", "-"])), variable, names, hops))
        nodes.append(draw(st.sampled_from(["b", "c", "", "a"])))
    if not any(nodes):
        nodes[-1] = "b"
    return Pattern(tuple(nodes), tuple(parts))


@st.composite
def joins(draw: st.DrawFn) -> tuple[Related, ...]:
    twins, found = ["a"], []
    for number in range(draw(st.integers(1, 3))):
        variable = draw(st.sampled_from(["", f"r {number}"]))
        source, name = draw(st.sampled_from(twins)), draw(st.sampled_from(["n", *RELATIONS]))
        found.append(Related(f"b{number}", source, name, variable))
        twins.append(f"b{number}")
    return tuple(found)


@cache  # to make and check them takes longer than to draw from them
def conditions(twins: tuple[str, ...], edges: tuple[str, ...]) -> st.SearchStrategy[Condition]:
    name = st.sampled_from(twins * 2 + edges)
    path = st.builds(lambda name, tail: (name, *tail), name, st.sampled_from(PATHS))
    of_twin = st.builds(
        lambda name, tail: (name, *tail), st.sampled_from(twins), st.sampled_from(PATHS)
    )
    texts = st.sampled_from(["", "a", "ab", "b", "t", "'"])
    several = st.lists(literals, min_size=1, max_size=3).map(tuple)
    predicate: st.SearchStrategy[Condition] = st.one_of(
        st.tuples(st.sampled_from(list(oracle.ORDERS)), path, literals).filter(_is_ordered),
        st.tuples(st.sampled_from(["IN", "NIN"]), path, several),
        st.tuples(st.sampled_from(FUNCTIONS).map("IS_".__add__), path),
        st.tuples(st.sampled_from(["STARTSWITH", "ENDSWITH", "CONTAINS"]), path, texts),
        st.tuples(st.just("ARRAY_CONTAINS"), of_twin, literals),
        st.tuples(
            st.just("IS_OF_MODEL"),
            st.sampled_from(twins),
            st.sampled_from(MODEL_IDS),
            st.booleans(),
        ),
    )
    return st.recursive(
        predicate,
        lambda inner: (
            st.tuples(st.just("NOT"), inner)
            | st.tuples(st.sampled_from(["AND", "OR"]), inner, inner)
        ),
        max_leaves=4,
    )


def _is_ordered(comparison: Condition) -> bool:
    """Leave out what no documentation orders: null."""
    return comparison[0] in ("=", "!=") or comparison[2] is not None


def anchored(draw: st.DrawFn, twins: list[str], edges: list[str]) -> Condition:
    path = (draw(st.sampled_from(twins)), "$dtId")
    if draw(st.booleans()):
        anchor: Condition = ("=", path, draw(st.sampled_from(IDS[:2] * 2 + IDS)))
    else:
        anchor = ("IN", path, tuple(draw(st.lists(st.sampled_from(IDS), min_size=2, max_size=4))))
    if draw(st.booleans()):
        return anchor
    return ("AND", anchor, draw(conditions(tuple(twins), tuple(edges))))


# -- the same as text ------------------------------------------------------------------------------


def name_of(name: str) -> str:
    return name if name.replace("$", "").isidentifier() else f"[[{name}]]"


def path_of(path: tuple[str, ...]) -> str:
    return ".".join(map(name_of, path))


def literal_of(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    return json.dumps(value)


def condition_of(condition: Condition) -> str:
    match condition:
        case ("NOT", inner):
            return f"NOT ({condition_of(inner)})"
        case ("AND" | "OR" as word, left, right):
            return f"({condition_of(left)}) {word} ({condition_of(right)})"
        case ("IN" | "NIN" as word, path, several):
            return f"{path_of(path)} {word} [{', '.join(map(literal_of, several))}]"
        case ("IS_OF_MODEL", name, model, exact):
            return f"IS_OF_MODEL({name_of(name)}, '{model}'{', exact' if exact else ''})"
        case (function, path):
            return f"{function}({path_of(path)})"
        case (word, path, literal) if word in oracle.ORDERS:
            return f"{path_of(path)} {word} {literal_of(literal)}"
        case (function, path, literal):
            return f"{function}({path_of(path)}, {literal_of(literal)})"
    raise AssertionError(condition)


def pattern_of(pattern: Pattern) -> str:
    text = f"({pattern.nodes[0]})"
    for part, node in zip(pattern.parts, pattern.nodes[1:], strict=True):
        names = ":" + "|".join(part.names) if part.names else ""
        hops = next(words for words, counts in HOPS.items() if counts == part.hops)
        inner = f"{name_of(part.variable) if part.variable else ''}{names}{hops}"
        head, tail = ("<-", "-") if part.direction == "<-" else ("-", part.direction)
        text += f"{head}[{inner}]{tail}({node})"
    return text


def joins_of(related: tuple[Related, ...]) -> str:
    return " ".join(
        f"JOIN {join.target} RELATED {join.source}.{join.name}"
        f" {name_of(join.variable) if join.variable else ''}"
        for join in related
    )


# -- the cases -------------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn) -> tuple[Graph, str, list[Document]]:
    """Draw a graph, the text of a query on it, and its rows."""
    twins, edges = draw(graphs())
    bindings: list[Binding]
    if draw(st.booleans()):
        pattern = draw(patterns())
        names = sorted({node for node in pattern.nodes if node})
        variables = [part.variable for part in pattern.parts if part.variable]
        source = f"MATCH {pattern_of(pattern)}"
        bindings = list(oracle.matched(pattern, twins, edges))
    else:
        related = draw(joins())
        names = ["a", *(join.target for join in related)]
        variables = [join.variable for join in related if join.variable]
        source = f"a {joins_of(related)}"
        bindings = list(oracle.joined("a", related, twins, edges))
    where = anchored(draw, names, variables)
    return (twins, edges), *written(source, names, variables, where, bindings)


def written(
    source: str,
    names: list[str],
    variables: list[str],
    where: Condition,
    bindings: list[Binding],
) -> tuple[str, list[Document]]:
    """Return the text of a query for the ids of all it names, and its rows."""
    standing = [bound for bound in bindings if oracle.truth(where, bound) == oracle.TRUE]
    ids = [f"{name}.$dtId AS {name}" for name in names]
    ids += [f"{name_of(name)}.$relationshipId AS {name_of(name)}" for name in variables]
    rows = [
        {name: bound[name]["$dtId"] for name in names}
        | {name: bound[name]["$relationshipId"] for name in variables}
        for bound in standing
    ]
    text = f"SELECT {', '.join(ids)} FROM DIGITALTWINS {source} WHERE {condition_of(where)}"
    return text, rows


def check_agreement(case: tuple[Graph, str, list[Document]]) -> None:
    (twins, edges), text, rows = case
    query, graph = parse(text), TwinGraph(twins, edges)
    check(query)
    expected = Counter(json.dumps(row) for row in rows)
    for execute in (in_memory, in_sqlite):
        found = Counter(json.dumps(row) for row in execute(query, graph, MODELS))
        assert found == expected, (execute.__name__, text)


# A cycle, two ways from one twin to another, a loop, and a relationship whose target is gone.
WALKS = [
    ("t0", "n", "t1"),
    ("t0", "m", "t1"),
    ("t1", "n", "t2"),
    ("t2", "n", "t0"),
    ("t1", "n", "t1"),
    ("t2", "m", "nobody"),
]


@pytest.mark.parametrize("words", HOPS)
@pytest.mark.parametrize("direction", ["->", "<-", "-"])
@pytest.mark.parametrize("then", ["", "->", "<-", "-"])
def test_each_direction_and_range_of_hops_leads_where_every_fitting_path_leads(
    words: str, direction: str, then: str
) -> None:
    twins = [{"$dtId": f"t{i}", "$metadata": {"$model": MODEL_IDS[0]}} for i in range(3)]
    edges = [
        {"$relationshipId": str(i), "$sourceId": s, "$relationshipName": n, "$targetId": t}
        for i, (s, n, t) in enumerate(WALKS)
    ]
    parts = (Part(direction, "", (), HOPS[words]),) + ((Part(then, "r"),) if then else ())
    pattern = Pattern(("a", "b", "c") if then else ("a", "b"), parts)
    anchor = ("IN", ("a", "$dtId"), ("t0", "t1", "t2"))
    names, variables = sorted(set(pattern.nodes)), ["r"] if then else []
    bindings = list(oracle.matched(pattern, twins, edges))
    assert bindings
    source = f"MATCH {pattern_of(pattern)}"
    check_agreement(((twins, edges), *written(source, names, variables, anchor, bindings)))


@settings(max_examples=40, deadline=None)
@given(cases())
def test_both_executors_give_what_every_fitting_path_gives(
    case: tuple[Graph, str, list[Document]],
) -> None:
    check_agreement(case)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@settings(max_examples=5_000, deadline=None)
@given(cases())
def test_both_executors_give_what_every_fitting_path_gives_five_thousand_times(
    case: tuple[Graph, str, list[Document]],
) -> None:
    check_agreement(case)
