"""``sync-agent sync`` and the reading commands, as a person runs them, against the real stub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.cli.main import run
from sync_agent.stub.server import StubOptions, StubServer
from sync_agent.twins.twin import Document, Twin
from tests.small_network import LINKS, MAPPING, MODELS, ROUTERS, SITE, SITES, Rows
from tests.stubs import running_stub


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with running_stub() as server:
        yield server


class Bench:
    """A folder with an inventory, and the commands run in it against a stub."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.url = url
        self._capsys = capsys
        self.mapping = folder / "mapping.toml"
        self.mapping.write_text(MAPPING)
        self.write("sites.csv", SITES)
        self.write("routers.csv", ROUTERS)
        self.write("links.csv", LINKS)

    def write(self, name: str, rows: Rows, columns: list[str] | None = None) -> None:
        lines = [",".join(columns or list(rows[0]))]
        lines += [",".join(row.values()) for row in rows]
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def command(self, *arguments: str) -> tuple[int, str, str]:
        settings = (
            f"adt.url={self.url}",
            "adt.auth=none",
            "limits.twin_ops_per_s=1000",
            f"state.path={self.folder.parent / 'state.db'}",
        )
        flags = [part for setting in settings for part in ("--set", setting)]
        code = run([*flags, "--set", "limits.retry_for_s=0.5", *arguments])
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    @property
    def source(self) -> tuple[str, ...]:
        return ("--source", str(self.folder), "--mapping", str(self.mapping))

    def sync(self, *arguments: str) -> tuple[int, str, str]:
        return self.command("sync", *self.source, *arguments)

    def json(self, *arguments: str) -> Any:
        code, out, err = self.command(*arguments, "--output", "json")
        assert code == 0, err
        return json.loads(out)

    def twins(self) -> dict[str, Document]:
        rows = self.json("query", "SELECT * FROM digitaltwins")
        return {row["$dtId"]: row for row in rows}


def with_store(url: str, work: Callable[[AzureTwinStore], Awaitable[Any]]) -> Any:
    async def connected() -> Any:
        async with AzureTwinStore(url, credential_for("none"), retry_for_s=0) as store:
            return await work(store)

    return asyncio.run(connected())


