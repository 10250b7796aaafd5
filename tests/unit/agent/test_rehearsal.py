import os
import tomllib
from pathlib import Path

import pytest

from sync_agent.agent.rehearsal import Rehearsal, StubPlace, make_folder
from sync_agent.errors import InputError, StoreError, SyncAgentError
from sync_agent.settings.settings import load_settings

HUB_KEY = "Endpoint=sb://127.0.0.1:5671;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=t"
PLACE = StubPlace("http://127.0.0.1:8080", HUB_KEY)


def test_the_settings_it_writes_are_settings(tmp_path: Path) -> None:
    path = Rehearsal(tmp_path).write_settings(PLACE, "t", {"health": {"idle_close_s": 5.0}})
    settings = load_settings(path, {}, {}).settings
    assert settings.adt.url == PLACE.adt_url
    assert settings.health.idle_close_s == 5.0
    assert settings.state.path == tmp_path / "state.db"
    assert path.stat().st_mode & 0o077 == 0


def test_text_in_settings_is_quoted_as_toml(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\ ü'
    folder.mkdir()
    path = Rehearsal(folder).write_settings(PLACE, "t", {})
    assert tomllib.loads(path.read_text())["state"]["path"] == str(folder / "state.db")


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="not empty"):
        make_folder(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/x"):
        make_folder(tmp_path / "file" / "x")


async def test_a_failing_command_is_named_with_its_exit_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rehearsal = Rehearsal(tmp_path)
    rehearsal.write_settings(PLACE, "t", {})
    with pytest.raises(SyncAgentError, match=r"`sync-agent nonsense` ended with exit code 1"):
        await rehearsal.command("nonsense", wait_s=30)
    assert "error:" in capfd.readouterr().err


async def test_a_persons_own_settings_do_not_reach_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "SYNC_AGENT__ADT__URL", "http://192.0.2.7")
    rehearsal = Rehearsal(tmp_path)
    rehearsal.write_settings(PLACE, "t", {})
    assert "192.0.2.7" not in await rehearsal.command("config", "show", wait_s=30)


async def test_an_agent_that_ends_by_itself_is_reported_with_its_last_words(
    tmp_path: Path,
) -> None:
    rehearsal = Rehearsal(tmp_path)
    rehearsal.write_settings(StubPlace("http://198.51.100.1", HUB_KEY), "t", {})
    async with rehearsal:
        await rehearsal.start_agent()
        with pytest.raises(SyncAgentError, match=r"ended unexpectedly: .*is not https"):
            await rehearsal.settled(1, wait_s=30)


def test_without_an_agent_there_is_no_state_and_no_row(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path)
    assert rehearsal.rows() == 0
    with pytest.raises(StoreError):
        rehearsal.state()
