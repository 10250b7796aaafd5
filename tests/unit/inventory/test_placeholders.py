"""Elements that nothing but a link speaks of, and circles of containment."""

from __future__ import annotations

from sync_agent.inventory.containment import circles
from sync_agent.reconcile.change import Action
from sync_agent.reconcile.diff import diff
from sync_agent.reconcile.plan import make_plan
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document
from tests.telecom_mapping import (
    ENTITY,
    LINK,
    RACK,
    ROUTER,
    SITE,
    edge_rule,
    mapped,
    reading,
    twin_rule,
)

NODES = twin_rule("nodes", ROUTER, 'columns = ["displayLabel"]')
LINKS = (
    twin_rule("links", LINK) + edge_rule("links", "aEnd", "{a}") + edge_rule("links", "zEnd", "{z}")
)
ONE = {"nodes": [{"id": "R1"}], "links": [{"id": "L1", "a": "R1", "z": "R2"}]}


def documents(desired: object) -> TwinGraph:
    """Return the graph as the service would have it after every creation."""
    twins: list[Document] = [
        {"$dtId": t.id, "$etag": "1", **t.to_document()}
        for t in desired.twins.values()  # type: ignore[attr-defined]
    ]
    edges = [e.to_document() for e in desired.relationships.values()]  # type: ignore[attr-defined]
    return TwinGraph(twins, edges)


def test_an_unknown_end_becomes_an_advised_placeholder_of_the_declared_target() -> None:
    result = mapped(reading(NODES + LINKS, ONE))
    assert result.diagnostics == ()
    twin = result.desired.twins["R2"]
    assert twin.model == ENTITY
    assert twin.properties["reliabilityIndicator"] == "ADVISED"
    assert twin.properties["tags"] == {"managedBy": "inventory"}
    assert result.desired.placeholders == {"R2"}
    assert len(result.desired.relationships) == 2


def test_a_rule_may_name_the_model_of_its_placeholders() -> None:
    links = LINKS.replace('target = "{z}"', f'target = "{{z}}"\nplaceholder = "{ROUTER}"')
    assert mapped(reading(NODES + links, ONE)).desired.twins["R2"].model == ROUTER


def test_the_source_of_a_relationship_may_be_a_placeholder_where_its_model_is_named() -> None:
    rule = edge_rule(
        "pairs", "dependsOn", "{b}", f'placeholder = {{ source = "{ROUTER}" }}', source="{a}"
    )
    result = mapped(reading(NODES + rule, {"nodes": [], "pairs": [{"a": "X", "b": "Y"}]}))
    assert result.diagnostics == ()
    assert {t.id: t.model for t in result.desired.twins.values()} == {"X": ROUTER, "Y": ENTITY}


def test_links_of_two_kinds_agree_on_the_more_special_placeholder_in_any_order() -> None:
    rules = (
        NODES + edge_rule("nodes", "dependsOn", "{up}") + edge_rule("nodes", "locatedIn", "{up}")
    )
    for row in ({"id": "R1", "up": "S"},):
        twins = mapped(reading(rules, {"nodes": [row]})).desired.twins
        assert twins["S"].model == "dtmi:telecom:place:Location;1"


def test_without_placeholders_an_unknown_end_is_a_fault() -> None:
    result = mapped(reading("placeholders = false\n" + NODES + LINKS, ONE))
    (fault,) = result.diagnostics
    assert "there is no R2 in the inventory" in fault.message
    assert {"R2", "L1"} <= result.desired.held


def test_while_a_scope_is_unread_an_unknown_end_is_held_and_no_placeholder() -> None:
    result = mapped(reading(NODES + LINKS, ONE, incomplete=["nodes"]))
    assert result.diagnostics == ()
    assert "R2" not in result.desired.twins
    assert "R2" in result.desired.held
    assert "L1" in result.desired.twins


def test_a_placeholder_is_never_written_over_a_twin_there_is() -> None:
    both = mapped(reading(NODES + LINKS, {**ONE, "nodes": [{"id": "R1"}, {"id": "R2"}]})).desired
    without = mapped(reading(NODES + LINKS, ONE)).desired
    assert diff(without, documents(both)) == ()


def test_a_placeholder_is_replaced_when_its_element_arrives() -> None:
    before = documents(mapped(reading(NODES + LINKS, ONE)).desired)
    rows = {**ONE, "nodes": [{"id": "R1"}, {"id": "R2", "displayLabel": "two"}]}
    after = mapped(reading(NODES + LINKS, rows)).desired
    (change,) = diff(after, before)
    assert change.action is Action.UPDATE
    edits = {edit.name: edit.after for edit in change.edits}
    assert edits["reliabilityIndicator"] is None
    assert edits["displayLabel"] == "two"
    assert ROUTER in edits.values()