@pytest.fixture
def bench(stub: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    with_store(stub.adt_url, lambda store: store.create_models(MODELS))
    return Bench(tmp_path, stub.adt_url, capsys)


def test_a_plan_is_shown_first_and_made_with_yes(bench: Bench) -> None:
    code, out, _ = bench.sync()
    assert code == 2
    assert "Plan: 9 to create, 0 to update, 0 to delete (0 managed now)." in out
    assert "Nothing was changed" in out
    assert bench.twins() == {}

    code, out, err = bench.sync("--yes")
    assert code == 0
    assert "9 of 9 changes (100%)" in err
    twins = bench.twins()
    assert set(twins) == {"S1", "S2", "R1", "R2", "L1"}
    assert twins["L1"]["frequencyZtoA"] == 19.205
    assert twins["L1"]["tags"] == {"managedBy": "inventory"}
    assert set(twins["S1"]["health"]) == {"$metadata"}

    code, out, _ = bench.sync()
    assert code == 0
    assert "Nothing to do: 9 twins and relationships" in out


def test_a_change_is_shown_value_by_value(bench: Bench) -> None:
    bench.sync("--yes")
    bench.write("sites.csv", [{**SITES[0], "latitude": "51", "floors": ""}, SITES[1]])
    code, out, _ = bench.sync()
    assert code == 2
    assert "floors: 3 -> (none), latitude: 50.5 -> 51" in out
    assert bench.sync("--yes")[0] == 0
    site = bench.twins()["S1"]
    assert site["latitude"] == 51
    assert "floors" not in site


def test_what_is_gone_from_the_inventory_goes_from_the_twins(bench: Bench) -> None:
    bench.sync("--yes")
    bench.write("links.csv", [], list(LINKS[0]))
    allowed = ("--set", "inventory.max_delete_percent=50")
    assert bench.command(*allowed, "sync", *bench.source, "--yes")[0] == 0
    assert set(bench.twins()) == {"S1", "S2", "R1", "R2"}


def test_the_plan_and_its_result_can_be_read_by_programs(bench: Bench) -> None:
    code, out, _ = bench.sync("--output", "json")
    assert code == 2
    assert json.loads(out)["counts"] == {"create": 9, "update": 0, "delete": 0}
    code, out, _ = bench.sync("--yes", "--output", "json")
    document = json.loads(out)
    assert code == 0
    assert document["result"]["applied"] == {"create": 9}
    assert len(document["plan"]["changes"]) == 9


def test_what_others_wrote_stays(bench: Bench) -> None:
    bench.sync("--yes")
    patch: list[Document] = [
        {"op": "add", "path": "/levelDbm", "value": -41.5},
        {"op": "add", "path": "/tags/team", "value": "north"},
        {"op": "add", "path": "/health/state", "value": "degraded"},
    ]
    with_store(bench.url, lambda store: store.patch_twin("L1", patch))
    bench.write("links.csv", [{**link, "ghz": "23"} for link in LINKS])
    assert bench.sync("--yes")[0] == 0
    link = bench.twins()["L1"]
    assert link["frequencyAtoZ"] == 23
    assert link["levelDbm"] == -41.5
    assert link["tags"] == {"managedBy": "inventory", "team": "north"}
    assert link["health"]["state"] == "degraded"


def test_a_twin_of_someone_else_is_warned_of_and_left(bench: Bench) -> None:
    theirs = Twin("S1", SITE, {"label": "theirs", "health": {"$metadata": {}}})
    with_store(bench.url, lambda store: store.put_twin(theirs))
    code, out, _ = bench.sync("--yes")
    assert code == 0
    assert "warning: S1: a twin of that id is there and is not ours" in out
    assert bench.twins()["S1"]["label"] == "theirs"


# -- bad input


def test_a_wrong_column_is_told_before_anything_else(bench: Bench) -> None:
    bench.write("sites.csv", SITES, ["id", "label", "lat", "floors"])
    code, _, err = bench.sync("--yes")
    assert code == 1
    assert "mapping.toml:6: twin[1].columns: sites.csv has no column 'latitude'" in err
    assert "remedy: sites.csv has id, label, lat, floors" in err
    assert bench.twins() == {}


def test_a_duplicate_id_stops_everything_unless_told_to_keep_going(bench: Bench) -> None:
    bench.write("sites.csv", [*SITES, SITES[0]])
    code, _, err = bench.sync("--yes")
    assert code == 1
    assert "sites.csv:4: the id S1 is used twice: see also sites.csv:2" in err
    assert "nothing was changed because of faulty input" in err
    assert bench.twins() == {}

    code, _, err = bench.sync("--yes", "--keep-going")
    assert code == 0
    assert "not used: sites.csv:4: the id S1 is used twice" in err
    assert set(bench.twins()) == {"S2", "R1", "R2", "L1"}


def test_a_dangling_link_end_is_told_and_the_link_not_made(bench: Bench) -> None:
    bench.write("links.csv", [{**link, "z": "R9"} for link in LINKS])
    code, _, err = bench.sync("--yes", "--keep-going")
    assert code == 0
    assert "links.csv:2: zEnd from L1 to R9: there is no R9 in the inventory" in err
    assert set(bench.twins()) == {"S1", "S2", "R1", "R2"}


def test_an_unknown_model_is_told_with_those_of_that_name(bench: Bench) -> None:
    bench.mapping.write_text(MAPPING.replace("dtmi:test:Link;1", "dtmi:test:Link;3"))
    code, _, err = bench.sync("--yes")
    assert code == 1
    assert "there is no model dtmi:test:Link;3, but dtmi:test:Link;1" in err
    assert "sync-agent models apply" in err
    assert bench.twins() == {}


def test_many_faults_are_not_all_printed(bench: Bench) -> None:
    bench.write("sites.csv", [{**SITES[0], "id": f"S{n}", "latitude": "x"} for n in range(50)])
    code, _, err = bench.sync()
    assert code == 1
    assert err.count("must be a number") == 20
    assert "30 more faults in the input" in err


def test_a_service_out_of_reach_is_told_soon(bench: Bench) -> None:
    bench.url = "http://127.0.0.1:9"
    code, _, err = bench.sync("--yes")
    assert code == 1
    assert "127.0.0.1:9 cannot be reached" in err
    assert "remedy: check adt.url" in err


def test_wrong_credentials_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_stub(StubOptions(token="right")) as stub:
        bench = Bench(tmp_path, stub.adt_url, capsys)
        code, _, err = bench.sync("--yes")
        assert code == 1
        assert "refuses the credentials" in err
        assert "Azure Digital Twins Data Owner" in err


def test_an_inventory_that_is_suddenly_empty_deletes_nothing(bench: Bench) -> None:
    bench.sync("--yes")
    for name, rows in (("sites.csv", SITES), ("routers.csv", ROUTERS), ("links.csv", LINKS)):
        bench.write(name, [], list(rows[0]))
    code, _, err = bench.sync("--yes")
    assert code == 1
    assert "the source gave no record at all" in err
    assert len(bench.twins()) == 5


def test_more_deletions_than_allowed_are_refused_with_the_way_to_allow_them(bench: Bench) -> None:
    bench.sync("--yes")
    bench.write("links.csv", [], list(LINKS[0]))
    code, _, err = bench.sync("--yes")
    assert code == 1
    assert "would delete 3 of 9 managed twins and relationships (33.3 %)" in err
    assert "--set inventory.max_delete_percent=100" in err
    assert len(bench.twins()) == 5


def test_a_bad_line_stops_deletions_of_its_file(bench: Bench) -> None:
    bench.sync("--yes")
    (bench.folder / "links.csv").write_text(",".join(LINKS[0]) + "\nL1,near-far\n")
    allowed = ("--set", "inventory.max_delete_percent=100")
    code, out, _ = bench.command(*allowed, "sync", *bench.source, "--yes", "--keep-going")
    assert code == 0
    assert "links.csv was not read whole (links.csv:2: has 2 cells" in out
    assert "L1" in bench.twins()


@pytest.mark.parametrize("missing", ["source", "mapping"])
def test_a_source_that_is_not_set_is_told_by_its_setting(bench: Bench, missing: str) -> None:
    given = {"source": str(bench.folder), "mapping": str(bench.mapping)}
    del given[missing]
    options = [part for name, value in given.items() for part in (f"--{name}", value)]
    code, _, err = bench.command("sync", *options)
    assert code == 1
    assert f"inventory.{missing}" in err


def test_a_model_the_service_refuses_to_write_is_a_root_failure(bench: Bench) -> None:
    with_store(bench.url, lambda store: store.decommission_model("dtmi:test:Router;1"))
    code, _, err = bench.sync("--yes")
    assert code == 1
    assert "R1 was not changed" in err
    assert "2 failed, 4 were skipped because of those" in err
    assert "run it again" in err
    assert set(bench.twins()) == {"S1", "S2", "L1"}


# -- reading


def test_show_has_properties_health_and_relationships_both_ways(bench: Bench) -> None:
    bench.sync("--yes")
    patch: list[Document] = [
        {"op": "add", "path": "/health/state", "value": "degraded"},
        {"op": "add", "path": "/health/score", "value": 41},
    ]
    with_store(bench.url, lambda store: store.patch_twin("R1", patch))
    code, out, _ = bench.command("show", "R1")
    assert code == 0
    assert "R1 (Router) is degraded, score 41" in out
    assert "health.state" in out
    assert [line.split()[:3] for line in out.splitlines() if line.startswith(("->", "<-"))] == [
        ["->", "locatedIn", "S1"],
        ["<-", "aEnd", "L1"],
    ]
    document = bench.json("show", "R1")
    assert document["twin"]["role"] == "core"
    assert document["outgoing"][0]["$targetId"] == "S1"
    assert document["incoming"][0]["$sourceId"] == "L1"


def test_an_element_that_is_not_there_is_told(bench: Bench) -> None:
    code, _, err = bench.command("show", "R'9\\")
    assert code == 1
    assert "there is no element R'9" in err
    assert "case-sensitive" in err


def test_what_is_degraded_is_listed_worst_first(bench: Bench) -> None:
    bench.sync("--yes")
    code, out, _ = bench.command("degraded")
    assert (code, out) == (0, "Nothing is degraded.\n")
    for id_, state, score in (("R1", "degraded", 60), ("L1", "down", 0), ("S1", "healthy", 99)):
        patch: list[Document] = [
            {"op": "add", "path": "/health/state", "value": state},
            {"op": "add", "path": "/health/score", "value": score},
        ]
        with_store(bench.url, partial(AzureTwinStore.patch_twin, twin_id=id_, patch=patch))
    assert [(r["element"], r["type"], r["score"]) for r in bench.json("degraded")] == [
        ("L1", "Link", 0),
        ("R1", "Router", 60),
    ]
    code, out, _ = bench.command("degraded")
    assert out.splitlines()[1].split()[:3] == ["L1", "Link", "down"]


def test_a_query_prints_its_rows(bench: Bench) -> None:
    bench.sync("--yes")
    code, out, _ = bench.command("query", "SELECT * FROM digitaltwins", "--limit", "2")
    assert code == 0
    assert len(out.splitlines()) == 3
    text = "SELECT S, R FROM digitaltwins R JOIN S RELATED R.locatedIn E WHERE R.$dtId = 'R1'"
    code, out, _ = bench.command("query", text)
    assert out.split() == ["S", "R", "S1", "R1"]
    assert bench.json("query", "SELECT COUNT() FROM digitaltwins") == [{"COUNT": 5}]
    assert bench.command("query", "SELECT * FROM digitaltwins T WHERE T.x = 1")[1] == "No rows.\n"


def test_a_query_that_cannot_be_read_is_told_with_its_place(bench: Bench) -> None:
    code, _, err = bench.command("query", "SELECT * FORM digitaltwins")
    assert code == 1
    assert "Line=1" in err
    assert "Traceback" not in err
