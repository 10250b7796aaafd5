"""The operations on models: add, get, list, decommission, delete.

An upload is all or nothing and may refer to itself and to what is stored. Only other models'
``extends`` and component schemas hold a model back from deletion, neither twins nor the targets of
relationships. Source: recorded exchanges; Azure Digital Twins REST, "Models".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sync_agent.dtdl.adt_profile import check_adt
from sync_agent.dtdl.dtmi import is_dtmi
from sync_agent.dtdl.parse import parse_models
from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import bad_request
from sync_agent.stub.adt.exchange import Answer, Asked, Page, upload_time
from sync_agent.stub.adt.parser_wording import first_faults, unresolved, wording
from sync_agent.stub.adt.store import StoredModel, TwinDb
from sync_agent.twins.twin import Document

MODELS_PER_CALL = 250
MODELS_PER_PAGE = 100


class ModelOperations:
    """The operations on the models of one store."""

    def __init__(self, db: TwinDb) -> None:
        self._db = db

    def create(self, body: Any) -> Answer:
        """Create models, all or none."""
        is_array = isinstance(body, list) and bool(body)
        if not is_array or not all(isinstance(model, dict) for model in body):
            raise answers.models_empty()
        if len(body) > MODELS_PER_CALL:
            raise bad_request(
                f"{len(body)} models in one request, the most is {MODELS_PER_CALL}.",
                "LimitExceeded",
            )
        return self.add_all(body)

    def add_all(self, body: list[Any]) -> Answer:
        """Create models, however many, all or none."""
        faults = first_faults(body)
        parsed = parse_models(body, undefined_extensions=False)
        if any(finding.code == "unrecognizedContextVersion" for finding in parsed.diagnostics):
            raise answers.model_version_unknown()
        if faults or parsed.diagnostics:
            faults = faults or [wording(finding, body) for finding in parsed.diagnostics]
            raise answers.models_invalid(faults)
        existing = [i.id for i in parsed.interfaces if self._db.model(i.id) is not None]
        if existing:
            raise answers.models_exist(existing)
        registry = self._db.registry.with_interfaces(parsed.interfaces)
        missing = registry.missing()
        if missing:
            raise answers.models_invalid([unresolved(registry, missing)])
        refused = [d for i in parsed.interfaces for d in check_adt(registry, i)]
        if refused:
            raise answers.models_invalid([wording(finding, body) for finding in refused])
        with self._db.writing():
            for interface in parsed.interfaces:
                self._db.add_model(interface.id, dict(interface.document), upload_time())
        self._db.registry = registry
        created = [self._db.model(i.id) for i in parsed.interfaces]
        return Answer(201, [_metadata(m, whole=False) for m in created if m is not None])

    def get(self, model_id: str, *, whole: bool) -> Answer:
        """Return one model's metadata, with its definition when ``whole``."""
        return Answer(200, _metadata(self._model(model_id), whole=whole))

    def page(self, asked: Asked, *, dependencies_for: Sequence[str], whole: bool) -> Page[Document]:
        """Return a page of models in upload order; all, or those that some models need."""
        size = asked.page_of(MODELS_PER_PAGE)
        after = asked.after()
        if dependencies_for:
            wanted = self._with_dependencies(dependencies_for)
            found = [m for m in self._db.models(after=after) if m.id in wanted]
        else:
            found = self._db.models(after=after, limit=size + 1)
        return Page.cut([(m.pk, _metadata(m, whole=whole)) for m in found], size)

    def decommission(self, model_id: str, operations: Sequence[Document]) -> Answer:
        """Take a patch that may only decommission; doing so again changes nothing."""
        self._model(model_id)
        for operation in operations:
            op = str(operation.get("op")).lower()
            if op != "replace" or operation.get("path") != "/decommissioned":
                raise answers.patch_invalid("Only /decommissioned of a model can be replaced.")
            if operation.get("value") is not True:
                raise answers.patch_invalid("A model can only be decommissioned.")
        if operations:
            with self._db.writing():
                self._db.decommission_model(model_id)
        return Answer(204)

    def delete(self, model_id: str) -> Answer:
        """Delete a model that no other model extends or has as a component."""
        self._model(model_id)
        registry = self._db.registry
        users = [i for i in registry.ids if model_id in registry.dependencies(i) and i != model_id]
        if users:
            raise answers.model_referenced(users)
        with self._db.writing():
            self._db.delete_model(model_id)
        self._db.registry = registry.without([model_id])
        return Answer(204)

    def _model(self, model_id: str) -> StoredModel:
        if not is_dtmi(model_id):
            raise answers.model_id_invalid(model_id)
        model = self._db.model(model_id)
        if model is None:
            raise answers.model_not_found(model_id)
        return model

    def _with_dependencies(self, ids: Sequence[str]) -> set[str]:
        for model_id in ids:
            self._model(model_id)
        registry = self._db.registry
        found: set[str] = set()
        pending = list(ids)
        while pending:
            model_id = pending.pop()
            if model_id not in found and model_id in registry:
                found.add(model_id)
                pending += registry.dependencies(model_id)
        return found


def _metadata(model: StoredModel, *, whole: bool) -> Document:
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
