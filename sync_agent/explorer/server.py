"""One origin for a browser: Explorer's files or its own server, and ``/api/proxy`` to the twins.

Explorer calls ``/api/proxy/*`` of the origin that serves it. Here those calls go on to the one
instance that was named, with the agent's token in place of the browser's, whatever ``x-adt-host``
says. Since that makes a request from this page a request of the agent's, it is answered only on
loopback, only under a name of loopback, and never to a page of another origin.

Bounds: ``BODY_BYTES_MAX`` a request, ``CONNECTIONS_MAX``, ``WAIT_S`` for an answer,
``REQUEST_WAIT_S`` for the whole of a request. Whatever fails is an answer in the service's form,
for Explorer stumbles over any other.
Source: azure-digital-twins-explorer, its development proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from sync_agent.errors import AddressInUseError, InputError, ServiceError
from sync_agent.explorer.pages import absent_page, connect_page
from sync_agent.hosts import host_of, is_loopback

BODY_BYTES_MAX = 64 * 1024 * 1024
CONNECTIONS_MAX = 64
WAIT_S = 120.0
REQUEST_WAIT_S = 30.0
PROXY = "/api/proxy/"
CONNECT = "/connect"
_OTHERS = frozenset(("graph", "rbac"))
_PASSED_ON = ("Content-Type", "Accept", "If-Match", "If-None-Match", "max-items-per-page")
_PASSED_BACK = ("Content-Type", "ETag", "Retry-After", "query-charge", "x-ms-error-code")

Token = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class ExplorerOptions:
    """What is served: a built Explorer in ``folder`` or one that runs at ``upstream``.

    ``instance`` is the address of the twins; ``port`` 0 takes a free one.
    """

    instance: str
    folder: Path | None = None
    upstream: str | None = None
    port: int = 0


class ExplorerServer:
    """Serves one browser's origin on loopback; use as an async context manager.

    Raises (on entering):
        InputError: there is no Explorer in the folder.
        AddressInUseError: the port is taken.
    """

    def __init__(self, options: ExplorerOptions, token: Token) -> None:
        """Prepare; ``token`` is asked before each request to the twins.

        It returns None for a request without one, and raises ServiceError when there is none.
        """
        self._options = options
        self._token = token
        self._folder = options.folder.resolve() if options.folder else None
        self._port = options.port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Return the origin's address; with port 0 it is known once started."""
        return f"http://localhost:{self._port}"

    async def __aenter__(self) -> ExplorerServer:
        if self._folder is not None and not (self._folder / "index.html").is_file():
            raise InputError(
                "holds no index.html",
                place=str(self._folder),
                remedy="name the folder `npm run build` of Explorer wrote",
            )
        timeout = aiohttp.ClientTimeout(total=WAIT_S)
        connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
        self._client = aiohttp.ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False
        )
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._guard])
        app.router.add_get(CONNECT, self._connect)
        app.router.add_route("*", f"{PROXY}{{path:.*}}", self._proxy)
        app.router.add_route("*", "/{path:.*}", self._page)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        try:
            await site.start()
        except OSError as error:
            await self.__aexit__()
            raise AddressInUseError(
                f"port {self._port} on 127.0.0.1 is taken",
                remedy="choose another --port (0 takes a free one)",
            ) from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self._client.close()

    # -- who may ask ----------------------------------------------------------------------------

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Refuse names that are not loopback's, and pages of other origins."""
        if not is_loopback(host_of(f"//{request.headers.get('Host', '')}")):
            return _refusal(403, "Forbidden", "This answers to localhost only.")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
            return _refusal(403, "Forbidden", "This does not answer pages of other sites.")
        if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            return _refusal(403, "Forbidden", "This does not answer pages of other sites.")
        return await handler(request)

    # -- what is answered -----------------------------------------------------------------------

    async def _connect(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text=connect_page(self._options.instance), content_type="text/html")

    async def _proxy(self, request: web.Request) -> web.StreamResponse:
        """Pass a call on to the twins."""
        path = request.raw_path.removeprefix(PROXY)
        if request.match_info["path"].partition("/")[0].lower() in _OTHERS:
            return _refusal(404, "NotFound", "Graph and RBAC are other services.")
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        try:
            async with asyncio.timeout(WAIT_S):
                token = await self._token()
        except ServiceError as error:
            # Never 403, on which Explorer asks to assign a role.
            return _refusal(401, "Unauthorized", f"{error.message}: {error.remedy}")
        except TimeoutError:
            return _refusal(502, "BadGateway", "The sign-in did not end in time.")
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self._options.instance.rstrip('/')}/{path}"
        return await self._passed_on(request, url, headers, "the twins")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        """Serve Explorer itself."""
        if self._folder is not None:
            if request.method not in ("GET", "HEAD"):
                return _refusal(405, "MethodNotAllowed", "Pages are only read.")
            return web.FileResponse(_file(self._folder, request.match_info["path"]))
        if self._options.upstream is None:
            page = absent_page("Neither a build nor an address was given.")
            return web.Response(status=404, text=page, content_type="text/html")
        url = f"{self._options.upstream.rstrip('/')}{request.raw_path}"
        accepted = {"Accept": request.headers.get("Accept", "*/*")}
        return await self._passed_on(request, url, accepted, "Explorer")

    async def _passed_on(
        self, request: web.Request, url: str, headers: dict[str, str], what: str
    ) -> web.StreamResponse:
        try:
            async with asyncio.timeout(REQUEST_WAIT_S):
                body = await request.read()
        except TimeoutError:
            return _refusal(408, "RequestTimeout", "The request did not arrive in time.")
        except web.HTTPRequestEntityTooLarge:
            limit = f"A request holds {BODY_BYTES_MAX} bytes at most."
            return _refusal(413, "RequestEntityTooLarge", limit)
        try:
            async with self._client.request(
                request.method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
                skip_auto_headers=("Content-Type", "User-Agent"),
            ) as answer:
                back = {n: answer.headers[n] for n in _PASSED_BACK if n in answer.headers}
                with suppress(KeyError):
                    back["Content-Encoding"] = answer.headers["Content-Encoding"]
                return web.Response(status=answer.status, body=await answer.read(), headers=back)
        except (aiohttp.ClientError, TimeoutError) as error:
            place = url.partition("?")[0]
            reason = f"{what} at {place} cannot be reached: {type(error).__name__}"
            return _refusal(502, "BadGateway", reason)


def _file(folder: Path, path: str) -> Path:
    """Return the file a path names inside the folder, else the page that knows all paths."""
    try:
        found = (folder / path).resolve()
        inside = found.is_relative_to(folder) and found.is_file()
    except (OSError, ValueError):  # a name no file can have: too long, or with a NUL
        inside = False
    return found if inside else folder / "index.html"


def _refusal(status: int, code: str, message: str) -> web.Response:
    """Return an error as the service would, which Explorer can show."""
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
