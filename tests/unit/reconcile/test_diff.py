from sync_agent.inventory.desired import DesiredGraph
from sync_agent.reconcile.change import Action, Change, Edit
from sync_agent.reconcile.diff import diff, foreign_twins
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document
from tests.small_network import ELEMENT, LINKS, MAPPING, ROUTERS, SITE, SITES, mapped, records

ETAG = 'W/"1"'


def as_documents(desired: DesiredGraph) -> TwinGraph:
    """Return the twins as the service has them after everything was applied."""
    twins = [{"$dtId": t.id, "$etag": ETAG, **t.to_document()} for t in desired.twins.values()]
    edges = [{**e.to_document(), "$etag": ETAG} for e in desired.relationships.values()]
    return TwinGraph(twins, edges)


def changed(graph: TwinGraph, id_: str, **values: object) -> TwinGraph:
    document = graph.twin(id_)
    assert document is not None
    graph.put_twin({**document, **values})
    return graph


def twin(id_: str, **values: object) -> Document:
    return {"$dtId": id_, "$etag": ETAG, "$metadata": {"$model": SITE}, **values}


def test_twins_that_are_as_wanted_make_no_change() -> None:
    desired = mapped().desired
    assert diff(desired, as_documents(desired)) == ()


def test_what_is_not_there_is_created_in_order_of_ids() -> None:
    changes = diff(mapped().desired, TwinGraph())
    assert {c.action for c in changes} == {Action.CREATE}
    assert [c.element for c in changes] == [
        *("L1", "R1", "R2", "S1", "S2"),
        *("L1/inventory.aEnd.R1", "L1/inventory.zEnd.R2"),
        *("R1/inventory.locatedIn.S1", "R2/inventory.locatedIn.S2"),
    ]


def test_a_property_that_differs_is_edited_and_remembers_what_it_was() -> None:
    desired = mapped().desired
    (change,) = diff(desired, changed(as_documents(desired), "S1", latitude=1, floors=3.0))
    assert change.twin is not None
    assert change.twin.etag == ETAG
    assert change.edits == (Edit(("latitude",), 1, 50.5),)


def test_a_property_the_inventory_has_no_value_for_is_removed() -> None:
    desired = mapped().desired
    (change,) = diff(desired, changed(as_documents(desired), "S2", floors=9))
    assert change.edits == (Edit(("floors",), 9, None),)


def test_properties_of_others_are_left_alone() -> None:
    desired = mapped().desired
    tags = {"managedBy": "inventory", "team": "north"}
    graph = changed(as_documents(desired), "L1", levelDbm=-40, tags=tags)
    assert diff(desired, changed(graph, "L1", health={"score": 3, "$metadata": {}})) == ()


def test_a_twin_of_another_owner_is_left_alone_with_its_edges() -> None:
    desired = mapped().desired
    graph = changed(TwinGraph([twin("S1", label="theirs")]), "S1", tags={"managedBy": "other"})
    changes = diff(desired, graph)
    assert foreign_twins(desired, graph) == ("S1",)
    assert not [c for c in changes if "S1" in c.twins]
    assert "R1" in [c.element for c in changes]


def test_a_twin_without_a_mark_is_left_alone() -> None:
    graph = TwinGraph([twin("X1"), twin("X2", tags={"managedBy": 7}), twin("X3", tags="odd")])
    assert not [c for c in diff(mapped().desired, graph) if c.element.startswith("X")]


def test_a_managed_twin_the_inventory_lacks_is_deleted_with_its_managed_edges() -> None:
    graph = as_documents(mapped().desired)
    changes = diff(mapped(records(links=[])).desired, graph)
    assert [(c.action, c.element) for c in changes] == [
        (Action.DELETE, "L1"),
        (Action.DELETE, "L1/inventory.aEnd.R1"),
        (Action.DELETE, "L1/inventory.zEnd.R2"),
    ]
    assert changes[0].twin is not None
    assert changes[0].twin.etag == ETAG


def test_edges_of_others_are_left_alone() -> None:
    desired = mapped().desired
    graph = as_documents(desired)
    graph.put_relationship(
        {
            "$relationshipId": "mine",
            "$sourceId": "R1",
            "$relationshipName": "locatedIn",
            "$targetId": "S2",
        }
    )
    assert diff(desired, graph) == ()


def test_an_edge_with_another_target_is_deleted_and_made_anew() -> None:
    text = MAPPING.replace('target = "{site}"', 'target = "{site}"\nid = "home"')
    graph = as_documents(mapped(mapping=text).desired)
    moved = mapped(records(routers=[{**ROUTERS[0], "site": "S2"}, ROUTERS[1]]), text).desired
    assert [(c.action, c.element, c.edge.target) for c in diff(moved, graph)] == [
        (Action.DELETE, "R1/inventory.locatedIn.home", "S1"),
        (Action.CREATE, "R1/inventory.locatedIn.home", "S2"),
    ]


