"""A small network model and mapping for tests of the inventory: sites, routers, links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.mapping import MappedGraph, map_records, parse_mapping
from sync_agent.inventory.record import Record

CONTEXT = "dtmi:dtdl:context;3"


def _map(name: str) -> dict[str, Any]:
    return {
        "@type": "Property",
        "name": name,
        "schema": {
            "@type": "Map",
            "mapKey": {"name": "key", "schema": "string"},
            "mapValue": {"name": "value", "schema": "string"},
        },
    }


def _property(name: str, schema: Any) -> dict[str, Any]:
    return {"@type": "Property", "name": name, "schema": schema}


def _edge(name: str, target: str = "", *properties: dict[str, Any]) -> dict[str, Any]:
    edge: dict[str, Any] = {"@type": "Relationship", "name": name}
    if target:
        edge["target"] = target
    if properties:
        edge["properties"] = list(properties)
    return edge


def _interface(id_: str, contents: list[dict[str, Any]], extends: str = "") -> dict[str, Any]:
    interface: dict[str, Any] = {
        "@context": CONTEXT,
        "@id": id_,
        "@type": "Interface",
        "contents": contents,
    }
    return {**interface, "extends": extends} if extends else interface


ELEMENT = "dtmi:test:Element;1"
SITE = "dtmi:test:Site;1"
ROUTER = "dtmi:test:Router;1"
LINK = "dtmi:test:Link;1"
UNMARKED = "dtmi:test:Unmarked;1"

MODELS: list[dict[str, Any]] = [
    _interface("dtmi:test:Health;1", [_property("score", "double"), _property("state", "string")]),
    _interface(
        ELEMENT,
        [
            _property("label", "string"),
            _map("tags"),
            {"@type": "Component", "name": "health", "schema": "dtmi:test:Health;1"},
            _edge("dependsOn", ELEMENT, _property("weight", "double")),
        ],
    ),
    _interface(SITE, [_property("latitude", "double"), _property("floors", "integer")], ELEMENT),
    _interface(
        ROUTER,
        [
            _property(
                "role",
                {
                    "@type": "Enum",
                    "valueSchema": "string",
                    "enumValues": [
                        {"name": "core", "enumValue": "core"},
                        {"name": "edge", "enumValue": "edge"},
                    ],
                },
            ),
            _property("managed", "boolean"),
            _property("installed", "dateTime"),
            _edge("locatedIn", SITE),
        ],
        ELEMENT,
    ),
    _interface(
        LINK,
        [
            _property("frequencyAtoZ", "double"),
            _property("frequencyZtoA", "double"),
            _property("levelDbm", "double"),
            _edge("aEnd", ELEMENT),
            _edge("zEnd", ELEMENT),
        ],
        ELEMENT,
    ),
    _interface(UNMARKED, [_property("label", "string")]),
]

REGISTRY = ModelRegistry(parse_models(MODELS).interfaces)

MAPPING = f"""
[[twin]]
from = "sites.csv"
id = "{{id}}"
model = "{SITE}"
columns = ["label", "latitude", "floors"]

[[twin]]
from = "routers.csv"
id = "{{id}}"
model = "{ROUTER}"
columns = ["label", "role", "managed", "installed"]

[[twin]]
from = "links.csv"
id = "{{link}}"
model = "{LINK}"
merge = true

[twin.properties]
label = "link {{link}}"
frequencyAtoZ = {{ column = "ghz", when = {{ channel = "near-far" }} }}
frequencyZtoA = {{ column = "ghz", when = {{ channel = "far-near" }} }}

[[relationship]]
from = "routers.csv"
source = "{{id}}"
name = "locatedIn"
target = "{{site}}"

[[relationship]]
from = "links.csv"
source = "{{link}}"
name = "aEnd"
target = "{{a}}"

[[relationship]]
from = "links.csv"
source = "{{link}}"
name = "zEnd"
target = "{{z}}"
"""

SITES = [
    {"id": "S1", "label": "North", "latitude": "50.5", "floors": "3"},
    {"id": "S2", "label": "South", "latitude": "49.25", "floors": ""},
]
ROUTERS = [
    {
        "id": "R1",
        "label": "",
        "role": "core",
        "managed": "yes",
        "installed": "2024-05-01T00:00:00Z",
        "site": "S1",
    },
    {"id": "R2", "label": "r two", "role": "edge", "managed": "no", "installed": "", "site": "S2"},
]
LINKS = [
    {"link": "L1", "channel": "near-far", "ghz": "18.195", "a": "R1", "z": "R2"},
    {"link": "L1", "channel": "far-near", "ghz": "19.205", "a": "R1", "z": "R2"},
]

Rows = list[dict[str, str]]


def records(
    sites: Rows | None = None, routers: Rows | None = None, links: Rows | None = None
) -> list[Record]:
    """Return records of the three files; a file that is not given has its usual rows."""
    files: Mapping[str, Iterable[dict[str, str]]] = {
        "sites.csv": SITES if sites is None else sites,
        "routers.csv": ROUTERS if routers is None else routers,
        "links.csv": LINKS if links is None else links,
    }
    return [
        Record(name, str(line), row, f"{name}:{line}")
        for name, rows in files.items()
        for line, row in enumerate(rows, 2)
    ]


def mapped(given: Iterable[Record] | None = None, mapping: str = MAPPING) -> MappedGraph:
    """Return what records mean under a mapping."""
    rules = parse_mapping(mapping, place="mapping.toml")
    return map_records(rules, records() if given is None else given, REGISTRY)
