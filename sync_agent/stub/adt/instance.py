"""One stub instance's data plane: what each operation does, without HTTP.

An operation takes what the request said and returns an ``Answer``, or raises a ``Refusal``. The
order of checks is the recorded one: the body, then what the path names, then conditions, then
content.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_agent.dtdl.adt_profile import check_adt
from sync_agent.dtdl.dtmi import is_dtmi
from sync_agent.dtdl.elements import Relationship
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.values import check_relationship
from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import PatchUnreadable, bad_request
from sync_agent.stub.adt.store import StoredModel, TwinDb
from sync_agent.stub.adt.twin_documents import (
    component_of,
    new_twin,
    patched_twin,
    without_update_times,
)
from sync_agent.twins.patch import PatchError, apply_patch
from sync_agent.twins.twin import Document

MODELS_PER_CALL = 250
RELATIONSHIPS_PER_PAGE = 10
MODELS_PER_PAGE = 100
PAGE_MAX = 1_000
ID_MAX = 128


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers: HTTP status, JSON body (None: none) and ETag ("": none)."""

    status: int
    body: Any = None
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says besides its body: version, conditions, paging."""

    api_version: str
    if_match: str | None = None
    if_none_match: str | None = None
    page_size: int | None = None
    continuation: str = ""

    @property
    def shows_update_times(self) -> bool:
        """Tell whether documents show ``$lastUpdateTime``: from api-version 2022-05-31 on."""
        return self.api_version >= "2022-05-31"


class Instance:
    """The operations on one store."""

    def __init__(self, db: TwinDb) -> None:
        self.db = db

    # -- models ---------------------------------------------------------------------------------

    def create_models(self, body: Any) -> Answer:
        """Create models, all or none."""
        if not isinstance(body, list) or not body:
            raise answers.models_empty()
        if len(body) > MODELS_PER_CALL:
            raise bad_request(
                f"{len(body)} models in one request, the most is {MODELS_PER_CALL}.",
                "LimitExceeded",
            )
        parsed = parse_models(body)
        if parsed.diagnostics:
            raise answers.models_invalid([answers.parser_message(d) for d in parsed.diagnostics])
        existing = [i.id for i in parsed.interfaces if self.db.model(i.id) is not None]
        if existing:
            raise answers.models_exist(existing)
        registry = self.db.registry.with_interfaces(parsed.interfaces)
        missing = registry.missing()
        if missing:
            raise answers.models_invalid([answers.unresolved(missing)])
        refused = [d for i in parsed.interfaces for d in check_adt(registry, i)]
        if refused:
            raise answers.models_invalid([answers.parser_message(d) for d in refused])
        with self.db.writing():
            for interface in parsed.interfaces:
                self.db.add_model(interface.id, dict(interface.document), _upload_time())
        created = [self.db.model(i.id) for i in parsed.interfaces]
        return Answer(201, [_model_metadata(m, whole=False) for m in created if m is not None])

    def get_model(self, model_id: str, *, whole: bool) -> Answer:
        """Return one model's metadata, with its definition when ``whole``."""
        return Answer(200, _model_metadata(self._model(model_id), whole=whole))

    def list_models(
        self, asked: Asked, *, dependencies_for: Sequence[str], whole: bool
    ) -> tuple[list[Document], str]:
        """Return a page of models and the continuation of the next ("" for none)."""
        wanted: set[str] | None = None
        if dependencies_for:
            wanted = self._with_dependencies(dependencies_for)
        size = min(asked.page_size or MODELS_PER_PAGE, PAGE_MAX)
        after = _position(asked.continuation)
        found = [m for m in self.db.models(after=after) if wanted is None or m.id in wanted]
        page = found[:size]
        following = str(page[-1].pk) if len(found) > size else ""
        return [_model_metadata(m, whole=whole) for m in page], following

    def decommission_model(self, model_id: str, patch: Any) -> Answer:
        """Take a patch that may only decommission."""
        operations = _operations(patch, names_document=False)
        self._model(model_id)
        for operation in operations:
            if operation.get("op") != "replace" or operation.get("path") != "/decommissioned":
                raise answers.patch_invalid("Only /decommissioned of a model can be replaced.")
            if operation.get("value") is not True:
                raise answers.patch_invalid("A model can only be decommissioned.")
        with self.db.writing():
            self.db.decommission_model(model_id)
        return Answer(204)

    def delete_model(self, model_id: str) -> Answer:
        """Delete a model that no other model extends or has as a component."""
        self._model(model_id)
        registry = self.db.registry
        users = [i for i in registry.ids if model_id in registry.dependencies(i) and i != model_id]
        if users:
            raise answers.model_referenced(users)
        with self.db.writing():
            self.db.delete_model(model_id)
        return Answer(204)

    # -- twins ----------------------------------------------------------------------------------

    def get_twin(self, twin_id: str, asked: Asked) -> Answer:
        """Return a twin."""
        document = self._twin(twin_id)
        return Answer(200, _shown(document, asked), document["$etag"])

    def put_twin(self, twin_id: str, body: Any, asked: Asked) -> Answer:
        """Create a twin, or replace it wholly."""
        if not isinstance(body, dict):
            raise bad_request("Payload is invalid.")
        _check_if_none_match(asked)
        _check_id(twin_id)
        existing = self.db.twin(twin_id)
        if existing is not None and asked.if_none_match:
            raise answers.twin_exists(twin_id)
        document = new_twin(twin_id, body, self.db.registry, now=_now(), etag=_new_etag())
        model = document["$metadata"]["$model"]
        if existing is None or existing["$metadata"]["$model"] != model:
            self._refuse_decommissioned(model)
        with self.db.writing():
            self.db.put_twin(document)
        return Answer(200, _shown(document, asked), document["$etag"])

    def patch_twin(self, twin_id: str, patch: Any, asked: Asked) -> Answer:
        """Apply a JSON Patch to a twin."""
        operations = _operations(patch, names_document=True)
        return self._patch(twin_id, operations, asked)

    def delete_twin(self, twin_id: str, asked: Asked) -> Answer:
        """Delete a twin that has no relationships."""
        _check_if_match_form(asked)
        document = self._twin(twin_id)
        _check_if_match(asked, document)
        if self.db.is_connected(twin_id):
            raise answers.twin_connected(twin_id)
        with self.db.writing():
            self.db.delete_twin(twin_id)
        return Answer(204)

    def get_component(self, twin_id: str, component: str, asked: Asked) -> Answer:
        """Return a component of a twin."""
        document = self._twin(twin_id)
        found = component_of(document, component)
        if found is None:
            raise answers.component_not_found(twin_id, component)
        return Answer(200, _shown(found, asked), document["$etag"])

    def patch_component(self, twin_id: str, component: str, patch: Any, asked: Asked) -> Answer:
        """Apply a JSON Patch to a component."""
        operations = _operations(patch, names_document=False)
        _check_if_match_form(asked)
        document = self._twin(twin_id)
        prefixed = [
            {**o, "path": f"/{component}{o['path']}"} if isinstance(o.get("path"), str) else o
            for o in operations
        ]
        if prefixed and component_of(document, component) is None:
            # Recorded: an unknown component in a PATCH is a bad path, not 404.
            raise answers.patch_invalid(f"Could not resolve path {prefixed[0].get('path')}.")
        return self._patch(twin_id, prefixed, asked)

    def send_telemetry(
        self, twin_id: str, component: str | None, body: Any, message_id: str | None
    ) -> Answer:
        """Accept telemetry of a twin or component; without an event route it goes nowhere."""
        document = self._twin(twin_id)
        if component is not None and component_of(document, component) is None:
            raise answers.component_not_found(twin_id, component)
        if not message_id:
            raise bad_request("The header Message-Id is required.", "MissingArgument")
        if not isinstance(body, dict):
            raise bad_request("Payload is invalid.")
        return Answer(204)

    # -- relationships --------------------------------------------------------------------------

    def get_relationship(self, twin_id: str, relationship_id: str) -> Answer:
        """Return a relationship."""
        document = self._relationship(twin_id, relationship_id)
        return Answer(200, document, document["$etag"])

    def put_relationship(
        self, twin_id: str, relationship_id: str, body: Any, asked: Asked
    ) -> Answer:
        """Create a relationship, or replace it wholly; the path wins over ids in the body."""
        if not isinstance(body, dict) or not all(
            isinstance(body.get(key), str) and body[key]
            for key in ("$relationshipName", "$targetId")
        ):
            raise bad_request("Could not deserialize relationship create body.")
        _check_if_none_match(asked)
        _check_id(relationship_id)
        source = self._twin(twin_id)
        target = self.db.twin(body["$targetId"])
        if target is None:
            raise answers.target_not_found()
        existing = self.db.relationship(twin_id, relationship_id)
        if existing is not None and asked.if_none_match:
            raise answers.relationship_exists(relationship_id)
        properties = {k: v for k, v in body.items() if not k.startswith("$")}
        self._check_relationship(source, body["$relationshipName"], target, properties)
        document = {
            "$relationshipId": relationship_id,
            "$etag": _new_etag(),
            "$sourceId": twin_id,
            "$relationshipName": body["$relationshipName"],
            "$targetId": body["$targetId"],
            **properties,
        }
        with self.db.writing():
            self.db.put_relationship(document)
        return Answer(200, document, document["$etag"])

    def patch_relationship(
        self, twin_id: str, relationship_id: str, patch: Any, asked: Asked
    ) -> Answer:
        """Apply a JSON Patch to a relationship's properties."""
        operations = _operations(patch, names_document=False)
        _check_if_match_form(asked)
        document = self._relationship(twin_id, relationship_id)
        _check_if_match(asked, document)
        for operation in operations:
            if str(operation.get("path", "")).startswith("/$"):
                raise answers.patch_invalid(f"Could not resolve path {operation['path']}.")
        try:
            result = apply_patch(document, operations)
        except PatchError as error:
            raise answers.patch_invalid(str(error)) from error
        properties = {k: v for k, v in result.items() if not k.startswith("$")}
        target = self.db.twin(document["$targetId"])
        self._check_relationship(
            self._twin(twin_id), document["$relationshipName"], target, properties
        )
        result["$etag"] = _new_etag()
        with self.db.writing():
            self.db.put_relationship(result)
        return Answer(204, etag=result["$etag"])

    def delete_relationship(self, twin_id: str, relationship_id: str, asked: Asked) -> Answer:
        """Delete a relationship."""
        _check_if_match_form(asked)
        _check_if_match(asked, self._relationship(twin_id, relationship_id))
        with self.db.writing():
            self.db.delete_relationship(twin_id, relationship_id)
        return Answer(204)

    def list_relationships(
        self, twin_id: str, name: str | None, asked: Asked
    ) -> tuple[list[Document], str]:
        """Return a page of a twin's relationships and the continuation of the next."""
        self._twin(twin_id)
        size = min(asked.page_size or RELATIONSHIPS_PER_PAGE, PAGE_MAX)
        after = _position(asked.continuation)
        rows = self.db.outgoing(twin_id, name or None, after=after, limit=size + 1)
        return _page(rows, size)

    def list_incoming(self, twin_id: str, asked: Asked) -> tuple[list[Document], str]:
        """Return a page of what ends at a twin and the continuation of the next."""
        self._twin(twin_id)
        size = min(asked.page_size or RELATIONSHIPS_PER_PAGE, PAGE_MAX)
        after = _position(asked.continuation)
        page, following = _page(self.db.incoming(twin_id, after=after, limit=size + 1), size)
        return [
            {
                "$relationshipId": edge["$relationshipId"],
                "$sourceId": edge["$sourceId"],
                "$relationshipName": edge["$relationshipName"],
                "$relationshipLink": f"/digitaltwins/{edge['$sourceId']}/relationships/"
                f"{edge['$relationshipId']}?api-version={asked.api_version}",
            }
            for edge in page
        ], following

    # -- inside ---------------------------------------------------------------------------------

    def _patch(self, twin_id: str, operations: Sequence[Document], asked: Asked) -> Answer:
        _check_if_match_form(asked)
        document = self._twin(twin_id)
        _check_if_match(asked, document)
        result = patched_twin(document, operations, self.db.registry, now=_now(), etag=_new_etag())
        if result["$metadata"]["$model"] != document["$metadata"]["$model"]:
            self._refuse_decommissioned(result["$metadata"]["$model"])
        with self.db.writing():
            self.db.put_twin(result)
        return Answer(204, etag=result["$etag"])

    def _twin(self, twin_id: str) -> Document:
        document = self.db.twin(twin_id)
        if document is None:
            raise answers.twin_not_found(twin_id)
        return document

    def _relationship(self, twin_id: str, relationship_id: str) -> Document:
        self._twin(twin_id)
        document = self.db.relationship(twin_id, relationship_id)
        if document is None:
            raise answers.relationship_not_found(twin_id, relationship_id)
        return document

    def _model(self, model_id: str) -> StoredModel:
        if not is_dtmi(model_id):
            raise bad_request(
                f"The format of the Model ID {model_id} provided is not supported. See model"
                " documentation(https://aka.ms/ADTv2Models) for supported format."
            )
        model = self.db.model(model_id)
        if model is None:
            raise answers.model_not_found(model_id)
        return model

    def _refuse_decommissioned(self, model_id: str) -> None:
        model = self.db.model(model_id)
        if model is not None and model.decommissioned:
            raise bad_request(
                f"The model {model_id} is decommissioned; no twin of it can be created.",
                "ModelDecommissioned",
            )

    def _with_dependencies(self, ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        pending = list(ids)
        for model_id in pending:
            self._model(model_id)
            if model_id not in found:
                found.add(model_id)
                pending += self.db.registry.dependencies(model_id)
        return found

    def _check_relationship(
        self,
        source: Document,
        name: str,
        target: Document | None,
        properties: Mapping[str, Any],
    ) -> None:
        registry = self.db.registry
        model = source["$metadata"]["$model"]
        if model not in registry:
            raise answers.twin_invalid([f"{model} or one of its dependencies does not exist."])
        declared = registry.contents(model).get(name)
        if not isinstance(declared, Relationship):
            raise bad_request(
                f"The relationship {name} does not appear on the DTDL of {model}.",
                "InvalidRelationship",
            )
        if target is not None and source["$dtId"] == target["$dtId"]:
            raise bad_request(
                "A relationship from a twin to itself is not allowed.", "OperationNotAllowed"
            )
        if target is not None and declared.target:
            kind = target["$metadata"]["$model"]
            if not registry.is_of_model(kind, declared.target):
                raise bad_request(
                    f"The relationship {name} must lead to {declared.target}, not to {kind}.",
                    "InvalidRelationship",
                )
        violations = check_relationship(declared, properties)
        if violations:
            raise answers.twin_invalid([violation.message for violation in violations])


def _shown(document: Document, asked: Asked) -> Document:
    return document if asked.shows_update_times else without_update_times(document)


def _model_metadata(model: StoredModel, *, whole: bool) -> Document:
    metadata: Document = {
        "id": model.id,
        "description": _language_map(model.document.get("description")),
        "displayName": _language_map(model.document.get("displayName")),
        "decommissioned": model.decommissioned,
        "uploadTime": model.uploaded,
    }
    if whole:
        metadata["model"] = model.document
    return metadata


def _language_map(value: Any) -> Document:
    if isinstance(value, str):
        return {"en": value}
    return value if isinstance(value, dict) else {}


def _page(rows: list[tuple[int, Document]], size: int) -> tuple[list[Document], str]:
    following = str(rows[size - 1][0]) if len(rows) > size else ""
    return [document for _, document in rows[:size]], following


def _position(continuation: str) -> int:
    if not continuation:
        return 0
    if not continuation.isascii() or not continuation.isdigit() or len(continuation) > 18:
        raise bad_request("The continuation token is not valid.", "BadRequest")
    return int(continuation)


def _operations(patch: Any, *, names_document: bool) -> list[Document]:
    """Return a patch as operations, or raise what makes the web framework's answer."""
    operations = patch if isinstance(patch, list) else [patch]
    for index, operation in enumerate(operations):
        if not isinstance(operation, dict):
            raise PatchUnreadable(index, str(operation), names_document=names_document)
    return operations


def _check_if_none_match(asked: Asked) -> None:
    if asked.if_none_match not in (None, "*"):
        raise bad_request("Invalid If-None-Match header value. Allowed value(s): If-None-Match: *")


def _check_if_match_form(asked: Asked) -> None:
    value = asked.if_match
    if value in (None, "*"):
        return
    text = str(value).removeprefix("W/")
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        raise bad_request(
            "Invalid If-Match header value. Allowed value(s): If-Match: {etag} or If-Match: *"
        )


def _check_if_match(asked: Asked, document: Document) -> None:
    if asked.if_match not in (None, "*", document["$etag"]):
        raise answers.etag_differs(str(asked.if_match))


def _check_id(identifier: str) -> None:
    # The service publishes no rule; a bound and no control characters are the stub's choice.
    if not 1 <= len(identifier) <= ID_MAX or any(ord(c) < 32 or ord(c) == 127 for c in identifier):
        raise bad_request(f"An id must have 1 to {ID_MAX} characters and no control characters.")


def _now() -> str:
    ticks = time.time_ns() // 100
    seconds, fraction = divmod(ticks, 10_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:07d}Z"


def _upload_time() -> str:
    whole, fraction = _now()[:-1].split(".")
    digits = fraction.rstrip("0")
    return f"{whole}.{digits}+00:00" if digits else f"{whole}+00:00"


def _new_etag() -> str:
    return f'W/"{uuid.uuid4()}"'