def test_the_properties_of_an_edge_are_edited() -> None:
    text = MAPPING.replace('target = "{site}"', 'target = "{site}"').replace(
        'name = "locatedIn"', 'name = "dependsOn"\ncolumns = ["weight"]'
    )
    weighed = mapped(records(routers=[{**r, "weight": "2"} for r in ROUTERS]), text).desired
    graph = as_documents(weighed)
    key = ("R1", "inventory.dependsOn.S1")
    edge = graph.relationship(*key)
    assert edge is not None
    graph.put_relationship({**edge, "weight": 1, "note": "theirs"})
    (change,) = diff(weighed, graph)
    assert change.action is Action.UPDATE
    assert change.edge.etag == ETAG
    assert change.edits == (Edit(("weight",), 1, 2.0),)


def test_what_is_held_is_neither_written_nor_deleted() -> None:
    graph = as_documents(mapped().desired)
    broken = mapped(records(sites=[{**SITES[0], "latitude": "x"}, SITES[1]])).desired
    assert diff(broken, graph) == ()


def test_an_edge_that_lost_its_end_in_the_inventory_stays_with_that_end() -> None:
    graph = as_documents(mapped().desired)
    without = mapped(records(routers=[ROUTERS[0]])).desired  # L1 still names R2
    changes = diff(without, graph)
    assert "R2" in without.held
    assert not [c for c in changes if {"R2", "L1"} & set(c.twins) and c.edge.name != "locatedIn"]
    assert not [c for c in changes if c.twin is not None]


def test_a_map_that_is_not_there_is_made_whole() -> None:
    text = MAPPING.replace(
        'columns = ["label", "latitude", "floors"]', '[twin.properties]\n"tags.zone" = "{label}"'
    )
    desired = mapped(mapping=text).desired
    graph = as_documents(desired)
    document = graph.twin("S1")
    assert document is not None
    assert document["tags"] == {"managedBy": "inventory", "zone": "North"}
    document["tags"] = {"managedBy": "inventory"}
    (change,) = diff(desired, graph)
    assert change.edits == (Edit(("tags", "zone"), None, "North"),)


def test_a_component_that_is_not_there_is_made_when_the_model_changes() -> None:
    desired = mapped().desired
    graph = as_documents(desired)
    document = graph.twin("S1")
    assert document is not None
    del document["health"]
    document["$metadata"] = {"$model": ELEMENT}
    (change,) = diff(desired, graph)
    assert change.edits == (
        Edit(("$metadata", "$model"), ELEMENT, SITE),
        Edit(("health",), None, {"$metadata": {}}),
    )


def test_a_twin_that_was_migrated_to_a_later_version_is_not_taken_back() -> None:
    desired = mapped().desired
    graph = as_documents(desired)
    document = graph.twin("S1")
    assert document is not None
    document["$metadata"] = {"$model": SITE.replace(";1", ";2")}

    assert diff(desired, graph) == ()


def test_what_the_old_model_had_from_the_inventory_goes_with_it() -> None:
    graph = as_documents(mapped().desired)
    moved = [{**ROUTERS[0], "id": "S2"}, ROUTERS[1]]
    desired = mapped(
        records(sites=[SITES[0]], routers=[moved[0], {**moved[1], "site": "S1"}], links=[])
    ).desired
    change = next(c for c in diff(desired, graph) if c.element == "S2")
    assert Edit(("latitude",), 49.25, None) in change.edits
    assert Edit(("role",), None, "core") in change.edits


def test_initial_only_values_are_set_once() -> None:
    text = MAPPING.replace(
        'columns = ["label", "latitude", "floors"]',
        '[twin.properties]\nlabel = { column = "label", own = "initial-only" }',
    )
    desired = mapped(mapping=text).desired
    assert desired.twins["S1"].properties["label"] == "North"
    assert diff(desired, changed(as_documents(desired), "S1", label="by hand")) == ()


def test_observed_values_are_never_written() -> None:
    text = MAPPING.replace(
        'columns = ["label", "latitude", "floors"]',
        '[twin.properties]\nlabel = { column = "label", own = "observed" }',
    )
    desired = mapped(mapping=text).desired
    assert "label" not in desired.twins["S1"].properties
    assert diff(desired, changed(as_documents(desired), "S1", label="by hand")) == ()


def test_the_order_of_either_side_does_not_matter() -> None:
    desired, flipped = mapped().desired, mapped(records()[::-1]).desired
    graph = changed(as_documents(desired), "S1", label="x")
    other = TwinGraph([twin("Z"), *reversed(list(graph.twins()))], graph.relationships())
    assert diff(desired, graph) == diff(flipped, other)


def test_a_change_says_which_twins_it_counts_against() -> None:
    edge = mapped().desired.relationships["L1", "inventory.aEnd.R1"]
    assert Change(Action.CREATE, relationship=edge).twins == ("L1", "R1")
    assert LINKS  # the rows the edge was made of
