"""HTTP of the ADT data plane: requests taken apart, responses put together, all of it bounded.

Paths are split before they are unescaped, so an id may hold ``%2F``. A body is bounded while it is
read, and its JSON in depth. Each response carries the headers the service sends; those that its
gateway gives in front of the service do not.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import msgspec

from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import Refusal, bad_request
from sync_agent.stub.adt.exchange import Answer, Asked, Page, whole_number
from sync_agent.stub.adt.patch_body import PatchUnreadableError, malformed, operations_of
from sync_agent.stub.adt.random_ids import new_hex, new_uuid
from sync_agent.twins.twin import Document

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

BODY_BYTES_MAX = 32 * 1024
MODELS_BYTES_MAX = 64 * 1024 * 1024
SNAPSHOT_BYTES_MAX = 1024 * 1024 * 1024
PATH_BYTES_MAX = 8 * 1024
OPTIONS_MAX = 1_000
JSON_DEPTH_MAX = 64
PROXY = "/api/proxy"

JSON = (b"content-type", b"application/json; charset=utf-8")
_TRACE = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Request(msgspec.Struct, frozen=True):
    """A request taken apart.

    ``parts`` are the unescaped parts of the path, without the prefix of the proxy; ``path`` is as
    it was sent; ``base_url`` is where the client reached us; names of headers are lower case.
    """

    method: str
    parts: tuple[str, ...]
    options: Mapping[str, list[str]]
    headers: Mapping[bytes, bytes]
    body: bytes
    base_url: str
    path: str
    proxied: bool

    def option(self, name: str) -> str:
        """Return an option of the query string, "" when it is not given."""
        return next(iter(self.values(name)), "")

    def values(self, name: str) -> list[str]:
        """Return all values of an option; its name is taken in any case, as ASP.NET does."""
        given = self.options.get(name)
        if given is not None:
            return given
        return next((v for key, v in self.options.items() if key.lower() == name.lower()), [])

    def header(self, name: bytes) -> str | None:
        """Return a header, None when it is not given."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def asked(self) -> Asked:
        """Return what the request says besides its body."""
        return Asked(
            api_version=self.option("api-version"),
            if_match=self.header(b"if-match"),
            if_none_match=self.header(b"if-none-match"),
            page_size=whole_number(self.header(b"max-items-per-page") or ""),
            continuation=self.option("continuationToken"),
        )

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Refusal: there is none, it is not JSON, or it is too deep.
        """
        if not self.body:
            raise answers.no_body()
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise answers.payload_invalid() from error
        # What opens that often at most cannot nest deeper, which spares most bodies the walk.
        opened = self.body.count(b"{") + self.body.count(b"[")
        if opened > JSON_DEPTH_MAX and _is_deep(value):
            raise bad_request(f"The payload is nested deeper than {JSON_DEPTH_MAX}.")
        return value

    def patch(self, *, names_document: bool = False) -> list[Document]:
        """Return the body as the operations of a JSON Patch.

        Raises:
            Refusal: there is none.
            PatchUnreadableError: it is no JSON, too deep, or no array of operations.
        """
        try:
            value = self.json()
        except Refusal as refusal:
            if not self.body:
                raise
            raise malformed(names_document=names_document) from refusal
        return operations_of(value, self.body, names_document=names_document)


class Response(msgspec.Struct, frozen=True):
    """What goes back; ``is_gateway`` tells that the service itself never saw the request."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    is_gateway: bool = False


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Read a request to its end.

    Raises:
        Refusal: its path or body is too long, its path is no text, or it ended early.
    """
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    if len(raw_path) > PATH_BYTES_MAX:
        raise Refusal(414, "UriTooLong", f"The path is longer than {PATH_BYTES_MAX} bytes.")
    path = raw_path.decode("ascii", errors="replace").partition("?")[0]
    proxied = path.startswith(f"{PROXY}/")
    inner = path.removeprefix(PROXY) if proxied else path
    parts = _parts(inner)
    headers = dict(scope["headers"])
    body = await _read_body(receive, _body_bytes_max(parts))
    host = headers.get(b"host", b"localhost").decode("latin-1")
    return Request(
        scope["method"],
        parts,
        _options(scope["query_string"]),
        headers,
        body,
        f"{scope['scheme']}://{host}{PROXY if proxied else ''}",
        inner,
        proxied,
    )


async def send_response(scope: Scope, send: Send, response: Response) -> None:
    """Send a response with the headers every response has."""
    headers = [(b"content-length", str(len(response.body)).encode())]
    if not response.is_gateway:
        headers += [
            (b"strict-transport-security", b"max-age=2592000"),
            (b"traceresponse", _trace(scope)),
            (b"mise-correlation-id", new_uuid().encode()),
        ]
    headers += response.headers
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def json_response(status: int, body: Any, headers: Headers = ()) -> Response:
    """Return a response with a JSON body."""
    return Response(status, msgspec.json.encode(body), (JSON, *headers))


def answered(answer: Answer) -> Response:
    """Return what an operation answered."""
    headers: Headers = ((b"etag", answer.etag.encode()),) if answer.etag else ()
    if answer.body is None:
        return Response(answer.status, b"", headers)
    return json_response(answer.status, answer.body, headers)


def listed(request: Request, page: Page[Document], path: str, *, link_first: bool) -> Response:
    """Return a page of a list that stands at ``path``, with an absolute link to the next."""
    link = _next_link(request, path, page.following) if page.following else None
    if link_first:
        return json_response(200, {"nextLink": link, "value": page.items})
    return json_response(200, {"value": page.items, "nextLink": link})


def refused(refusal: Refusal) -> Response:
    """Return a refusal in the service's envelope."""
    # Recorded: the code is a header too, but not of an import job that is not there.
    is_named = refusal.code != "JobNotFound"
    headers: Headers = ((b"x-ms-error-code", refusal.code.encode()),) if is_named else ()
    return json_response(refusal.status, refusal.body(), headers)


