"""Event notifications: what happened to a twin or relationship, as a CloudEvent on its way out.

On Event Hubs the attributes of the CloudEvent are application properties with the prefix
``cloudEvents:`` and the body is the data alone. A twin or relationship that is created or deleted
is sent whole, a change as the patch that made it, telemetry as it came.
Source: Azure Digital Twins, "Event notifications"; CloudEvents, AMQP binding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sync_agent.stub.adt.exchange import update_time
from sync_agent.stub.adt.random_ids import new_hex, new_uuid
from sync_agent.twins.twin import Document

PREFIX = "cloudEvents:"
TWIN_CREATE = "Microsoft.DigitalTwins.Twin.Create"
TWIN_UPDATE = "Microsoft.DigitalTwins.Twin.Update"
TWIN_DELETE = "Microsoft.DigitalTwins.Twin.Delete"
RELATIONSHIP_CREATE = "Microsoft.DigitalTwins.Relationship.Create"
RELATIONSHIP_UPDATE = "Microsoft.DigitalTwins.Relationship.Update"
RELATIONSHIP_DELETE = "Microsoft.DigitalTwins.Relationship.Delete"
TELEMETRY = "microsoft.iot.telemetry"


@dataclass(frozen=True, slots=True)
class Notification:
    """One event: its CloudEvents attributes, its data, and the twin whose events stay in order."""

    attributes: dict[str, str]
    data: Any
    twin: str

    @property
    def properties(self) -> dict[str, str]:
        """Return the application properties of the message."""
        return {f"{PREFIX}{name}": value for name, value in self.attributes.items()}

    @property
    def body(self) -> bytes:
        """Return the body of the message."""
        return msgspec.json.encode(self.data)

    def as_event(self) -> dict[str, Any]:
        """Return it as a route's filter sees it."""
        return {**self.attributes, "datacontenttype": "application/json", "$body": self.data}


def of_document(kind: str, document: Document, host: str) -> Notification:
    """Return the notification of a twin or relationship that came or went, as it is or was."""
    if "$relationshipId" in document:
        twin = document["$sourceId"]
        subject = f"{twin}/relationships/{document['$relationshipId']}"
    else:
        twin = subject = document["$dtId"]
    return Notification(_attributes(kind, subject, host), document, twin)


def of_patch(
    kind: str, twin: str, subject: str, model: str, patch: Sequence[Document], host: str
) -> Notification:
    """Return the notification of a change to a twin or, its source being that, a relationship."""
    operations = [
        {key: operation[key] for key in ("value", "path", "op") if key in operation}
        for operation in patch
    ]
    data = {"modelId": model, "patch": operations}
    return Notification(_attributes(kind, subject, host), data, twin)


def of_telemetry(
    twin: str, component: str | None, model: str, message_id: str, data: Any, host: str
) -> Notification:
    """Return the notification of telemetry; ``model`` is the twin's or the component's."""
    attributes = {
        "id": message_id,
        "source": f"{host}/digitaltwins/{twin}",
        "specversion": "1.0",
        "type": TELEMETRY,
        "dataschema": model,
        "traceparent": _trace(),
    }
    if component is not None:
        attributes["subject"] = component
    return Notification(attributes, data, twin)


def replacing_patch(before: Document, after: Document) -> list[Document]:
    """Return a PUT that replaced a twin as the patch that would have done the same."""
    old = {name: value for name, value in before.items() if not name.startswith("$")}
    new = {name: value for name, value in after.items() if not name.startswith("$")}
    removed = [{"path": f"/{name}", "op": "remove"} for name in old if name not in new]
    written = [
        {"value": value, "path": f"/{name}", "op": "replace" if name in old else "add"}
        for name, value in new.items()
        if name not in old or old[name] != value
    ]
    return removed + written


def _attributes(kind: str, subject: str, host: str) -> dict[str, str]:
    return {
        "id": new_uuid(),
        "source": host,
        "specversion": "1.0",
        "type": kind,
        "time": update_time(),
        "subject": subject,
        "traceparent": _trace(),
    }


def _trace() -> str:
    return f"00-{new_hex(32)}-{new_hex(16)}-01"
