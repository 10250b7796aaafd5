"""``sync-agent explorer``: Azure Digital Twins Explorer in a browser on this machine."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli import context
from sync_agent.errors import SettingsError
from sync_agent.report.output import print_line

if TYPE_CHECKING:
    from sync_agent.settings.settings import Settings


def explorer(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="The folder of a built Explorer.")
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option("--upstream", help="The address of an Explorer that runs (npm start)."),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Address of the twins (adt.url).")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 0,
) -> None:
    """Serve Azure Digital Twins Explorer, connected to the twins the settings name.

    Give a build of it with --dir, or the address of one that runs with --upstream. Its calls to the
    twins carry the agent's own token, so it listens on loopback only.
    """
    if (folder is None) == (upstream is None):
        raise SettingsError(
            "one of --dir and --upstream is needed",
            remedy="build Explorer and name the folder, or start it and name its address",
        )
    if upstream is not None and not upstream.startswith(("http://", "https://")):
        raise SettingsError(
            f"--upstream {upstream} is no address", remedy="write http://localhost:3000"
        )
    settings = context.settings(ctx, {"adt.url": url})
    context.run(_serve(settings, folder, upstream, port))


async def _serve(settings: Settings, folder: Path | None, upstream: str | None, port: int) -> None:
    from sync_agent.agent.explorer import serving_explorer

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving_explorer(settings, folder=folder, upstream=upstream, port=port) as server:
        print_line(f"Explorer  {server.url}/connect")
        print_line(f"Twins     {settings.adt.url}")
        await stop.wait()
