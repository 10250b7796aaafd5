"""The ADT data plane over HTTP: a small ASGI application, what holds for every request.

For Azure Digital Twins Explorer the whole plane also stands under ``/api/proxy``. There are no CORS
headers, and a stub without a token answers neither pages of other sites nor names that are not its
own, so no page in a browser can reach the twins.

Requests take turns on the one store. All but queries take microseconds and are answered at once; a
query runs in a thread, so that what else lives on this event loop goes on, and its time is bounded.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from sync_agent.errors import StoreError
from sync_agent.hosts import is_foreign
from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import Refusal
from sync_agent.stub.adt.control import PREFIX, Control
from sync_agent.stub.adt.delivery import Delivery, Publish
from sync_agent.stub.adt.faults import FaultProfile
from sync_agent.stub.adt.guard import ConnectionCutError, Guard
from sync_agent.stub.adt.job_runner import JobRunner
from sync_agent.stub.adt.jobs import JobDb, JobInProgressError, JobOperations
from sync_agent.stub.adt.models import ModelOperations
from sync_agent.stub.adt.operation import Operation, operation_of
from sync_agent.stub.adt.patch_body import PatchUnreadableError
from sync_agent.stub.adt.relationships import RelationshipOperations
from sync_agent.stub.adt.request_log import OTHER, LoggedRequest, RequestLog
from sync_agent.stub.adt.router import CHARGE, Router
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
    read_request,
    refused,
    send_response,
    unauthorized,
    unreadable,
)

CUT = "sync-agent.cut"
"""The extension of the scope by which the server ends a connection without an answer."""

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
        self._guard = Guard(db, self._options.faults)
        endpoints = self._options.endpoints
        self._delivery = (
            Delivery(db, self._turn, publish, self._log.note_message) if publish else None
        )
        self._notifier = Notifier(db, endpoints, self._options.host, self._wake_delivery)
        models = ModelOperations(db)
        twins = TwinOperations(db, self._notifier)
        relationships = RelationshipOperations(db, self._notifier)
        routes = RouteOperations(db, endpoints, self._notifier)
        jobs = JobDb(db)
        self._runner = JobRunner(
            db, jobs, self._turn, models, twins, relationships, self._options.blob_hosts
        )
        job_operations = JobOperations(jobs, self._runner.start)
        self._router = Router(self._guard, models, twins, relationships, routes, job_operations)
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
            scheme, _, given = request.headers.get(b"authorization", b"").partition(b" ")
            is_known = hmac.compare_digest(given, token.encode())
            if scheme.lower() != b"bearer" or not is_known:  # RFC 9110: the scheme in any case
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
        respond = partial(self._router.respond, operation=operation)
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


def _charge_of(response: Response) -> float:
    """Return the query units an answer says it cost."""
    return next((float(value) for name, value in response.headers if name == CHARGE), 0.0)
