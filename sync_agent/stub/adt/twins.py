"""The operations on twins and their components: get, put, patch, delete, telemetry.

Order of checks, as recorded: the form of body and conditions, then whether the twin is there, then
the condition, then what the body says. A twin whose model was deleted can be read and deleted.
Source: recorded exchanges; Azure Digital Twins REST, "Digital twins".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sync_agent.dtdl.elements import Component, Primitive
from sync_agent.dtdl.values import check_value
from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import bad_request
from sync_agent.stub.adt.exchange import (
    Answer,
    Asked,
    check_id,
    check_if_match,
    check_if_match_form,
    check_if_none_match,
    new_etag,
    update_time,
)
from sync_agent.stub.adt.random_ids import new_uuid
from sync_agent.stub.adt.routes import Notifier
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.adt.twin_documents import (
    component_of,
    new_twin,
    patched_twin,
    refuse_source_times,
    without_times,
)
from sync_agent.twins.twin import Document


class TwinOperations:
    """The operations on the twins of one store."""

    def __init__(self, db: TwinDb, notifier: Notifier) -> None:
        self._db = db
        self._notifier = notifier

    def get(self, twin_id: str, asked: Asked) -> Answer:
        """Return a twin."""
        document = self._twin(twin_id)
        return _shown(document, document["$etag"], asked)

    def put(self, twin_id: str, body: Any, asked: Asked, *, quiet: bool = False) -> Answer:
        """Create a twin, or replace it wholly; ``quiet`` writes are not notified of."""
        if not isinstance(body, dict):
            raise answers.payload_invalid()
        check_if_none_match(asked)
        check_id(twin_id)
        existing = self._db.model_of(twin_id)
        if existing is not None and asked.if_none_match:
            raise answers.twin_exists(twin_id)
        if not asked.knows_times:
            body = without_times(body)
        document = new_twin(twin_id, body, self._db.registry, now=update_time(), etag=new_etag())
        model = document["$metadata"]["$model"]
        if existing != model:
            self._refuse_decommissioned(model)
        before = None if existing is None else self._db.twin(twin_id)
        with self._db.writing():
            self._db.put_twin(document)
            if before is None and not quiet:
                self._notifier.came(document)
            elif before is not None and not quiet:
                self._notifier.twin_replaced(before, document)
        return _shown(document, document["$etag"], asked)

    def patch(self, twin_id: str, operations: Sequence[Document], asked: Asked) -> Answer:
        """Apply a JSON Patch to a twin."""
        check_if_match_form(asked)
        return self._patch(self._twin(twin_id), operations, asked)

    def delete(self, twin_id: str, asked: Asked) -> Answer:
        """Delete a twin that has no relationships."""
        check_if_match_form(asked)
        document = self._twin(twin_id)
        check_if_match(asked, document)
        if self._db.is_connected(twin_id):
            raise answers.twin_connected(twin_id)
        with self._db.writing():
            self._db.delete_twin(twin_id)
            self._notifier.went(document)
        return Answer(204)

    def get_component(self, twin_id: str, component: str, asked: Asked) -> Answer:
        """Return a component of a twin, with the twin's ETag."""
        document = self._twin(twin_id)
        found = component_of(document, component)
        if found is None:
            raise answers.component_not_found(twin_id, component)
        return _shown(found, document["$etag"], asked)

    def patch_component(
        self, twin_id: str, component: str, operations: Sequence[Document], asked: Asked
    ) -> Answer:
        """Apply a JSON Patch to a component."""
        check_if_match_form(asked)
        document = self._twin(twin_id)
        prefixed = [
            {**o, "path": f"/{component}{o['path']}"} if str(o.get("path")).startswith("/") else o
            for o in operations
        ]
        if component_of(document, component) is None:
            # Recorded: an unknown component in a PATCH is a bad path, not 404.
            path = prefixed[0].get("path") if prefixed else None
            raise answers.patch_invalid(f"Could not resolve path {path or f'/{component}'}.")
        return self._patch(document, prefixed, asked)

    def send_telemetry(
        self,
        twin_id: str,
        component: str | None,
        body: Any,
        *,
        message_id: str | None,
        source_time: str | None,
    ) -> Answer:
        """Take telemetry of a twin or component; without an event route it goes nowhere.

        Any JSON is taken: the JavaScript SDK swaps payload and message id, so it sends a text.
        """
        document = self._twin(twin_id)
        if component is not None and component_of(document, component) is None:
            raise answers.component_not_found(twin_id, component)
        if source_time is not None and not _is_time(source_time):
            raise bad_request("The header Telemetry-Source-Time must be a date-time of RFC 3339.")
        model = self._model_of(document, component)
        with self._db.writing():
            self._notifier.measured(twin_id, component, model, message_id or new_uuid(), body)
        return Answer(204)

    def _model_of(self, document: Document, component: str | None) -> str:
        """Return the model of a twin or of one of its components."""
        model = str(document["$metadata"]["$model"])
        if component is None or model not in self._db.registry:
            return model
        content = self._db.registry.contents(model).get(component)
        return content.schema if isinstance(content, Component) else model

    def _patch(self, document: Document, operations: Sequence[Document], asked: Asked) -> Answer:
        check_if_match(asked, document)
        if not asked.knows_times:
            refuse_source_times(operations)
        result = patched_twin(
            document, operations, self._db.registry, now=update_time(), etag=new_etag()
        )
        model = result["$metadata"]["$model"]
        keeps_model = model == document["$metadata"]["$model"]
        if not keeps_model:
            self._refuse_decommissioned(model)
        with self._db.writing(one_statement=not self._notifier.is_wanted):
            if keeps_model:
                self._db.change_twin(result)
            else:
                self._db.put_twin(result)
            self._notifier.twin_changed(result["$dtId"], model, operations)
        return Answer(204, etag=result["$etag"])

    def _twin(self, twin_id: str) -> Document:
        document = self._db.twin(twin_id)
        if document is None:
            raise answers.twin_not_found(twin_id)
        return document

    def _refuse_decommissioned(self, model_id: str) -> None:
        model = self._db.model(model_id)
        if model is not None and model.decommissioned:
            raise answers.model_decommissioned(model_id)


def _shown(document: Document, etag: str, asked: Asked) -> Answer:
    shown = document if asked.knows_times else without_times(document)
    return Answer(200, shown, etag)


def _is_time(text: str) -> bool:
    # Recorded: a space in place of the T, and no zone, are taken as well.
    time = text.replace(" ", "T", 1)
    return any(check_value(Primitive.DATE_TIME, t) is None for t in (time, f"{time}Z"))
