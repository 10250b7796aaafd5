"""``sync-agent stub save|load|faults|requests``: what a person does with a stub that runs."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any

import typer

from sync_agent.cli.context import OutputOption, write_file
from sync_agent.errors import InputError, ServiceError, UnreachableError
from sync_agent.report.output import Column, Output, print_fields, print_line, print_rows

WAIT_S = 600.0

UrlOption = Annotated[
    str,
    typer.Option(
        "--url", envvar="SYNC_AGENT__ADT__URL", help="The stub's address, as it printed it."
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="SYNC_AGENT_STUB_TOKEN", help="The token it demands, if any."),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option("--certificate", help="The certificate to trust, of a stub that speaks TLS."),
]

_OPERATIONS = (
    Column("operation", "OPERATION"),
    Column("requests", "REQUESTS"),
    Column("statuses", "STATUSES"),
)


def save(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    url: UrlOption,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """Keep all models, twins, relationships, routes and jobs of a running stub in one file."""
    data = _ask(url, token, certificate, "GET", "snapshot")
    write_file(file, data)
    print_line(f"{len(data):,} bytes in {file}")


def load(
    file: Annotated[Path, typer.Argument(help="A file that `stub save` wrote.")],
    url: UrlOption,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """Replace all that a running stub holds by what is in a file."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", place=str(file), remedy="name another file"
        ) from error
    _ask(url, token, certificate, "PUT", "snapshot", data)
    print_line(f"{url} holds what is in {file}")


def faults(
    url: UrlOption,
    profile: Annotated[
        Path | None, typer.Argument(help="A fault profile (TOML) to put in force.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Have nothing go wrong any more.")] = False,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """Show what shall go wrong in a running stub, or set it."""
    from sync_agent.stub.adt.faults import FaultProfile

    if profile is not None:
        made = FaultProfile.parse(read(profile, 1_048_576), place=str(profile))
        _ask(url, token, certificate, "PUT", "faults", json.dumps(made.document()).encode())
    elif clear:
        _ask(url, token, certificate, "DELETE", "faults")
    found = json.loads(_ask(url, token, certificate, "GET", "faults"))
    print_fields({**found["profile"], "hits": found["hits"]}, output=Output.JSON)


def requests(
    url: UrlOption,
    reset: Annotated[bool, typer.Option("--reset", help="Count from nothing again.")] = False,
    token: TokenOption = None,
    certificate: CertificateOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what a running stub was asked, and what the service would bill for it."""
    found: dict[str, Any] = json.loads(_ask(url, token, certificate, "GET", "requests"))
    if reset:
        _ask(url, token, certificate, "DELETE", "requests")
    if output is Output.JSON:
        print_fields(found, output=output)
        return
    rows = [
        {
            "operation": name,
            "requests": f"{counts['requests']:,}",
            "statuses": ", ".join(f"{n:,} x {status}" for status, n in counts["statuses"].items()),
        }
        for name, counts in found["operations"].items()
    ]
    print_rows(rows, _OPERATIONS, output=output)
    billed = found["billed"]
    print_line("")
    print_line(
        f"Billable: {billed['operations']:,} operations, {billed['queryUnits']:,} query units,"
        f" {billed['messages']:,} messages."
    )


def read(path: Path, bytes_max: int) -> str:
    """Return the text of a small file.

    Raises:
        InputError: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
        if len(data) > bytes_max:
            raise InputError(f"is larger than {bytes_max:,} bytes", place=str(path))
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot be read: {error}", place=str(path), remedy="name a text file"
        ) from error


def _ask(
    url: str,
    token: str | None,
    certificate: Path | None,
    method: str,
    name: str,
    body: bytes | None = None,
) -> bytes:
    """Send one request to ``/stub/name``.

    Raises:
        InputError: the certificate cannot be used.
        ServiceError: the stub does not answer, or refuses.
    """
    headers = {"Content-Type": "application/octet-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    address = f"{url.rstrip('/')}/stub/{name}"
    if not address.startswith(("http://", "https://")):
        raise InputError(f"{url} is no address of a stub", remedy="write http://127.0.0.1:PORT")
    request = urllib.request.Request(address, body, headers, method=method)  # noqa: S310 - checked
    try:
        trusted = ssl.create_default_context(cafile=str(certificate)) if certificate else None
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"cannot be used: {error}", place=str(certificate)) from error
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S, context=trusted) as answer:  # noqa: S310
            data: bytes = answer.read()
            return data
    except urllib.error.HTTPError as error:
        raise ServiceError(f"{url} refused: {_reason(error.read())}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise UnreachableError(
            f"{url} does not answer: {error}", remedy="start it with sync-agent stub"
        ) from error


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
