"""``sync-agent stub``: a stand-in for Azure Digital Twins and Event Hubs on this machine."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli.context import OutputOption
from sync_agent.errors import SettingsError
from sync_agent.report.output import Output, print_line

if TYPE_CHECKING:
    from sync_agent.stub.amqp.broker import HubOptions
    from sync_agent.stub.server import StubOptions, StubServer

PARTITIONS_MAX = 32


def stub(
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Keep data in this folder; without it, in memory only."),
    ] = None,
    hub: Annotated[
        list[str] | None,
        typer.Option("--hub", metavar="NAME[:PARTITIONS]", help="Serve this hub; repeatable."),
    ] = None,
    adt_port: Annotated[
        int, typer.Option("--adt-port", min=0, max=65535, help="HTTP port; 0 takes a free one.")
    ] = 0,
    event_hub_port: Annotated[
        int,
        typer.Option("--event-hub-port", min=0, max=65535, help="AMQP port; 0 takes a free one."),
    ] = 0,
    listen: Annotated[
        str, typer.Option("--listen", help="Address to listen on; off loopback needs --token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="SYNC_AGENT_STUB_TOKEN",
            help="Demand this bearer token, and make it the Event Hubs key.",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Serve Azure Digital Twins over HTTP and Event Hubs over AMQP until stopped.

    Prints the addresses first; with --output json as one line of JSON.
    """
    from sync_agent.stub.amqp.broker import DEFAULT_KEY_NAME, LOOPBACK_KEYS
    from sync_agent.stub.server import StubOptions

    options = StubOptions(
        data_dir=data_dir,
        host=listen,
        adt_port=adt_port,
        event_hub_port=event_hub_port,
        hubs=tuple(_hub(text) for text in hub or ["telemetry"]),
        keys={DEFAULT_KEY_NAME: token} if token else LOOPBACK_KEYS,
        token=token or None,
    )
    asyncio.run(_serve(options, output))


async def _serve(options: StubOptions, output: Output) -> None:
    from sync_agent.stub.server import StubServer

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with StubServer(options) as server:
        _announce(server, options, output)
        await stop.wait()


def _announce(server: StubServer, options: StubOptions, output: Output) -> None:
    import json
    import sys

    addresses = {
        "adt_url": server.adt_url,
        "event_hub_connection_string": server.event_hub_connection_string,
        "hubs": [hub.name for hub in options.hubs],
        "data_dir": str(options.data_dir) if options.data_dir else None,
    }
    if output is Output.JSON:
        sys.stdout.write(json.dumps(addresses) + "\n")
    else:
        auth = "token" if options.token else "none"
        print_line(f"Azure Digital Twins  {server.adt_url}")
        print_line(f"Event Hubs           {server.event_hub_connection_string}")
        print_line(f"Hubs                 {', '.join(hub.name for hub in options.hubs)}")
        print_line(f"Data                 {options.data_dir or 'in memory only'}")
        print_line("")
        print_line("Point the agent at it:")
        print_line(f"  export SYNC_AGENT__ADT__URL={server.adt_url} SYNC_AGENT__ADT__AUTH={auth}")
        if options.token:
            print_line("  export SYNC_AGENT__ADT__TOKEN=...   # the token given to the stub")
        connection = f"'{server.event_hub_connection_string}'"
        print_line(f"  export SYNC_AGENT__EVENT_HUB__CONNECTION_STRING={connection}")
        print_line(f"  export SYNC_AGENT__EVENT_HUB__NAME={options.hubs[0].name}")
    sys.stdout.flush()


def _hub(text: str) -> HubOptions:
    from sync_agent.stub.amqp.broker import HubOptions

    name, _, partitions = text.partition(":")
    count = int(partitions) if partitions.isascii() and partitions.isdigit() else 0
    if not name or (partitions and not 1 <= count <= PARTITIONS_MAX):
        raise SettingsError(
            f"--hub {text} names no hub",
            remedy=f"write NAME or NAME:PARTITIONS, 1 to {PARTITIONS_MAX} partitions",
        )
    return HubOptions(name, count) if partitions else HubOptions(name)
