"""``sync-agent sources``: each source is looked at for itself, without any twin service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync_agent.cli.main import run
from tests.inventory_server import InventoryServer, serving_beside

MAPPING = """
[[twin]]
from = "sites.csv"
id = "{site}"
model = "dtmi:telecom:place:Site;1"
columns = ["displayLabel"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "sites.csv").write_text("site,displayLabel\nS1,One\nS2,Two\n")
    return tmp_path


def of_folder(folder: Path, *more: str) -> int:
    given = ("--source", str(folder / "export"), "--mapping", str(folder / "mapping.toml"))
    return run(["sources", *given, *more])


def test_a_source_that_answers_says_what_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert of_folder(folder) == 0
    assert f"1 files in {folder / 'export'}" in capsys.readouterr().out


@pytest.mark.parametrize("read", [(), ("--read",)])
def test_mappings_of_different_owners_are_told_before_any_plan(
    folder: Path, capsys: pytest.CaptureFixture[str], read: tuple[str, ...]
) -> None:
    (folder / "other.toml").write_text('owner = "others"\n' + MAPPING)
    sources = [
        {
            "name": name,
            "kind": "files",
            "path": str(folder / "export"),
            "mapping": str(folder / f"{name}.toml"),
        }
        for name in ("mapping", "other")
    ]
    flags = ["--set", f"inventory.sources={json.dumps(sources)}"]
    assert run([*flags, "sources", *read]) == 1
    said = capsys.readouterr().err
    assert "other.toml: its owner and marker are not those of" in said
    assert run([*flags, "--set", "inventory.owner=us", "sources", *read]) == 0


def test_what_no_rule_takes_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "export" / "links.csv").write_text("id\nL1\n")
    (folder / "export" / "README.txt").write_text("no inventory")
    assert of_folder(folder, "--read", "--output", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["scope"], row["records"], row["whole"]) for row in rows] == [
        ("sites.csv", 2, True),
        ("links.csv", None, None),
    ]
    assert of_folder(folder, "--read") == 0
    assert "no rule takes it" in capsys.readouterr().out


def test_a_source_that_fails_does_not_hide_the_next(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = InventoryServer(version="4.2.5", token="right")
    with serving_beside(server):
        sources = [
            {"name": "lost", "kind": "netbox", "url": "http://127.0.0.1:1", "retry_for_s": 0},
            *(
                {"name": name, "kind": "netbox", "url": server.url, "auth": "token", "token": name}
                for name in ("wrong", "right")
            ),
            {"name": "odd", "kind": "teiv", "path": str(folder / "nowhere")},
        ]
        code = run(["--set", f"inventory.sources={json.dumps(sources)}", "sources"])
    printed = capsys.readouterr()
    assert code == 1
    assert f"NetBox 4.2.5 at {server.url}" in printed.out
    assert "cannot be reached" in printed.err
    assert "(403)" in printed.err
    assert "nowhere: is not a folder" in printed.err
    assert printed.err.count("remedy: ") == 3


def test_what_a_source_has_is_shown_scope_by_scope(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert of_folder(folder, "--read", "--output", "json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {
        "source": "source",
        "scope": "sites.csv",
        "records": 2,
        "whole": True,
        "columns": ["site", "displayLabel"],
        "reason": "",
    }


def test_a_line_that_cannot_be_read_is_told_with_its_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (folder / "export" / "sites.csv").open("a") as file:
        file.write("S3\n")
    assert of_folder(folder, "--read") == 1
    printed = capsys.readouterr()
    assert "sites.csv:4: has 1 cells, the header has 2" in printed.err
    assert "no" in printed.out.split("\n")[1].split()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"{site}"', '"{sight}"', "mapping.toml:4: twin[1].id: sites.csv has no column 'sight'"),
        ("columns =", "column =", "mapping.toml:6: twin[1].column: is not a key there is"),
    ],
)
def test_a_mapping_that_does_not_fit_is_told_before_any_plan(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    (folder / "mapping.toml").write_text(MAPPING.replace(old, new))
    assert of_folder(folder, "--read") == 1
    assert said in capsys.readouterr().err


def test_without_an_inventory_there_is_nothing_to_check(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["sources"]) == 1
    assert "inventory.source" in capsys.readouterr().err
