"""Which operation a request is led to: by its method and path, where its api-version has it.

The fixed parts of a path match in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from sync_agent.stub.adt.answers import Refusal, bad_request
from sync_agent.stub.adt.guard import Guard
from sync_agent.stub.adt.jobs import DELETE, IMPORT, JobOperations
from sync_agent.stub.adt.models import ModelOperations
from sync_agent.stub.adt.operation import API_VERSIONS, Operation
from sync_agent.stub.adt.queries import Statements, run_query
from sync_agent.stub.adt.relationships import RelationshipOperations
from sync_agent.stub.adt.routes import RouteOperations
from sync_agent.stub.adt.twins import TwinOperations
from sync_agent.stub.adt.wire import Request, Response, answered, json_response, listed

CHARGE = b"query-charge"
_JOB_KINDS = {"imports": IMPORT, "deletions": DELETE}


class Router:
    """The operations of one instance behind their paths."""

    def __init__(
        self,
        guard: Guard,
        models: ModelOperations,
        twins: TwinOperations,
        relationships: RelationshipOperations,
        routes: RouteOperations,
        jobs: JobOperations,
    ) -> None:
        """Lead to these; ``guard`` knows which moment of the store queries see."""
        self._guard = guard
        self._statements = Statements()
        self._models = models
        self._twins = twins
        self._relationships = relationships
        self._routes = routes
        self._jobs = jobs

    def respond(self, request: Request, operation: Operation | None) -> Response:
        """Return what the operation of a request answers.

        Raises:
            Refusal: there is no such operation, or it refuses the request.
            PatchUnreadableError: its patch is no array of operations.
            JobInProgressError: a job of its kind runs already.
        """
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


def _no_method(request: Request) -> Refusal:
    return Refusal(
        405, "MethodNotAllowed", f"{request.method} is not an operation of {request.path}."
    )


def _nothing_there(request: Request) -> Refusal:
    return Refusal(404, "NotFound", f"There is no resource at {request.path}.")
