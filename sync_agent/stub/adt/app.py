"""The ADT data plane over HTTP: a small ASGI application that routes to the operations.

The fixed parts of a path match in any case. For Azure Digital Twins Explorer the whole plane also
stands under ``/api/proxy``. There are no CORS headers, and a stub without a token answers neither
pages of other sites nor names that are not its own, so no page in a browser can reach the twins.

Requests take turns on the one store. All but queries take microseconds and are answered at once; a
query runs in a thread, so that what else lives on this event loop goes on, and its time is bounded.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from sync_agent.errors import StoreError
from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import PatchUnreadable, Refusal, bad_request
from sync_agent.stub.adt.models import ModelOperations
from sync_agent.stub.adt.queries import run_query
from sync_agent.stub.adt.relationships import RelationshipOperations
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.adt.twins import TwinOperations
from sync_agent.stub.adt.wire import (
    Receive,
    Request,
    Response,
    Scope,
    Send,
    answered,
    json_response,
    listed,
    read_request,
    refused,
    send_response,
    unauthorized,
    unreadable,
)

API_VERSIONS = ("2020-10-31", "2021-06-30-preview", "2022-05-31", "2023-06-30", "2023-10-31")
TURN_MAX_S = 90.0
"""How long a request waits for its turn; longer than a query may take."""
_ROUTE_WORDS = ("eventroutes", "jobs", "imports", "deletions", "cancel")

_log = logging.getLogger("sync_agent.stub")


class AdtApp:
    """The ASGI application of one instance."""

    def __init__(self, db: TwinDb, *, token: str | None = None, open_proxy: bool = True) -> None:
        """Serve what ``db`` holds.

        With a ``token`` each request must carry it as a bearer token; with ``open_proxy`` those of
        Explorer, which has none, need not.
        """
        self._db = db
        self._token = token
        self._open_proxy = open_proxy
        self._models = ModelOperations(db)
        self._twins = TwinOperations(db)
        self._relationships = RelationshipOperations(db)
        self._turn = asyncio.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="stub-query")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            request = await read_request(scope, receive)
            response = self._gate(request) or await self._in_turn(request)
        except Refusal as refusal:
            response = refused(refusal)
        await send_response(scope, send, response)

    def close(self) -> None:
        """End the query that runs, if there is one; no request may follow."""
        self._db.interrupt()
        self._worker.shutdown()

    # -- who may ask ----------------------------------------------------------------------------

    def _gate(self, request: Request) -> Response | None:
        """Return the answer to a request that may not pass."""
        if self._token is not None and not (request.proxied and self._open_proxy):
            given = request.headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                return unauthorized()
        elif _is_foreign(request):
            raise Refusal(
                403,
                "Forbidden",
                "The stub does not answer web pages of other sites, nor names"
                " other than localhost and addresses.",
            )
        return None

    # -- taking turns ---------------------------------------------------------------------------

    async def _in_turn(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(TURN_MAX_S):
                await self._turn.acquire()
        except TimeoutError:
            raise answers.unavailable("The stub is busy with queries.") from None
        try:
            if request.parts[0].lower() != "query":
                return self._respond(request)
            return await self._aside(request)
        finally:
            self._turn.release()

    async def _aside(self, request: Request) -> Response:
        """Respond in the worker thread; when cancelled, let go only after the thread did."""
        work = asyncio.get_running_loop().run_in_executor(self._worker, self._respond, request)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._db.interrupt()
            await asyncio.wait([work], timeout=TURN_MAX_S)
            raise

    def _respond(self, request: Request) -> Response:
        try:
            return self._route(request)
        except Refusal as refusal:
            return refused(refusal)
        except PatchUnreadable as fault:
            return unreadable(fault)
        except StoreError as error:
            _log.error("%s; %s", error.message, error.remedy)
            return refused(answers.unavailable("The stub's store failed; its log says why."))
        except Exception:  # noqa: BLE001 - a client gets an answer in the envelope, come what may
            _log.exception("%s %s", request.method, request.path)
            return refused(Refusal(500, "InternalServerError", "The stub failed; see its log."))

    # -- routes ---------------------------------------------------------------------------------

    def _route(self, request: Request) -> Response:
        head, *rest = request.parts
        head = head.lower()
        if request.proxied and head in ("graph", "rbac"):
            raise _nothing_there(request)  # Explorer's own server has these, ADT does not
        if request.option("api-version") not in API_VERSIONS:
            raise bad_request(f"The api-version must be one of {', '.join(API_VERSIONS)}.")
        match (request.method, head, *rest):
            case ("POST", "query"):
                return self._query(request)
            case (_, "models", *rest):
                return self._route_models(request, rest)
            case (_, "digitaltwins", twin_id, *rest) if twin_id:
                return self._route_twins(request, twin_id, rest)
            case (_, "eventroutes" | "jobs", *_):
                raise answers.not_built(f"{request.method} {_shape(request.parts)}")
            case _:
                raise _nothing_there(request)

    def _query(self, request: Request) -> Response:
        found = run_query(self._db, request.json(), request.asked)
        body = {"value": found.rows, "continuationToken": found.continuation}
        return json_response(200, body, ((b"query-charge", repr(found.charge).encode()),))

    def _route_models(self, request: Request, rest: Sequence[str]) -> Response:
        models = self._models
        whole = request.option("includeModelDefinition").lower() == "true"
        match (request.method, *rest):
            case ("POST",):
                return answered(models.create(request.json()))
            case ("GET",):
                wanted = [m for m in request.options.get("dependenciesFor", []) if m]
                page = models.page(request.asked, dependencies_for=wanted, whole=whole)
                return listed(request, page, "/Models", link_first=False)
            case ("GET", model_id):
                return answered(models.get(model_id, whole=whole))
            case ("PATCH", model_id):
                return answered(models.decommission(model_id, request.json()))
            case ("DELETE", model_id):
                return answered(models.delete(model_id))
            case _:
                raise _no_method(request)

    def _route_twins(self, request: Request, twin_id: str, rest: Sequence[str]) -> Response:
        twins, asked = self._twins, request.asked
        named = [part if place == 1 else part.lower() for place, part in enumerate(rest)]
        match (request.method, *named):
            case ("GET",):
                return answered(twins.get(twin_id, asked))
            case ("PUT",):
                return answered(twins.put(twin_id, request.json(), asked))
            case ("PATCH",):
                return answered(twins.patch(twin_id, request.json(), asked))
            case ("DELETE",):
                return answered(twins.delete(twin_id, asked))
            case ("GET", "components", name):
                return answered(twins.get_component(twin_id, name, asked))
            case ("PATCH", "components", name):
                return answered(twins.patch_component(twin_id, name, request.json(), asked))
            case ("POST", "telemetry"):
                return self._telemetry(request, twin_id, None)
            case ("POST", "components", name, "telemetry"):
                return self._telemetry(request, twin_id, name)
            case ("GET", "relationships"):
                name = request.option("relationshipName")
                page = self._relationships.outgoing(twin_id, name, asked)
                return listed(request, page, request.path, link_first=True)
            case ("GET", "incomingrelationships"):
                page = self._relationships.incoming(twin_id, asked)
                return listed(request, page, request.path, link_first=True)
            case (_, "relationships", relationship_id):
                return self._route_relationship(request, twin_id, relationship_id)
            case _:
                raise _no_method(request)

    def _route_relationship(self, request: Request, twin_id: str, name: str) -> Response:
        relationships, asked = self._relationships, request.asked
        match request.method:
            case "GET":
                return answered(relationships.get(twin_id, name))
            case "PUT":
                return answered(relationships.put(twin_id, name, request.json(), asked))
            case "PATCH":
                return answered(relationships.patch(twin_id, name, request.json(), asked))
            case "DELETE":
                return answered(relationships.delete(twin_id, name, asked))
            case _:
                raise _no_method(request)

    def _telemetry(self, request: Request, twin_id: str, component: str | None) -> Response:
        answer = self._twins.send_telemetry(
            twin_id,
            component,
            request.json(),
            message_id=request.header(b"message-id"),
            source_time=request.header(b"telemetry-source-time"),
        )
        return answered(answer)


def _is_foreign(request: Request) -> bool:
    """Tell whether a page of another site sent this, or a name that could be made to mean us.

    Browsers send ``Origin`` with all that can change something. A name other than localhost could
    be anybody's that resolves to loopback, which would make his page one of ours.
    """
    host = _name_in(f"//{request.header(b'host') or 'localhost'}")
    origin = request.header(b"origin")
    if not _is_ours(host):
        return True
    return origin is not None and _name_in(origin) != host and not _is_loopback(_name_in(origin))


def _name_in(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_ours(host: str) -> bool:
    return _is_loopback(host) or _address(host) is not None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _shape(parts: Sequence[str]) -> str:
    words = (part.lower() for part in parts)
    return "".join(f"/{word}" if word in _ROUTE_WORDS else "/{id}" for word in words)


def _no_method(request: Request) -> Refusal:
    return Refusal(
        405, "MethodNotAllowed", f"{request.method} is not an operation of {request.path}."
    )


def _nothing_there(request: Request) -> Refusal:
    return Refusal(404, "NotFound", f"There is no resource at {request.path}.")