def test_a_placeholder_no_link_names_any_more_is_deleted() -> None:
    before = documents(mapped(reading(NODES + LINKS, ONE)).desired)
    rows = {"nodes": [{"id": "R1"}, {"id": "R3"}], "links": [{"id": "L1", "a": "R1", "z": "R3"}]}
    source = reading(NODES + LINKS, rows)
    after = mapped(source)
    plan = make_plan(after.desired, before, source.coverage or (), records=3)
    deleted = {c.element for c in plan.changes if c.action is Action.DELETE and c.twin}
    assert deleted == {"R2"}


def test_a_circle_of_containment_is_told_at_each_of_its_records_and_left_alone() -> None:
    rules = twin_rule("racks", RACK) + edge_rule("racks", "partOf", "{in}")
    rows = {
        "racks": [
            {"id": "A", "in": "B"},
            {"id": "B", "in": "C"},
            {"id": "C", "in": "A"},
            {"id": "D", "in": "A"},
        ]
    }
    result = mapped(reading(rules, rows))
    assert {f.place for f in result.diagnostics} == {"racks:1", "racks:2", "racks:3"}
    assert "is part of a circle: A in B in C in A" in result.diagnostics[0].message
    assert [key[0] for key in result.desired.relationships] == ["D"]
    assert len(result.desired.held_relationships) == 3


def test_a_circle_of_dependence_is_no_mistake_unless_a_rule_says_so() -> None:
    rows = {"sites": [{"id": "A", "on": "B"}, {"id": "B", "on": "A"}]}
    rules = twin_rule("sites", SITE)
    plain = mapped(reading(rules + edge_rule("sites", "dependsOn", "{on}"), rows))
    assert plain.diagnostics == ()
    strict = edge_rule("sites", "dependsOn", "{on}", "containment = true")
    assert len(mapped(reading(rules + strict, rows)).diagnostics) == 2


def test_a_chain_of_a_hundred_thousand_is_no_circle() -> None:
    edges = [((f"n{n}", "e"), f"n{n + 1}") for n in range(100_000)]
    assert circles(edges) == ()
    assert len(circles([*edges, (("n100000", "e"), "n0")])[0]) == 100_001


def test_what_the_source_says_is_deleted_goes_although_nothing_was_read_whole() -> None:
    before = documents(mapped(reading(NODES, {"nodes": [{"id": "R1"}, {"id": "R2"}]})).desired)
    source = reading(NODES, {"nodes": [{"id": "R1"}]}, incomplete=["nodes"], gone=["R2"])
    plan = make_plan(mapped(source).desired, before, source.coverage or (), records=1)
    assert [c.element for c in plan.changes] == ["R2"]


def test_a_value_that_a_partial_record_does_not_name_stays_on_its_twin() -> None:
    whole = {"nodes": [{"id": "R1", "displayLabel": "Core"}]}
    before = documents(mapped(reading(NODES, whole)).desired)
    bare = {"nodes": [{"id": "R1", "displayLabel": ""}]}
    emptied = mapped(reading(NODES, bare, incomplete=["nodes"])).desired
    assert [c.edits[0].after for c in diff(emptied, before)] == [None]
    partial = mapped(reading(NODES, bare, incomplete=["nodes"], partial=["nodes"])).desired
    assert diff(partial, before) == ()


def test_a_relationship_the_source_says_is_deleted_goes_although_nothing_was_read_whole() -> None:
    rules = (
        twin_rule("nodes", ROUTER, 'aliases = ["serial:{serial}"]')
        + edge_rule("on", "dependsOn", "{b}", 'when = { kind = "up" }', source="serial:{a}")
    )  # fmt: skip
    nodes = [{"id": "R1", "serial": "1"}, {"id": "R2", "serial": "2"}, {"id": "R3", "serial": "3"}]
    on = [{"a": "1", "b": "R2", "kind": "up"}, {"a": "2", "b": "R3", "kind": "up"}]
    before = documents(mapped(reading(rules, {"nodes": nodes, "on": on})).desired)
    source = reading(
        rules,
        {"nodes": nodes},
        incomplete=["nodes", "on"],
        gone_rows={"on": [on[0], {**on[1], "kind": "other"}]},
    )
    plan = make_plan(mapped(source).desired, before, source.coverage or (), records=1)
    assert [c.element for c in plan.changes] == ["R1/inventory.dependsOn.R2"]
