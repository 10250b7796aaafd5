"""A container of Azure Storage, or of Azurite on this machine, through azure-storage-blob.

A blob is uploaded in blocks of ``BLOCK_BYTES``, ``BLOCKS_AT_ONCE`` under way, so memory does not
grow with it. The address of the container may be seen, what signs in may not: it is in no address
that is given away and in no message. Plain http is allowed to loopback addresses only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, Self
from urllib.parse import quote, urlsplit

import msgspec
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from sync_agent.azure.identity import credential_for
from sync_agent.azure.service_errors import translated
from sync_agent.errors import NotFoundError, ServiceError, SettingsError, UnauthorizedError
from sync_agent.hosts import is_loopback

BLOCK_BYTES = 1024 * 1024
"""A larger body than this would hold the event loop up; a blob has at most 50,000 blocks."""
BLOCKS_AT_ONCE = 4
PIECE_BYTES = 256 * 1024
TRIES = 4
CONNECT_MAX_S = 10.0

StorageCredential = AsyncTokenCredential | AzureSasCredential | AzureNamedKeyCredential


class AzureBlobContainer:
    """One container (port ``BlobContainer``). Use as an async context manager."""

    def __init__(self, url: str, credential: StorageCredential) -> None:
        """Prepare; nothing is sent before the first use.

        Raises:
            SettingsError: the address is plain http and not of this machine.
        """
        parts = urlsplit(url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise SettingsError(
                f"import_job.container {url} is not https",
                remedy="use https; plain http is for Azurite on this machine only",
            )
        self._url = url
        self._host = parts.netloc
        self._credential = credential
        self._client = ContainerClient.from_container_url(
            url,
            credential=credential,
            max_block_size=BLOCK_BYTES,
            max_single_put_size=BLOCK_BYTES,
            retry_total=TRIES - 1,
            initial_backoff=1,
            increment_base=2,
            connection_timeout=CONNECT_MAX_S,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        close = getattr(self._credential, "close", None)
        if close is not None:
            with suppress(Exception):
                await close()

    def address(self, name: str) -> str:
        """Return the address of a blob, without anything secret."""
        return f"{self._url}/{quote(name, safe='')}"

    async def upload(self, name: str, lines: Iterator[bytes]) -> None:
        """Write a blob piece by piece, in place of what was there."""
        try:
            await self._client.upload_blob(
                name, _pieces(lines), overwrite=True, max_concurrency=BLOCKS_AT_ONCE
            )
        except (AzureError, OSError) as error:
            raise self._translated(error) from error

    async def lines(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the JSON objects of a blob, line by line; nothing when there is no such blob."""
        try:
            answer = await self._client.download_blob(name)
            rest = b""
            async for chunk in answer.chunks():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    if (entry := _object(line)) is not None:
                        yield entry
            if (entry := _object(rest)) is not None:
                yield entry
        except ResourceNotFoundError:
            return
        except (AzureError, OSError) as error:
            raise self._translated(error) from error

    async def remove(self, name: str) -> None:
        """Delete a blob; it is no error when there is none."""
        try:
            await self._client.delete_blob(name)
        except ResourceNotFoundError:
            return
        except (AzureError, OSError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> ServiceError:
        status = getattr(error, "status_code", None) or 0
        found_code = getattr(error, "error_code", None) or ""
        code = str(getattr(found_code, "value", found_code))
        if status in (401, 403):
            return UnauthorizedError(
                f"the container {self._url} refuses the credentials ({code or status})",
                status=status,
                code=code,
                remedy="give the identity the role Storage Blob Data Contributor there, or check"
                " import_job.auth and import_job.secret",
            )
        if status == 404:
            return NotFoundError(
                f"there is no container {self._url}",
                status=status,
                code=code,
                remedy="create it, or set import_job.container",
            )
        if isinstance(error, HttpResponseError) and status:
            # The service's own text repeats what was signed; its code is enough.
            return ServiceError(
                f"{self._host} answered {status} {code} to a request for {self._url}",
                status=status,
                code=code,
            )
        found = translated(error, self._host)
        found.remedy = "check import_job.container and the network"
        return found


def storage_credential(auth: str, url: str, secret: str) -> StorageCredential:
    """Return the credential of a setting ``auth``: default, managed-identity, sas or key."""
    match auth:
        case "sas":
            return AzureSasCredential(secret.removeprefix("?"))
        case "key":
            return AzureNamedKeyCredential(_account(url), secret)
        case _:
            return credential_for(auth)


def _account(url: str) -> str:
    """Return the account's name: the host's first word, or on a host without names the path's."""
    parts = urlsplit(url)
    first, _, path = parts.path.strip("/").partition("/")
    return first if path else (parts.hostname or "").partition(".")[0]


async def _pieces(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield lines in pieces, and let others have their turn between."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size >= PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
            await asyncio.sleep(0)
    yield b"".join(piece)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        entry = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return entry if isinstance(entry, dict) else None
