"""O-RAN topology events: what they leave behind, and what is wrong with them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sync_agent.errors import InputError
from sync_agent.inventory.mapping import map_records, parse_mapping
from sync_agent.inventory.record import SourceRead, complete_scopes
from sync_agent.ports.events import Event
from sync_agent.settings.shipped import shipped_default
from sync_agent.sources.event_log import EventLog
from sync_agent.sources.teiv import TeivSource
from sync_agent.sources.teiv_event import TopologyEvent, read_events
from tests.telecom_mapping import telecom
from tests.unit.sources.memory_hub import MemoryHub

RAN = "o-ran-smo-teiv-ran"
CELL = f"{RAN}:NRCellDU"
DU = f"{RAN}:ODUFunction"
PROVIDES = f"{RAN}:ODUFUNCTION_PROVIDES_NRCELLDU"
SCOPES = ["NRCellDU", "ODUFunction", "ODUFUNCTION_PROVIDES_NRCELLDU"]


def event(verb: str, time: str = "2026-01-01T00:00:00Z", **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "t",
        "type": f"topology-inventory-ingestion.{verb}",
        "time": time,
        "data": data,
    }


def cell(number: int, **attributes: Any) -> dict[str, Any]:
    return {"id": f"c{number}", "attributes": attributes, "sourceIds": [f"n{number}"]}


FIRST = event(
    "create",
    entities=[{CELL: [cell(1, nRPCI=400, nRTAC=40), cell(2)], DU: [{"id": "du1"}]}],
    relationships=[{PROVIDES: [{"id": "r1", "aSide": "du1", "bSide": "c1"}]}],
)


async def read(folder: Path, *events: Any) -> SourceRead:
    for number, item in enumerate(events):
        text = item if isinstance(item, str) else json.dumps(item)
        (folder / f"{number:03}.json").write_text(text)
    return await TeivSource(folder=folder).read(SCOPES)


def by_id(read: SourceRead) -> dict[str, Any]:
    return {record.id: record.attributes for record in read.records}


async def test_entities_and_relationships_are_records_of_their_types(tmp_path: Path) -> None:
    found = await read(tmp_path, FIRST)
    records = by_id(found)
    assert records["c1"]["nRPCI"] == 400
    assert records["c1"]["$sourceIds"] == ["n1"]
    assert records["c1"]["$module"] == RAN
    assert records["r1"]["$aSide"] == "du1"
    assert {r.kind for r in found.records} == set(SCOPES)
    assert found.unasked == {}
    assert (await TeivSource(folder=tmp_path).read(["ODUFunction"])).unasked == {
        "NRCellDU": 2,
        "ODUFUNCTION_PROVIDES_NRCELLDU": 1,
    }
    assert complete_scopes(found.coverage) == set(SCOPES)


async def test_the_shipped_mapping_has_one_fronthaul_and_finds_a_namespaces_cluster(
    tmp_path: Path,
) -> None:
    cloud = "o-ran-smo-teiv-cloud"
    planes = {
        f"{RAN}:ORUFUNCTION_OFH{plane}LINK_ODUFUNCTION": [
            {"id": f"p{plane}", "aSide": "ru1", "bSide": "du1"}
        ]
        for plane in "UCS"
    }
    deployed = f"{cloud}:NFDEPLOYMENT_DEPLOYED_ON_OCLOUDNAMESPACE"
    cluster = f"{cloud}:OCLOUDNAMESPACE_DEPLOYED_ON_NODECLUSTER"
    topology = event(
        "create",
        entities=[
            {DU: [{"id": "du1"}], f"{RAN}:ORUFunction": [{"id": "ru1"}]},
            {f"{cloud}:NFDeployment": [{"id": "nf1"}], f"{cloud}:NodeCluster": [{"id": "cl1"}]},
        ],
        relationships=[
            planes,
            {deployed: [{"id": "d1", "aSide": "nf1", "bSide": "ns1"}]},
            {deployed: [{"id": "d2", "aSide": "nf1", "bSide": "unknown"}]},
            {cluster: [{"id": "c1", "aSide": "ns1", "bSide": "cl1"}]},
        ],
    )
    (tmp_path / "e.json").write_text(json.dumps(topology))
    mapping = parse_mapping(shipped_default("teiv.toml").read_text(), place="teiv.toml")
    found = await TeivSource(folder=tmp_path).read(mapping.scopes)
    graph = map_records(mapping, found.records, telecom())
    assert graph.diagnostics == ()
    assert graph.desired.twins.keys() == {"du1", "ru1", "nf1", "cl1"}
    edges = [(e.source, e.name, e.target) for e in graph.desired.relationships.values()]
    assert sorted(edges) == [("nf1", "deployedOn", "cl1"), ("ru1", "fronthaul", "du1")]


async def test_a_merge_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    change = event("merge", "2026-01-02T00:00:00Z", entities=[{CELL: [cell(1, nRPCI=7)]}])
    records = by_id(await read(tmp_path, FIRST, change))
    assert (records["c1"]["nRPCI"], records["c1"]["nRTAC"]) == (7, 40)


async def test_events_count_in_order_of_time_and_not_of_names(tmp_path: Path) -> None:
    late = event("merge", "2026-01-03T00:00:00Z", entities=[{CELL: [cell(1, nRPCI=3)]}])
    early = event("merge", "2026-01-02T00:00:00Z", entities=[{CELL: [cell(1, nRPCI=2)]}])
    assert by_id(await read(tmp_path, late, early, FIRST))["c1"]["nRPCI"] == 3


@pytest.mark.parametrize("form", [[{CELL: [{"id": "c1"}]}], [{CELL: ["c1"]}], ["c1"]])
async def test_a_delete_removes_an_entity_and_what_leads_to_it(
    tmp_path: Path, form: list[Any]
) -> None:
    gone = event("delete", "2026-01-02T00:00:00Z", entities=form)
    found = await read(tmp_path, FIRST, gone)
    assert set(by_id(found)) == {"c2", "du1"}
    assert found.gone == {"c1"}


async def test_what_comes_back_is_not_gone(tmp_path: Path) -> None:
    gone = event("delete", "2026-01-02T00:00:00Z", entities=["c2"])
    back = event("merge", "2026-01-03T00:00:00Z", entities=[{CELL: [cell(2)]}])
    found = await read(tmp_path, FIRST, gone, back)
    assert "c2" in by_id(found)
    assert found.gone == frozenset()


@pytest.mark.parametrize(
    "kind",
    [
        "topology-inventory-ingestion.merge",
        "topology-inventory-ingestion-merge",
        "ran-logical-topology.merge",
    ],
)
def test_the_verb_is_the_last_part_of_a_type_however_it_is_spelt(kind: str) -> None:
    (read,) = read_events(json.dumps({**FIRST, "type": kind}).encode())
    assert isinstance(read, TopologyEvent)
    assert read.verb == "merge"


def test_headers_may_stand_outside() -> None:
    body = json.dumps(FIRST["data"]).encode()
    (kafka,) = read_events(body, {"ce_type": "x.create", "ce_time": "2026-01-01T00:00:00Z"})
    assert isinstance(kafka, TopologyEvent)
    assert (kafka.verb, len(kafka.entities)) == ("create", 3)
    front = b"ce_specversion:::1.0,ce_type:::x-merge,content-type:::application/json,,," + body
    (console,) = read_events(front)
    assert isinstance(console, TopologyEvent)
    assert console.verb == "merge"


async def test_a_line_of_a_file_is_an_event_and_a_bad_one_leaves_the_others(
    tmp_path: Path,
) -> None:
    later = event("merge", "2026-01-02T00:00:00Z", entities=[{CELL: [cell(1, nRPCI=7)]}])
    lines = [json.dumps(FIRST), "", "{", json.dumps(later)]
    (tmp_path / "events.ndjson").write_text("\n".join(lines))
    found = await read(tmp_path)
    assert by_id(found)["c1"]["nRPCI"] == 7
    assert [d.place for d in found.diagnostics] == ["events.ndjson:3"]
    assert complete_scopes(found.coverage) == frozenset()


async def test_a_bad_event_of_a_batch_leaves_the_others(tmp_path: Path) -> None:
    found = await read(tmp_path, [FIRST, {**FIRST, "data": 7}])
    assert set(by_id(found)) == {"c1", "c2", "du1", "r1"}
    assert [d.place for d in found.diagnostics] == ["000.json[1]"]


async def test_a_text_file_may_have_several_events_each_behind_its_headers(tmp_path: Path) -> None:
    merge = {"entities": [{CELL: [cell(1, nRPCI=7)]}]}
    console = "".join(
        f"ce_specversion:::1.0,ce_type:::x.{verb},ce_time:::2026-01-0{day}T00:00:00Z,,,"
        f"{json.dumps(data, indent=1)}\n"
        for verb, day, data in (("create", 1, FIRST["data"]), ("merge", 2, merge))
    )
    (tmp_path / "console.txt").write_text(console)
    found = await read(tmp_path)
    assert found.diagnostics == ()
    assert (by_id(found)["c1"]["nRPCI"], by_id(found)["c1"]["nRTAC"]) == (7, 40)


async def test_what_consumers_added_to_an_entity_can_be_mapped(tmp_path: Path) -> None:
    added = {"classifiers": ["m:Outdoor"], "decorators": {"m:location": "Stockholm"}}
    found = await read(tmp_path, event("create", entities=[{CELL: [{"id": "c1", **added}]}]))
    assert by_id(found)["c1"]["$classifiers.0"] == "m:Outdoor"
    assert by_id(found)["c1"]["$decorators.m:location"] == "Stockholm"


def test_data_may_be_in_base64() -> None:
    data = base64.b64encode(json.dumps(FIRST["data"]).encode()).decode()
    envelope = {name: value for name, value in FIRST.items() if name != "data"}
    (opened,) = read_events(json.dumps({**envelope, "data_base64": data}).encode())
    assert isinstance(opened, TopologyEvent)
    assert len(opened.entities) == 3


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "is no JSON"),
        ({**FIRST, "data_base64": "e30", "data": None}, "has no data"),
        ({"type": "x.create", "data_base64": "?"}, "data_base64 that holds no JSON"),
        ({**FIRST, "type": "x.replace"}, "ends in none of create, merge, delete"),
        ({**FIRST, "data": 7}, "has no data"),
        (event("merge", entities=[{CELL: [{"attributes": {}}]}]), "without an id"),
        (event("merge", entities=[7]), "neither a type with its things nor an id"),
        (event("merge", entities=[{CELL: [{"id": "x", "attributes": 1}]}]), "are no object"),
        (event("merge", relationships=[{PROVIDES: [{"id": "x", "aSide": "y"}]}]), "has no bSide"),
        ("[" * 100_000, "is no JSON"),
    ],
)
async def test_an_event_that_makes_no_sense_is_left_out_whole_and_told(
    tmp_path: Path, bad: Any, said: str
) -> None:
    found = await read(tmp_path, FIRST, bad)
    (fault,) = found.diagnostics
    assert fault.place == "001.json"
    assert said in fault.message
    assert fault.remedy
    assert set(by_id(found)) == {"c1", "c2", "du1", "r1"}
    assert complete_scopes(found.coverage) == frozenset()


async def test_the_digest_does_not_depend_on_how_events_were_cut(tmp_path: Path) -> None:
    whole, parts = tmp_path / "a", tmp_path / "b"
    whole.mkdir()
    parts.mkdir()
    one = await read(whole, event("merge", entities=[{CELL: [cell(1), cell(2)]}]))
    two = await read(
        parts,
        event("merge", entities=[{CELL: [cell(2)]}]),
        event("merge", entities=[{CELL: [cell(1)]}]),
    )
    assert one.digest == two.digest


async def test_times_are_compared_and_not_their_spelling(tmp_path: Path) -> None:
    found = await read(
        tmp_path,
        event("merge", "2026-01-01T12:00:00+02:00", entities=[{CELL: [cell(1)]}]),
        event("delete", "2026-01-01T10:00:00.5Z", entities=[{CELL: ["c1"]}]),
        event("merge", "2026-01-01T11:00:00Z", entities=[{CELL: [cell(2)]}]),
        event("delete", "2026-01-01T11:30:00+01:00", entities=[{CELL: ["c2"]}]),
    )
    assert set(by_id(found)) == {"c2"}


async def test_partitions_are_taken_in_order_of_time_and_each_as_it_stands() -> None:
    def sent(partition: str, number: int, verb: str, time: str) -> Event:
        body = json.dumps(event(verb, time, entities=[{CELL: [cell(1)]}])).encode()
        return Event(partition, number, body)

    class Log(EventLog):
        async def read(self) -> list[Event]:
            return [
                sent("1", 0, "delete", "2026-01-01T03:00:00Z"),
                sent("1", 1, "merge", "2026-01-01T02:00:00Z"),  # a clock that was set back
                sent("0", 0, "merge", "2026-01-01T01:00:00Z"),
            ]

    source = TeivSource(log=Log(MemoryHub().connect, wait_max_s=5))
    assert set(by_id(await source.read(SCOPES))) == {"c1"}


async def test_a_folder_that_is_gone_is_told_and_nothing_counts_as_read(tmp_path: Path) -> None:
    source = TeivSource(folder=tmp_path / "gone")
    found = await source.read(SCOPES)
    assert str(found.diagnostics[0]) == f"{tmp_path / 'gone'}: is not a folder"
    assert complete_scopes(found.coverage) == frozenset()
    with pytest.raises(InputError, match="is not a folder"):
        await source.check()


def hub_of(*events: Any, first: int = 0) -> MemoryHub:
    hub = MemoryHub(first=first)
    hub.send(*(json.dumps(item).encode() for item in events))
    return hub


async def test_a_hub_is_read_to_its_end_and_then_only_further() -> None:
    hub = hub_of(FIRST)
    source = TeivSource(log=EventLog(hub.connect, wait_max_s=5))
    assert await source.check() == "1 events in 1 partitions"
    found = await source.read(SCOPES)
    assert set(by_id(found)) == {"c1", "c2", "du1", "r1"}
    assert complete_scopes(found.coverage) == set(SCOPES)
    hub.send(json.dumps(event("delete", entities=["c2"])).encode())
    again = await source.read(SCOPES)
    assert set(by_id(again)) == {"c1", "du1", "r1"}
    assert again.gone == {"c2"}
    assert hub.delivered == 2
    assert by_id(await source.read(SCOPES)) == by_id(again)


async def test_a_hub_whose_first_events_expired_was_not_read_whole() -> None:
    source = TeivSource(log=EventLog(hub_of(FIRST, first=100).connect, wait_max_s=5))
    found = await source.read(SCOPES)
    assert set(by_id(found)) == {"c1", "c2", "du1", "r1"}
    assert complete_scopes(found.coverage) == frozenset()
    assert "events 0 to 99 of partition 0 are no longer kept" in found.coverage[0].reason


async def test_an_event_of_a_hub_that_makes_no_sense_is_told_with_its_number() -> None:
    source = TeivSource(log=EventLog(hub_of(FIRST, {"type": "x"}).connect, wait_max_s=5))
    found = await source.read(SCOPES)
    assert found.diagnostics[0].place == "partition 0 event 1"
    assert complete_scopes(found.coverage) == frozenset()


def hub_source(hub: MemoryHub, *passed_over: str) -> TeivSource:
    return TeivSource(log=EventLog(hub.connect, wait_max_s=5, passed_over=passed_over))


def sent(hub: MemoryHub, *events: Any) -> None:
    hub.send(*(json.dumps(item).encode() for item in events))


BAD_MERGE = event(
    "merge",
    "2026-01-05T00:00:00Z",
    entities=[{CELL: [cell(2, nRPCI=5, nRTAC=9)]}],
    relationships=[{PROVIDES: [{"id": "r2", "aSide": "du1"}]}],
)
"""It says something about a cell, and about a relationship whose other end is missing."""


async def test_an_event_is_made_good_by_later_ones_that_say_all_it_said() -> None:
    hub = hub_of(FIRST, BAD_MERGE)
    source = hub_source(hub)
    found = await source.read(SCOPES)
    assert found.diagnostics[0].remedy.startswith("have it sent again, corrected; or add")
    mended = [{PROVIDES: [{"id": "r2", "aSide": "du1", "bSide": "c2"}]}]
    part = [{CELL: [cell(2, nRPCI=5)]}]
    sent(hub, event("merge", "2026-01-06T00:00:00Z", entities=part, relationships=mended))
    assert (await source.read(SCOPES)).diagnostics == found.diagnostics  # nRTAC is still missing
    sent(hub, event("merge", "2026-01-07T00:00:00Z", entities=[{CELL: [cell(2, nRTAC=9)]}]))
    found = await source.read(SCOPES)
    assert found.diagnostics == ()
    assert complete_scopes(found.coverage) == set(SCOPES)


@pytest.mark.parametrize("verb", ["create", "delete"])
async def test_an_event_is_made_good_by_a_creation_or_a_deletion_of_what_it_named(
    verb: str,
) -> None:
    bad = event("merge", entities=[{CELL: [{"id": "c2", "attributes": 7}]}])
    hub = hub_of(FIRST, bad)
    source = hub_source(hub)
    sent(hub, event("merge", "2026-01-06T00:00:00Z", entities=[{CELL: [cell(2, nRPCI=5)]}]))
    assert complete_scopes((await source.read(SCOPES)).coverage) == frozenset()
    sent(hub, event(verb, "2026-01-07T00:00:00Z", entities=[{CELL: [{"id": "c2"}]}]))
    assert complete_scopes((await source.read(SCOPES)).coverage) == set(SCOPES)


async def test_an_event_is_not_made_good_by_what_was_said_before_it() -> None:
    hub = hub_of(FIRST, BAD_MERGE)
    source = hub_source(hub)
    await source.read(SCOPES)
    late = event(
        "create",
        "2026-01-04T00:00:00Z",
        entities=[{CELL: [cell(2)]}],
        relationships=[{PROVIDES: [{"id": "r2", "aSide": "du1", "bSide": "c2"}]}],
    )
    sent(hub, late)
    assert complete_scopes((await source.read(SCOPES)).coverage) == frozenset()


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"\xff",
        json.dumps(event("merge", entities=[{CELL: [cell(2), {"attributes": {}}]}])).encode(),
        json.dumps({**BAD_MERGE, "time": "yesterday"}).encode(),
    ],
)
async def test_an_event_that_does_not_say_what_it_is_about_stays_until_it_is_passed_over(
    bad: bytes,
) -> None:
    hub = hub_of(FIRST)
    hub.send(bad)
    sent(hub, event("create", "2026-02-01T00:00:00Z", entities=[{CELL: [cell(1), cell(2)]}]))
    found = await hub_source(hub).read(SCOPES)
    assert complete_scopes(found.coverage) == frozenset()
    assert 'add "0:1" to passed_over_events' in found.diagnostics[0].remedy
    again = await hub_source(hub, "0:1").read(SCOPES)
    assert complete_scopes(again.coverage) == set(SCOPES)
    assert set(by_id(again)) == {"c1", "c2", "du1", "r1"}


async def test_of_many_events_that_make_no_sense_the_first_are_kept_and_the_others_counted() -> (
    None
):
    hub = hub_of(FIRST, *([{"type": "x"}] * 250))
    found = await hub_source(hub).read(SCOPES)
    assert len(found.diagnostics) == 101
    assert found.diagnostics[0].place == "partition 0 event 1"
    assert found.diagnostics[-1].place == "partition 0 event 250"
    assert "150 more events could not be used" in found.diagnostics[-1].message


async def test_what_a_hub_says_of_an_element_is_partial_where_its_beginning_is_missing() -> None:
    source = hub_source(hub_of(event("merge", entities=[{CELL: [cell(1)]}]), first=100))
    assert (await source.read(SCOPES)).partial_kinds == set(SCOPES)
    assert (await hub_source(hub_of(FIRST)).read(SCOPES)).partial_kinds == frozenset()


async def test_a_relationship_that_moved_stays_when_the_end_it_had_goes(tmp_path: Path) -> None:
    moved = [{PROVIDES: [{"id": "r1", "aSide": "du1", "bSide": "c2"}]}]
    found = await read(
        tmp_path,
        FIRST,
        event("merge", "2026-01-02T00:00:00Z", relationships=moved),
        event("delete", "2026-01-03T00:00:00Z", entities=["c1"]),
    )
    assert set(by_id(found)) == {"c2", "du1", "r1"}


GONE = {"id": "r1", "aSide": "du1", "bSide": "c1"}


@pytest.mark.parametrize("body", [{"id": "r1"}, GONE])
async def test_a_relationship_that_an_event_deletes_is_gone_by_its_last_record(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    gone = event("delete", "2026-01-02T00:00:00Z", relationships=[{PROVIDES: [body]}])
    (record,) = (await read(tmp_path, FIRST, gone)).gone_records
    assert (record.kind, record.attributes["$aSide"], record.attributes["$bSide"]) == (
        "ODUFUNCTION_PROVIDES_NRCELLDU",
        "du1",
        "c1",
    )


async def test_a_relationship_nobody_knew_is_gone_where_its_delete_says_which_it_was() -> None:
    bare = event("delete", relationships=[{PROVIDES: [{"id": "r0"}]}])
    whole = event("delete", relationships=[{PROVIDES: [GONE]}])
    found = await hub_source(hub_of(bare, whole, first=100)).read(SCOPES)
    assert [record.id for record in found.gone_records] == ["r1"]


async def test_a_relationship_that_comes_back_is_not_gone(tmp_path: Path) -> None:
    gone = event("delete", "2026-01-02T00:00:00Z", relationships=[{PROVIDES: [GONE]}])
    back = event("merge", "2026-01-03T00:00:00Z", relationships=[{PROVIDES: [GONE]}])
    assert (await read(tmp_path, FIRST, gone, back)).gone_records == ()
