"""Which operation a request is led to: by its method and path, where its api-version has it.

The fixed parts of a path match in any case. What no operation has is told apart: an address there
is nothing at, and one that other methods have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

from sync_agent.stub.adt.answers import Refusal, bad_request
from sync_agent.stub.adt.exchange import Answer
from sync_agent.stub.adt.guard import Guard
from sync_agent.stub.adt.jobs import DELETE, IMPORT, JobOperations
from sync_agent.stub.adt.models import ModelOperations
from sync_agent.stub.adt.operation import API_VERSIONS, Operation, methods_at
from sync_agent.stub.adt.queries import Statements, run_query
from sync_agent.stub.adt.relationships import RelationshipOperations
from sync_agent.stub.adt.routes import RouteOperations
from sync_agent.stub.adt.twins import TwinOperations
from sync_agent.stub.adt.wire import Request, Response, answered, json_response, listed, refused

CHARGE = b"query-charge"

Respond = Callable[[Request], Response]


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
        self._jobs = jobs
        self._responses: Mapping[str, Respond] = {
            **self._of_models(models),
            **self._of_twins(twins),
            **self._of_relationships(relationships),
            **self._of_routes(routes),
            **self._of_jobs(jobs),
            "Query_QueryTwins": self._query,
        }

    def respond(self, request: Request, operation: Operation | None) -> Response:
        """Return what the operation of a request answers.

        Raises:
            Refusal: there is no such operation, or it refuses the request.
            PatchUnreadableError: its patch is no array of operations.
            JobInProgressError: a job of its kind runs already.
        """
        if request.proxied and request.parts[0].lower() in ("graph", "rbac"):
            raise _nothing_there(request)  # Explorer's own server has these, ADT does not
        version = request.option("api-version")
        if version not in API_VERSIONS:
            # The codes are those of the service's web framework.
            code = "UnsupportedApiVersion" if version else "ApiVersionUnspecified"
            raise bad_request(f"The api-version must be one of {', '.join(API_VERSIONS)}.", code)
        if operation is None:
            return _no_operation(request, version)
        if not operation.is_in(version):
            raise bad_request(
                f"{operation.name} is not in api-version {version}; it came with"
                f" {operation.since}.",
                "UnsupportedApiVersion",
            )
        return self._responses[operation.name](request)

    @staticmethod
    def _of_models(models: ModelOperations) -> Mapping[str, Respond]:
        def page(request: Request) -> Response:
            wanted = [m for m in request.values("dependenciesFor") if m]
            found = models.page(request.asked, dependencies_for=wanted, whole=_is_whole(request))
            return listed(request, found, "/Models", link_first=False)

        return {
            "DigitalTwinModels_Add": lambda r: answered(models.create(r.json())),
            "DigitalTwinModels_List": page,
            "DigitalTwinModels_GetById": lambda r: answered(
                models.get(r.parts[1], whole=_is_whole(r))
            ),
            "DigitalTwinModels_Update": lambda r: answered(
                models.decommission(r.parts[1], r.patch())
            ),
            "DigitalTwinModels_Delete": lambda r: answered(models.delete(r.parts[1])),
        }

    @staticmethod
    def _of_twins(twins: TwinOperations) -> Mapping[str, Respond]:
        def send(request: Request, component: str | None) -> Answer:
            return twins.send_telemetry(
                request.parts[1],
                component,
                request.json(),
                message_id=request.header(b"message-id"),
                source_time=request.header(b"telemetry-source-time"),
            )

        return {
            "DigitalTwins_GetById": lambda r: answered(twins.get(r.parts[1], r.asked)),
            "DigitalTwins_Add": lambda r: answered(twins.put(r.parts[1], r.json(), r.asked)),
            "DigitalTwins_Update": lambda r: answered(
                twins.patch(r.parts[1], r.patch(names_document=True), r.asked)
            ),
            "DigitalTwins_Delete": lambda r: answered(twins.delete(r.parts[1], r.asked)),
            "DigitalTwins_GetComponent": lambda r: answered(
                twins.get_component(r.parts[1], r.parts[3], r.asked)
            ),
            "DigitalTwins_UpdateComponent": lambda r: answered(
                twins.patch_component(r.parts[1], r.parts[3], r.patch(), r.asked)
            ),
            "DigitalTwins_SendTelemetry": lambda r: answered(send(r, None)),
            "DigitalTwins_SendComponentTelemetry": lambda r: answered(send(r, r.parts[3])),
        }

    @staticmethod
    def _of_relationships(relationships: RelationshipOperations) -> Mapping[str, Respond]:
        def outgoing(request: Request) -> Response:
            name = request.option("relationshipName")
            page = relationships.outgoing(request.parts[1], name, request.asked)
            return listed(request, page, request.path, link_first=True)

        def incoming(request: Request) -> Response:
            page = relationships.incoming(request.parts[1], request.asked)
            return listed(request, page, request.path, link_first=True)

        return {
            "DigitalTwins_ListRelationships": outgoing,
            "DigitalTwins_ListIncomingRelationships": incoming,
            "DigitalTwins_GetRelationshipById": lambda r: answered(
                relationships.get(r.parts[1], r.parts[3])
            ),
            "DigitalTwins_AddRelationship": lambda r: answered(
                relationships.put(r.parts[1], r.parts[3], r.json(), r.asked)
            ),
            "DigitalTwins_UpdateRelationship": lambda r: answered(
                relationships.patch(r.parts[1], r.parts[3], r.patch(), r.asked)
            ),
            "DigitalTwins_DeleteRelationship": lambda r: answered(
                relationships.delete(r.parts[1], r.parts[3], r.asked)
            ),
        }

    @staticmethod
    def _of_routes(routes: RouteOperations) -> Mapping[str, Respond]:
        return {
            "EventRoutes_List": lambda r: listed(
                r, routes.page(r.asked), "/EventRoutes", link_first=False
            ),
            "EventRoutes_GetById": lambda r: answered(routes.get(r.parts[1])),
            "EventRoutes_Add": lambda r: answered(routes.put(r.parts[1], r.json())),
            "EventRoutes_Delete": lambda r: answered(routes.delete(r.parts[1])),
        }

    def _of_jobs(self, jobs: JobOperations) -> Mapping[str, Respond]:
        return {
            "ImportJobs_List": lambda r: listed(
                r, jobs.page(IMPORT, r.asked), "/jobs/imports", link_first=False
            ),
            "ImportJobs_Add": lambda r: answered(jobs.start_import(r.parts[2], r.json())),
            "ImportJobs_GetById": lambda r: answered(jobs.get(IMPORT, r.parts[2])),
            "ImportJobs_Delete": lambda r: answered(jobs.delete_import(r.parts[2])),
            "ImportJobs_Cancel": lambda r: answered(jobs.cancel_import(r.parts[2])),
            "DeleteJobs_List": lambda r: listed(
                r, jobs.page(DELETE, r.asked), "/jobs/deletions", link_first=False
            ),
            "DeleteJobs_Add": self._start_delete,
            "DeleteJobs_GetById": lambda r: answered(jobs.get(DELETE, r.parts[2])),
        }

    def _query(self, request: Request) -> Response:
        found = run_query(self._guard.queried(), self._statements, request.json(), request.asked)
        self._guard.charge(found.charge)
        body = {"value": found.rows, "continuationToken": found.continuation}
        return json_response(200, body, ((CHARGE, repr(found.charge).encode()),))

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


def _is_whole(request: Request) -> bool:
    return request.option("includeModelDefinition").lower() == "true"


def _no_operation(request: Request, version: str) -> Response:
    methods = methods_at(request.parts, version)
    if not methods:
        raise _nothing_there(request)
    message = f"{request.method} is not an operation of {request.path}."
    response = refused(Refusal(405, "MethodNotAllowed", message))
    allow = (b"allow", ", ".join(methods).encode())
    return Response(response.status, response.body, (*response.headers, allow))


def _nothing_there(request: Request) -> Refusal:
    return Refusal(404, "NotFound", f"There is no resource at {request.path}.")
