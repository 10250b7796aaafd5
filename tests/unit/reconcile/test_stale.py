from __future__ import annotations

from typing import Any

import pytest

from sync_agent.reconcile.plan import Plan, make_plan
from sync_agent.reconcile.stale import stale_elements
from sync_agent.twins.graph import TwinGraph
from tests.small_network import ROUTERS, SITES, mapped, records
from tests.unit.reconcile.test_diff import as_documents, changed
from tests.unit.reconcile.test_plan import WHOLE


def a_plan(**rows: Any) -> tuple[Plan, TwinGraph]:
    """Return a plan to make these rows true, and the graph it was made for."""
    graph = as_documents(mapped().desired)
    return make_plan(mapped(records(**rows)).desired, graph, WHOLE, records=6), graph


RENAMED = [{**SITES[0], "label": "Far north"}, SITES[1]]
MOVED = [{**ROUTERS[0], "site": "S2"}, ROUTERS[1]]


@pytest.mark.parametrize("rows", [{"sites": RENAMED}, {"links": []}, {"routers": MOVED}])
def test_nothing_is_stale_that_did_not_change(rows: dict[str, Any]) -> None:
    plan, graph = a_plan(**rows)
    assert stale_elements(plan, graph) == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"label": "by hand"}, ["label is 'by hand', the plan saw 'North'"]),
        ({"label": "Far north"}, []),
        ({"latitude": 1.0, "health": {"score": 3, "$metadata": {}}}, []),
        ({"tags": {"managedBy": "other"}}, ["it was handed to someone else"]),
    ],
)
def test_an_edit_is_stale_where_its_own_place_changed(
    values: dict[str, Any], said: list[str]
) -> None:
    plan, graph = a_plan(sites=RENAMED)
    now = changed(graph, "S1", **{"$etag": "new"}, **values)
    assert [s.reason for s in stale_elements(plan, now)] == said


def test_a_deletion_is_stale_when_anything_of_the_twin_changed() -> None:
    plan, graph = a_plan(links=[])
    now = changed(graph, "L1", **{"$etag": "new"}, levelDbm=-40)
    (stale,) = stale_elements(plan, now)
    assert (stale.element, stale.reason) == ("L1", "levelDbm is -40, the plan saw nothing")
    assert stale_elements(plan, changed(graph, "L1", levelDbm=None, **{"$etag": "n"})) == ()


def test_a_twin_that_is_gone_is_stale_for_an_edit_and_not_for_a_deletion() -> None:
    plan, graph = a_plan(sites=RENAMED, links=[])
    graph.remove_twin("S1")
    graph.remove_twin("L1")
    assert [(s.element, s.reason) for s in stale_elements(plan, graph)] == [("S1", "it is gone")]


def test_a_twin_somebody_made_is_stale_unless_it_is_as_wanted() -> None:
    sites = [*SITES, {**SITES[0], "id": "S3"}]
    plan, graph = a_plan(sites=sites)
    wanted = as_documents(mapped(records(sites=sites)).desired).twin("S3")
    assert wanted is not None
    graph.put_twin(wanted)
    assert stale_elements(plan, graph) == ()
    graph.put_twin({**wanted, "label": "theirs"})
    assert [s.reason for s in stale_elements(plan, graph)] == ["somebody made it"]


def test_an_edge_is_stale_when_it_leads_elsewhere_or_has_other_properties() -> None:
    plan, graph = a_plan(links=[])
    edge = graph.relationship("L1", "inventory.aEnd.R1")
    assert edge is not None
    graph.put_relationship({**edge, "$etag": "new"})
    assert stale_elements(plan, graph) == ()
    graph.put_relationship({**edge, "$etag": "new", "$targetId": "R2"})
    assert [s.reason for s in stale_elements(plan, graph)] == ["it is aEnd to R2 now"]
    graph.put_relationship({**edge, "$etag": "new", "note": 1})
    assert [s.reason for s in stale_elements(plan, graph)] == ["its properties were changed"]
