"""The data plane without sockets: the real application over a store in memory, asked directly."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sync_agent.stub.adt.app import AdtApp, AdtOptions
from sync_agent.stub.adt.store import TwinDb

VERSION = "2023-10-31"
CONTEXT = "dtmi:dtdl:context;3"
ROOM = "dtmi:t:Room;1"
MODELS: list[dict[str, Any]] = [
    {
        "@id": "dtmi:t:Thermostat;1",
        "@type": "Interface",
        "@context": CONTEXT,
        "contents": [
            {"@type": "Property", "name": "setPoint", "schema": "double"},
            {"@type": "Property", "name": "mode", "schema": "string"},
        ],
    },
    {
        "@id": "dtmi:t:Space;1",
        "@type": "Interface",
        "@context": CONTEXT,
        "displayName": "Space",
        "contents": [{"@type": "Property", "name": "label", "schema": "string"}],
    },
    {
        "@id": ROOM,
        "@type": "Interface",
        "@context": CONTEXT,
        "extends": "dtmi:t:Space;1",
        "displayName": {"en": "Room", "de": "Raum"},
        "contents": [
            {"@type": "Property", "name": "temperature", "schema": "double"},
            {
                "@type": "Property",
                "name": "address",
                "schema": {"@type": "Object", "fields": [{"name": "city", "schema": "string"}]},
            },
            {
                "@type": "Property",
                "name": "tags",
                "schema": {
                    "@type": "Map",
                    "mapKey": {"name": "k", "schema": "string"},
                    "mapValue": {"name": "v", "schema": "integer"},
                },
            },
            {"@type": "Telemetry", "name": "humidity", "schema": "double"},
            {"@type": "Component", "name": "thermostat", "schema": "dtmi:t:Thermostat;1"},
            {
                "@type": "Relationship",
                "name": "next",
                "target": ROOM,
                "properties": [{"@type": "Property", "name": "door", "schema": "string"}],
            },
            {"@type": "Relationship", "name": "in"},
        ],
    },
    {
        "@id": "dtmi:t:Floor;1",
        "@type": "Interface",
        "@context": CONTEXT,
        "extends": "dtmi:t:Space;1",
        "contents": [{"@type": "Property", "name": "level", "schema": "integer"}],
    },
]


TURNED: dict[str, Any] = {
    "@id": "dtmi:t:Turned;1",
    "@type": "Interface",
    "@context": CONTEXT,
    "contents": [
        {"@type": "Component", "name": "address", "schema": "dtmi:t:Thermostat;1"},
        {
            "@type": "Property",
            "name": "thermostat",
            "schema": {"@type": "Object", "fields": [{"name": "setPoint", "schema": "double"}]},
        },
    ],
}
"""A room whose object is a component, and whose component is an object."""


@dataclass(frozen=True)
class Reply:
    """A response: status, headers with names in lower case, and the body as JSON."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        code: str = self.body["error"]["code"]
        return code

    @property
    def message(self) -> str:
        message: str = self.body["error"]["message"]
        return message

    @property
    def etag(self) -> str:
        return self.headers["etag"]


class Plane:
    """One instance, with models of rooms unless told otherwise."""

    def __init__(self, *, models: bool = True, **options: Any) -> None:
        self.db = TwinDb(None)
        self.app = AdtApp(self.db, AdtOptions(**options))
        if models:
            assert self.ask("POST", "/models", MODELS).status == 201

    def close(self) -> None:
        self.app.close()
        self.db.close()

    def ask(self, *request: Any, **options: Any) -> Reply:
        """Send one request, as ``asking`` does, and wait for the answer."""
        return asyncio.run(self.asking(*request, **options))

    async def asking(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str = VERSION,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one request, without an api-version if that is ""; a body of bytes goes as it is."""
        raw = (
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        path, _, query = path.partition("?")
        options = "&".join(part for part in (query, version and f"api-version={version}") if part)
        given = {"host": "127.0.0.1:1234", **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": options.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()],
        }
        return await _exchange(self.app, scope, raw)

    def put(self, twin_id: str, **properties: Any) -> Reply:
        body = {"$metadata": {"$model": ROOM}, "thermostat": {"$metadata": {}}, **properties}
        return self.ask("PUT", twin(twin_id), body)

    def patch(self, twin_id: str, *operations: dict[str, Any], **options: Any) -> Reply:
        return self.ask("PATCH", twin(twin_id), list(operations), **options)

    def get(self, twin_id: str, **options: Any) -> dict[str, Any]:
        reply = self.ask("GET", twin(twin_id), **options)
        assert reply.status == 200, reply
        document: dict[str, Any] = reply.body
        return document

    def link(self, source: str, name: str, target: str, **body: Any) -> Reply:
        path = f"{twin(source)}/relationships/{quote(name, safe='')}"
        return self.ask("PUT", path, {"$relationshipName": "in", "$targetId": target, **body})

    def query(self, text: str, **options: Any) -> Reply:
        return self.ask("POST", "/query", {"query": text}, **options)


def twin(twin_id: str) -> str:
    return f"/digitaltwins/{quote(twin_id, safe='')}"


async def _exchange(app: AdtApp, scope: dict[str, Any], body: bytes) -> Reply:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {k.decode(): v.decode("latin-1") for k, v in sent[0]["headers"]}
    raw = b"".join(message.get("body", b"") for message in sent[1:])
    return Reply(sent[0]["status"], headers, json.loads(raw) if raw else None)
