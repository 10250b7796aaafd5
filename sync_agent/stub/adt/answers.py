"""Refusals of the ADT data plane: status, code and the service's own wording.

Texts follow recorded exchanges where there are any. A refusal is raised as a ``Refusal`` where its
cause is found, and becomes a response in one place.
"""

from __future__ import annotations

from collections.abc import Sequence

from sync_agent.twins.twin import Document

FAULTS_TOLD_MAX = 100
_PATCH_TAIL = (
    " Please provide a valid patch document. See section on update apis in the documentation"
    " https://aka.ms/adtv2twins."
)
_MODEL_TAIL = " See model documentation(https://aka.ms/ADTv2Models) for supported format."


class Refusal(Exception):
    """A request that is answered with an error: HTTP status, code, message and details."""

    def __init__(
        self, status: int, code: str, message: str, details: Sequence[Document] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def body(self) -> Document:
        """Return the service's error envelope."""
        error: Document = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


def bad_request(message: str, code: str = "InvalidArgument") -> Refusal:
    """Refuse with 400."""
    return Refusal(400, code, message)


def no_body() -> Refusal:
    """Refuse a request without its body."""
    return bad_request("A non-empty request body is required.", "BadRequest")


def payload_invalid() -> Refusal:
    """Refuse a body that is not JSON, or not of the kind the operation takes."""
    return bad_request("Payload is invalid.")


def bad_token() -> Refusal:
    """Refuse a continuation token that is not one of ours."""
    return bad_request("The continuation token is not valid.", "BadRequest")


def twin_not_found(twin_id: str) -> Refusal:
    """There is no such twin."""
    return Refusal(
        404,
        "DigitalTwinNotFound",
        f"There is no digital twin instance that exists with the ID {twin_id}. Please verify that"
        " the twin id is valid and ensure that the twin is not deleted. See section on querying"
        " the twins https://aka.ms/adtv2query.",
    )


def target_not_found() -> Refusal:
    """The twin a relationship shall end at does not exist."""
    return Refusal(
        404,
        "TargetDigitalTwinNotFound",
        "The target digital twin is invalid or does not exist. Please validate that the target"
        " twin is valid and ensure that the target twin is not deleted. See section on querying"
        " the twins https://aka.ms/adtv2query .",
    )


def relationship_not_found(twin_id: str, relationship_id: str) -> Refusal:
    """There is no such relationship."""
    return Refusal(
        404,
        "RelationshipNotFound",
        f"Relationship {relationship_id} not found on twin {twin_id}. Please verify that the"
        " relationship id is valid and ensure that the relationship is not deleted. See section"
        " on listing relationships in the documentation https://aka.ms/adtv2twins.",
    )


def component_not_found(twin_id: str, component: str) -> Refusal:
    """The twin's model has no such component."""
    return Refusal(
        404,
        "ComponentNotFound",
        f"{twin_id} does not have component {component} Please verify that the component path is"
        " correct. You can get components by getting the twin, See example"
        " https://aka.ms/TwinGetSwSmpl.",
    )


def model_not_found(model_id: str) -> Refusal:
    """There is no such model."""
    return Refusal(
        404,
        "ModelNotFound",
        f"There is no Model(s) available that matches the provided id(s) {model_id}. Check that the"
        " Model ID provided is valid by doing a Model_List API call.",
    )


def models_exist(ids: Sequence[str]) -> Refusal:
    """Some models of an upload are there already."""
    return Refusal(
        409,
        "ModelIdAlreadyExists",
        f"Some of the model ids already exist: {', '.join(ids)}. Use Model_List API to view models"
        " that already exist. See the Swagger example (https://aka.ms/ModelListSwSmpl).",
    )


def model_referenced(ids: Sequence[str]) -> Refusal:
    """Other models need the one to be deleted."""
    return Refusal(
        409,
        "ModelReferencesNotDeleted",
        f"This model is currently being referenced by {', '.join(ids)}. You must delete these"
        " references before deleting the Model.. To delete references, do Delete Model on Ids"
        " provided above.",
    )


def models_empty() -> Refusal:
    """An upload holds no model, or something that is none."""
    return bad_request(
        "Operation failed as models provided was empty or of a type that is not supported.. Check"
        " that your Model Array contains at least one item and it is of a supported type. See"
        " link(https://aka.ms/ADTv2Models) for details."
    )


def model_id_invalid(model_id: str) -> Refusal:
    """A path names a model by what is no DTMI."""
    return bad_request(
        f"The format of the Model ID {model_id} provided is not supported.{_MODEL_TAIL}"
    )


def model_decommissioned(model_id: str) -> Refusal:
    """A twin of a model that is closed for new ones."""
    return bad_request(
        f"The model {model_id} is decommissioned; no twin of it can be created.",
        "ModelDecommissioned",
    )


def models_invalid(messages: Sequence[str]) -> Refusal:
    """Models of an upload are not valid DTDL; ``messages`` are the parser's, told up to a bound."""
    told = list(messages[:FAULTS_TOLD_MAX])
    if len(messages) > len(told):
        told.append(f"{len(messages) - len(told)} more faults are not told")
    return bad_request(
        "None of the models in this request could be created due to a problem with one or more"
        f" models: {' | '.join(told)}.{_MODEL_TAIL}",
        "DTDLParserError",
    )


def model_version_unknown() -> Refusal:
    """Models of an upload are of a DTDL the service does not have."""
    return bad_request(
        f"The version of DTDL used is not supported.{_MODEL_TAIL}", "ModelVersionNotSupported"
    )


def twin_invalid(messages: Sequence[str]) -> Refusal:
    """A twin does not conform to its model."""
    return _invalid("Invalid twin specified", messages)


def relationship_invalid(messages: Sequence[str]) -> Refusal:
    """The properties of a relationship do not conform to the model of its source."""
    return _invalid("Invalid relationship specified", messages)


def relationship_misaligned() -> Refusal:
    """The model of the source has no such relationship, or it leads to another kind of twin.

    Source: digital-twins-explorer issue 105 and opendigitaltwins-dtdl issue 167.
    """
    return bad_request(
        "Twin relationship does not align with the model. Please ensure that the relationship is in"
        " alignment with the model. See section on listing models https://aka.ms/adtv2models.",
        "InvalidRelationship",
    )


def _invalid(message: str, findings: Sequence[str]) -> Refusal:
    details = [{"code": "ValidationFailed", "message": finding} for finding in findings]
    return Refusal(400, "ValidationFailed", message, details)


def patch_invalid(message: str) -> Refusal:
    """A JSON Patch cannot be applied."""
    return bad_request(f"{message}{_PATCH_TAIL}", "JsonPatchInvalid")


def twin_exists(twin_id: str) -> Refusal:
    """A conditional create met a twin of that id."""
    return Refusal(
        412,
        "PreconditionFailed",
        f"If-None-Match: * header was specified but a twin with the id {twin_id} was found. Please"
        " specify a different twin id.",
    )


def relationship_exists(relationship_id: str) -> Refusal:
    """A conditional create met a relationship of that id."""
    return Refusal(
        412,
        "PreconditionFailed",
        f"If-None-Match: * header was specified but a relationship with the id {relationship_id}"
        " was found. Please specify a different relationship id.",
    )


def etag_differs(etag: str) -> Refusal:
    """A conditional write names an ETag that is not the current one."""
    return Refusal(
        412,
        "PreconditionFailed",
        f"The provided etag {etag} doesn't match the current etag for the resource. Please obtain"
        " and provide the latest etag by getting the resource. See section on get apis in the"
        " documentation https://aka.ms/adtv2twins.",
    )


def twin_connected(twin_id: str) -> Refusal:
    """A twin to be deleted still has relationships."""
    return bad_request(
        f"Twin {twin_id} has active relationships. Cannot delete a twin unless all the"
        " relationships are deleted. Please ensure that the active relationships on the twin are"
        " deleted. See section on retrieving relationships https://aka.ms/adtv2twins.",
        "RelationshipsNotDeleted",
    )


def endpoint_invalid() -> Refusal:
    """A route leads to an endpoint that is not there."""
    return bad_request(
        "The endpoint provided does not exist or is not active. Check that your endpoint is"
        " provisioned correctly. See event route documentation (https://aka.ms/ADTv2Routes).",
        "EventRouteEndpointInvalid",
    )


def filter_invalid(message: str, line: int, position: int) -> Refusal:
    """The filter of a route cannot be read."""
    return bad_request(
        f"The provided filter is invalid. Parsing error, Line={line}, Position={position},"
        f" Message={message}. See event route documentation for supported values and structure"
        " (https://aka.ms/ADTv2Routes).",
        "EventRouteFilterInvalid",
    )


def twin_throttled() -> Refusal:
    """A twin is written more often than it may be."""
    return Refusal(
        429,
        "TooManyRequests",
        "Operation could not be completed as too many requests to this twin have been made. Please"
        " check Retry-After header to retry request.",
    )


def query_quota_reached() -> Refusal:
    """Queries cost more units than there are."""
    return Refusal(
        429,
        "QuotaReachedError",
        "The maximum query rate limit has been reached. Please check Retry-After header to retry"
        " request.",
    )


def query_failed(message: str, line: int, position: int) -> Refusal:
    """A query cannot be parsed or is not allowed."""
    return bad_request(
        f"SQL query parse failed: SQL Parser Error, Line={line}, Position={position},"
        f" Message={message} See samples in https://aka.ms/adtv2query for the correct syntax.",
        "SqlQueryError",
    )


def query_timed_out(limit_s: float) -> Refusal:
    """A query takes longer than any may."""
    return bad_request(f"The query took longer than {limit_s:g} s.", "TimeoutError")


def unavailable(message: str) -> Refusal:
    """The stub cannot do this now; the log says why."""
    return Refusal(503, "ServiceUnavailable", message)
