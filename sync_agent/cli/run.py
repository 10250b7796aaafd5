"""``sync-agent run``: the agent, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli import context
from sync_agent.cli.context import settings as load_settings

if TYPE_CHECKING:
    from sync_agent.settings.settings import Settings


def run(
    ctx: typer.Context,
    adt_url: Annotated[
        str | None, typer.Option("--adt-url", help="Azure Digital Twins address (adt.url).")
    ] = None,
    state: Annotated[Path | None, typer.Option("--state", help="State file (state.path).")] = None,
) -> None:
    """Keep the twins true until stopped: inventory, telemetry, health and flags.

    SIGTERM or Ctrl-C drains: the batch under way is written, positions are stored, exit code 0.
    """
    overrides = {"adt.url": adt_url, "state.path": state}
    context.run(_run(load_settings(ctx, overrides)))


async def _run(settings: Settings) -> None:
    from sync_agent.agent import log
    from sync_agent.agent.compose import run_agent

    log.configure(settings.log.level, settings.log.format)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_agent(settings, stop)
