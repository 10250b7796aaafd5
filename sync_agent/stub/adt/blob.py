"""Blobs for import jobs: a text read line by line, a log that is appended to. Plain HTTP.

The stub uses none of Azure's SDKs. It opens blobs only on hosts it was told of - loopback unless
more are named - since whoever may start a job would otherwise choose what the stub connects to. A
shared access signature in the address is used as it is; without one, the account of the storage
emulator is signed for, whose key is public.

Source: Blob service REST (Get Blob, Put Blob, Append Block), "Authorize with Shared Key".
Bounds: ``LINE_BYTES_MAX`` a line, ``WAIT_S`` for an answer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.error
import urllib.request
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator, Mapping
from email.utils import formatdate
from http.client import HTTPException
from typing import Protocol
from urllib.parse import SplitResult, parse_qsl, urlsplit

from sync_agent.hosts import host_of, is_loopback

LINE_BYTES_MAX = 1_048_576
CHUNK_BYTES = 1_048_576
WAIT_S = 30.0
VERSION = "2021-12-02"
EMULATOR = "devstoreaccount1"
_EMULATOR_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


class BlobError(Exception):
    """A blob cannot be read or written; the message says why."""


def is_blob_uri(uri: object) -> bool:
    """Tell whether this is the address of a blob: http or https, a host, a container and a name."""
    if not isinstance(uri, str):
        return False
    try:
        parts = urlsplit(uri)
        named = bool(parts.hostname) and parts.port is not False
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and named and len(_path_parts(parts)) >= 2


def is_allowed(uri: str, hosts: Collection[str]) -> bool:
    """Tell whether the stub may connect to where a blob is."""
    host = host_of(uri)
    return host in hosts or is_loopback(host)


def read_lines(uri: str) -> Iterator[bytes]:
    """Yield the lines of a blob, without their ends; empty ones are left out.

    So is a byte order mark, which programs on Windows like to begin a text with.

    Raises:
        BlobError: it cannot be read, or a line is too long.
    """
    try:
        with _open("GET", uri, {}, b"") as answer:
            rest = answer.read(len(BOM_UTF8)).removeprefix(BOM_UTF8)
            while chunk := answer.read(CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.rstrip(b"\r") for line in lines if line.strip())
                if len(rest) > LINE_BYTES_MAX:
                    raise BlobError(f"a line is longer than {LINE_BYTES_MAX:,} bytes")
            if rest.strip():
                yield rest.rstrip(b"\r")
    except (OSError, HTTPException) as error:
        raise BlobError(f"the input blob cannot be read: {error}") from error


def create_log(uri: str) -> None:
    """Create an empty append blob, in place of what was there.

    Raises:
        BlobError: it cannot be written.
    """
    _put(uri, {"x-ms-blob-type": "AppendBlob"}, b"")


def append_log(uri: str, data: bytes) -> None:
    """Append to the log.

    Raises:
        BlobError: it cannot be written.
    """
    _put(f"{uri}{'&' if urlsplit(uri).query else '?'}comp=appendblock", {}, data)


def _put(uri: str, headers: Mapping[str, str], data: bytes) -> None:
    try:
        with _open("PUT", uri, headers, data):
            return
    except (OSError, HTTPException) as error:
        raise BlobError(f"the output blob cannot be written: {error}") from error


def _open(method: str, uri: str, headers: Mapping[str, str], data: bytes) -> _Answer:
    parts = urlsplit(uri)
    sent = {"x-ms-version": VERSION, "x-ms-date": formatdate(usegmt=True), **headers}
    if method == "PUT":
        sent["Content-Type"] = "application/octet-stream"
    if "sig" not in dict(parse_qsl(parts.query)):
        sent["Authorization"] = _signature(method, parts, sent, len(data))
    if method == "PUT":
        sent["Content-Length"] = str(len(data))
    request = urllib.request.Request(  # noqa: S310 - http or https, checked by is_blob_uri
        uri, data if method == "PUT" else None, sent, method=method
    )
    # No proxy and no redirect: what may be connected to was decided by this address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    answer: _Answer = opener.open(request, timeout=WAIT_S)
    return answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for an error."""

    def redirect_request(self, *_: object) -> None:
        """Follow nowhere."""
        return


class _Answer(Protocol):
    """What an opener returns, as far as it is used."""

    def __enter__(self) -> _Answer:
        """Use it as a context."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def read(self, size: int) -> bytes:
        """Return so many bytes, or what is left."""
        ...


def _signature(method: str, parts: SplitResult, headers: Mapping[str, str], size: int) -> str:
    """Return the Authorization header of the storage emulator's account."""
    canonical = "".join(
        f"{name.lower()}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-")
    )
    resource = f"/{EMULATOR}{parts.path}"
    resource += "".join(f"\n{name}:{value}" for name, value in sorted(parse_qsl(parts.query)))
    signed = [method, "", "", str(size or ""), "", headers.get("Content-Type", ""), *[""] * 6]
    text = "\n".join(signed) + "\n" + canonical + resource
    digest = hmac.new(base64.b64decode(_EMULATOR_KEY), text.encode(), hashlib.sha256).digest()
    return f"SharedKey {EMULATOR}:{base64.b64encode(digest).decode()}"


def _path_parts(parts: SplitResult) -> list[str]:
    return [part for part in parts.path.split("/") if part]
