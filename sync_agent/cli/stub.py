"""``sync-agent stub``: a stand-in for Azure Digital Twins and Event Hubs on this machine."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_agent.cli import context, stub_control
from sync_agent.cli.context import OutputOption
from sync_agent.errors import InputError, SettingsError
from sync_agent.report.output import Output, print_line

if TYPE_CHECKING:
    from sync_agent.stub.adt.faults import FaultProfile
    from sync_agent.stub.amqp.broker import HubOptions
    from sync_agent.stub.certificate import Certificate
    from sync_agent.stub.server import InstanceOptions, StubOptions, StubServer

PARTITIONS_MAX = 32
PROFILE_BYTES_MAX = 1_048_576

stub = typer.Typer(
    invoke_without_command=True,
    help="Serve a stand-in for Azure Digital Twins and Event Hubs, or control one that runs.",
)
stub.command("save")(stub_control.save)
stub.command("load")(stub_control.load)
stub.command("faults")(stub_control.faults)
stub.command("requests")(stub_control.requests)


@stub.callback()
def serve(
    ctx: typer.Context,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Keep data in this folder; without it, in memory only."),
    ] = None,
    hub: Annotated[
        list[str] | None,
        typer.Option("--hub", metavar="NAME[:PARTITIONS]", help="Serve this hub; repeatable."),
    ] = None,
    instance: Annotated[
        list[str] | None,
        typer.Option(
            "--instance",
            metavar="NAME[:PORT]",
            help="Serve one more twin instance, on a port of its own; repeatable.",
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="NAME=HUB",
            help="An endpoint for event routes; each hub is one by its own name. Repeatable.",
        ),
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
    tls: Annotated[
        bool,
        typer.Option("--tls", help="Speak TLS, with a certificate made for this machine."),
    ] = False,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="Speak TLS with this one (PEM).")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", help="The certificate's private key (PEM).")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option("--faults", help="Have go wrong what this profile says.")
    ] = None,
    strict_limits: Annotated[
        bool, typer.Option("--strict-limits", help="Keep the limits the service publishes.")
    ] = False,
    blob_host: Annotated[
        list[str] | None,
        typer.Option(
            "--blob-host", help="Open blobs of import jobs there, not on loopback only. Repeatable."
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Serve Azure Digital Twins over HTTP and Event Hubs over AMQP until stopped.

    Prints the addresses first; with --output json as one line of JSON.
    """
    if ctx.invoked_subcommand is not None:
        return
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
        instances=tuple(_instance(text) for text in instance or ()),
        endpoints=dict(_endpoint(text) for text in endpoint or ()),
        blob_hosts=tuple(blob_host or ()),
        faults=_profile(faults, strict=strict_limits),
        tls=_certificate(data_dir, tls_certificate, tls_key, wanted=tls),
    )
    context.run(_serve(options, output))


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

    instances = {name: url for name, url in server.instance_urls.items() if name}
    addresses = {
        "adt_url": server.adt_url,
        "instances": instances,
        "event_hub_connection_string": server.event_hub_connection_string,
        "hubs": [hub.name for hub in options.hubs],
        "data_dir": str(options.data_dir) if options.data_dir else None,
        "certificate": str(options.tls.certificate) if options.tls else None,
    }
    if output is Output.JSON:
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        return
    auth = "token" if options.token else "none"
    print_line(f"Azure Digital Twins  {server.adt_url}")
    for name, url in instances.items():
        print_line(f"  instance {name:<10} {url}")
    print_line(f"Event Hubs           {server.event_hub_connection_string}")
    print_line(f"Hubs                 {', '.join(hub.name for hub in options.hubs)}")
    print_line(f"Data                 {options.data_dir or 'in memory only'}")
    if options.tls:
        print_line(f"Certificate          {options.tls.certificate}")
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


def _instance(text: str) -> InstanceOptions:
    from sync_agent.stub.server import InstanceOptions

    name, _, port = text.partition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    if port and not 0 < number < 65_536:
        raise SettingsError(f"--instance {text} has no port", remedy="write NAME or NAME:PORT")
    return InstanceOptions(name, number)


def _endpoint(text: str) -> tuple[str, str]:
    name, _, hub = text.partition("=")
    if not name or not hub:
        raise SettingsError(f"--endpoint {text} names no hub", remedy="write NAME=HUB")
    return name, hub


def _profile(path: Path | None, *, strict: bool) -> FaultProfile:
    from msgspec.structs import replace

    from sync_agent.stub.adt.faults import FaultProfile

    profile = FaultProfile()
    if path is not None:
        profile = FaultProfile.parse(stub_control.read(path, PROFILE_BYTES_MAX), place=str(path))
    if strict and (profile.limits or profile.capacity):
        raise InputError(
            "has limits of its own, and --strict-limits is given",
            place=str(path),
            remedy="keep one of them",
        )
    return replace(profile, strict_limits=strict or profile.strict_limits)


def _certificate(
    data_dir: Path | None, certificate: Path | None, key: Path | None, *, wanted: bool
) -> Certificate | None:
    from sync_agent.stub.certificate import Certificate, made_in

    if (certificate is None) != (key is None):
        raise SettingsError(
            "--tls-certificate and --tls-key go together", remedy="give both, or --tls alone"
        )
    if certificate is not None and key is not None:
        return Certificate(certificate, key)
    if not wanted:
        return None
    if data_dir is None:
        raise SettingsError(
            "--tls keeps its certificate beside the data, and there is no folder",
            remedy="give --data-dir, or a certificate of your own",
        )
    return made_in(data_dir)
