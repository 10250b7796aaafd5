"""``sync-agent models`` as a person runs it, through the real SDK against the real stub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.cli.main import run
from sync_agent.stub.server import StubServer
from sync_agent.twins.twin import Document, Relationship, Twin
from tests.stubs import running_stub
from tests.unit.migration.radios import MODELS, NEW, OLD

RULES = f"""
[[migration]]
from = "{OLD}"
to = "{NEW}"

[migration.rename]
rsl = "rslDbm"

[migration.convert.length]
scale = 1000.0

[migration.convert.state.values]
up = "inService"
down = "outOfService"

[migration.relationships]
feeds = "supplies"
old = ""
"""


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with running_stub() as server:
        yield server


class Bench:
    """A folder with the models in two versions, and the commands run in it against a stub."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.url, self._capsys = folder, url, capsys
        self.models(MODELS[:3])
        (folder / "rules.toml").write_text(RULES)

    def models(self, models: list[Document]) -> None:
        for path in (self.folder / "models").glob("*.json"):
            path.unlink()
        (self.folder / "models").mkdir(exist_ok=True)
        for number, model in enumerate(models):
            (self.folder / "models" / f"{number}.json").write_text(json.dumps(model, indent=1))

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        settings = {
            "adt.url": self.url,
            "adt.auth": "none",
            "limits.retry_for_s": "0.5",
            "models.path": str(self.folder / "models"),
            "state.path": str(self.folder / "state.db"),
        }
        flags = [part for item in settings.items() for part in ("--set", "=".join(item))]
        code = run([*flags, "models", *arguments])
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    def with_store(self, work: Callable[[AzureTwinStore], Awaitable[Any]]) -> Any:
        async def connected() -> Any:
            async with AzureTwinStore(self.url, credential_for("none"), retry_for_s=0) as store:
                return await work(store)

        return asyncio.run(connected())

    def radios(self, count: int) -> None:
        async def put(store: AzureTwinStore) -> None:
            values = {"rsl": -40.5, "length": 2.5, "channel": "7", "state": "up", "note": "roof"}
            for number in range(count):
                ports = {"ports": {"count": 4, "$metadata": {}}}
                await store.put_twin(Twin(f"r{number}", OLD, {**values, **ports}))
            await store.put_relationship(Relationship("e", "r0", "feeds", "r1", {"since": "2020"}))

        self.with_store(put)

    def twins(self) -> list[Twin]:
        async def read(store: AzureTwinStore) -> list[Twin]:
            rows = store.query("SELECT * FROM DIGITALTWINS")
            return [Twin.from_document(row) async for row in rows]

        found: list[Twin] = self.with_store(read)
        return found


@pytest.fixture
def bench(stub: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, stub.adt_url, capsys)


@pytest.fixture
def network(bench: Bench) -> Bench:
    """Three radios of the old model, the new one deployed."""
    bench("apply", "--yes")
    bench.radios(3)
    bench.models(MODELS)
    bench("apply", "--yes")
    return bench


def test_models_are_planned_and_deployed(bench: Bench) -> None:
    code, out, _ = bench("plan")
    assert code == 2
    assert "3 models to deploy, 0 are deployed." in out

    assert bench("apply")[0] == 2
    code, _, err = bench("apply", "--yes")
    assert code == 0
    assert "3 of 3 models" in err

    code, out, _ = bench("plan")
    assert (code, out) == (0, "All 3 models are deployed.\n")


def test_a_new_version_shows_what_it_means_for_the_twins(bench: Bench) -> None:
    bench("apply", "--yes")
    bench.models(MODELS)

    code, out, _ = bench("plan")
    assert code == 2
    assert out.splitlines()[1].split() == ["+", NEW, OLD, "breaking"]

    code, out, _ = bench("diff", "--output", "json")
    assert code == 2
    rows = {row["path"]: row for row in json.loads(out)}
    assert rows["feeds"]["verdict"] == "breaking"
    assert rows["channel"]["verdict"] == "migratable"
    assert rows["vendor"]["verdict"] == "compatible"


def test_a_changed_model_under_the_same_id_is_an_error(bench: Bench) -> None:
    bench("apply", "--yes")
    bench.models([*MODELS[:2], {**MODELS[2], "contents": []}])

    code, out, err = bench("plan")

    assert code == 1
    assert "deployed with other content" in out
    assert f"deployed with other content: {OLD}" in err
    assert "new version" in err


