"""Several sources of one network: names, precedence, contradictions, outages."""

from __future__ import annotations

import pytest

from sync_agent.errors import InputError
from sync_agent.inventory.desired import Ownership
from sync_agent.inventory.mapping import MappedGraph, Reading
from sync_agent.inventory.record import Coverage
from sync_agent.reconcile.plan import Plan, make_plan
from sync_agent.twins.graph import TwinGraph
from tests.telecom_mapping import (
    DEVICE,
    LINK,
    ROUTER,
    SITE,
    Rows,
    edge_rule,
    mapped,
    reading,
    twin_rule,
)

DCIM = twin_rule(
    "devices", DEVICE, 'aliases = ["serial:{serial}"]', 'columns = ["displayLabel", "vendorName"]'
)
EMS = twin_rule(
    "nodes",
    ROUTER,
    'aliases = ["serial:{sn}"]',
    "[twin.properties]",
    'displayLabel = "{label}"',
    'softwareVersion = "{version}"',
    'vendorName = { column = "maker", precedence = 5 }',
)
BOX = {"id": "D1", "serial": "77", "displayLabel": "core-1", "vendorName": "ACME"}
NODE = {"id": "ne-9", "sn": "77", "label": "other", "version": "7.2", "maker": "Acme Inc"}


def test_elements_that_share_an_alias_are_one_under_the_id_of_the_first_source() -> None:
    result = mapped(
        reading(DCIM, {"devices": [BOX]}, name="dcim"), reading(EMS, {"nodes": [NODE]}, name="ems")
    )
    assert result.diagnostics == ()
    (twin,) = result.desired.twins.values()
    assert twin.id == "D1"
    assert twin.model == ROUTER  # the more special of the two
    assert twin.properties["displayLabel"] == "core-1"  # the source named first
    assert twin.properties["vendorName"] == "Acme Inc"  # the higher precedence
    assert twin.properties["softwareVersion"] == "7.2"


def test_what_either_source_maps_is_owned_on_the_merged_model() -> None:
    desired = mapped(
        reading(DCIM, {"devices": [BOX]}, name="dcim"), reading(EMS, {"nodes": [NODE]}, name="ems")
    ).desired
    owned = desired.ownership[ROUTER]
    assert owned[("displayLabel",)] is Ownership.MANAGED
    assert owned[("softwareVersion",)] is Ownership.MANAGED
    assert desired.twin_scopes[ROUTER] == {"dcim/devices", "ems/nodes"}


HINTED = DCIM.replace("aliases", "hints")


def test_a_hint_that_one_element_has_is_a_name_of_it() -> None:
    result = mapped(
        reading(HINTED, {"devices": [BOX]}, name="dcim"),
        reading(EMS, {"nodes": [NODE]}, name="ems"),
    )
    assert result.diagnostics == ()
    assert [(twin.id, twin.model) for twin in result.desired.twins.values()] == [("D1", ROUTER)]


@pytest.mark.parametrize("other", [{"id": "D2", "serial": "77"}, {"id": "serial:77"}])
def test_a_hint_that_names_several_elements_of_its_source_names_none(other: dict[str, str]) -> None:
    result = mapped(
        reading(HINTED, {"devices": [BOX, other]}, name="dcim"),
        reading(EMS, {"nodes": [{**NODE, "sn": "78"}]}, name="ems"),
    )
    assert result.diagnostics == ()
    assert result.desired.twins.keys() == {"D1", other["id"], "ne-9"}
    assert result.desired.held == frozenset()


def test_elements_found_by_a_hint_wait_for_a_source_that_was_not_read_whole() -> None:
    desired = mapped(
        reading(HINTED, {"devices": []}, name="dcim", incomplete=["devices"]),
        reading(EMS, {"nodes": [NODE]}, name="ems"),
    ).desired
    assert desired.twins == {}
    assert desired.held == {"ne-9"}


