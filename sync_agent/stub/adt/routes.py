"""Event routes: which notifications go to which endpoint, and the outbox they wait in.

An endpoint is an event hub of the stub: endpoints belong to the service's control plane, so the
stub is told of them (``--endpoint NAME=HUB``), and every hub is an endpoint by its own name. A
notification is put into the outbox in the transaction of the change it tells of, and taken out once
the hub has it: it may come twice, never not at all.
Source: recorded exchanges; Azure Digital Twins REST, "Event routes".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sync_agent.errors import QueryError
from sync_agent.stub.adt import answers, notification
from sync_agent.stub.adt.answers import Refusal, bad_request
from sync_agent.stub.adt.exchange import Answer, Asked, Page, check_id
from sync_agent.stub.adt.notification import Notification
from sync_agent.stub.adt.route_filter import Filter, parse_filter
from sync_agent.stub.adt.store import TwinDb
from sync_agent.twins.twin import Document

ROUTES_MAX = 6
ROUTES_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class _Route:
    hub: str
    admits: Filter


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notification in the outbox: its place in order, its hub, and the message."""

    pk: int
    hub: str
    twin: str
    properties: dict[str, str]
    body: bytes


class Notifier:
    """Puts notifications into the outbox of the routes that admit them.

    Its methods are called inside the transaction of the change.
    """

    def __init__(
        self,
        db: TwinDb,
        endpoints: Mapping[str, str],
        host: str,
        on_message: Callable[[], None] = lambda: None,
    ) -> None:
        """Notify of one store's changes; ``endpoints`` are hubs by endpoint, ``host`` our name.

        ``on_message`` hears that something was put into the outbox, before it is committed.
        """
        self._db = db
        self._endpoints = endpoints
        self._host = host
        self._on_message = on_message
        self._routes: list[_Route] | None = None

    def forget(self) -> None:
        """Read the routes anew before the next notification."""
        self._routes = None

    def came(self, document: Document) -> None:
        """Tell of a twin or relationship that was created."""
        is_edge = "$relationshipId" in document
        kind = notification.RELATIONSHIP_CREATE if is_edge else notification.TWIN_CREATE
        if self.is_wanted:
            self._send(notification.of_document(kind, document, self._host))

    def went(self, document: Document) -> None:
        """Tell of a twin or relationship that was deleted."""
        is_edge = "$relationshipId" in document
        kind = notification.RELATIONSHIP_DELETE if is_edge else notification.TWIN_DELETE
        if self.is_wanted:
            self._send(notification.of_document(kind, document, self._host))

    def twin_changed(self, twin_id: str, model: str, patch: Sequence[Document]) -> None:
        """Tell of a twin that a patch changed."""
        if self.is_wanted and patch:
            kind = notification.TWIN_UPDATE
            told = notification.of_patch(kind, twin_id, twin_id, model, patch, self._host)
            self._send(told)

    def twin_replaced(self, before: Document, after: Document) -> None:
        """Tell of a twin that was written anew, as the patch that would have done it."""
        patch = notification.replacing_patch(before, after)
        self.twin_changed(after["$dtId"], after["$metadata"]["$model"], patch)

    def relationship_changed(
        self, document: Document, model: str, patch: Sequence[Document]
    ) -> None:
        """Tell of a relationship that a patch changed."""
        if self.is_wanted and patch:
            source, kind = document["$sourceId"], notification.RELATIONSHIP_UPDATE
            subject = f"{source}/relationships/{document['$relationshipId']}"
            self._send(notification.of_patch(kind, source, subject, model, patch, self._host))

    def measured(
        self, twin_id: str, component: str | None, model: str, message_id: str, data: Any
    ) -> None:
        """Tell of telemetry that came in."""
        if self.is_wanted:
            told = notification.of_telemetry(
                twin_id, component, model, message_id, data, self._host
            )
            self._send(told)

    @property
    def is_wanted(self) -> bool:
        """Tell whether there is a route for anything."""
        return bool(self._current())

    def _current(self) -> list[_Route]:
        if self._routes is None:
            rows = self._db.fetch("SELECT endpoint, filter FROM event_routes ORDER BY pk", ())
            self._routes = [
                _Route(self._endpoints[endpoint], parse_filter(text))
                for endpoint, text in rows
                if endpoint in self._endpoints
            ]
        return self._routes

    def _send(self, told: Notification) -> None:
        event = told.as_event()
        for route in self._current():
            if route.admits(event):
                self._db.change(
                    "INSERT INTO outbox(hub, twin, properties, body) VALUES(?,?,?,?)",
                    (route.hub, told.twin, msgspec.json.encode(told.properties), told.body),
                )
                self._on_message()


