"""Recorded exchanges with the real service: reading, seeding, sending and comparing them.

A recording was made on an instance that other tests used at the same time, so before a session is
replayed, what it takes for granted is made: what the recording says it needs, and what its answers
show to have been there. What differs from run to run (ETags, times, ids in tokens) is made equal
before bodies are compared.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

Exchange = dict[str, Any]
Session = list[Exchange]
Body = dict[str, Any]

VERSION = "api-version=2023-10-31"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")
DTMI = re.compile(r"dtmi:[\w:]+;\d+")
# How the service worded the same in 2020, and how since.
REWORDED = (
    ("http://aka.ms", "https://aka.ms"),
    ("does not exist Please validate", "does not exist. Please validate"),
    (": Top-level element requires", ": In source, top-level JSON element requires"),
    ("DtmiResolver failed to resolve", "DtmiResolverAsync failed to resolve"),
    (" (referenced in 1 place)", ""),
    (
        "No @context specifier in top-level JSON object.",
        "In source, top-level JSON object has no @context specifier.",
    ),
    ("is the string 'dtmi", "is a valid DTDL context specifier, such as 'dtmi"),
)


def sessions_of(recording: Path) -> list[Session]:
    """Return the sessions of a recording, each in order."""
    sessions: dict[str, Session] = {}
    with gzip.open(recording, "rt", encoding="utf-8") as lines:
        for line in lines:
            exchange = json.loads(line)
            sessions.setdefault(exchange["session"], []).append(exchange)
    return [sorted(session, key=lambda e: e["order"]) for session in sessions.values()]


def path_of(exchange: Exchange) -> tuple[str, ...]:
    """Return the unescaped parts of an exchange's path, the first in lower case."""
    parts = urlsplit(exchange["url"]).path.strip("/").split("/")
    return (parts[0].lower(), *(unquote(part) for part in parts[1:]))


@dataclass
class Catalogue:
    """Every definition that occurs in a recording: of models, twins and relationships."""

    models: dict[str, Body] = field(default_factory=dict)
    twins: dict[str, Body] = field(default_factory=dict)
    relationships: dict[tuple[str, str], Body] = field(default_factory=dict)

    @classmethod
    def of(cls, sessions: list[Session]) -> Catalogue:
        catalogue = cls()
        for exchange in (exchange for session in sessions for exchange in session):
            catalogue.learn(exchange)
        return catalogue

    def learn(self, exchange: Exchange) -> None:
        body, answer = exchange["req_body"], exchange["resp_body"]
        match (exchange["method"], *path_of(exchange)):
            case ("POST", "models") if exchange["status"] == 201:
                self.models |= {model["@id"]: model for model in body}
            case ("PUT", "digitaltwins", twin) if exchange["status"] == 200:
                self.twins[twin] = answer
            case ("PUT", "digitaltwins", twin, "relationships", name) if answer.get("$targetId"):
                self.relationships[twin, name] = answer


