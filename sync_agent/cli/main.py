"""The ``sync-agent`` command: the table of commands, and the one place where errors end.

A command is imported when it is called, not before, so that ``--help`` and shell completion answer
quickly: the table below holds each command's summary, and its module has the command's name.
Errors people can act on become ``error:`` and ``remedy:`` on standard error and an exit code;
anything else is a defect of ours, and its traceback goes to a file.

Exit codes: 0 done, 1 error (of usage too), 2 changes are pending, 130 interrupted, 141 whoever read
our output went away.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group_from_info
from typer.models import TyperInfo

from sync_agent import __version__
from sync_agent.cli.context import CommandContext, config_file, parse_flags
from sync_agent.errors import EXIT_ERROR, EXIT_OK, SyncAgentError
from sync_agent.report.output import printable

EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141

COMMANDS = {
    "demo": "Show the main job on this machine, with a sample network.",
    "stub": "Serve a stand-in for Azure Digital Twins and Event Hubs.",
    "models": "Validate, deploy and migrate DTDL models.",
    "sources": "Check that the inventory's sources answer.",
    "plan": "Show what the inventory would change, and keep it.",
    "apply": "Make exactly the changes of a plan that was kept.",
    "sync": "Bring the twins in line with the inventory.",
    "drift": "Show what was changed behind the agent's back.",
    "undo": "Take back what a run changed.",
    "runs": "List the runs that changed twins.",
    "run": "Run the agent until it is stopped.",
    "replay": "Send a recorded time series to an event hub.",
    "degraded": "List what is degraded, since when and why.",
    "show": "Show one element, its health and its relationships.",
    "query": "Run an Azure Digital Twins query.",
    "explorer": "Browse the twins in Azure Digital Twins Explorer.",
    "config": "Write a settings file, or show the settings in force.",
}
"""Each command and its summary, in the order of use; at most 60 characters, so it fits a line."""


class CommandTable(TyperGroup):
    """The root group: knows the commands by name and summary, loads the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        """Fill the group from ``COMMANDS``."""
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=text) for name, text in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the called command's name, the command itself, and its arguments."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name in COMMANDS else found, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; end quietly when whoever read its output went away (``| head``)."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            if not _output_is_gone():
                raise
            _drop_output()
            raise typer.Exit(EXIT_PIPE_CLOSED) from None
        return result


def load_command(name: str) -> Any:
    """Import the command of that name."""
    made = getattr(import_module(f"sync_agent.cli.{name}"), name)
    app = made if isinstance(made, typer.Typer) else typer.Typer()
    if made is not app:
        app.command(name)(made)
    group = get_group_from_info(
        TyperInfo(app), pretty_exceptions_short=True, suggest_commands=True, rich_markup_mode=None
    )
    command = group if made is app else group.commands[name]
    command.name = name
    return command


def root(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="SYNC_AGENT_CONFIG",
            help="Settings file; without it ./sync-agent.toml is read if it is there.",
        ),
    ] = None,
    flags: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.KEY=VALUE", help="Set one setting; may be repeated."
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Keep a telecom network's digital twins true in Azure Digital Twins."""
    if version:
        typer.echo(f"sync-agent {__version__}")
        raise typer.Exit(EXIT_OK)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(EXIT_OK)
    ctx.obj = CommandContext(config_file(config), parse_flags(flags or []))


def build() -> TyperGroup:
    """Return the root command."""
    app = typer.Typer(cls=CommandTable, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback(
        invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
    )(root)
    command = get_command(app)
    if not isinstance(command, TyperGroup):
        raise TypeError("the root command is a group")
    return command


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; no exception leaves it."""
    try:
        code = build().main(list(arguments), prog_name="sync-agent", standalone_mode=False)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except typer.TyperException as error:
        return _report_usage(error)
    except typer.Abort:
        return _report("aborted", "")
    except Exception as error:  # noqa: BLE001 - the outermost frame: a defect ends here too
        known = list(_known_errors(error))
        return _report_known(known) if known else _report_defect(error)
    return code if isinstance(code, int) else EXIT_OK


def _known_errors(error: BaseException) -> Iterator[SyncAgentError]:
    """Yield the errors people can act on that ``error`` consists of; none if it holds a defect."""
    if isinstance(error, SyncAgentError):
        yield error
    elif isinstance(error, BaseExceptionGroup):
        parts = [list(_known_errors(part)) for part in error.exceptions]
        if all(parts):
            yield from (known for part in parts for known in part)


def _report_known(errors: Sequence[SyncAgentError]) -> int:
    """Print each different error once; the first one decides the exit code."""
    for message, remedy in dict.fromkeys((error.message, error.remedy) for error in errors):
        _report(message, remedy)
    return errors[0].exit_code


def _report_usage(error: typer.TyperException) -> int:
    """Print what is wrong with the command line; 2 is taken, so the exit code is 1."""
    message = error.format_message()
    if not message:
        return EXIT_ERROR
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else "sync-agent"
    return _report(message, f"See: {path} --help")


def _report_defect(error: BaseException) -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="sync-agent-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
    return _report(
        f"sync-agent has a defect: {type(error).__name__}",
        f"Please report it with the traceback in {file.name}.",
    )


def _report(message: str, remedy: str) -> int:
    lines = [f"error: {message}"] + ([f"remedy: {remedy}"] if remedy else [])
    for line in lines:
        sys.stderr.write(printable(line) + "\n")
    return EXIT_ERROR


def _output_is_gone() -> bool:
    """Tell whether the pipe that broke was standard output, and not some connection."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return True
    return False


def _drop_output() -> None:
    """Send what is left of standard output nowhere, so that closing it at exit raises nothing."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
