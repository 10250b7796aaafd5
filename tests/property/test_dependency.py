"""Derived dependencies say what the rules say, for any graph and any set of failures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sync_agent.dependency.derive import derive
from sync_agent.dependency.rules import DependencyRules
from sync_agent.twins.twin import Relationship, Twin
from tests.telecom_mapping import telecom

RULES = DependencyRules.parse(
    """
[[rule]]
name = "whole"
relationship = "partOf"
model = "dtmi:telecom:core:ManagedEntity;1"
protection = "series"
because = "a"
[[rule]]
name = "two"
relationship = "coveredByWork"
model = "dtmi:telecom:core:ManagedEntity;1"
protection = "redundant"
min_required = 2
because = "b"
[[rule]]
name = "most"
relationship = "inRiskGroup"
model = "dtmi:telecom:core:ManagedEntity;1"
dependent = "target"
protection = "redundant"
tolerates = 1
because = "c"
""",
    place="d.toml",
)
REQUIRED = {
    "partOf": lambda count: count,
    "coveredByWork": lambda count: min(2, count),
    "inRiskGroup": lambda count: max(count - 1, 1),
}
IDS = [f"T{n}" for n in range(6)]
TWINS = {i: Twin(i, "dtmi:telecom:core:ManagedEntity;1") for i in IDS}
ends = st.tuples(st.sampled_from(IDS), st.sampled_from(sorted(REQUIRED)), st.sampled_from(IDS))
graphs = st.sets(ends, max_size=20).map(sorted)


def edges_of(graph: Iterable[tuple[str, str, str]]) -> list[Relationship]:
    return [Relationship(f"{name}.{t}", s, name, t) for s, name, t in graph]


def works_by_rules(graph: Iterable[tuple[str, str, str]], element: str, up: set[str]) -> bool:
    """Tell from the typed relationships alone whether what an element needs is there."""
    members: defaultdict[str, set[str]] = defaultdict(set)
    for source, name, target in graph:
        dependent, other = (target, source) if name == "inRiskGroup" else (source, target)
        if dependent == element and other != element:
            members[name].add(other)
    return all(len(m & up) >= REQUIRED[name](len(m)) for name, m in members.items())


def works_by_dependencies(derived: Iterable[Relationship], element: str, up: set[str]) -> bool:
    """Tell the same from the derived relationships."""
    groups: defaultdict[str, list[Relationship]] = defaultdict(list)
    for edge in derived:
        if edge.source == element:
            groups[edge.properties.get("groupId", "")].append(edge)
    for name, edges in groups.items():
        working = sum(edge.target in up for edge in edges)
        if working < (edges[0].properties["minRequired"] if name else len(edges)):
            return False
    return True


@given(graphs, st.sets(st.sampled_from(IDS)))
def test_an_element_works_by_its_dependencies_when_it_works_by_the_rules(
    graph: list[tuple[str, str, str]], up: set[str]
) -> None:
    derived = derive(RULES, TWINS, edges_of(graph), telecom())
    for element in IDS:
        by_rules = works_by_rules(graph, element, up)
        assert works_by_dependencies(derived, element, up) == by_rules


@given(graphs, st.randoms(use_true_random=False))
def test_order_does_not_matter(graph: list[tuple[str, str, str]], chance: Random) -> None:
    edges = edges_of(graph)
    derived = derive(RULES, TWINS, edges, telecom())
    chance.shuffle(edges)
    shuffled = dict(sorted(TWINS.items(), key=lambda _: chance.random()))
    assert derive(RULES, shuffled, edges, telecom()) == derived


@given(graphs)
def test_no_loop_no_pair_twice_and_nothing_more_to_derive(
    graph: list[tuple[str, str, str]],
) -> None:
    edges = edges_of(graph)
    derived = derive(RULES, TWINS, edges, telecom())
    pairs = [(edge.source, edge.target) for edge in derived]
    assert len(set(pairs)) == len(pairs) == len({edge.key for edge in derived})
    assert all(source != target for source, target in pairs)
    assert derive(RULES, TWINS, [*edges, *derived], telecom()) == ()