def test_what_a_hint_joins_waits_for_the_rest_of_its_source_which_may_share_it() -> None:
    """Another device of the number may be in the rest: they would be two, and the node its own."""
    dcim, ems = {"devices": [BOX]}, reading(EMS, {"nodes": [NODE]}, name="ems")
    sure = mapped(reading(DCIM, dcim, name="dcim", incomplete=["devices"]), ems).desired
    assert sure.twins.keys() == {"D1"}
    assert sure.held == frozenset()
    unsure = mapped(reading(HINTED, dcim, name="dcim", incomplete=["devices"]), ems).desired
    assert unsure.twins == {}
    assert unsure.held == {"D1", "ne-9"}


def test_what_has_no_part_in_a_hint_goes_on_while_its_source_was_not_read_whole() -> None:
    other = {**BOX, "id": "D2", "serial": "78"}
    desired = mapped(
        reading(HINTED, {"devices": [BOX, other]}, name="dcim", incomplete=["devices"]),
        reading(EMS, {"nodes": [NODE]}, name="ems"),
    ).desired
    assert desired.twins.keys() == {"D2"}


def planned_after(before: MappedGraph, *readings: Reading) -> Plan:
    """Return the plan of readings where the twins are as other readings made them."""
    after = mapped(*readings)
    twins = TwinGraph(
        [twin.as_stored() for twin in before.desired.twins.values()],
        [edge.as_stored() for edge in before.desired.relationships.values()],
    )
    coverage = [
        Coverage(reading.scope(of.scope), of.complete, of.reason)
        for reading in readings
        for of in reading.coverage or ()
    ]
    return make_plan(after.desired, twins, [*coverage, *after.gaps], records=1)


def test_an_element_with_the_model_of_another_source_stays_while_its_own_was_not_read() -> None:
    """The router is one by what the ems says, but its id is the dcim's."""
    ems = reading(EMS, {"nodes": [NODE]}, name="ems")
    before = mapped(reading(DCIM, {"devices": [BOX]}, name="dcim"), ems)
    cut = reading(DCIM, {"devices": []}, name="dcim", incomplete=["devices"])
    assert planned_after(before, cut, ems).changes == ()
    whole = reading(DCIM, {"devices": []}, name="dcim")
    assert planned_after(before, whole, ems).deletions() == 1


@pytest.mark.parametrize("name", ["aliases", "hints"])
@pytest.mark.parametrize(("source", "target"), [("{id}", "D2"), ("D2", "{id}")])
def test_what_leads_to_an_element_stays_while_the_source_of_its_id_was_not_read(
    name: str, source: str, target: str
) -> None:
    links = edge_rule("nodes", "dependsOn", target, source=source)
    ems = reading(EMS + links, {"nodes": [NODE]}, name="ems")
    rows = [BOX, {**BOX, "id": "D2", "serial": "78"}]
    dcim = DCIM.replace("aliases", name)
    before = mapped(reading(dcim, {"devices": rows}, name="dcim"), ems)
    assert len(before.desired.relationships) == 1
    for seen in (rows[:1], rows[1:], []):
        cut = reading(dcim, {"devices": seen}, name="dcim", incomplete=["devices"])
        assert planned_after(before, cut, ems).changes == ()


def test_a_hint_names_an_element_to_links_only_when_its_source_was_read_whole() -> None:
    links = edge_rule("links", "dependsOn", "serial:{sn}")
    rows: Rows = {
        "devices": [BOX, {**BOX, "id": "D2", "serial": "78"}],
        "links": [{"id": "D2", "sn": 77}],
    }
    (edge,) = mapped(reading(HINTED + links, rows)).desired.relationships.values()
    assert (edge.source, edge.target) == ("D2", "D1")
    assert mapped(reading(HINTED + links, rows, incomplete=["devices"])).desired.relationships == {}


def test_a_link_may_name_an_element_by_its_alias() -> None:
    links = twin_rule("links", LINK) + edge_rule("links", "aEnd", "{a}")
    result = mapped(
        reading(DCIM, {"devices": [BOX]}, name="dcim"),
        reading(EMS + links, {"nodes": [NODE], "links": [{"id": "L1", "a": "ne-9"}]}, name="ems"),
    )
    (edge,) = result.desired.relationships.values()
    assert (edge.source, edge.target) == ("L1", "D1")
    assert edge.id == "inventory.aEnd.D1"


