"""The operations on relationships: get, put, patch, delete, and lists from either end.

The path says which relationship is meant; ids in a body are ignored. A source whose model was
deleted keeps its relationships as they are: they can be read and deleted, not made or changed.
Source: recorded exchanges; Azure Digital Twins REST, "Digital twins - Relationships".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sync_agent.dtdl.elements import Relationship
from sync_agent.dtdl.values import check_relationship
from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import bad_request
from sync_agent.stub.adt.exchange import (
    Answer,
    Asked,
    Page,
    check_id,
    check_if_match,
    check_if_match_form,
    check_if_none_match,
    new_etag,
)
from sync_agent.stub.adt.routes import Notifier
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.adt.twin_documents import too_long_text, violation_wording
from sync_agent.twins.patch import PatchError, apply_patch, unresolved
from sync_agent.twins.twin import Document, JsonValue

RELATIONSHIPS_PER_PAGE = 10


class RelationshipOperations:
    """The operations on the relationships of one store."""

    def __init__(self, db: TwinDb, notifier: Notifier) -> None:
        self._db = db
        self._notifier = notifier

    def get(self, twin_id: str, relationship_id: str) -> Answer:
        """Return a relationship."""
        document = self._relationship(twin_id, relationship_id)
        return Answer(200, document, document["$etag"])

    def put(
        self,
        twin_id: str,
        relationship_id: str,
        body: Any,
        asked: Asked,
        *,
        quiet: bool = False,
    ) -> Answer:
        """Create a relationship, or replace it wholly; ``quiet`` writes are not notified of."""
        name, target = _ends(body)
        check_if_none_match(asked)
        check_id(relationship_id)
        source_model = self._model_of(twin_id)
        target_model = self._db.model_of(target)
        if target_model is None:
            raise answers.target_not_found()
        if asked.if_none_match and self._db.relationship(twin_id, relationship_id) is not None:
            raise answers.relationship_exists(relationship_id)
        if target == twin_id:
            raise bad_request(
                "A relationship from a twin to itself is not allowed.", "OperationNotAllowed"
            )
        declared = self._declared(source_model, name)
        # A twin whose model was deleted may still be led to: what it is cannot be told any more.
        is_known = target_model in self._db.registry
        if (
            declared.target
            and is_known
            and not self._db.registry.is_of_model(target_model, declared.target)
        ):
            raise answers.relationship_misaligned()
        properties = _properties(body)
        _check_properties(declared, properties)
        document = {
            "$relationshipId": relationship_id,
            "$etag": new_etag(),
            "$sourceId": twin_id,
            "$relationshipName": name,
            "$targetId": target,
            **properties,
        }
        with self._db.writing():
            self._db.put_relationship(document)
            if not quiet:
                self._notifier.came(document)
        return Answer(200, document, document["$etag"])

    def patch(
        self, twin_id: str, relationship_id: str, operations: Sequence[Document], asked: Asked
    ) -> Answer:
        """Apply a JSON Patch to a relationship's properties."""
        check_if_match_form(asked)
        document = self._relationship(twin_id, relationship_id)
        check_if_match(asked, document)
        try:
            for operation in operations:
                if str(operation.get("path", "")).startswith("/$"):
                    raise unresolved(operation["path"])
            result = apply_patch(document, operations)
        except PatchError as error:
            raise answers.patch_invalid(str(error)) from error
        model = self._model_of(twin_id)
        _check_properties(self._declared(model, document["$relationshipName"]), _properties(result))
        result["$etag"] = new_etag()
        with self._db.writing():
            self._db.put_relationship(result)
            self._notifier.relationship_changed(result, model, operations)
        return Answer(204, etag=result["$etag"])

    def delete(self, twin_id: str, relationship_id: str, asked: Asked) -> Answer:
        """Delete a relationship."""
        check_if_match_form(asked)
        document = self._relationship(twin_id, relationship_id)
        check_if_match(asked, document)
        with self._db.writing():
            self._db.delete_relationship(twin_id, relationship_id)
            self._notifier.went(document)
        return Answer(204)

    def outgoing(self, twin_id: str, name: str, asked: Asked) -> Page[Document]:
        """Return a page of the relationships that start at a twin, of one name or ("") all."""
        self._model_of(twin_id)
        size = asked.page_of(RELATIONSHIPS_PER_PAGE)
        rows = self._db.outgoing(twin_id, name or None, after=asked.after(), limit=size + 1)
        return Page.cut(rows, size)

    def incoming(self, twin_id: str, asked: Asked) -> Page[Document]:
        """Return a page of what leads to a twin."""
        self._model_of(twin_id)
        size = asked.page_of(RELATIONSHIPS_PER_PAGE)
        rows = self._db.incoming(twin_id, after=asked.after(), limit=size + 1)
        return Page.cut([(key, _incoming(edge, asked)) for key, edge in rows], size)

    def _model_of(self, twin_id: str) -> str:
        model = self._db.model_of(twin_id)
        if model is None:
            raise answers.twin_not_found(twin_id)
        return model

    def _relationship(self, twin_id: str, relationship_id: str) -> Document:
        document = self._db.relationship(twin_id, relationship_id)
        if document is None:
            self._model_of(twin_id)
            raise answers.relationship_not_found(twin_id, relationship_id)
        return document

    def _declared(self, model: str, name: str) -> Relationship:
        registry = self._db.registry
        if model not in registry:
            raise answers.twin_invalid([f"{model} or one of its dependencies does not exist."])
        declared = registry.contents(model).get(name)
        if not isinstance(declared, Relationship):
            raise answers.relationship_misaligned()
        return declared


def _ends(body: Any) -> tuple[str, str]:
    if isinstance(body, dict):
        name, target = body.get("$relationshipName"), body.get("$targetId")
        if isinstance(name, str) and isinstance(target, str) and name and target:
            return name, target
    raise bad_request("Could not deserialize relationship create body.")


def _properties(document: Mapping[str, JsonValue]) -> Document:
    return {name: value for name, value in document.items() if not name.startswith("$")}


def _check_properties(declared: Relationship, properties: Document) -> None:
    violations = check_relationship(declared, properties)
    if violations:
        raise answers.relationship_invalid(
            [violation_wording(violation, owner=declared.name) for violation in violations]
        )
    too_long = too_long_text(properties)
    if too_long is not None:
        raise answers.relationship_invalid([too_long])


def _incoming(edge: Document, asked: Asked) -> Document:
    source, identifier = edge["$sourceId"], edge["$relationshipId"]
    path = f"/digitaltwins/{quote(source, safe='')}/relationships/{quote(identifier, safe='')}"
    return {
        "$relationshipId": identifier,
        "$sourceId": source,
        "$relationshipName": edge["$relationshipName"],
        "$relationshipLink": f"{path}?api-version={asked.api_version}",
    }
