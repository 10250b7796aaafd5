"""What becomes of a relationship whose end is in no record any more: each rule says it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sync_agent.inventory.mapping import MappedGraph, Reading, map_sources, parse_mapping
from sync_agent.inventory.record import Coverage, Record
from sync_agent.reconcile.change import Action
from sync_agent.reconcile.plan import Plan, make_plan
from sync_agent.twins.graph import TwinGraph
from tests.small_network import MAPPING, REGISTRY, ROUTERS, SITES, records
from tests.unit.inventory.test_placeholders import documents

SCOPES = ("sites.csv", "routers.csv", "links.csv")
DROPS = MAPPING.replace('target = "{site}"', 'target = "{site}"\nvanished = "drop"')
SITE_GONE = records(sites=SITES[:1])


def coverage(*unread: str) -> tuple[Coverage, ...]:
    return tuple(Coverage(scope, scope not in unread, "torn off") for scope in SCOPES)


def mapped(given: list[Record], *unread: str, mapping: str = DROPS) -> MappedGraph:
    rules = parse_mapping(mapping, place="mapping.toml")
    return map_sources([Reading(rules, given, coverage=coverage(*unread))], REGISTRY)


def plan_of(given: list[Record], *unread: str, mapping: str = DROPS) -> Plan:
    """Return what a plan makes of records after all of the network was there."""
    graph = mapped(given, *unread, mapping=mapping)
    there: TwinGraph = documents(mapped(records()).desired)
    gaps = {gap.scope for gap in graph.gaps}
    stated = [replace(c, complete=c.complete and c.scope not in gaps) for c in coverage(*unread)]
    return make_plan(graph.desired, there, stated, records=len(given))


def test_a_relationship_that_drops_goes_with_its_end_and_is_no_fault() -> None:
    assert mapped(SITE_GONE).diagnostics == ()
    gone = [c.element for c in plan_of(SITE_GONE).changes if c.action is Action.DELETE]
    assert gone == ["R2/inventory.locatedIn.S2", "S2"]


def test_a_relationship_that_holds_stays_with_its_end_and_is_named() -> None:
    assert "there is no S2" in mapped(SITE_GONE, mapping=MAPPING).diagnostics[0].message
    assert plan_of(SITE_GONE, mapping=MAPPING).changes == ()


@pytest.mark.parametrize("unread", SCOPES[:2])
def test_an_end_that_was_perhaps_not_read_lets_nothing_go(unread: str) -> None:
    assert plan_of(SITE_GONE, unread).changes == ()


def test_an_end_whose_record_is_faulty_has_not_vanished() -> None:
    faulty = records(sites=[SITES[0], {**SITES[1], "latitude": "north"}])
    assert plan_of(faulty).changes == ()


def test_an_element_is_deleted_although_a_link_that_drops_still_names_it() -> None:
    routers = records(sites=SITES[:1], routers=[{**ROUTERS[0], "site": "S2"}, ROUTERS[1]])
    changes = plan_of(routers).changes
    assert {c.element for c in changes} == {
        "R1/inventory.locatedIn.S1",
        "R2/inventory.locatedIn.S2",
        "S2",
    }