@dataclass
class Needs:
    """What must be there before a session: what the recording says, and what its answers show.

    ``passing`` are models of twins that were left over when their model had been deleted: uploaded
    to make the twins, and deleted again.
    """

    catalogue: Catalogue
    models: dict[str, Body] = field(default_factory=dict)
    passing: dict[str, Body] = field(default_factory=dict)
    decommissioned: set[str] = field(default_factory=set)
    twins: dict[str, Body] = field(default_factory=dict)
    relationships: dict[tuple[str, str], Body] = field(default_factory=dict)
    made: set[tuple[str, ...]] = field(default_factory=set)

    def of(self, session: Session) -> Needs:
        for exchange in session:
            self.walk(exchange)
        made, self.made = self.made, set()
        for seed in session[0]["seed_needed"] or ():
            kind, _, name = seed.partition("/")
            if kind == "models":
                self.model(name)
            elif kind == "digitaltwins":
                self.twin(name)
            else:
                self.relationship(*name.split("/"))
        for twin in self.twins.values():
            self.leave_over(twin["$metadata"]["$model"])
        self.made = made
        return self

    def leave_over(self, model_id: str) -> None:
        if model_id not in self.models and model_id not in self.passing:
            model = self.passing[model_id] = self.catalogue.models[model_id]
            for needed in references(model):
                self.leave_over(needed)

    def walk(self, exchange: Exchange) -> None:
        status, code, answer = exchange["status"], exchange["error_code"], exchange["resp_body"]
        match (exchange["method"], *path_of(exchange)):
            case ("POST", "models"):
                self.walk_upload(exchange)
            case ("GET", "models"):
                for item in answer["value"]:
                    self.model(item["id"], item.get("model"))
                    if item["decommissioned"] and ("model", item["id"]) not in self.made:
                        self.decommissioned.add(item["id"])
            case (_, "models", model) if status < 300 or status == 409:
                self.model(model)
                if status == 409:
                    for user in DTMI.findall(answer["error"]["message"]):
                        self.model(user)
            case ("PUT", "digitaltwins", twin) if status == 200:
                self.model(answer["$metadata"]["$model"])
                self.made.add(("twin", twin))
            case (_, "digitaltwins", twin, *rest) if code != "DigitalTwinNotFound":
                self.twin(twin, answer if status == 200 and not rest else None)
                self.walk_edges(exchange, twin, rest)
            case ("POST", "query") if status == 200:
                for row in answer["value"]:
                    self.twin(row["$dtId"], row)

    def walk_upload(self, exchange: Exchange) -> None:
        body = exchange["req_body"]
        if exchange["status"] == 201:
            self.made |= {("model", model["@id"]) for model in body}
            for model in body:
                for needed in references(model):
                    self.model(needed)
        elif exchange["status"] == 409:
            for model in DTMI.findall(exchange["resp_body"]["error"]["message"]):
                self.model(model)

    def walk_edges(self, exchange: Exchange, twin: str, rest: list[str]) -> None:
        status, answer = exchange["status"], exchange["resp_body"]
        if status == 200 and exchange["method"] == "PUT":
            self.twin(answer["$targetId"])
            self.made.add(("edge", twin, rest[-1]))
        elif status == 200 and rest in (["relationships"], ["incomingrelationships"]):
            for edge in answer["value"]:
                self.relationship(edge["$sourceId"], edge["$relationshipId"], edge)
        elif len(rest) == 2 and rest[0] == "relationships" and status != 404:
            self.relationship(twin, rest[1], answer if status == 200 else None)

    def model(self, model_id: str, document: Body | None = None) -> None:
        known = document or self.catalogue.models.get(model_id)
        if ("model", model_id) in self.made or model_id in self.models or not known:
            return
        for needed in references(known):
            self.model(needed)
        self.models[model_id] = known

    def twin(self, twin_id: str, document: Body | None = None) -> None:
        known = document or self.catalogue.twins.get(twin_id)
        if ("twin", twin_id) in self.made or twin_id in self.twins or not known:
            return
        if known["$metadata"]["$model"] in self.catalogue.models:  # else another suite left it over
            self.twins[twin_id] = known

    def relationship(self, source: str, name: str, document: Body | None = None) -> None:
        if ("edge", source, name) in self.made or (source, name) in self.relationships:
            return
        whole = document if document and "$targetId" in document else None
        known = whole or self.catalogue.relationships.get((source, name))
        if known:
            self.twin(source)
            self.twin(known["$targetId"])
            self.relationships[source, name] = known


def references(model: Body) -> list[str]:
    """Return the models one cannot be uploaded without."""
    extends = model.get("extends") or []
    contents = model.get("contents") or []
    components = [c["schema"] for c in contents if c.get("@type") == "Component"]
    return [*([extends] if isinstance(extends, str) else extends), *components]


class Replayer:
    """Sends requests to one stub; a recorded ETag becomes the stub's of that moment."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self.etags: dict[str, str] = {}
        self.links: dict[str, str] = {}

    def close(self) -> None:
        self.connection.close()

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Send one request; return status, headers in lower case, and the body."""
        text = None if body is None else (body if isinstance(body, str) else json.dumps(body))
        given = {"content-type": "application/json", **(headers or {})}
        self.connection.request(method, path, None if text is None else text.encode(), given)
        response = self.connection.getresponse()
        raw = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, json.loads(raw) if raw else None

    def wipe(self) -> None:
        """Delete everything."""
        self.etags, self.links = {}, {}
        for edge in self.rows("SELECT * FROM RELATIONSHIPS"):
            source, name = (
                quote(edge["$sourceId"], safe=""),
                quote(edge["$relationshipId"], safe=""),
            )
            self.must("DELETE", f"/digitaltwins/{source}/relationships/{name}")
        for twin in self.rows("SELECT * FROM DIGITALTWINS"):
            self.must("DELETE", f"/digitaltwins/{quote(twin['$dtId'], safe='')}")
        left = [m["id"] for m in self.must("GET", "/models")["value"]]
        while left:
            deleted = [m for m in left if self.call("DELETE", f"/models/{m}?{VERSION}")[0] == 204]
            assert deleted, left
            left = [m for m in left if m not in deleted]

    def seed(self, needs: Needs) -> None:
        """Make what a session takes for granted."""
        models = [*needs.models.values(), *needs.passing.values()]
        if models:
            self.must("POST", "/models", models)
        for twin_id, twin in needs.twins.items():
            self.must("PUT", f"/digitaltwins/{quote(twin_id, safe='')}", twin)
        for (source, name), edge in needs.relationships.items():
            path = f"/digitaltwins/{quote(source, safe='')}/relationships/{quote(name, safe='')}"
            self.must("PUT", path, edge)
        for model_id in needs.decommissioned:
            patch = [{"op": "replace", "path": "/decommissioned", "value": True}]
            self.must("PATCH", f"/models/{model_id}", patch)
        for model_id in needs.passing:  # what extends or contains another stands before it
            self.must("DELETE", f"/models/{model_id}")

    def send(self, exchange: Exchange) -> tuple[int, dict[str, str], Any]:
        """Send a recorded request."""
        recorded: str = exchange["url"]
        parts = urlsplit(self.links.get(recorded, recorded))
        headers = {
            name.lower(): self.etags.get(value, value)
            for name, value in (exchange["req_headers"] or {}).items()
            if name.lower() not in ("host", "content-length", "accept-encoding", "connection")
        }
        if "telemetry" in parts.path:
            headers.setdefault("message-id", "1")  # the SDK sent one, not all recordings kept it
        answer = self.call(
            exchange["method"], f"{parts.path}?{parts.query}", exchange["req_body"], headers
        )
        self.learn(exchange, answer[1], answer[2])
        return answer

    def learn(self, exchange: Exchange, headers: dict[str, str], found: Any) -> None:
        recorded = {k.lower(): v for k, v in (exchange["resp_headers"] or {}).items()}
        if recorded.get("etag") and headers.get("etag"):
            self.etags[recorded["etag"]] = headers["etag"]
        old = exchange["resp_body"]
        if isinstance(old, dict) and isinstance(found, dict):
            if old.get("$etag") and found.get("$etag"):
                self.etags[old["$etag"]] = found["$etag"]
            if old.get("nextLink") and found.get("nextLink"):
                link = urlsplit(old["nextLink"])
                self.links[f"{link.path}?{link.query}"] = found["nextLink"]
                self.links[old["nextLink"]] = found["nextLink"]

    def must(self, method: str, path: str, body: Any = None) -> Any:
        status, _, found = self.call(method, f"{path}?{VERSION}", body)
        assert status < 300, (method, path, status, found)
        return found

    def rows(self, query: str) -> Iterator[Body]:
        body: Body = {"query": query}
        while True:
            page = self.must("POST", "/query", body)
            yield from page["value"]
            if not page["continuationToken"]:
                return
            body = {"continuationToken": page["continuationToken"]}