def test_two_elements_that_claim_one_alias_are_told_with_both_places_and_held() -> None:
    twice = [BOX, {**BOX, "id": "D2"}]
    result = mapped(reading(DCIM, {"devices": twice}, name="dcim"))
    assert {f.place for f in result.diagnostics} == {"devices:1", "devices:2"}
    for fault in result.diagnostics:
        assert "serial:77 is claimed by D1 (devices:1), D2 (devices:2)" in fault.message
        assert fault.remedy
    assert result.desired.held == {"D1", "D2"}
    assert result.desired.twins == {}


def test_a_source_that_takes_two_elements_of_another_for_one_is_told() -> None:
    ems = EMS.replace('["serial:{sn}"]', '["serial:{sn}", "serial:{sn2}"]')
    result = mapped(
        reading(DCIM, {"devices": [BOX, {**BOX, "id": "D2", "serial": "78"}]}, name="dcim"),
        reading(ems, {"nodes": [{**NODE, "sn2": "78"}]}, name="ems"),
    )
    assert result.desired.held == {"D1", "D2", "ne-9"}
    assert any("nodes:1" in f.place for f in result.diagnostics)


def test_one_element_of_two_unrelated_models_is_told_and_held() -> None:
    sites = twin_rule("sites", SITE, 'aliases = ["serial:{serial}"]')
    result = mapped(
        reading(DCIM, {"devices": [BOX]}, name="dcim"),
        reading(sites, {"sites": [{"id": "S", "serial": "77"}]}, name="gis"),
    )
    (fault,) = result.diagnostics
    assert "D1 cannot be all of these" in fault.message
    assert result.desired.held == {"D1", "S"}


def test_an_element_whose_name_in_an_unread_source_is_unknown_is_held_without_a_word() -> None:
    result = mapped(
        reading(DCIM, {"devices": []}, name="dcim", incomplete=["devices"]),
        reading(EMS, {"nodes": [NODE]}, name="ems"),
    )
    assert result.diagnostics == ()
    assert result.desired.held == {"ne-9"}
    assert result.desired.twins == {}


def test_values_an_unread_source_might_have_given_are_not_taken_for_removed() -> None:
    desired = mapped(
        reading(DCIM, {"devices": [BOX]}, name="dcim"),
        reading(EMS, {"nodes": []}, name="ems", incomplete=["nodes"]),
    ).desired
    assert ("softwareVersion",) in desired.unread[ROUTER]
    assert DEVICE not in desired.unread


def test_a_faulty_record_of_one_source_holds_the_element_of_all() -> None:
    result = mapped(
        reading(DCIM, {"devices": [BOX]}, name="dcim"),
        reading(EMS, {"nodes": [{**NODE, "version": "x" * 5000}]}, name="ems"),
    )
    assert "D1" in result.desired.held
    assert result.desired.twins == {}


def test_the_order_of_records_does_not_matter_to_what_is_merged() -> None:
    boxes = [{**BOX, "id": f"D{n}", "serial": str(n)} for n in range(5)]
    nodes = [{**NODE, "id": f"n{n}", "sn": str(n)} for n in range(5)]

    def desired(step: int) -> object:
        return mapped(
            reading(DCIM, {"devices": boxes[::step]}, name="dcim"),
            reading(EMS, {"nodes": nodes[::step]}, name="ems"),
        ).desired

    assert desired(1) == desired(-1)


def test_sources_of_one_inventory_have_one_owner() -> None:
    with pytest.raises(InputError, match="owner and marker are not those of") as raised:
        mapped(
            reading(DCIM, {}, name="dcim"),
            reading('owner = "other"\n' + EMS, {}, name="ems"),
        )
    assert 'set owner = "inventory" and marker = "tags.managedBy"' in raised.value.remedy


def test_a_list_gives_an_alias_for_each_of_its_items() -> None:
    mapping = twin_rule("nodes", ROUTER, 'aliases = ["{names}"]') + edge_rule(
        "links", "dependsOn", "{to}", source="{from}"
    )
    rows: Rows = {
        "nodes": [{"id": "A", "names": ["a1", "a2"]}, {"id": "B", "names": []}],
        "links": [{"from": "B", "to": "a2"}],
    }
    (edge,) = mapped(reading(mapping, rows)).desired.relationships.values()
    assert (edge.source, edge.target) == ("B", "A")