def test_two_folders_are_compared_without_a_service(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.json").write_text(json.dumps(MODELS))

    code, out, _ = bench("diff", str(other), "--against", str(bench.folder / "models"))

    assert code == 2
    assert "breaking" in out


def test_twins_are_migrated_and_taken_back(network: Bench) -> None:
    before = network.twins()
    rules = ("--rules", str(network.folder / "rules.toml"))
    code, out, _ = network("migrate", *rules)
    assert code == 2
    assert "3 twins, breaking" in out
    assert "Nothing was changed" in out

    code, out, err = network("migrate", *rules, "--yes")
    assert code == 0, err
    assert f"3 twins are of {NEW} now, 0 left alone." in out
    assert [(t.model, t.properties["rslDbm"]) for t in network.twins()] == [(NEW, -40.5)] * 3
    assert network("migrate", *rules)[0] == 0

    (journal,) = (network.folder / "migrations").iterdir()
    assert journal.stat().st_mode & 0o077 == 0
    assert network("migrate", "--undo", str(journal))[0] == 2
    code, out, err = network("migrate", "--undo", str(journal), "--yes")
    assert code == 0, err
    assert [(t.id, t.model, values(t)) for t in network.twins()] == [
        (t.id, t.model, values(t)) for t in before
    ]


def test_a_plan_says_what_happens_and_shows_it_on_a_twin(network: Bench) -> None:
    rules = ("--rules", str(network.folder / "rules.toml"))

    _, out, _ = network("migrate", *rules)
    rows = [row.split() for row in out.splitlines()]
    assert ["3", "renamed", "rsl", "->", "rslDbm", "r0:", "-40.5", "->", "-40.5"] in rows
    assert ["3", "retyped", "channel", "r0:", '"7"', "->", "7"] in rows
    assert ["3", "added", "component", "health", "r0"] in rows
    assert "1  renamed    relationship feeds -> supplies" in out

    _, out, _ = network("migrate", *rules, "--each")
    assert ["r2", "converted", "length", "2.5", "2500"] in [r.split() for r in out.splitlines()]


def test_json_is_one_document_whatever_is_done(network: Bench) -> None:
    rules = ("--rules", str(network.folder / "rules.toml"))

    (planned,) = json.loads(network("migrate", *rules, "-o", "json")[1])["migrations"]
    assert (planned["from"], planned["to"], planned["twins"]) == (OLD, NEW, 3)
    assert {"twins": 3, "change": "retyped", "path": "channel"} in planned["changes"]
    assert "each" not in planned

    code, out, _ = network("migrate", *rules, "--each", "--yes", "-o", "json")
    (done,) = json.loads(out)["migrations"]
    assert (code, done["result"]["migrated"], done["result"]["failed"]) == (0, 3, 0)
    assert {row["twin"] for row in done["each"]} == {"r0", "r1", "r2"}

    undo = ("migrate", "--undo", done["result"]["journal"], "-o", "json")
    code, out, _ = network(*undo)
    assert (code, json.loads(out)) == (2, {"from": NEW, "to": OLD, "twins": 3})
    assert json.loads(network(*undo, "--yes")[1])["result"]["migrated"] == 3
    code, out, _ = network(*undo)
    assert (code, json.loads(out)["twins"]) == (0, 0)


def values(twin: Twin) -> dict[str, Any]:
    return {
        name: {k: v for k, v in value.items() if k != "$metadata"}
        if isinstance(value, dict)
        else value
        for name, value in twin.properties.items()
    }


def test_what_the_models_leave_open_has_to_be_said(network: Bench) -> None:
    code, _, err = network("migrate")

    assert code == 1
    assert "feeds: relationships of that name could not stay" in err
    assert "--rules" in err


def test_a_twin_that_does_not_fit_is_named_and_the_rest_goes_on(network: Bench) -> None:
    odd: Document = {"op": "add", "path": "/channel", "value": "seven"}
    network.with_store(lambda store: store.patch_twin("r1", [odd]))

    code, out, _ = network("migrate", "--rules", str(network.folder / "rules.toml"), "--yes")

    assert code == 1
    assert "left alone: r1: channel" in out
    assert sorted(t.model for t in network.twins()) == [OLD, NEW, NEW]


def test_a_model_in_use_is_kept_and_one_without_twins_goes(network: Bench) -> None:
    code, _, err = network("delete", OLD, "--yes")
    assert code == 1
    assert "is the model of 3 twins (r0, r1, r2)" in err

    code, out, _ = network("delete", NEW)
    assert code == 2
    assert "Nothing was done" in out


def test_a_decommissioned_model_is_told_and_not_decommissioned_twice(network: Bench) -> None:
    assert network("delete", NEW, "--only-decommission")[0] == 2
    assert network("delete", NEW, "--only-decommission", "--yes")[0] == 0

    code, out, _ = network("delete", NEW, "--only-decommission")
    assert (code, out) == (0, "They take no new twins already.\n")
    code, out, _ = network("plan")
    assert code == 0
    assert f"Decommissioned, so no new twins of it: {NEW}" in out


@pytest.mark.slow  # it waits out the service's query lag before it deletes
def test_a_model_without_twins_is_deleted(network: Bench) -> None:
    assert network("delete", NEW, "--yes")[0] == 0
    assert network("diff", str(network.folder / "models" / "3.json"))[0] == 2


def test_faulty_models_are_told_with_file_and_line(bench: Bench) -> None:
    bench.models([{**MODELS[1], "contents": [{"@type": "Property", "name": "9", "schema": "x"}]}])

    code, out, _ = bench("validate")
    assert code == 1
    assert "0.json:10" in out
    assert "stringInvalid" in out

    code, out, _ = bench("validate", "--output", "sarif")
    assert code == 1
    results = json.loads(out)["runs"][0]["results"]
    assert [result["ruleId"] for result in results] == ["stringInvalid", "badDtmiOrTerm"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("migrate", OLD), "give two models"),
        (("migrate", "dtmi:x:A;1", "dtmi:x:A;2"), "dtmi:x:A;1 is not deployed"),
        (("migrate", OLD, OLD), f"{OLD} is the model to migrate from and to"),
        (("migrate", "--undo", "nowhere"), "nowhere cannot be used"),
        (("migrate", "--rules", "nowhere"), "nowhere: cannot be read"),
        (("delete", "dtmi:x:A;1"), "not deployed: dtmi:x:A;1"),
        (("diff", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    bench: Bench, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = bench(*arguments)

    assert code == 1
    assert said in err
    assert "defect" not in err
