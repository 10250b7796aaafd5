"""A radio in two versions, and how its twins get from the one to the other."""

from __future__ import annotations

from typing import Any

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.migration.rules import Conversion, Pair, Rules
from sync_agent.twins.twin import Document
from tests.unit.dtdl.documents import component, enum, interface, prop

OLD, NEW = "dtmi:t:Radio;1", "dtmi:t:Radio;2"
TIME = "2026-11-01T00:00:00Z"

RULES = Rules(
    rename={"rsl": "rslDbm"},
    convert={
        "length": Conversion(scale=1000.0),
        "state": Conversion(values={"up": "inService", "down": "outOfService"}),
    },
    set={"vendor": "unknown"},
    relationships={"feeds": "supplies", "old": ""},
)
PAIR = Pair(OLD, NEW, RULES)


def relationship(name: str, *properties: Any, **more: Any) -> dict[str, Any]:
    return {"@type": "Relationship", "name": name, "properties": list(properties), **more}


def model(id_: str, *contents: Any, **more: Any) -> dict[str, Any]:
    return {**interface(*contents, **more), "@id": id_}


MODELS = [
    model("dtmi:t:Health;1", prop("score")),
    model("dtmi:t:Ports;1", prop("count", "integer")),
    model(
        OLD,
        prop("rsl"),
        prop("length"),
        prop("channel", "string"),
        prop("state", enum("up", "down")),
        prop("note", "string"),
        component("ports", "dtmi:t:Ports;1"),
        relationship("feeds", prop("since", "string")),
        relationship("old"),
        relationship("backs", prop("rank", "string"), prop("memo", "string")),
    ),
    model(
        NEW,
        prop("rslDbm"),
        prop("length"),
        prop("channel", "integer"),
        prop("state", enum("inService", "outOfService")),
        prop("vendor", "string"),
        component("health", "dtmi:t:Health;1"),
        relationship("supplies", prop("since", "string")),
        relationship("backs", prop("rank", "integer")),
    ),
]


def registry() -> ModelRegistry:
    parsed = parse_models(MODELS)
    assert not parsed.diagnostics, parsed.diagnostics
    return ModelRegistry(parsed.interfaces)


def radio(id_: str = "r1", **values: Any) -> Document:
    """Return a twin of the old model."""
    return {
        "$dtId": id_,
        "$etag": 'W/"1"',
        "rsl": -40.5,
        "length": 2.5,
        "channel": "7",
        "state": "up",
        "note": "roof",
        "ports": {"count": 4, "$metadata": {}},
        "$metadata": {"$model": OLD, "rsl": {"sourceTime": TIME, "lastUpdateTime": TIME}},
        **values,
    }
