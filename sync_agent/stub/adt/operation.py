"""The operations of the ADT data plane as a table: name, method, path, version, quota.

What a request is called follows from its method and path alone. Quotas, faults, the request log and
the support matrix speak of operations by these names, which are those of the published OpenAPI
documents (Azure/azure-rest-api-specs, digitaltwins data plane).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

API_VERSIONS = (
    "2020-10-31",
    "2021-06-30-preview",
    "2022-05-31",
    "2023-02-27-preview",
    "2023-06-30",
    "2023-10-31",
)


class Quota(StrEnum):
    """Which of the service's rate limits an operation counts for."""

    MODELS = "models"
    READ = "read"
    PATCH = "patch"
    CREATE_DELETE = "create-delete"
    TELEMETRY = "telemetry"
    QUERY = "query"
    ROUTES = "routes"
    JOBS = "jobs"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; in ``shape`` ``*`` stands for an id. ``writes`` one twin's resources."""

    name: str
    method: str
    shape: tuple[str, ...]
    quota: Quota
    since: str = API_VERSIONS[0]

    @property
    def writes_twin(self) -> bool:
        """Tell whether it counts for what may be written on one twin a second."""
        return self.quota in (Quota.PATCH, Quota.CREATE_DELETE)

    def is_in(self, api_version: str) -> bool:
        """Tell whether a version has the operation."""
        return api_version >= self.since


def _operation(name: str, method: str, path: str, quota: Quota, since: str = "") -> Operation:
    shape = tuple("*" if part.startswith("{") else part for part in path.strip("/").split("/"))
    return Operation(name, method, shape, quota, since or API_VERSIONS[0])


_TWIN = "digitaltwins/{id}"
_IMPORTS, _DELETIONS = "2023-02-27-preview", "2023-10-31"
OPERATIONS: tuple[Operation, ...] = (
    _operation("DigitalTwinModels_Add", "POST", "models", Quota.MODELS),
    _operation("DigitalTwinModels_List", "GET", "models", Quota.MODELS),
    _operation("DigitalTwinModels_GetById", "GET", "models/{id}", Quota.MODELS),
    _operation("DigitalTwinModels_Update", "PATCH", "models/{id}", Quota.MODELS),
    _operation("DigitalTwinModels_Delete", "DELETE", "models/{id}", Quota.MODELS),
    _operation("Query_QueryTwins", "POST", "query", Quota.QUERY),
    _operation("DigitalTwins_GetById", "GET", _TWIN, Quota.READ),
    _operation("DigitalTwins_Add", "PUT", _TWIN, Quota.CREATE_DELETE),
    _operation("DigitalTwins_Update", "PATCH", _TWIN, Quota.PATCH),
    _operation("DigitalTwins_Delete", "DELETE", _TWIN, Quota.CREATE_DELETE),
    _operation("DigitalTwins_GetComponent", "GET", f"{_TWIN}/components/{{name}}", Quota.READ),
    _operation(
        "DigitalTwins_UpdateComponent", "PATCH", f"{_TWIN}/components/{{name}}", Quota.PATCH
    ),
    _operation("DigitalTwins_SendTelemetry", "POST", f"{_TWIN}/telemetry", Quota.TELEMETRY),
    _operation(
        "DigitalTwins_SendComponentTelemetry",
        "POST",
        f"{_TWIN}/components/{{name}}/telemetry",
        Quota.TELEMETRY,
    ),
    _operation("DigitalTwins_ListRelationships", "GET", f"{_TWIN}/relationships", Quota.READ),
    _operation(
        "DigitalTwins_ListIncomingRelationships",
        "GET",
        f"{_TWIN}/incomingrelationships",
        Quota.READ,
    ),
    _operation(
        "DigitalTwins_GetRelationshipById", "GET", f"{_TWIN}/relationships/{{id}}", Quota.READ
    ),
    _operation(
        "DigitalTwins_AddRelationship",
        "PUT",
        f"{_TWIN}/relationships/{{id}}",
        Quota.CREATE_DELETE,
    ),
    _operation(
        "DigitalTwins_UpdateRelationship", "PATCH", f"{_TWIN}/relationships/{{id}}", Quota.PATCH
    ),
    _operation(
        "DigitalTwins_DeleteRelationship",
        "DELETE",
        f"{_TWIN}/relationships/{{id}}",
        Quota.CREATE_DELETE,
    ),
    _operation("EventRoutes_List", "GET", "eventroutes", Quota.ROUTES),
    _operation("EventRoutes_GetById", "GET", "eventroutes/{id}", Quota.ROUTES),
    _operation("EventRoutes_Add", "PUT", "eventroutes/{id}", Quota.ROUTES),
    _operation("EventRoutes_Delete", "DELETE", "eventroutes/{id}", Quota.ROUTES),
    _operation("ImportJobs_List", "GET", "jobs/imports", Quota.JOBS, _IMPORTS),
    _operation("ImportJobs_Add", "PUT", "jobs/imports/{id}", Quota.JOBS, _IMPORTS),
    _operation("ImportJobs_GetById", "GET", "jobs/imports/{id}", Quota.JOBS, _IMPORTS),
    _operation("ImportJobs_Delete", "DELETE", "jobs/imports/{id}", Quota.JOBS, _IMPORTS),
    _operation("ImportJobs_Cancel", "POST", "jobs/imports/{id}/cancel", Quota.JOBS, _IMPORTS),
    _operation("DeleteJobs_List", "GET", "jobs/deletions", Quota.JOBS, _DELETIONS),
    _operation("DeleteJobs_Add", "POST", "jobs/deletions", Quota.JOBS, _DELETIONS),
    _operation("DeleteJobs_GetById", "GET", "jobs/deletions/{id}", Quota.JOBS, _DELETIONS),
)


def operation_of(method: str, parts: Sequence[str]) -> Operation | None:
    """Return what a request is, None when it is no operation; fixed parts match in any case."""
    for operation in _by_form().get((method, len(parts), parts[0].lower()), ()):
        for fixed, part in zip(operation.shape, parts, strict=True):
            if not part if fixed == "*" else fixed != part.lower():
                break
        else:
            return operation
    return None


def methods_at(parts: Sequence[str], api_version: str) -> list[str]:
    """Return the methods an address has in a version, none where there is nothing."""
    methods = dict.fromkeys(operation.method for operation in OPERATIONS)
    found = (operation_of(method, parts) for method in methods)
    return [operation.method for operation in found if operation and operation.is_in(api_version)]


@cache
def _by_form() -> dict[tuple[str, int, str], tuple[Operation, ...]]:
    """Return the operations by method, number of parts and first part: few are looked at."""
    forms: dict[tuple[str, int, str], tuple[Operation, ...]] = {}
    for operation in OPERATIONS:
        form = (operation.method, len(operation.shape), operation.shape[0])
        forms[form] = (*forms.get(form, ()), operation)
    return forms
