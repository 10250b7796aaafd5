"""What typed relationships imply, by example."""

from __future__ import annotations

from typing import Any

from sync_agent.dependency.derive import derive, with_derived
from sync_agent.dependency.rules import DependencyRules
from sync_agent.inventory.desired import DesiredGraph
from sync_agent.inventory.owner import Owner
from sync_agent.settings.shipped import shipped_default
from sync_agent.twins.twin import Relationship, Twin
from tests.telecom_mapping import telecom

RULES = DependencyRules.parse(
    shipped_default("dependencies.toml").read_text(encoding="utf-8"), place="dependencies.toml"
)


def twin(twin_id: str, model: str, **properties: Any) -> Twin:
    return Twin(twin_id, f"dtmi:telecom:{model};1", properties)


def edge(source: str, name: str, target: str) -> Relationship:
    return Relationship(f"{name}.{target}", source, name, target)


def implied(twins: list[Twin], edges: list[Relationship]) -> dict[tuple[str, str], dict[str, Any]]:
    found = derive(RULES, {t.id: t for t in twins}, edges, telecom())
    assert all(e.name == "dependsOn" for e in found)
    return {(e.source, e.target): dict(e.properties) for e in found}


ROUTER = twin("R", "transport:Router")
MAINS = [twin("A", "power:MainsFeed"), twin("B", "power:MainsFeed")]
FEEDS = [edge("R", "poweredBy", "A"), edge("R", "poweredBy", "B")]


def test_two_feeds_stand_in_for_each_other() -> None:
    redundant = {"protection": "redundant", "groupId": "power", "minRequired": 1}
    assert implied([ROUTER, *MAINS], FEEDS) == {("R", "A"): redundant, ("R", "B"): redundant}


def test_an_only_feed_is_in_series() -> None:
    assert implied([ROUTER, *MAINS], FEEDS[:1]) == {("R", "A"): {"protection": "series"}}


def test_an_aggregate_needs_as_many_members_as_its_twin_says() -> None:
    lag = twin("LAG", "transport:LagLink", minLinks=2)
    links = [twin(f"E{n}", "transport:EthernetLink") for n in range(3)]
    found = implied([lag, *links], [edge("LAG", "carriedBy", link.id) for link in links])
    assert {tuple(p.items()) for p in found.values()} == {
        (("protection", "redundant"), ("groupId", "members"), ("minRequired", 2))
    }


def test_a_required_number_is_never_more_than_there_are() -> None:
    lag = twin("LAG", "transport:LagLink", minLinks=9)
    links = [twin(f"E{n}", "transport:EthernetLink") for n in range(2)]
    found = implied([lag, *links], [edge("LAG", "carriedBy", link.id) for link in links])
    assert {p["minRequired"] for p in found.values()} == {2}


def test_a_ring_goes_on_with_one_break() -> None:
    routers = [twin(f"R{n}", "transport:Router") for n in range(4)]
    ring = twin("RING", "transport:Ring")
    found = implied([ring, *routers], [edge("RING", "hasMember", r.id) for r in routers])
    assert {p["minRequired"] for p in found.values()} == {3}


def test_a_cell_depends_on_the_function_that_provides_it() -> None:
    twins = [twin("DU", "ran:GnbDuFunction"), twin("C", "ran:NRCellDU")]
    assert implied(twins, [edge("DU", "provides", "C")]) == {("C", "DU"): {"protection": "series"}}


def test_what_is_needed_anyway_leaves_fewer_to_the_group() -> None:
    rules = DependencyRules.parse(
        """[[rule]]
name = "any"
relationship = "poweredBy"
model = "dtmi:telecom:core:PhysicalResource;1"
protection = "redundant"
because = "x"
[[rule]]
name = "must"
relationship = "partOf"
model = "dtmi:telecom:core:ManagedEntity;1"
protection = "series"
because = "x"
""",
        place="d.toml",
    )
    twins = {t.id: t for t in [ROUTER, *MAINS]}
    found = derive(rules, twins, [*FEEDS, edge("R", "partOf", "A")], telecom())
    assert [(e.target, e.properties) for e in found] == [("A", {"protection": "series"})]


def test_an_element_that_speaks_for_itself_is_left_alone() -> None:
    own = edge("R", "dependsOn", "A")
    assert implied([ROUTER, *MAINS], [*FEEDS, own]) == {}


def test_elements_that_are_not_there_and_loops_imply_nothing() -> None:
    assert implied([ROUTER], [*FEEDS, edge("R", "partOf", "R")]) == {}


def test_an_element_of_an_unknown_model_implies_nothing() -> None:
    strange = Twin("R", "dtmi:elsewhere:Thing;1")
    assert implied([strange, *MAINS], FEEDS) == {}


def test_an_id_that_would_be_too_long_is_shortened_and_stays_unique() -> None:
    long = [twin("x" * 127 + end, "power:MainsFeed") for end in "ab"]
    twins = {t.id: t for t in [ROUTER, *long]}
    edges = [edge("R", "poweredBy", t.id) for t in long]
    owner = Owner("inventory")
    found = derive(RULES, twins, edges, telecom(), owner.relationship_id)
    ids = [e.id for e in found]
    assert len(set(ids)) == 2
    assert all(len(i) <= 128 and i.startswith("inventory.derived.xxx") for i in ids)


def desired(**changes: Any) -> DesiredGraph:
    edges = {e.key: e for e in FEEDS}
    scopes = {"poweredBy": frozenset({"power.csv"}), "locatedIn": frozenset({"sites.csv"})}
    return DesiredGraph(
        Owner("inventory"),
        twins={t.id: t for t in [ROUTER, *MAINS]},
        relationships=edges,
        relationship_scopes=scopes,
        **changes,
    )


def test_what_is_derived_is_the_owners_and_comes_from_where_its_reasons_come_from() -> None:
    graph = with_derived(desired(), RULES, telecom())
    assert ("R", "inventory.derived.A") in graph.relationships
    assert graph.relationship_scopes["dependsOn"] == {"power.csv"}
    assert graph.relationship_properties["dependsOn"] == {"protection", "groupId", "minRequired"}


def test_nothing_is_derived_for_an_element_with_a_held_relationship() -> None:
    held = desired(held_relationships=frozenset({("R", "inventory.poweredBy.C")}))
    assert with_derived(held, RULES, telecom()).relationships == held.relationships


def test_nothing_is_derived_towards_a_held_element() -> None:
    graph = with_derived(desired(held=frozenset({"B"})), RULES, telecom())
    assert "inventory.derived.B" not in {key[1] for key in graph.relationships}