def unauthorized() -> Response:
    """Return the gateway's answer to a request without the right token."""
    body = b'{"statusCode":401,"message":"Unauthorized"}'
    return Response(401, body, ((b"content-type", b"application/json"),), is_gateway=True)


def unreadable(fault: PatchUnreadableError) -> Response:
    """Return the web framework's answer to a patch that is no array of operations."""
    body = {
        "errors": fault.errors,
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "detail": None,
        "instance": None,
        "extensions": {"traceId": f"00-{new_hex(32)}-{new_hex(16)}-00"},
    }
    problem = (b"content-type", b"application/problem+json; charset=utf-8")
    return Response(400, msgspec.json.encode(body), (problem,))


def _parts(path: str) -> tuple[str, ...]:
    try:
        return tuple(unquote(part, errors="strict") for part in path.strip("/").split("/"))
    except UnicodeDecodeError:  # with something else in its place two ids could be one
        raise bad_request("The path is not UTF-8.") from None


def _body_bytes_max(parts: tuple[str, ...]) -> int:
    match [part.lower() for part in parts]:
        case ["models"]:
            return MODELS_BYTES_MAX
        case ["stub", "snapshot"]:
            return SNAPSHOT_BYTES_MAX
        case _:
            return BODY_BYTES_MAX


async def _read_body(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise bad_request("The request ended early.", "BadRequest")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise Refusal(
                413, "PayloadTooLarge", f"The request has more than {limit} bytes of body."
            )
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


@lru_cache(maxsize=256)
def _options(query: bytes) -> Mapping[str, list[str]]:
    try:
        return parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=OPTIONS_MAX)
    except ValueError:
        raise bad_request(f"The request has more than {OPTIONS_MAX} options.") from None


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(JSON_DEPTH_MAX):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _trace(scope: Scope) -> bytes:
    """Return the trace the client sent with a span of ours, or a new one."""
    given = next((value for name, value in scope["headers"] if name == b"traceparent"), b"")
    match = _TRACE.fullmatch(given)
    trace = match[1] if match else new_hex(32).encode()
    return b"00-%s-%s-01" % (trace, new_hex(16).encode())


def _next_link(request: Request, path: str, following: str) -> str:
    options = [
        (key, value)
        for key, values in request.options.items()
        for value in values
        if key.lower() not in ("continuationtoken", "api-version")
    ]
    options += [
        ("continuationToken", following),
        ("api-version", request.option("api-version")),
    ]
    text = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in options)
    return f"{request.base_url}{path}?{text}"
