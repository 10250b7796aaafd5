"""A bounded HTTP client for inventory services: GET, JSON, one base address, one kind of sign-in.

Throttling, failures of the service and an unreachable one are tried again with growing waits, or
with the wait the service asks for, for ``retry_for_s`` at most. Redirects are not followed, because
the token would go where nobody sent it; plain http carries no token except to this machine. TLS
certificates are always checked.

Bounds: ``BODY_BYTES_MAX`` an answer, ``timeout_s`` a request, ``CONNECTIONS_MAX``.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from random import SystemRandom
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

from sync_agent.errors import (
    ConflictError,
    NotFoundError,
    ServiceError,
    SettingsError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)
from sync_agent.hosts import is_loopback
from sync_agent.ports.watch import Unwatched, Watch

BODY_BYTES_MAX = 64 * 1_048_576
CHUNK_BYTES = 65_536
CONNECTIONS_MAX = 8
WAIT_FIRST_S = 0.2
WAIT_MAX_S = 30.0
WAIT_ASKED_MAX_S = 3600.0
_TRIED_AGAIN = (UnreachableError, ThrottledError, UnavailableError)

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered: its status, headers by lower-case name, and the JSON of its body."""

    status: int
    headers: Headers
    body: Any


class HttpClient:
    """GET requests to one service. Use as an async context manager, or ``close`` it."""

    def __init__(
        self,
        url: str,
        authorize: Callable[[], Headers],
        *,
        timeout_s: float,
        retry_for_s: float,
        watch: Watch | None = None,
    ) -> None:
        """Prepare; ``authorize`` gives the sign-in headers and is asked for each request.

        The watch hears of every request.

        Raises:
            SettingsError: a token would go out unencrypted.
        """
        self.url = url.rstrip("/")
        self._authorize = authorize
        self._timeout_s = timeout_s
        self._retry_for_s = retry_for_s
        self._watch = watch or Unwatched()
        self._session: aiohttp.ClientSession | None = None
        self._chance = SystemRandom()
        parts = urlsplit(url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or "") and authorize():
            raise SettingsError(
                f"{self.url} is not https, and a token would go out unencrypted",
                remedy='use https, or auth = "none"',
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Release connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, parameters: Mapping[str, str | int] | None = None) -> Answer:
        """Return the answer to a GET, tried again while that makes sense.

        Raises:
            ServiceError: the service refuses, fails for too long, or answers no JSON.
        """
        until = time.monotonic() + self._retry_for_s
        wait_s = WAIT_FIRST_S
        while True:
            began_s = time.monotonic()
            try:
                answer = await self._once(path, parameters or {})
            except ServiceError as error:
                self._watch.ended(began_s, error)
                if not isinstance(error, _TRIED_AGAIN):
                    raise
                pause_s = wait_s * self._chance.uniform(0.5, 1.0)
                pause_s = max(pause_s, error.retry_after_s or 0)  # a wait of 0 s would be a storm
                if time.monotonic() + pause_s > until:
                    raise
                await asyncio.sleep(pause_s)
                wait_s = min(wait_s * 2, WAIT_MAX_S)
            else:
                self._watch.ended(began_s)
                return answer

    async def _once(self, path: str, parameters: Mapping[str, str | int]) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            )
        headers = {"Accept": "application/json", **self._authorize()}
        address = f"{self.url}/{path}"
        try:
            async with self._session.get(
                address, params=dict(parameters), headers=headers, allow_redirects=False
            ) as response:
                body = await _read(response, address)
                found = {name.lower(): value for name, value in response.headers.items()}
                status = response.status
        except TimeoutError:
            raise UnreachableError(
                f"{address} did not answer within {self._timeout_s:g} s",
                remedy="check the service, or raise timeout_s",
            ) from None
        except aiohttp.ClientPayloadError as error:
            raise UnreachableError(
                f"{address} broke off its answer: {_reason(error)}",
                remedy="try again; lower page_size if it happens often",
            ) from error
        except aiohttp.ClientError as error:
            raise UnreachableError(
                f"{self.url} cannot be reached: {_reason(error)}",
                remedy="check the address, the network and the certificate",
            ) from error
        if status not in (200, 206):
            raise _refusal(address, status, found)
        try:
            return Answer(status, found, msgspec.json.decode(body))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ServiceError(
                f"{address} answered no JSON: {error}",
                status=status,
                remedy="check that the address is that of the service's interface",
            ) from None


