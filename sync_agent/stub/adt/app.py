"""The ADT data plane over HTTP: a small ASGI application that routes to an ``Instance``.

Paths are split before they are unescaped, so an id may hold ``%2F``; their fixed parts match in any
case. Bodies are bounded while they are read. Each answer carries the headers the service sends. For
Azure Digital Twins Explorer the whole plane also stands under ``/api/proxy``, where no token is
asked for; there are no CORS headers, so no other web page can reach it.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import msgspec

from sync_agent.errors import StoreError
from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import PatchUnreadable, Refusal, bad_request
from sync_agent.stub.adt.instance import Answer, Asked, Instance
from sync_agent.stub.adt.queries import run_query

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

API_VERSIONS = ("2020-10-31", "2021-06-30-preview", "2022-05-31", "2023-06-30", "2023-10-31")
BODY_BYTES_MAX = 32 * 1024
MODELS_BYTES_MAX = 64 * 1024 * 1024
PATH_BYTES_MAX = 8 * 1024
PROXY = "/api/proxy"

_log = logging.getLogger("sync_agent.stub")


@dataclass(frozen=True, slots=True)
class Request:
    """A request taken apart: unescaped path parts, query options, headers, body."""

    method: str
    parts: tuple[str, ...]
    options: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    path: str

    def option(self, name: str) -> str:
        """Return an option of the query string, "" when it is not given."""
        return self.options.get(name, [""])[0]

    @property
    def asked(self) -> Asked:
        """Return what the request says besides its body."""
        size = self.headers.get("max-items-per-page", "")
        return Asked(
            api_version=self.option("api-version"),
            if_match=self.headers.get("if-match"),
            if_none_match=self.headers.get("if-none-match"),
            page_size=int(size) if size.isascii() and size.isdigit() and int(size[:9]) else None,
            continuation=self.option("continuationToken"),
        )

    def json(self) -> Any:
        """Return the body as JSON."""
        if not self.body:
            raise answers.no_body()
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise bad_request("Payload is invalid.") from error


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class AdtApp:
    """The ASGI application of one instance."""

    def __init__(self, instance: Instance, *, token: str | None = None) -> None:
        """Serve ``instance``; with a ``token`` each request must carry it as a bearer token."""
        self._instance = instance
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            response = self._answer(await _read(scope, receive))
        except Refusal as refusal:
            response = _refused(refusal)
        await _send(send, response, _trace(scope))

    def _answer(self, request: Request) -> Response:
        try:
            return self._route(request)
        except Refusal as refusal:
            return _refused(refusal)
        except PatchUnreadable as unreadable:
            return _unreadable(unreadable)
        except StoreError as error:
            _log.error("%s", error.message)
            return _refused(Refusal(503, "ServiceUnavailable", "The store cannot be written."))

    def _route(self, request: Request) -> Response:
        proxied = request.path.startswith(PROXY + "/")
        parts = request.parts[2:] if proxied else request.parts
        if not proxied and not self._allowed(request):
            body = b'{"statusCode":401,"message":"Unauthorized"}'
            return Response(401, body, (("content-type", "application/json"),))
        if request.option("api-version") not in API_VERSIONS:
            raise bad_request(
                f"The api-version must be one of {', '.join(API_VERSIONS)}.", "InvalidArgument"
            )
        head = parts[0].lower() if parts else ""
        match (request.method, head, *parts[1:]):
            case ("POST", "query"):
                return self._query(request)
            case (_, "models", *rest):
                return self._models(request, rest)
            case (_, "digitaltwins", twin_id, *rest) if twin_id:
                return self._twins(request, twin_id, rest)
            case (_, "eventroutes" | "jobs", *_):
                raise answers.not_built(f"{request.method} /{head}")
            case _:
                raise Refusal(404, "NotFound", f"There is no resource at {request.path}.")

    def _allowed(self, request: Request) -> bool:
        if self._token is None:
            return True
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode())

    def _query(self, request: Request) -> Response:
        found = run_query(self._instance.db, request.json(), request.asked)
        body = {"value": found.rows, "continuationToken": found.continuation}
        return _json(200, body, (("query-charge", repr(found.charge)),))

    def _models(self, request: Request, rest: list[str]) -> Response:
        instance, asked = self._instance, request.asked
        whole = request.option("includeModelDefinition").lower() == "true"
        match (request.method, *rest):
            case ("POST",):
                return _answer(instance.create_models(request.json()))
            case ("GET",):
                wanted = [m for m in request.options.get("dependenciesFor", []) if m]
                page, following = instance.list_models(asked, dependencies_for=wanted, whole=whole)
                return _listing(request, page, following, "Models")
            case ("GET", model_id):
                return _answer(instance.get_model(model_id, whole=whole))
            case ("PATCH", model_id):
                return _answer(instance.decommission_model(model_id, request.json()))
            case ("DELETE", model_id):
                return _answer(instance.delete_model(model_id))
            case _:
                raise _no_method(request)

    def _twins(self, request: Request, twin_id: str, rest: list[str]) -> Response:
        instance, asked = self._instance, request.asked
        named = [part.lower() if place != 1 else part for place, part in enumerate(rest)]
        match (request.method, *named):
            case ("GET",):
                return _answer(instance.get_twin(twin_id, asked))
            case ("PUT",):
                return _answer(instance.put_twin(twin_id, request.json(), asked))
            case ("PATCH",):
                return _answer(instance.patch_twin(twin_id, request.json(), asked))
            case ("DELETE",):
                return _answer(instance.delete_twin(twin_id, asked))
            case ("POST", "telemetry"):
                return self._telemetry(request, twin_id, None)
            case ("POST", "components", component, "telemetry"):
                return self._telemetry(request, twin_id, component)
            case ("GET", "components", component):
                return _answer(instance.get_component(twin_id, component, asked))
            case ("PATCH", "components", component):
                body = request.json()
                return _answer(instance.patch_component(twin_id, component, body, asked))
            case ("GET", "relationships"):
                name = request.option("relationshipName")
                page, following = instance.list_relationships(twin_id, name, asked)
                return _listing(request, page, following, "", link_first=True)
            case ("GET", "incomingrelationships"):
                page, following = instance.list_incoming(twin_id, asked)
                return _listing(request, page, following, "", link_first=True)
            case (_, "relationships", relationship_id):
                return self._relationship(request, twin_id, relationship_id)
            case _:
                raise _no_method(request)

    def _relationship(self, request: Request, twin_id: str, relationship_id: str) -> Response:
        instance, asked = self._instance, request.asked
        match request.method:
            case "GET":
                return _answer(instance.get_relationship(twin_id, relationship_id))
            case "PUT":
                body = request.json()
                return _answer(instance.put_relationship(twin_id, relationship_id, body, asked))
            case "PATCH":
                body = request.json()
                return _answer(instance.patch_relationship(twin_id, relationship_id, body, asked))
            case "DELETE":
                return _answer(instance.delete_relationship(twin_id, relationship_id, asked))
            case _:
                raise _no_method(request)

    def _telemetry(self, request: Request, twin_id: str, component: str | None) -> Response:
        message_id = request.headers.get("message-id")
        body = request.json()
        return _answer(self._instance.send_telemetry(twin_id, component, body, message_id))


async def _read(scope: Scope, receive: Receive) -> Request:
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    if len(raw_path) > PATH_BYTES_MAX:
        raise Refusal(414, "UriTooLong", f"The path is longer than {PATH_BYTES_MAX} bytes.")
    path = raw_path.decode("ascii", errors="replace").partition("?")[0]
    parts = tuple(unquote(part, errors="replace") for part in path.strip("/").split("/"))
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    is_upload = scope["method"] == "POST" and parts[-1:] and parts[-1].lower() == "models"
    limit = MODELS_BYTES_MAX if is_upload else BODY_BYTES_MAX
    body = await _read_body(receive, limit)
    host = headers.get("host", "localhost")
    prefix = PROXY if path.startswith(PROXY + "/") else ""
    return Request(
        scope["method"],
        parts,
        parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True),
        headers,
        body,
        f"{scope['scheme']}://{host}{prefix}",
        path,
    )


async def _read_body(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "BadRequest", "The request ended early.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise Refusal(
                413, "PayloadTooLarge", f"The request has more than {limit} bytes of body."
            )
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _send(send: Send, response: Response, trace: str) -> None:
    headers = [
        (b"content-length", str(len(response.body)).encode()),
        (b"strict-transport-security", b"max-age=2592000"),
        (b"traceresponse", trace.encode()),
        (b"mise-correlation-id", str(uuid.uuid4()).encode()),
    ]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _trace(scope: Scope) -> str:
    """Return the trace the client sent with a span of ours, or a new one."""
    given = next((v for n, v in scope["headers"] if n == b"traceparent"), b"").decode("latin-1")
    fields = given.split("-")
    trace = fields[1] if len(fields) == 4 and len(fields[1]) == 32 else secrets.token_hex(16)
    return f"00-{trace}-{secrets.token_hex(8)}-01"


def _json(status: int, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    content = (("content-type", "application/json; charset=utf-8"), *headers)
    return Response(status, msgspec.json.encode(body), content)


def _answer(answer: Answer) -> Response:
    headers = (("etag", answer.etag),) if answer.etag else ()
    if answer.body is None:
        return Response(answer.status, b"", headers)
    return _json(answer.status, answer.body, headers)


def _listing(
    request: Request, page: list[Any], following: str, name: str, *, link_first: bool = False
) -> Response:
    link = _next_link(request, name, following) if following else None
    body = {"nextLink": link, "value": page} if link_first else {"value": page, "nextLink": link}
    return _json(200, body)


def _next_link(request: Request, name: str, following: str) -> str:
    path = f"/{name}" if name else request.path.removeprefix(PROXY)
    options = [
        (key, value)
        for key, values in request.options.items()
        for value in values
        if key not in ("continuationToken", "api-version")
    ]
    options += [
        ("continuationToken", following),
        ("api-version", request.option("api-version")),
    ]
    text = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in options)
    return f"{request.base_url}{path}?{text}"


def _refused(refusal: Refusal) -> Response:
    code = refusal.code.encode("ascii", errors="replace").decode()
    return _json(refusal.status, refusal.body(), (("x-ms-error-code", code),))


def _unreadable(error: PatchUnreadable) -> Response:
    column = len(json.dumps(error.value)) + 1
    errors = {
        f"[{error.index}]": [
            (
                f'Error converting value "{error.value}" to type'
                " 'Microsoft.AspNetCore.JsonPatch.Operations.Operation'."
                f" Path '[{error.index}]', line 1, position {column}."
            )
        ]
    }
    if error.names_document:
        errors["jsonPatchDocument"] = ["The jsonPatchDocument field is required."]
    body = {
        "errors": errors,
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "detail": None,
        "instance": None,
        "extensions": {"traceId": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"},
    }
    content_type = ("content-type", "application/problem+json; charset=utf-8")
    return Response(400, msgspec.json.encode(body), (content_type,))


def _no_method(request: Request) -> Refusal:
    return Refusal(
        405, "MethodNotAllowed", f"{request.method} is not an operation of {request.path}."
    )
