"""What every command shares: the settings behind ``--config`` and ``--set``, and ``--output``.

The root callback puts a ``CommandContext`` on the typer context; a command asks ``settings(ctx)``
when it needs them, so a command that needs none never pays for reading them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from sync_agent.errors import InputError, SettingsError
from sync_agent.report.output import Output

if TYPE_CHECKING:
    from sync_agent.settings.settings import Loaded, Settings

Result = TypeVar("Result")

EXIT_TERMINATED = 143
"""As a shell has it for what SIGTERM ended."""

DEFAULT_CONFIG = Path("sync-agent.toml")
"""The settings file of the working folder, read when it is there and no other is named."""

OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="Print a table for people or JSON for programs.")
]
"""The ``--output`` of every command that prints data; its default is ``Output.TABLE``."""

SourceOption = Annotated[
    Path | None, typer.Option("--source", help="Folder of inventory files (inventory.source).")
]
MappingOption = Annotated[
    Path | None, typer.Option("--mapping", help="Mapping file (inventory.mapping).")
]


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The root's options: the settings file, and the flags as ``section.key`` -> text."""

    config: Path | None = None
    flags: Mapping[str, str] = field(default_factory=dict)


def loaded(ctx: typer.Context, overrides: Mapping[str, object | None] | None = None) -> Loaded:
    """Load settings and their origins; see ``settings``."""
    from sync_agent.settings.settings import load_settings

    root = ctx.find_object(CommandContext) or CommandContext()
    given = {k: str(v) for k, v in (overrides or {}).items() if v is not None}
    return load_settings(root.config, {**root.flags, **given}, os.environ)


def settings(ctx: typer.Context, overrides: Mapping[str, object | None] | None = None) -> Settings:
    """Load the settings.

    ``overrides`` are a command's own options by ``section.key``; None is one that was not given.

    Raises:
        SettingsError: they cannot be read or are wrong.
    """
    return loaded(ctx, overrides).settings


def config_file(config: Path | None) -> Path | None:
    """Return the settings file to read: the one named, else the working folder's, if any."""
    if config is None and DEFAULT_CONFIG.is_file():
        return DEFAULT_CONFIG
    return config


def parse_flags(texts: list[str]) -> dict[str, str]:
    """Return ``section.key=value`` texts as a mapping; the last of a key wins.

    Raises:
        SettingsError: a text has no ``=``.
    """
    flags = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(
                f"--set {key} has no value", remedy="Write it as --set section.key=value."
            )
        flags[key.strip()] = value
    return flags


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Do a command's work on an event loop of its own.

    The loop is uvloop's: the Azure SDKs take nearly a core at the service's patch limit, and a
    tenth of that goes with the standard library's loop.

    SIGTERM breaks it off as Ctrl-C does: what a run did is stored, and a lease given back. Another
    one changes nothing of that, since machines send two; a second Ctrl-C is somebody in a hurry.

    Raises:
        Exit: it was broken off by SIGTERM.
    """
    import asyncio

    import uvloop

    terminated = False

    async def breakable() -> Result:
        task = asyncio.current_task()

        def terminate() -> None:
            nonlocal terminated
            if task is not None and not terminated:
                task.cancel()
            terminated = True

        if threading.current_thread() is threading.main_thread():  # the only one with signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(breakable())
        except asyncio.CancelledError:
            if not terminated:
                raise
            raise typer.Exit(EXIT_TERMINATED) from None


def write_file(path: Path, data: bytes) -> None:
    """Write a file that was named on the command line.

    Raises:
        InputError: it cannot be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InputError(
            f"cannot be written: {error.strerror}", place=str(path), remedy="name another file"
        ) from error