class RouteOperations:
    """The operations on event routes: list, get, put, delete."""

    def __init__(self, db: TwinDb, endpoints: Mapping[str, str], notifier: Notifier) -> None:
        """Serve the routes of one store."""
        self._db = db
        self._endpoints = endpoints
        self._notifier = notifier

    def page(self, asked: Asked) -> Page[Document]:
        """Return a page of routes in the order they were made."""
        size = asked.page_of(ROUTES_PER_PAGE)
        rows = self._db.fetch(
            "SELECT pk, id, endpoint, filter FROM event_routes WHERE pk > ? ORDER BY pk LIMIT ?",
            (asked.after(), size + 1),
        )
        return Page.cut([(row[0], _shown(*row[1:])) for row in rows], size)

    def get(self, route_id: str) -> Answer:
        """Return a route."""
        return Answer(200, self._route(route_id))

    def put(self, route_id: str, body: Any) -> Answer:
        """Create a route, or replace it."""
        if not isinstance(body, dict):
            raise answers.payload_invalid()
        endpoint, text = body.get("endpointName"), body.get("filter")
        check_id(route_id, "EventRouteIdInvalid")
        if not isinstance(endpoint, str) or endpoint not in self._endpoints:
            raise answers.endpoint_invalid()
        if not isinstance(text, str):
            raise bad_request("The filter is required.", "MissingArgument")
        try:
            parse_filter(text)
        except QueryError as error:
            raise answers.filter_invalid(error.message, error.line, error.position) from error
        others = self._db.fetch("SELECT count(*) FROM event_routes WHERE id != ?", (route_id,))
        if others[0][0] >= ROUTES_MAX:
            raise bad_request(f"There are {ROUTES_MAX} event routes already.", "LimitExceeded")
        with self._db.writing():
            self._db.change(
                "INSERT INTO event_routes(id, endpoint, filter) VALUES(?,?,?) ON CONFLICT(id)"
                " DO UPDATE SET endpoint = excluded.endpoint, filter = excluded.filter",
                (route_id, endpoint, text),
            )
        self._notifier.forget()
        return Answer(204)

    def delete(self, route_id: str) -> Answer:
        """Delete a route; what waits for its hub still goes there."""
        self._route(route_id)
        with self._db.writing():
            self._db.change("DELETE FROM event_routes WHERE id = ?", (route_id,))
        self._notifier.forget()
        return Answer(204)

    def _route(self, route_id: str) -> Document:
        sql = "SELECT id, endpoint, filter FROM event_routes WHERE id = ?"
        rows = self._db.fetch(sql, (route_id,))
        if not rows:
            raise route_not_found()
        return _shown(*rows[0])


def waiting(db: TwinDb, limit: int) -> list[Waiting]:
    """Return the oldest notifications in the outbox."""
    rows = db.fetch(
        "SELECT pk, hub, twin, properties, body FROM outbox ORDER BY pk LIMIT ?", (limit,)
    )
    return [Waiting(pk, hub, twin, msgspec.json.decode(p), body) for pk, hub, twin, p, body in rows]


def delivered(db: TwinDb, items: Sequence[Waiting]) -> None:
    """Take notifications out of the outbox: their hubs have them."""
    with db.writing():
        for item in items:
            db.change("DELETE FROM outbox WHERE pk = ?", (item.pk,))


def route_not_found() -> Refusal:
    """There is no such route."""
    return Refusal(
        404,
        "EventRouteNotFound",
        "There is no route available that matches the provided input. Check for all valid event"
        " routes by calling EventRoute_List. See Swagger example (https://aka.ms/RouteSwSmpl).",
    )


def _shown(route_id: str, endpoint: str, text: str) -> Document:
    return {"id": route_id, "endpointName": endpoint, "filter": text}