def plain_bearer(_: str) -> str:
    """Return the usual scheme of a token."""
    return "Bearer"


def bearer(
    token: Callable[[], str], scheme: Callable[[str], str] = plain_bearer
) -> Callable[[], Headers]:
    """Return sign-in headers with a token, asked for each time, under the scheme it goes by."""

    def headers() -> Headers:
        text = token()
        if not text.isprintable():
            raise SettingsError(
                "the token has a line break or another character that cannot be sent",
                remedy="keep nothing but the token in its file",
            )
        return {"Authorization": f"{scheme(text)} {text}"}

    return headers


def basic(user: str, password: Callable[[], str]) -> Callable[[], Headers]:
    """Return sign-in headers with user and password."""

    def headers() -> Headers:
        pair = f"{user}:{password()}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}

    return headers


def anonymous() -> Headers:
    """Return no sign-in headers."""
    return {}


async def _read(response: aiohttp.ClientResponse, address: str) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        chunks += chunk
        if len(chunks) > BODY_BYTES_MAX:
            raise ServiceError(
                f"{address} answered more than {BODY_BYTES_MAX:,} bytes",
                status=response.status,
                remedy="lower page_size",
            )
    return bytes(chunks)


def _refusal(address: str, status: int, headers: Headers) -> ServiceError:
    """Return the error an HTTP status stands for; the body is not repeated, it may hold secrets."""
    wait_s = _retry_after_s(headers.get("retry-after", ""))
    match status:
        case 401:
            return UnauthorizedError(
                f"{address} refuses our credentials (401)",
                status=status,
                remedy="check auth and the token",
            )
        case 403:
            return UnauthorizedError(
                f"{address} is not allowed to us (403)",
                status=status,
                remedy="check the token, and that its user has the right to view these objects",
            )
        case 404:
            return NotFoundError(
                f"{address} is not there (404)", status=status, remedy="check the address"
            )
        case 409:
            return ConflictError(f"{address} answered 409", status=status)
        case 429:
            return ThrottledError(
                f"{address} asks us to slow down (429)",
                status=status,
                retry_after_s=wait_s,
                remedy="read less often, or raise retry_for_s",
            )
        case _ if status >= 500:
            return UnavailableError(
                f"{address} failed ({status})",
                status=status,
                retry_after_s=wait_s,
                remedy="try again, and look into the log of the service",
            )
        case _ if 300 <= status < 400:
            return ServiceError(
                f"{address} is elsewhere ({status}), and redirects are not followed",
                status=status,
                remedy=f"set url to where it is: {_bare(headers.get('location', '?'))}",
            )
        case _:
            return ServiceError(
                f"{address} refused the request ({status})",
                status=status,
                remedy="check url, and look into the log of the service",
            )


def _retry_after_s(text: str) -> float | None:
    """Return the wait a service asks for, in seconds or until a date; None when it asks none."""
    if not text:
        return None
    if text.isdecimal():
        return min(float(text), WAIT_ASKED_MAX_S)
    try:
        return max(
            0.0, min(parsedate_to_datetime(text).timestamp() - time.time(), WAIT_ASKED_MAX_S)
        )
    except (ValueError, TypeError):
        return None


def _bare(location: str) -> str:
    """Return an address without what may be secret: user, password, query."""
    scheme, mark, rest = location.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _reason(error: Exception) -> str:
    """Return the first line of what a library says; the next ones are for its authors."""
    return str(error).partition("\n")[0] or type(error).__name__