def blurred(value: Any) -> Any:
    """Return a body with what differs from run to run made equal."""
    if isinstance(value, str):
        for old, new in REWORDED:
            value = value.replace(old, new)
        value = TRACE.sub("<trace>", TIME.sub("<time>", GUID.sub("<guid>", value)))
        return ", ".join(sorted(DTMI.findall(value))) + DTMI.sub("<model>", value)
    if isinstance(value, list):
        return [blurred(item) for item in value]
    if isinstance(value, dict):
        return {key: _blurred_item(key, inner) for key, inner in value.items()}
    return value


def _blurred_item(key: str, value: Any) -> Any:
    if key == "nextLink" and value:
        link = urlsplit(value)
        names = sorted(name for name, _ in parse_qsl(link.query, keep_blank_values=True))
        return ["<host>", link.path.lower(), names]
    if key == "continuationToken" and value:
        return sorted(json.loads(value))
    if key == "traceId":
        return "<trace>"
    return blurred(value)


def is_list(exchange: Exchange) -> bool:
    return path_of(exchange)[-1] in ("query", "models", "relationships", "incomingrelationships")


def _in_order(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


ALWAYS = {"strict-transport-security", "content-type", "etag", "query-charge"}


def differences(
    exchange: Exchange, needs: Needs, status: int, headers: dict[str, str], found: Any
) -> list[str]:
    """Return what the stub answered otherwise than the service, each as a line."""
    answer = exchange["resp_body"]
    if status == 200 and path_of(exchange)[-1] == "query":
        # Twins of other suites, and two whose model contradicts their own PUT, are left out.
        models = needs.catalogue.models
        strange = {
            row["$dtId"] for row in answer["value"] if row["$metadata"]["$model"] not in models
        }
        answer, found = (
            {**body, "value": [row for row in body["value"] if row["$dtId"] not in strange]}
            for body in (answer, found)
        )
    if status != exchange["status"]:
        return [f"status {status}, recorded {exchange['status']}: {json.dumps(found)[:300]}"]
    code = found.get("error", {}).get("code") if isinstance(found, dict) else None
    if (exchange["error_code"] or None) != code:
        return [f"code {code}, recorded {exchange['error_code']}"]
    recorded = {k.lower(): v for k, v in (exchange["resp_headers"] or {}).items()}
    wrong = [
        f"header {name}: {headers.get(name)}, recorded {recorded.get(name)}"
        for name in sorted(ALWAYS)
        if (name in recorded) != (name in headers)
    ]
    if recorded.get("content-type", "") != headers.get("content-type", ""):
        wrong.append(f"content-type {headers.get('content-type')}")
    mine, theirs = blurred(found), blurred(answer)
    if status == 200 and is_list(exchange):
        mine["value"], theirs["value"] = _in_order(mine["value"]), _in_order(theirs["value"])
    if (mine or None) != (theirs or None):
        wrong.append(f"body     {json.dumps(mine)}\n  recorded {json.dumps(theirs)}")
    return wrong
