from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sync_agent.settings.settings import load_settings
from sync_agent.settings.text import setting_rows, settings_toml


def test_every_setting_and_section_is_described() -> None:
    assert [f"{row.section}.{row.key}" for row in setting_rows() if not row.description] == []


def test_every_type_is_told_in_words() -> None:
    plain = {"text", "true or false", "whole number", "number", "path", "secret text"}
    others = {row.type for row in setting_rows()} - plain - {"list of tables"}
    words = re.compile(r'"[a-z0-9-]+"( or "[a-z0-9-]+")*')
    assert [told for told in others if not words.fullmatch(told)] == []


def test_the_written_file_sets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(settings_toml())

    assert load_settings(path, {}, {}).settings == load_settings(None, {}, {}).settings


def test_every_default_in_the_written_file_is_the_default_when_uncommented(tmp_path: Path) -> None:
    text = re.sub(r"^#(\w+ = )(?!\"\"$)", r"\1", settings_toml(), flags=re.MULTILINE)
    path = tmp_path / "agent.toml"
    path.write_text(text)

    loaded = load_settings(path, {}, {})

    assert sum(str(origin).startswith("file") for origin in loaded.origins.values()) > 20
    for key in ("adt", "event_hub", "inventory", "telemetry", "health", "flags", "limits", "log"):
        assert getattr(loaded.settings, key) == getattr(load_settings(None, {}, {}).settings, key)


def test_every_setting_is_in_the_written_file_once() -> None:
    text = re.sub(r"^#(\w+ = )", r"\1", settings_toml(), flags=re.MULTILINE)
    tables = tomllib.loads(text)

    written = {f"{section}.{key}" for section, keys in tables.items() for key in keys}
    assert written == {f"{row.section}.{row.key}" for row in setting_rows()}


def test_a_secret_comes_with_the_advice_to_set_it_by_its_variable() -> None:
    assert "SYNC_AGENT__ADT__TOKEN than written here" in settings_toml()


def test_no_line_of_the_written_file_is_longer_than_a_screen() -> None:
    assert max(len(line) for line in settings_toml().splitlines()) <= 100
