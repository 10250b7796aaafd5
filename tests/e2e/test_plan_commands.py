"""``plan``, ``apply``, ``drift``, ``undo`` and ``runs`` as a person runs them, on the real stub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_agent.stub.server import StubServer
from sync_agent.twins.twin import Document, Relationship, Twin
from tests.e2e.test_sync_command import Bench, with_store
from tests.small_network import LINKS, MODELS, ROUTERS, SITE, SITES
from tests.stubs import running_stub


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with running_stub() as server:
        yield server


@pytest.fixture
def bench(stub: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    with_store(stub.adt_url, lambda store: store.create_models(MODELS))
    folder = tmp_path / "inventory"
    folder.mkdir()
    return Bench(folder, stub.adt_url, capsys)


def patch(bench: Bench, twin: str, path: str, value: Any) -> None:
    operations: list[Document] = [{"op": "add", "path": path, "value": value}]
    with_store(bench.url, lambda store: store.patch_twin(twin, operations))


async def remove_link(store: Any) -> None:
    for twin, edge in (("L1", "inventory.aEnd.R1"), ("L1", "inventory.zEnd.R2")):
        await store.delete_relationship(twin, edge)
    await store.delete_twin("L1")


def kept(bench: Bench, *arguments: str) -> Path:
    """Plan, keep the plan, and return its file."""
    file = bench.folder.parent / "plan.json"
    code, _, err = bench.command(*arguments, "plan", *bench.source, "--out", str(file))
    assert code == 2, err
    return file


def apply(bench: Bench, file: Path, *options: str) -> tuple[int, str, str]:
    return bench.command("apply", str(file), *bench.source, *options)


# -- plan


def test_a_plan_shows_changes_cost_and_ends_with_2(bench: Bench) -> None:
    code, out, _ = bench.command("plan", *bench.source)
    assert code == 2
    assert "Plan: 9 to create, 0 to update, 0 to delete (0 managed now)." in out
    assert "Cost: 9 operations" in out
    assert "query units" in out
    assert bench.twins() == {}


def test_a_plan_of_nothing_ends_with_0(bench: Bench) -> None:
    bench.sync("--yes")
    code, out, _ = bench.command("plan", *bench.source)
    assert code == 0
    assert "Nothing to do: 9 twins and relationships" in out


def test_a_plan_for_programs_has_cost_and_counts(bench: Bench) -> None:
    code, out, _ = bench.command("plan", *bench.source, "--output", "json")
    document = json.loads(out)
    assert code == 2
    assert document["counts"] == {"create": 9, "update": 0, "delete": 0}
    assert document["cost"]["operations"] == 9
    assert document["instance"] == bench.url


def test_a_plan_says_when_an_import_job_would_be_quicker(bench: Bench) -> None:
    page = bench.folder.parent / "plan.html"
    slow = ("--set", "limits.create_delete_per_s=0.05")
    code, out, _ = bench.command(*slow, "plan", *bench.source, "--html", str(page))
    said = (
        "An import job would take about 1 min 0 s, it takes at least 3 min 0 s by single requests"
    )
    assert code == 2
    assert f"{said}; set import_job.container to allow it." in out
    assert said in page.read_text()
    assert "import job" not in bench.command("plan", *bench.source)[1]


def test_a_plan_as_a_page_needs_nothing_from_elsewhere(bench: Bench) -> None:
    patch_name = "<script>alert(1)</script>"
    bench.write("sites.csv", [{**SITES[0], "label": patch_name}, SITES[1]])
    page = bench.folder.parent / "plan.html"
    assert bench.command("plan", *bench.source, "--html", str(page))[0] == 2
    text = page.read_text()
    assert "S1" in text
    assert "9" in text
    assert patch_name not in text
    assert "http://" not in text.replace(bench.url, "")
    assert "src=" not in text


def test_another_instance_is_named_by_target(bench: Bench) -> None:
    with running_stub() as other:
        with_store(other.adt_url, lambda store: store.create_models(MODELS))
        file = str(bench.folder / "plan.json")
        target = ("--target", other.adt_url)
        assert bench.command("plan", *bench.source, *target, "--out", file)[0] == 2
        assert bench.command("apply", file, *bench.source)[0] == 1
        assert bench.command("apply", file, *bench.source, *target)[0] == 0
        assert bench.command("plan", *bench.source, *target)[0] == 0
    assert bench.twins() == {}


def test_a_plan_that_would_be_refused_is_shown_and_ends_with_1(bench: Bench) -> None:
    bench.sync("--yes")
    bench.write("links.csv", [], list(LINKS[0]))
    code, out, err = bench.command("plan", *bench.source)
    assert code == 1
    assert "3 to delete" in out
    assert "more than the 10 % allowed" in err


# -- apply


def test_exactly_the_kept_plan_is_applied(bench: Bench) -> None:
    file = kept(bench)
    code, out, err = apply(bench, file)
    assert code == 0, err
    assert "9 of 9 changes (100%)" in err
    assert "sync-agent undo 1 takes them back" in out
    assert set(bench.twins()) == {"S1", "S2", "R1", "R2", "L1"}
    assert bench.command("plan", *bench.source)[0] == 0


def test_a_plan_applied_twice_finds_it_done(bench: Bench) -> None:
    file = kept(bench)
    assert apply(bench, file)[0] == 0
    before = bench.twins()
    code, _, err = apply(bench, file)
    assert code == 0, err
    assert bench.twins() == before


def test_a_plan_of_another_source_is_refused(bench: Bench) -> None:
    file = kept(bench)
    bench.write("sites.csv", SITES[:1])
    code, _, err = apply(bench, file)
    assert code == 1
    assert "the source changed since the plan was made: its digest was" in err
    assert bench.twins() == {}


def test_a_plan_of_another_instance_is_refused(bench: Bench) -> None:
    file = kept(bench)
    was, bench.url = bench.url, "http://127.0.0.1:9"
    code, _, err = apply(bench, file)
    assert code == 1
    assert f"the plan was made for {was}" in err


def test_a_file_that_was_edited_is_refused(bench: Bench) -> None:
    file = kept(bench)
    file.write_bytes(file.read_bytes().replace(b"S1", b"S9"))
    code, _, err = apply(bench, file)
    assert code == 1
    assert "the plan was changed or cut off" in err


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"format":"x"}'])
def test_a_file_that_is_no_plan_is_refused(bench: Bench, text: str) -> None:
    file = bench.folder.parent / "plan.json"
    file.write_text(text)
    code, _, err = apply(bench, file)
    assert code == 1
    assert "Traceback" not in err
    assert "sync-agent plan --out" in err


def test_what_changed_since_the_plan_is_named_and_not_overwritten(bench: Bench) -> None:
    bench.sync("--yes")
    bench.write("sites.csv", [{**site, "latitude": "60"} for site in SITES])
    file = kept(bench)
    patch(bench, "S1", "/latitude", 1.5)
    code, _, err = apply(bench, file)
    assert code == 1
    assert "error: S1 changed since the plan was made: latitude is 1.5, the plan saw 50.5" in err
    assert "1 element(s) changed since the plan was made; nothing was changed" in err
    twins = bench.twins()
    assert (twins["S1"]["latitude"], twins["S2"]["latitude"]) == (1.5, float(SITES[1]["latitude"]))


def test_telemetry_on_a_twin_makes_no_plan_stale(bench: Bench) -> None:
    bench.sync("--yes")
    bench.write("links.csv", [{**link, "ghz": "23"} for link in LINKS])
    file = kept(bench)
    patch(bench, "L1", "/levelDbm", -41.5)
    code, _, err = apply(bench, file)
    assert code == 0, err
    link = bench.twins()["L1"]
    assert (link["frequencyAtoZ"], link["levelDbm"]) == (23, -41.5)


@pytest.mark.parametrize(("how", "latitude"), [("skip", 1.5), ("replan", 60)])
def test_a_conflict_is_dealt_with_as_asked(bench: Bench, how: str, latitude: float) -> None:
    bench.sync("--yes")
    bench.write("sites.csv", [{**site, "latitude": "60"} for site in SITES])
    file = kept(bench)
    patch(bench, "S1", "/latitude", 1.5)
    code, _, err = apply(bench, file, "--on-conflict", how)
    if how == "skip":
        assert code == 1
        assert "S1 was not changed: it was changed by someone else since the plan: latitude" in err
        assert "1 change was made, 1 failed" in err
    else:
        assert code == 0, err
    assert bench.twins()["S2"]["latitude"] == 60
    assert bench.twins()["S1"]["latitude"] == latitude


# -- runs, undo


def test_runs_are_listed_newest_first(bench: Bench) -> None:
    assert "No run changed anything yet." in bench.command("runs")[1]
    bench.sync("--yes")
    bench.write("sites.csv", [{**SITES[0], "label": "new"}, SITES[1]])
    bench.sync("--yes")
    found = bench.json("runs")
    assert [(run["run"], run["kind"], run["done"], run["state"]) for run in found] == [
        (2, "sync", 1, "ended"),
        (1, "sync", 9, "ended"),
    ]


def test_runs_of_a_journal_that_is_not_there_are_none_and_none_is_made(bench: Bench) -> None:
    path = bench.folder.parent / "nowhere" / "journal.db"
    elsewhere = ("--set", f"state.journal={path}")
    code, out, err = bench.command(*elsewhere, "runs")
    assert code == 0, err
    assert f"No run changed anything yet. There is no {path}" in out
    assert bench.command(*elsewhere, "runs", "--output", "json")[1] == "[]\n"
    assert not path.parent.exists()


def test_undo_takes_a_run_back_and_nothing_else(bench: Bench) -> None:
    bench.sync("--yes")
    before = bench.twins()
    bench.write("sites.csv", [{**SITES[0], "latitude": "1", "floors": ""}, SITES[1]])
    bench.write("routers.csv", [{**ROUTERS[0], "role": "edge"}, ROUTERS[1]])
    bench.sync("--yes")
    code, out, _ = bench.command("undo", "2")
    assert code == 2
    assert "Nothing was changed; --yes makes these changes." in out
    assert "Plan: 0 to create, 2 to update, 0 to delete.\n" in out
    code, _, err = bench.command("undo", "2", "--yes")
    assert code == 0, err

    def plain(twins: dict[str, Document]) -> dict[str, Document]:
        return {
            name: {k: v for k, v in twin.items() if not k.startswith("$")}
            for name, twin in twins.items()
        }

    assert plain(bench.twins()) == plain(before)
    code, out, _ = bench.command("undo", "2")
    assert code == 0


def test_undo_of_a_first_run_leaves_an_empty_instance(bench: Bench) -> None:
    bench.sync("--yes")
    assert bench.command("undo", "1", "--yes")[0] == 0
    assert bench.twins() == {}
    assert bench.json("query", "SELECT * FROM relationships") == []


def test_undo_leaves_what_somebody_changed_since(bench: Bench) -> None:
    bench.sync("--yes")
    bench.write("sites.csv", [{**site, "latitude": "60"} for site in SITES])
    bench.sync("--yes")
    patch(bench, "S1", "/latitude", 1.5)
    code, out, _ = bench.command("undo", "2", "--yes")
    assert code == 0
    assert "left as it is: S1: latitude was changed" in out
    twins = bench.twins()
    assert twins["S1"]["latitude"] == 1.5
    assert twins["S2"]["latitude"] == float(SITES[1]["latitude"])


def test_a_run_that_is_not_there_is_told(bench: Bench) -> None:
    code, _, err = bench.command("undo", "7")
    assert code == 1
    assert "7" in err
    assert "remedy" in err


# -- drift


def test_drift_is_shown_reverted_and_gone(bench: Bench) -> None:
    bench.sync("--yes")
    assert bench.command("drift")[0] == 0
    patch(bench, "S1", "/latitude", 1.5)
    code, out, _ = bench.command("drift")
    assert code == 2
    assert "latitude: 1.5 -> 50.5" in out
    assert bench.command("drift", "--revert")[0] == 0
    assert bench.twins()["S1"]["latitude"] == 50.5
    assert bench.command("drift")[0] == 0


def test_accepted_drift_stays_until_the_inventory_says_something_new(bench: Bench) -> None:
    bench.sync("--yes")
    patch(bench, "S1", "/latitude", 1.5)
    assert bench.command("drift", "--accept")[0] == 0
    assert bench.command("drift")[0] == 0
    assert bench.sync("--yes")[0] == 0
    assert bench.twins()["S1"]["latitude"] == 1.5
    bench.write("sites.csv", [{**SITES[0], "latitude": "70"}, SITES[1]])
    assert bench.sync("--yes")[0] == 0
    assert bench.twins()["S1"]["latitude"] == 70


def test_a_deleted_twin_is_drift_and_comes_back(bench: Bench) -> None:
    bench.sync("--yes")
    with_store(bench.url, remove_link)
    code, out, _ = bench.command("drift")
    assert code == 2
    assert "L1" in out
    assert bench.command("drift", "--revert")[0] == 0
    assert "L1" in bench.twins()


def test_a_twin_the_mapping_speaks_of_no_more_is_drift_only_when_it_is_gone(bench: Bench) -> None:
    bench.sync("--yes")
    tables = bench.mapping.read_text().split("[[")
    bench.mapping.write_text("[[".join(table for table in tables if "links.csv" not in table))
    code, out, err = bench.command(
        "--set", "inventory.max_delete_percent=100", "sync", *bench.source, "--yes"
    )
    assert code == 0, err
    assert "no rule of the mapping speaks of" in out
    patch(bench, "L1", "/label", "renamed")
    assert bench.command("drift")[:2] == (0, "There is no drift.\n")
    with_store(bench.url, remove_link)
    code, out, _ = bench.command("drift")
    assert code == 2
    assert "L1" in out


def test_what_others_make_is_no_drift(bench: Bench) -> None:
    bench.sync("--yes")
    theirs = Twin("X1", SITE, {"label": "theirs", "health": {"$metadata": {}}})
    with_store(bench.url, lambda store: store.put_twin(theirs))
    edge = Relationship("theirs", "L1", "aEnd", "R2")
    with_store(bench.url, lambda store: store.put_relationship(edge))
    patch(bench, "L1", "/levelDbm", -50.0)
    assert bench.command("drift")[0] == 0


def test_drift_before_anything_was_applied_is_told(bench: Bench) -> None:
    code, _, err = bench.command("drift")
    assert code == 1
    assert "nothing was applied yet from here" in err


# -- guards


def test_deletes_may_be_skipped_and_the_rest_done(bench: Bench) -> None:
    bench.sync("--yes")
    bench.write("links.csv", [], list(LINKS[0]))
    bench.write("sites.csv", [{**SITES[0], "latitude": "60"}, SITES[1]])
    rest = ("--set", "guards.on_exceeded=skip-deletes")
    code, out, _ = bench.command(*rest, "sync", *bench.source, "--yes")
    assert code == 0
    assert "L1" in bench.twins()
    assert bench.twins()["S1"]["latitude"] == 60
    assert "33.3 %" in out


def test_a_grace_keeps_what_is_absent_and_its_return_ends_it(bench: Bench) -> None:
    bench.sync("--yes")
    allowed = ("--set", "inventory.max_delete_percent=100", "--set", "guards.delete_grace_s=3600")
    bench.write("links.csv", [], list(LINKS[0]))
    code, out, _ = bench.command(*allowed, "sync", *bench.source, "--yes")
    assert code == 0
    assert "to be deleted from" in out
    assert "L1" in bench.twins()
    bench.write("links.csv", LINKS)
    assert bench.command(*allowed, "sync", *bench.source, "--yes")[0] == 0
    bench.write("links.csv", [], list(LINKS[0]))
    now = ("--set", "inventory.max_delete_percent=100")
    assert bench.command(*now, "sync", *bench.source, "--yes")[0] == 0
    assert "L1" not in bench.twins()


def test_a_model_may_be_kept_from_deletion(bench: Bench) -> None:
    bench.sync("--yes")
    bench.write("links.csv", [], list(LINKS[0]))
    allowed = ("--set", "inventory.max_delete_percent=100")
    keep = ("--set", "guards.never_delete=dtmi:test:Link")
    code, out, _ = bench.command(*allowed, *keep, "sync", *bench.source, "--yes")
    assert code == 0
    assert "never deleted" in out
    assert "L1" in bench.twins()


def test_a_paused_twin_is_left_and_said_so(bench: Bench) -> None:
    bench.sync("--yes")
    patch(bench, "S1", "/tags/syncPaused", "true")
    bench.write("sites.csv", [{**site, "latitude": "60"} for site in SITES])
    code, out, _ = bench.sync("--yes")
    assert code == 0
    assert "paused by tags.syncPaused" in out
    twins = bench.twins()
    assert (twins["S1"]["latitude"], twins["S2"]["latitude"]) == (50.5, 60)


def test_everything_may_be_paused(bench: Bench) -> None:
    code, _, err = bench.command("--set", "guards.paused=true", "sync", *bench.source, "--yes")
    assert code == 1
    assert "changes of twins are paused" in err
    assert bench.twins() == {}


def test_a_lease_twin_keeps_another_machine_out(bench: Bench) -> None:
    from sync_agent.runs.lease import MODEL, MODEL_ID

    held = {"holder": "other/1", "until": "2999-01-01T00:00:00Z"}
    with_store(bench.url, lambda store: store.create_models([MODEL]))
    lease = Twin("sync-agent-lease.inventory", MODEL_ID, held)
    with_store(bench.url, lambda store: store.put_twin(lease))
    by_twin = ("--set", "guards.lease=twin")
    code, _, err = bench.command(*by_twin, "sync", *bench.source, "--yes")
    assert code == 1
    assert "other/1 is changing the twins" in err
    past = [{"op": "add", "path": "/until", "value": "2001-01-01T00:00:00Z"}]
    with_store(bench.url, lambda store: store.patch_twin("sync-agent-lease.inventory", past))
    assert bench.command(*by_twin, "sync", *bench.source, "--yes")[0] == 0
    assert "sync-agent-lease.inventory" not in bench.twins()
