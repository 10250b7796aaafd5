from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync_agent.cli.main import run

SECRET = "s3cr3t-v4lue"


@pytest.fixture(autouse=True)
def working_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_init_writes_a_file_that_show_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "init"]) == 0
    assert run(["config", "show"]) == 0

    assert Path("sync-agent.toml").is_file()
    assert "Wrote sync-agent.toml" in capsys.readouterr().out


def test_init_leaves_a_file_that_is_there_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text("# mine")

    assert run(["config", "init", "--path", "mine.toml"]) == 1

    assert Path("mine.toml").read_text() == "# mine"
    assert "mine.toml exists" in capsys.readouterr().err


def test_init_in_a_folder_that_is_not_there_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "init", "--path", "no/where.toml"]) == 1

    assert "no/where.toml cannot be written" in capsys.readouterr().err


def test_show_masks_secrets_in_every_form(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNC_AGENT__ADT__TOKEN", SECRET)
    flags = ["--set", "adt.auth=token", "--set", f"event_hub.connection_string={SECRET}"]

    for form in (["--output", "table"], ["--output", "json"], ["--origin"]):
        assert run([*flags, "config", "show", *form]) == 0

    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err
    assert printed.out.count("********") == 6


def test_show_with_origin_says_where_each_value_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.toml").write_text('[adt]\nurl = "http://127.0.0.1:1"\n')
    monkeypatch.setenv("SYNC_AGENT__LOG__LEVEL", "error")
    arguments = ["--config", "a.toml", "--set", "health.interval_s=7"]

    assert run([*arguments, "config", "show", "--origin", "--output", "json"]) == 0

    rows = {row["setting"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["adt.url"] == {
        "setting": "adt.url",
        "value": "http://127.0.0.1:1",
        "origin": "file: a.toml:adt.url",
    }
    assert rows["log.level"]["origin"] == "environment: SYNC_AGENT__LOG__LEVEL"
    assert rows["health.interval_s"] == {
        "setting": "health.interval_s",
        "value": 7.0,
        "origin": "flag: --set health.interval_s",
    }
    assert rows["adt.token"]["value"] is None
    assert rows["state.path"]["origin"] == "default"
