"""Several sources of one network: the order of what they say, and what of it was not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from sync_agent.inventory.mapping import MappedGraph, Reading
from sync_agent.inventory.record import Coverage
from sync_agent.reconcile.change import Action
from sync_agent.reconcile.plan import make_plan
from sync_agent.twins.graph import TwinGraph
from tests.telecom_mapping import DEVICE, ROUTER, SITE, edge_rule, mapped, reading, twin_rule

DEVICES = ("D1", "D2", "D3")
PLACES = ("S1", "S2", "S3")
WORDS = st.sampled_from(["", "a", "b"])


def mapping(model: str, precedence: int) -> str:
    return "\n".join(
        [
            twin_rule(
                *("devices", model, 'aliases = ["serial:{serial}"]', "merge = true"),
                *('columns = ["displayLabel", "vendorName"]', f"precedence = {precedence}"),
            ),
            twin_rule("places", SITE, 'columns = ["displayLabel"]', f"precedence = {precedence}"),
            edge_rule("devices", "locatedIn", "{site}"),
            edge_rule("places", "partOf", "{within}"),
        ]
    )


DEVICE_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["", *DEVICES]),
            "serial": st.sampled_from(["", "1", "2"]),
            "site": st.sampled_from(["", *PLACES, "S9"]),
            "displayLabel": WORDS,
            "vendorName": WORDS,
        }
    ),
    max_size=4,
)
PLACE_ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(PLACES), "within": st.sampled_from(["", *PLACES])}
        | {"displayLabel": WORDS}
    ),
    max_size=4,
)


@st.composite
def networks(draw: st.DrawFn) -> list[Reading]:
    """Up to three sources with double ids, shared and disputed aliases, circles, unknown ends."""
    return [
        reading(
            mapping(model, precedence),
            {"devices": draw(DEVICE_ROWS), "places": draw(PLACE_ROWS)},
            name=f"source-{precedence}",
            incomplete=draw(st.sets(st.sampled_from(["devices", "places"]), max_size=1)),
        )
        for precedence, model in enumerate(draw(st.permutations([DEVICE, ROUTER, DEVICE])))
    ]


def meant(graph: MappedGraph) -> dict[str, Any]:
    """Return all that a plan is made from, and which elements have findings."""
    desired = graph.desired
    return {
        "desired": replace(desired, twins={}, relationships={}),
        "twins": {id_: twin.to_document() for id_, twin in desired.twins.items()},
        "relationships": {key: edge.to_document() for key, edge in desired.relationships.items()},
        "gaps": {gap.scope for gap in graph.gaps},
        "faulty": {fault.element for fault in graph.diagnostics},
    }


def shuffled(items: Sequence[Any], chance: Random) -> tuple[Any, ...]:
    return tuple(chance.sample(items, len(items)))


@settings(deadline=None, max_examples=40)
@given(networks(), st.randoms(use_true_random=False))
def test_neither_the_order_of_records_nor_of_rules_matters(
    readings: list[Reading], chance: Random
) -> None:
    others = [
        replace(
            one,
            records=shuffled(list(one.records), chance),
            mapping=replace(
                one.mapping,
                twins=shuffled(one.mapping.twins, chance),
                relationships=shuffled(one.mapping.relationships, chance),
            ),
        )
        for one in readings
    ]
    assert meant(mapped(*others)) == meant(mapped(*readings))


@settings(deadline=None, max_examples=40)
@given(networks(), st.randoms(use_true_random=False))
def test_where_ids_agree_and_precedence_decides_the_order_of_sources_does_not_matter(
    readings: list[Reading], chance: Random
) -> None:
    by_id = [  # read whole: what a source that was not might call an element is not known
        replace(
            one,
            coverage=None,
            records=[
                structs.replace(record, attributes={**record.attributes, "serial": ""})
                for record in one.records
                if record.attributes["id"]
            ],
        )
        for one in readings
    ]
    assert meant(mapped(*shuffled(by_id, chance))) == meant(mapped(*by_id))


@st.composite
def sound_networks(draw: st.DrawFn) -> list[Reading]:
    """Sources that share elements by aliases or hints, and link them by ids or by these names."""
    readings = []
    for source in "AB":
        names = draw(st.sampled_from(["aliases", "hints"]))
        model = draw(st.sampled_from([DEVICE, ROUTER]))
        rules = twin_rule("devices", model, f'{names} = ["serial:{{serial}}"]')
        rules += edge_rule("devices", "dependsOn", "{other}")
        unique = names == "aliases"  # twice it would be a contradiction
        serials = draw(st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=unique))
        ends = st.sampled_from(["", "A0", "B0", "serial:0", "serial:1"])
        rows = [
            {"id": f"{source}{number}", "serial": f"{serial}", "other": draw(ends)}
            for number, serial in enumerate(serials)
        ]
        readings.append(reading(rules, {"devices": rows}, name=source))
    return readings


@settings(deadline=None, max_examples=300)
@given(sound_networks(), st.sets(st.sampled_from("AB"), min_size=1), st.data())
def test_what_was_read_in_part_deletes_nothing(
    readings: list[Reading], cut: set[str], data: st.DataObject
) -> None:
    before = mapped(*readings).desired
    assume(not before.held)
    part = [some_of(one, data) if one.name in cut else one for one in readings]
    after = mapped(*part)
    coverage = [
        Coverage(one.scope(of.scope), of.complete, of.reason)
        for one in part
        for of in one.coverage or ()
    ]
    twins = TwinGraph(
        [twin.as_stored() for twin in before.twins.values()],
        [edge.as_stored() for edge in before.relationships.values()],
    )
    plan = make_plan(after.desired, twins, [*coverage, *after.gaps], records=1)
    assert plan.counts()[Action.DELETE] == 0


def some_of(reading: Reading, data: st.DataObject) -> Reading:
    """Return a reading that was broken off."""
    records = [record for record in reading.records if data.draw(st.booleans())]
    return replace(reading, records=records, coverage=(Coverage("devices", False, "cut off"),))
