from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from sync_agent.cli import main
from sync_agent.cli.context import settings
from sync_agent.errors import GuardError, SettingsError, SyncAgentError, UnreachableError


def given(monkeypatch: pytest.MonkeyPatch, command: object) -> None:
    """Let ``sync-agent query`` be this command."""
    monkeypatch.setattr(main, "import_module", lambda _: SimpleNamespace(query=command))


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 0

    assert "Usage: sync-agent" in capsys.readouterr().out


def test_help_lists_every_command_with_its_whole_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.run(["--help"]) == 0

    said = capsys.readouterr().out
    for name, summary in main.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", said, re.MULTILINE)


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_in_the_table_is_there_and_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([name, "--help"]) == 0

    said = capsys.readouterr().out
    assert f"Usage: sync-agent {name}" in said
    assert main.load_command(name).help


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0

    assert re.fullmatch(r"sync-agent \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["degrade"], "No such command 'degrade'. Did you mean 'degraded'?"),
        (["--nothing"], "No such option: --nothing"),
        (["config", "show", "--nothing"], "No such option: --nothing"),
        (["config", "show", "--output", "xml"], "xml"),
        (["config", "nothing"], "No such command 'nothing'"),
        (["config"], "Missing command"),
        (["--set", "adt.url", "config", "show"], "--set adt.url has no value"),
    ],
)
def test_a_usage_error_is_one_message_and_exit_code_1_since_2_means_changes_pending(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert said in printed.err
    assert "remedy: " in printed.err


def test_an_error_people_can_act_on_is_its_message_and_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def query() -> None:
        raise UnreachableError("adt.example.test does not answer", remedy="Check the network.")

    given(monkeypatch, query)

    assert main.run(["query"]) == 1
    assert (
        capsys.readouterr().err
        == "error: adt.example.test does not answer\nremedy: Check the network.\n"
    )


def test_errors_of_several_tasks_are_each_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def query() -> None:
        again = [GuardError("too many deletes"), GuardError("too many deletes")]
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", again), SettingsError("no url")])

    given(monkeypatch, query)

    assert main.run(["query"]) == 1
    assert capsys.readouterr().err == "error: too many deletes\nerror: no url\n"


@pytest.mark.parametrize(
    "defect",
    [ValueError("inner"), ExceptionGroup("tasks", [SyncAgentError("known"), KeyError("inner")])],
)
def test_a_defect_is_one_short_message_and_its_traceback_is_in_a_file(
    defect: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def query() -> None:
        raise defect

    given(monkeypatch, query)

    assert main.run(["query"]) == 1
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    file = Path(re.search(r"traceback in (\S+\.txt)\.", printed)[1])  # type: ignore[index]
    assert "inner" in file.read_text()
    file.unlink()


def test_an_error_cannot_send_escapes_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def query() -> None:
        raise SyncAgentError("twin a\x1b]0;owned\x07b")

    given(monkeypatch, query)

    assert main.run(["query"]) == 1
    assert capsys.readouterr().err == "error: twin a\\x1b]0;owned\\x07b\n"


@pytest.mark.parametrize(
    ("stop", "code"), [(KeyboardInterrupt(), 130), (typer.Abort(), 1), (typer.Exit(2), 2)]
)
def test_a_command_that_is_stopped_or_exits_gives_its_code(
    stop: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def query() -> None:
        raise stop

    given(monkeypatch, query)

    assert main.run(["query"]) == code


def test_a_command_gets_the_settings_of_the_roots_options_under_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def query(ctx: typer.Context) -> None:
        found = settings(ctx, {"adt.url": "http://127.0.0.1:3", "event_hub.name": None})
        typer.echo(f"{found.adt.url} {found.event_hub.name} {found.log.level}")

    given(monkeypatch, query)
    file = tmp_path / "a.toml"
    file.write_text('[adt]\nurl = "http://127.0.0.1:1"\n[log]\nlevel = "error"\n')
    flags = ["--set", "adt.url=http://127.0.0.1:2", "--set", "event_hub.name=a=b"]

    assert main.run(["--config", str(file), *flags, "query"]) == 0
    assert capsys.readouterr().out == "http://127.0.0.1:3 a=b error\n"


def test_the_settings_file_of_the_working_folder_is_read_when_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def query(ctx: typer.Context) -> None:
        typer.echo(settings(ctx).log.level)

    given(monkeypatch, query)
    monkeypatch.chdir(tmp_path)
    assert main.run(["query"]) == 0
    (tmp_path / "sync-agent.toml").write_text('[log]\nlevel = "debug"\n')
    assert main.run(["query"]) == 0

    assert capsys.readouterr().out == "info\ndebug\n"


def test_help_imports_neither_pydantic_nor_a_client_and_is_quick() -> None:
    code = (
        "import sys; from sync_agent.cli.main import run; run(['--help']);"
        "bad = {'pydantic', 'azure', 'aiohttp', 'asyncio', 'rich'} & set(sys.modules);"
        "sys.exit(f'imported: {bad}' if bad else 0)"
    )
    started = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("rows", [3, 300_000])
def test_output_to_a_reader_that_went_away_is_no_error_message(rows: int, tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text(
        "import sys, time, types\n"
        "from sync_agent.cli import main\n"
        "from sync_agent.report.output import Column, Output, print_rows\n"
        "def query() -> None:\n"
        "    time.sleep(0.2)\n"
        f"    print_rows([{{'id': 'x'}}] * {rows}, [Column('id', 'Id')], output=Output.JSON)\n"
        "main.import_module = lambda _: types.SimpleNamespace(query=query)\n"
        "sys.exit(main.run(['query']))\n"
    )
    program = f"{sys.executable} long.py | true"
    done = subprocess.run(
        ["bash", "-c", f"{program}; exit ${{PIPESTATUS[0]}}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )

    assert done.stderr == ""
    assert done.returncode == main.EXIT_PIPE_CLOSED


def test_a_connection_that_breaks_is_not_taken_for_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def query() -> None:
        raise BrokenPipeError

    given(monkeypatch, query)

    assert main.run(["query"]) == 1
    assert "BrokenPipeError" in capsys.readouterr().err
