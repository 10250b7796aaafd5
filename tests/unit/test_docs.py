"""The documentation is true: generated pages are current, links lead somewhere, commands exist."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import sync_agent
from sync_agent.cli.main import COMMANDS
from sync_agent.settings.text import setting_rows
from tools import docs

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(sync_agent.__path__, "sync_agent.")
    if not module.ispkg and not module.name.endswith("__main__")
)


def test_every_setting_is_documented() -> None:
    page = (docs.ROOT / "docs/configuration.md").read_text()

    assert [row.key for row in setting_rows() if f"| `{row.key}` |" not in page] == []


def test_every_command_is_documented() -> None:
    page = (docs.ROOT / "docs/cli.md").read_text()

    assert [name for name in COMMANDS if f"## sync-agent {name}\n" not in page] == []


def test_generated_pages_are_what_the_code_says() -> None:
    assert list(docs.stale_pages()) == []


def test_links_between_pages_lead_somewhere() -> None:
    assert list(docs.broken_links()) == []


def test_commands_shown_in_pages_exist() -> None:
    assert list(docs.unknown_commands()) == []


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_the_checks_find_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "Makefile").write_text("test: ## Run\n")
    (tmp_path / "README.md").write_text(
        "# One & two\n[a](docs/none.md) [b](#one--two) [c](#three) [d](https://example.test)\n"
        "```\nmake test KEEP=1\nmake tea\nsync-agent config show --origin\n"
        "sync-agent config show --orgin\nsync-agent brew  # coffee\n```\n"
    )
    monkeypatch.setattr(docs, "ROOT", tmp_path)

    assert list(docs.broken_links()) == [
        "README.md: docs/none.md leads nowhere",
        "README.md: #three: no such heading",
    ]
    assert [problem.rpartition("`: ")[2] for problem in docs.unknown_commands()] == [
        "tea is not known",
        "--orgin is not known",
        "brew is not known",
    ]
