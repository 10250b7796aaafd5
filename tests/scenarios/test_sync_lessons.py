"""What hurt the users of other synchronisers, scenario by scenario, against the real stub.

Each name says what happens; the number is that of the list of lessons the project keeps. Numbers 21
and 22 come from alarms that inhibit each other. The agent inhibits no alarms yet; what it does hold
back are changes, while their records are faulty, and the same two mistakes would hurt there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.errors import UnavailableError
from sync_agent.runs.lease import file_lease
from sync_agent.settings.settings import load_settings
from sync_agent.stub.adt.faults import FaultProfile
from sync_agent.stub.server import StubOptions, StubServer
from sync_agent.twins.twin import Document, Relationship, Twin
from tests.e2e.test_sync_command import Bench, with_store
from tests.inventory_server import InventoryServer, serving_beside
from tests.small_network import LINKS, MAPPING, MODELS, ROUTERS, SITE, SITES
from tests.stubs import running_stub
from tests.telecom_mapping import DEVICE, telecom_models, twin_rule
from tests.unit.agent.memory import MemoryTwins
from tests.unit.agent.test_telemetry_stage import LINK, Rig, event, sample

ALL = ("--set", "inventory.max_delete_percent=100")


def bench_on(stub: StubServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    with_store(stub.adt_url, lambda store: store.create_models(MODELS))
    source = folder / "inventory"
    source.mkdir()
    return Bench(source, stub.adt_url, capsys)


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    with running_stub() as stub:
        yield bench_on(stub, tmp_path, capsys)


def sync(bench: Bench, *flags: str) -> str:
    """Sync without regard to how much goes; return what was printed."""
    code, out, err = bench.command(*ALL, *flags, "sync", *bench.source, "--yes")
    assert code == 0, err
    return out


def relationships(bench: Bench) -> set[str]:
    rows = bench.json("query", "SELECT * FROM relationships")
    return {f"{row['$sourceId']}/{row['$relationshipId']}" for row in rows}


def test_01_a_partial_source_read_with_403_in_the_middle_deletes_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    with_store(bench.url, lambda store: store.create_models(list(telecom_models())))
    devices = [
        {"id": n, "name": f"d{n}", "last_updated": f"2026-01-01T00:00:0{n}Z"} for n in range(1, 7)
    ]
    rule = twin_rule("devices", DEVICE, "properties = { displayLabel = '{name}' }", id_="dev-{id}")
    (tmp_path / "dcim.toml").write_text(rule)
    server = InventoryServer({"devices": devices}, pages=2)
    with serving_beside(server):
        settings = tmp_path / "sync-agent.toml"
        settings.write_text(
            f'[adt]\nurl = "{bench.url}"\nauth = "none"\n[inventory]\nmax_delete_percent = 100\n'
            '[[inventory.sources]]\nname = "dcim"\nkind = "netbox"\nretry_for_s = 0\n'
            f'url = "{server.url}"\nmapping = "dcim.toml"\n'
        )
        assert bench.command("--config", str(settings), "sync", "--yes")[0] == 0
        server.fail("/api/dcim/devices/", 2, 403)
        server.tables["devices"] = [*devices[:2], devices[5]]
        code, out, err = bench.command("--config", str(settings), "sync", "--yes", "--keep-going")
        assert code == 0, err
        assert "403" in out + err
    assert {f"dev-{n}" for n in range(1, 7)} <= set(bench.twins())


def test_02_a_second_inventory_does_not_wipe_the_first(bench: Bench) -> None:
    sync(bench)
    bench.mapping.write_text('owner = "second"\n' + MAPPING)
    for name, rows in (("sites.csv", SITES), ("routers.csv", ROUTERS), ("links.csv", LINKS)):
        renamed = [{**row, next(iter(row)): f"x{next(iter(row.values()))}"} for row in rows]
        bench.write(name, renamed if name == "sites.csv" else [], list(rows[0]))
    sync(bench)
    assert {"S1", "S2", "R1", "R2", "L1", "xS1", "xS2"} == set(bench.twins())


def test_03_an_empty_source_is_not_taken_at_its_word(bench: Bench) -> None:
    sync(bench)
    for name, rows in (("sites.csv", SITES), ("routers.csv", ROUTERS), ("links.csv", LINKS)):
        bench.write(name, [], list(rows[0]))
    code, _, err = bench.command(*ALL, "sync", *bench.source, "--yes")
    assert code == 1
    assert "the source gave no record at all" in err
    assert len(bench.twins()) == 5


async def test_04_a_second_job_on_one_scope_is_kept_out(bench: Bench, tmp_path: Path) -> None:
    settings = load_settings(None, {"state.path": str(tmp_path / "state.db")}, {}).settings
    journal = settings.state.journal_path
    async with file_lease(journal.with_name(f"{journal.name}.lock")):
        code, _, err = await asyncio.to_thread(bench.sync, "--yes")
    assert code == 1
    assert "another sync-agent on this machine is changing the twins" in err
    assert await asyncio.to_thread(bench.twins) == {}


def test_05_a_foreign_twin_of_the_same_model_is_left_byte_for_byte(bench: Bench) -> None:
    theirs = Twin("X1", SITE, {"label": "theirs", "health": {"$metadata": {}}})
    with_store(bench.url, lambda store: store.put_twin(theirs))
    before = bench.twins()["X1"]
    sync(bench)
    bench.write("sites.csv", SITES[:1])
    bench.write("routers.csv", [{**row, "site": "S1"} for row in ROUTERS])
    sync(bench)
    assert bench.twins()["X1"] == before


def test_06_an_element_unreachable_for_one_run_comes_back_as_it_was(bench: Bench) -> None:
    grace = ("--set", "guards.delete_grace_s=3600")
    sync(bench, *grace)
    before = bench.twins()["L1"]
    bench.write("links.csv", [], list(LINKS[0]))
    assert "to be deleted from" in sync(bench, *grace)
    bench.write("links.csv", LINKS)
    assert "Nothing to do" in sync(bench, *grace)
    assert bench.twins()["L1"] == before


def test_07_the_order_of_records_changes_nothing(bench: Bench) -> None:
    sync(bench)
    for name, rows in (("sites.csv", SITES), ("routers.csv", ROUTERS), ("links.csv", LINKS)):
        bench.write(name, list(reversed(rows)))
    assert bench.command("plan", *bench.source)[0] == 0


def test_08_one_peer_of_many_goes_and_the_others_stay(bench: Bench) -> None:
    rule = (
        '[[relationship]]\nfrom = "deps.csv"\nsource = "{s}"\nname = "dependsOn"\ntarget = "{t}"\n'
    )
    bench.mapping.write_text(MAPPING + rule)
    bench.write("deps.csv", [{"s": "R1", "t": t} for t in ("R2", "S1", "S2")])
    sync(bench)
    bench.write("deps.csv", [{"s": "R1", "t": t} for t in ("R2", "S2")])
    before = relationships(bench)
    sync(bench)
    assert before - relationships(bench) == {"R1/inventory.dependsOn.S1"}


def test_09_a_plan_after_a_sync_is_empty_with_components_and_maps(bench: Bench) -> None:
    bench.mapping.write_text(
        MAPPING.replace(
            'columns = ["label", "latitude", "floors"]',
            'columns = ["label", "latitude", "floors"]\n'
            'properties = { "tags.region" = "north", "health.state" = "unknown" }',
        )
    )
    sync(bench)
    assert bench.twins()["S1"]["health"]["state"] == "unknown"
    code, out, _ = bench.command("plan", *bench.source)
    assert (code, "Nothing to do" in out) == (0, True)


def test_10_two_source_objects_of_one_identity_are_named_and_neither_is_used(bench: Bench) -> None:
    sync(bench)
    before = bench.twins()["S1"]
    bench.write("sites.csv", [*SITES, {**SITES[0], "label": "double"}])
    code, _, err = bench.command(*ALL, "sync", *bench.source, "--yes", "--keep-going")
    assert code == 0
    assert "the id S1 is used twice" in err
    assert bench.twins()["S1"] == before


def test_11_a_reference_to_what_comes_later_is_made(bench: Bench) -> None:
    sites = [{**SITES[0], "id": f"S{n}"} for n in range(60)]
    routers = [{**ROUTERS[0], "id": f"R{n}", "site": f"S{59 - n}"} for n in range(60)]
    bench.write("sites.csv", sites)
    bench.write("routers.csv", routers)
    sync(bench)
    assert {f"R{n}/inventory.locatedIn.S{59 - n}" for n in range(60)} <= relationships(bench)


def test_12_what_is_reported_as_deleted_is_gone(bench: Bench) -> None:
    sync(bench)
    bench.write("links.csv", [], list(LINKS[0]))
    code, out, _ = bench.command(*ALL, "sync", *bench.source, "--yes", "--output", "json")
    applied = json.loads(out)["result"]["applied"]
    assert (code, applied) == (0, {"delete": 3})
    assert "L1" not in bench.twins()
    assert not [edge for edge in relationships(bench) if edge.startswith("L1/")]


@pytest.fixture
def unsettled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    """A bench on a stub that settles late, as the service does."""
    profile = FaultProfile(relationship_lag_s=0.4)
    with running_stub(StubOptions(faults=profile)) as stub:
        yield bench_on(stub, tmp_path, capsys)


def patient(bench: Bench) -> str:
    return sync(bench, "--set", "limits.retry_for_s=10")


def test_13_a_relationship_to_a_twin_that_was_just_created_is_made(unsettled: Bench) -> None:
    patient(unsettled)
    assert len(relationships(unsettled)) == 4


def test_14_a_twin_whose_relationships_were_just_deleted_is_deleted(unsettled: Bench) -> None:
    patient(unsettled)
    unsettled.write("links.csv", [], list(LINKS[0]))
    patient(unsettled)
    assert "L1" not in unsettled.twins()


def test_15_a_property_that_was_never_set_is_set(bench: Bench) -> None:
    bench.write("sites.csv", [{**site, "label": "", "floors": ""} for site in SITES])
    sync(bench)
    assert "floors" not in bench.twins()["S1"]
    bench.write("sites.csv", SITES)
    sync(bench)
    assert bench.twins()["S1"]["floors"] == int(SITES[0]["floors"])


def test_16_a_model_that_was_deleted_and_uploaded_again_goes_on(bench: Bench) -> None:
    sync(bench)
    with_store(bench.url, lambda store: store.delete_model("dtmi:test:Site;1"))
    again = [model for model in MODELS if model["@id"] == "dtmi:test:Site;1"]
    with_store(bench.url, lambda store: store.create_models(again))
    bench.write("sites.csv", [{**SITES[0], "latitude": "61"}, SITES[1]])
    sync(bench)
    assert bench.twins()["S1"]["latitude"] == 61


def models_of(count: int) -> list[Document]:
    return [
        {"@id": f"dtmi:many:M{n};1", "@type": "Interface", "@context": "dtmi:dtdl:context;3"}
        for n in range(count)
    ]


def apply_models(bench: Bench, folder: Path, models: list[Document]) -> int:
    folder.mkdir()
    for number, model in enumerate(models):
        (folder / f"file-{number}.json").write_text(json.dumps(model))
    return bench.command("--set", f"models.path={folder}", "models", "apply", "--yes")[0]


def test_17_models_that_name_each_other_go_in_whatever_their_files_are_called(
    bench: Bench, tmp_path: Path
) -> None:
    one, two = models_of(2)
    one["contents"] = [{"@type": "Relationship", "name": "r", "target": two["@id"]}]
    two["contents"] = [{"@type": "Relationship", "name": "r", "target": one["@id"]}]
    child = {**models_of(3)[2], "extends": two["@id"]}
    assert apply_models(bench, tmp_path / "cyclic", [child, one, two]) == 0


def test_18_more_than_250_models_go_in(bench: Bench, tmp_path: Path) -> None:
    models = models_of(600)
    for n in range(1, 600):
        models[n]["extends"] = models[n // 4]["@id"]  # a tree, so that order matters
    assert apply_models(bench, tmp_path / "many", models) == 0

    async def ids(store: AzureTwinStore) -> set[str]:
        return {model["id"] async for model in store.list_models()}

    assert {model["@id"] for model in models} <= with_store(bench.url, ids)


async def test_19_a_timeout_in_the_middle_of_an_event_hub_batch_loses_nothing(
    tmp_path: Path,
) -> None:
    twins = MemoryTwins(Twin("L1", LINK, {"nominalRslDbm": -40.0, "health": {}}))
    rig = Rig(twins, tmp_path / "state.db")
    batch = (event(1, sample(1, -41.0)), event(2, sample(2, -42.0)))
    twins.fail_next = UnavailableError("timed out", status=504)
    with pytest.raises(UnavailableError):
        await rig.handle(*batch)
    assert rig.state.positions() == {}
    tally = await rig.handle(*batch)
    assert (tally.rows, tally.applied, tally.coalesced, tally.dead_lettered) == (2, 1, 1, 0)
    assert twins.documents["L1"]["rslDbm"] == -42.0


def test_20_a_query_that_does_not_show_a_write_yet_does_no_harm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_stub(StubOptions(faults=FaultProfile(query_lag_s=10))) as stub:
        bench = bench_on(stub, tmp_path, capsys)
        sync(bench)
        assert bench.sync()[0] == 2  # queries see an empty instance, and so does the plan
        again = sync(bench)
        assert "changes were made" in again or "already" in again
        bench.command("stub", "faults", "--clear", "--url", stub.adt_url)
        assert bench.command("plan", *bench.source)[0] == 0
        edge = Relationship("none", "L1", "aEnd", "R1")
        assert edge.key not in {tuple(e.split("/")) for e in relationships(bench)}
        assert len(relationships(bench)) == 4


NEEDS = """
[[relationship]]
from = "sites.csv"
source = "{id}"
name = "dependsOn"
target = "{needs}"
containment = true
"""


def with_needs(bench: Bench, label: str, first: str, second: str) -> None:
    needs = {"S1": first, "S2": second}
    bench.write("sites.csv", [{**r, "label": label, "needs": needs[r["id"]]} for r in SITES])


def keep_going(bench: Bench) -> str:
    code, _, err = bench.command(*ALL, "sync", *bench.source, "--yes", "--keep-going")
    assert code == 0, err
    return err


def test_21_what_a_fault_held_back_goes_on_once_its_source_clears(bench: Bench) -> None:
    sync(bench)
    faulty = {**SITES[0], "label": "renamed", "latitude": "north"}
    bench.write("sites.csv", [faulty, *SITES[1:]])
    assert "latitude must be a number" in keep_going(bench)
    assert bench.twins()["S1"]["label"] == SITES[0]["label"]
    bench.write("sites.csv", [{**faulty, "latitude": "51"}, *SITES[1:]])
    sync(bench)
    assert (bench.twins()["S1"]["label"], bench.twins()["S1"]["latitude"]) == ("renamed", 51)
    assert bench.command("plan", *bench.source)[0] == 0


def test_22_elements_that_hold_themselves_or_each_other_are_told_and_let_go(bench: Bench) -> None:
    bench.mapping.write_text(MAPPING + NEEDS)
    with_needs(bench, "first", "", "")
    sync(bench)
    with_needs(bench, "circle", "S2", "S1")
    bench.write("routers.csv", [{**row, "label": "goes on"} for row in ROUTERS])
    assert "S1" in keep_going(bench)
    twins = bench.twins()
    assert {twins["R1"]["label"], twins["R2"]["label"]} == {"goes on"}
    assert not [edge for edge in relationships(bench) if "dependsOn" in edge]
    with_needs(bench, "itself", "S1", "")
    keep_going(bench)
    assert bench.twins()["S2"]["label"] == "itself"
    with_needs(bench, "let go", "S2", "")
    sync(bench)
    assert {bench.twins()[id_]["label"] for id_ in ("S1", "S2")} == {"let go"}
    assert "S1/inventory.dependsOn.S2" in relationships(bench)
    assert bench.command("plan", *bench.source)[0] == 0
