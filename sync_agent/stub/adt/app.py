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
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

from sync_agent.errors import StoreError
from sync_agent.hosts import is_foreign
from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import Refusal, bad_request
from sync_agent.stub.adt.control import PREFIX, Control
from sync_agent.stub.adt.delivery import Delivery, Publish
from sync_agent.stub.adt.faults import FaultProfile
from sync_agent.stub.adt.guard import ConnectionCutError, Guard
from sync_agent.stub.adt.job_runner import JobRunner
from sync_agent.stub.adt.jobs import DELETE, IMPORT, JobDb, JobInProgressError, JobOperations
from sync_agent.stub.adt.models import ModelOperations
from sync_agent.stub.adt.operation import API_VERSIONS, Operation, operation_of
from sync_agent.stub.adt.patch_body import PatchUnreadableError
from sync_agent.stub.adt.queries import Statements, run_query
from sync_agent.stub.adt.relationships import RelationshipOperations
from sync_agent.stub.adt.request_log import OTHER, LoggedRequest, RequestLog
from sync_agent.stub.adt.routes import Notifier, RouteOperations
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.adt.twins import TwinOperations
from sync_agent.stub.adt.wire import (
    JSON,
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

CUT = "sync-agent.cut"
"""The extension of the scope by which the server ends a connection without an answer."""

CHARGE = b"query-charge"
_JOB_KINDS = {"imports": IMPORT, "deletions": DELETE}
TURN_MAX_S = 90.0
"""How long a request waits for its turn; longer than a query may take."""

_log = logging.getLogger("sync_agent.stub")


@dataclass(frozen=True, slots=True)
class AdtOptions:
    """How one instance is served.

    With a ``token`` each request must carry it as a bearer token; with ``open_proxy`` those of
    Explorer, which has none, need not. ``host`` is our name in notifications, ``endpoints`` are
    hubs by the name of an endpoint, ``blob_hosts`` where jobs may find blobs beside loopback.
    """

    token: str | None = field(default=None, repr=False)
    open_proxy: bool = True
    host: str = "localhost"
    endpoints: Mapping[str, str] = field(default_factory=dict)
    blob_hosts: tuple[str, ...] = ()
    faults: FaultProfile = field(default_factory=FaultProfile)


class AdtApp:
    """The ASGI application of one instance."""

    def __init__(
        self,
        db: TwinDb,
        options: AdtOptions | None = None,
        *,
        publish: Publish | None = None,
        on_profile: Callable[[FaultProfile], None] = lambda _: None,
    ) -> None:
        """Serve what ``db`` holds; ``publish`` takes notifications, and without it they wait."""
        self._db = db
        self._options = options or AdtOptions()
        self._turn = asyncio.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="stub-query")
        self._log = RequestLog()
        self._statements = Statements()
        self._guard = Guard(db, self._options.faults)
        endpoints = self._options.endpoints
        self._delivery = (
            Delivery(db, self._turn, publish, self._log.note_message) if publish else None
        )
        self._notifier = Notifier(db, endpoints, self._options.host, self._wake_delivery)
        self._models = ModelOperations(db)
        self._twins = TwinOperations(db, self._notifier)
        self._relationships = RelationshipOperations(db, self._notifier)
        self._routes = RouteOperations(db, endpoints, self._notifier)
        jobs = JobDb(db)
        self._runner = JobRunner(
            db,
            jobs,
            self._turn,
            self._models,
            self._twins,
            self._relationships,
            self._options.blob_hosts,
        )
        self._jobs = JobOperations(jobs, self._runner.start)
        self._control = Control(db, self._guard, self._log, on_profile, self._restored)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            request = await read_request(scope, receive)
            response = self._gate(request) or await self._served(request)
        except Refusal as refusal:
            response = refused(refusal)
        except ConnectionCutError:
            scope["extensions"][CUT]()
            await asyncio.sleep(0)  # the server learns of it
            return
        await send_response(scope, send, response)

    def start(self) -> None:
        """Begin to deliver notifications, on the running event loop."""
        if self._delivery is not None:
            self._delivery.start()

    async def stop(self) -> None:
        """Stop jobs and deliveries; what they did stays."""
        await self._runner.stop()
        if self._delivery is not None:
            await self._delivery.stop()

    def close(self) -> None:
        """End the query that runs, if there is one; no request may follow."""
        self._db.interrupt()
        self._worker.shutdown()
        self._guard.close()

    def _wake_delivery(self) -> None:
        if self._delivery is not None:
            self._delivery.wake()

    def _restored(self) -> None:
        """Begin anew with another store's content, its outbox too."""
        self._notifier.forget()
        self._wake_delivery()

    # -- who may ask ----------------------------------------------------------------------------

    def _gate(self, request: Request) -> Response | None:
        """Return the answer to a request that may not pass."""
        token = self._options.token
        if token is not None and not (request.proxied and self._options.open_proxy):
            given = request.headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {token}".encode()):
                return unauthorized()
        elif is_foreign(request.header(b"host") or "localhost", request.header(b"origin")):
            raise Refusal(
                403,
                "Forbidden",
                "The stub does not answer web pages of other sites, nor names"
                " other than localhost and addresses.",
            )
        return None

    # -- what happens around an operation ---------------------------------------------------------

    async def _served(self, request: Request) -> Response:
        """Answer a request by its operation, unless the profile of faults has it otherwise."""
        if request.parts[0].lower() == PREFIX and not request.proxied:
            async with self._turn:
                return self._answer(self._control.respond, request)
        began = time.perf_counter()
        operation = operation_of(request.method, request.parts)
        status, size, fault, units = 0, len(request.body), "", 0.0
        try:
            passed = await self._guard.before(request, operation)
            fault = passed.fault.kind if passed.fault else ""
            response = passed.response or await self._in_turn(request, operation)
            status, size = response.status, max(size, len(response.body))
            units = _charge_of(response)
            if passed.response is None:
                self._guard.after(passed, response)
            return response
        except Refusal as refusal:
            status = refusal.status
            raise
        except ConnectionCutError:
            fault = fault or "reset-before"
            raise
        finally:
            name = OTHER if operation is None else operation.name
            took_ms = round((time.perf_counter() - began) * 1000, 3)
            entry = LoggedRequest(
                time.time(), name, request.method, request.path, status, took_ms, fault
            )
            self._log.note(entry, size, units)

    # -- taking turns ---------------------------------------------------------------------------

    async def _in_turn(self, request: Request, operation: Operation | None) -> Response:
        is_query = request.parts[0].lower() == "query"
        respond = partial(self._route, operation=operation)
        if not is_query and not self._turn.locked():
            return self._answer(respond, request)  # nobody gets a turn before this returns
        try:
            async with asyncio.timeout(TURN_MAX_S):
                await self._turn.acquire()
        except TimeoutError:
            raise answers.unavailable("The stub is busy with queries.") from None
        try:
            if not is_query:
                return self._answer(respond, request)
            return await self._aside(respond, request)
        finally:
            self._turn.release()

    async def _aside(self, respond: Callable[[Request], Response], request: Request) -> Response:
        """Respond in the worker thread; when cancelled, let go only after the thread did."""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._worker, self._answer, respond, request)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._db.interrupt()
            await asyncio.wait([work], timeout=TURN_MAX_S)
            raise

    def _answer(self, respond: Callable[[Request], Response], request: Request) -> Response:
        """Return an answer in the envelope, whatever goes wrong."""
        try:
            return respond(request)
        except Refusal as refusal:
            return refused(refusal)
        except PatchUnreadableError as fault:
            return unreadable(fault)
        except JobInProgressError as error:
            return Response(429, error.body(), (JSON,))
        except StoreError as error:
            _log.error("%s; %s", error.message, error.remedy)
            return refused(answers.unavailable("The stub's store failed; its log says why."))
        except Exception:  # noqa: BLE001 - a client gets an answer in the envelope, come what may
            _log.exception("%s %s", request.method, request.path)
            return refused(Refusal(500, "InternalServerError", "The stub failed; see its log."))

    # -- routes ---------------------------------------------------------------------------------

    def _route(self, request: Request, operation: Operation | None) -> Response:
        head, *rest = request.parts
        head = head.lower()
        if request.proxied and head in ("graph", "rbac"):
            raise _nothing_there(request)  # Explorer's own server has these, ADT does not
        version = request.option("api-version")
        if version not in API_VERSIONS:
            raise bad_request(f"The api-version must be one of {', '.join(API_VERSIONS)}.")
        if operation is not None and not operation.is_in(version):
            raise bad_request(
                f"{operation.name} is not in api-version {version}; it came with"
                f" {operation.since}.",
                "UnsupportedApiVersion",
            )
        match (request.method, head, *rest):
            case ("POST", "query"):
                return self._query(request)
            case (_, "models", *rest):
                return self._route_models(request, rest)
            case (_, "digitaltwins", twin_id, *rest) if twin_id:
                return self._route_twins(request, twin_id, rest)
            case (_, "eventroutes", *rest):
                return self._route_routes(request, rest)
            case (_, "jobs", kind, *rest) if kind.lower() in ("imports", "deletions"):
                return self._route_jobs(request, kind.lower(), rest)
            case _:
                raise _nothing_there(request)

    def _query(self, request: Request) -> Response:
        found = run_query(self._guard.queried(), self._statements, request.json(), request.asked)
        self._guard.charge(found.charge)
        body = {"value": found.rows, "continuationToken": found.continuation}
        return json_response(200, body, ((CHARGE, repr(found.charge).encode()),))

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
                return answered(models.decommission(model_id, request.patch()))
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
                return answered(twins.patch(twin_id, request.patch(names_document=True), asked))
            case ("DELETE",):
                return answered(twins.delete(twin_id, asked))
            case ("GET", "components", name):
                return answered(twins.get_component(twin_id, name, asked))
            case ("PATCH", "components", name):
                return answered(twins.patch_component(twin_id, name, request.patch(), asked))
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
                return answered(relationships.patch(twin_id, name, request.patch(), asked))
            case "DELETE":
                return answered(relationships.delete(twin_id, name, asked))
            case _:
                raise _no_method(request)

    def _route_routes(self, request: Request, rest: Sequence[str]) -> Response:
        routes = self._routes
        match (request.method, *rest):
            case ("GET",):
                return listed(request, routes.page(request.asked), "/EventRoutes", link_first=False)
            case ("GET", route_id):
                return answered(routes.get(route_id))
            case ("PUT", route_id):
                return answered(routes.put(route_id, request.json()))
            case ("DELETE", route_id):
                return answered(routes.delete(route_id))
            case _:
                raise _no_method(request)

    def _route_jobs(self, request: Request, kind: str, rest: Sequence[str]) -> Response:
        jobs = self._jobs
        named = [part if place == 0 else part.lower() for place, part in enumerate(rest)]
        match (request.method, kind, *named):
            case ("GET", _):
                page = jobs.page(_JOB_KINDS[kind], request.asked)
                return listed(request, page, f"/jobs/{kind}", link_first=False)
            case ("GET", _, job_id):
                return answered(jobs.get(_JOB_KINDS[kind], job_id))
            case ("PUT", "imports", job_id):
                return answered(jobs.start_import(job_id, request.json()))
            case ("DELETE", "imports", job_id):
                return answered(jobs.delete_import(job_id))
            case ("POST", "imports", job_id, "cancel"):
                return answered(jobs.cancel_import(job_id))
            case ("POST", "deletions"):
                return self._start_delete(request)
            case _:
                raise _no_method(request)

    def _start_delete(self, request: Request) -> Response:
        wanted = request.header(b"operation-id")
        answer = self._jobs.start_delete(wanted, request.option("timeoutInMinutes"))
        job_id = answer.body["id"]
        version = request.option("api-version")
        place = f"{request.base_url}/jobs/deletions/{quote(job_id, safe='')}?api-version={version}"
        headers = (
            (b"operation-location", place.encode()),
            (b"operation-id", quote(job_id, safe="").encode()),
        )
        return json_response(answer.status, answer.body, headers)

    def _telemetry(self, request: Request, twin_id: str, component: str | None) -> Response:
        answer = self._twins.send_telemetry(
            twin_id,
            component,
            request.json(),
            message_id=request.header(b"message-id"),
            source_time=request.header(b"telemetry-source-time"),
        )
        return answered(answer)


def _charge_of(response: Response) -> float:
    """Return the query units an answer says it cost."""
    return next((float(value) for name, value in response.headers if name == CHARGE), 0.0)


def _no_method(request: Request) -> Refusal:
    return Refusal(
        405, "MethodNotAllowed", f"{request.method} is not an operation of {request.path}."
    )


def _nothing_there(request: Request) -> Refusal:
    return Refusal(404, "NotFound", f"There is no resource at {request.path}.")
