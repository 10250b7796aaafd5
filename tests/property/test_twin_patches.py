"""Any patch of a twin: refused, or a document whose metadata fits what it is now."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.stub.adt.answers import Refusal
from sync_agent.stub.adt.twin_documents import new_twin, patched_twin
from sync_agent.twins.twin import Document
from tests.unit.stub.adt.plane import MODELS, ROOM, TURNED

OTHER = "dtmi:t:Turned;1"
REGISTRY = ModelRegistry(parse_models([*MODELS, TURNED]).interfaces)
COMPONENTS = {model: set(REGISTRY.components(model)) for model in (ROOM, OTHER)}
TIME = "2026-01-01T00:00:00Z"
VALUES: dict[str, list[Any]] = {
    "/label": ["x"],
    "/temperature": [1, 2.5],
    "/address": [{"city": "Ulm"}, {"mode": "eco"}, {}],
    "/address/city": ["Bonn"],
    "/address/mode": ["off"],
    "/tags": [{"a": 1}, {}],
    "/tags/a": [2],
    "/thermostat": [{"setPoint": 1}, {"mode": "eco", "$metadata": {"mode": {"sourceTime": TIME}}}],
    "/thermostat/setPoint": [3],
    "/thermostat/mode": ["off"],
    "/thermostat/$metadata/setPoint/sourceTime": [TIME],
    "/address/$metadata/mode/sourceTime": [TIME],
    "/$metadata/label/sourceTime": [TIME],
    "/$metadata/thermostat/sourceTime": [TIME],
    "/$metadata/$model": [ROOM, OTHER],
    "/thermostat/$metadata": [{}],
    "/nowhere/x": [1],
    "/": [1],
    "": [{}],
}
OPS = ["add", "add", "replace", "remove"]
STRAY: st.SearchStrategy[Any] = st.sampled_from([None, 1, "x", [], {}, {"$x": 1}])


@st.composite
def operations(draw: st.DrawFn) -> Document:
    path = draw(st.sampled_from(sorted(VALUES)))
    op = "replace" if path == "/$metadata/$model" else draw(st.sampled_from(OPS))
    value = draw(STRAY) if draw(st.integers(0, 19)) == 0 else draw(st.sampled_from(VALUES[path]))
    return {"op": op, "path": path, "value": value}


def stamped(document: Document) -> set[str]:
    return {name for name in document["$metadata"] if not name.startswith("$")}


def written(document: Document) -> set[str]:
    return {name for name in document if not name.startswith("$")}


@given(st.lists(st.lists(operations(), max_size=5), max_size=6))
def test_each_property_has_its_stamp_where_it_belongs_and_nothing_else_has(
    patches: list[list[Document]],
) -> None:
    body = {"$metadata": {"$model": ROOM}, "thermostat": {}, "address": {}}
    document = new_twin("a", body, REGISTRY, now="1", etag="1")
    for number, patch in enumerate(patches, 2):
        before = deepcopy(document)
        try:
            result = patched_twin(document, patch, REGISTRY, now=str(number), etag=str(number))
        except Refusal:
            result = document
        assert document == before
        document = result
        components = COMPONENTS[document["$metadata"]["$model"]]
        assert stamped(document) == written(document) - components
        for name in components:
            assert stamped(document[name]) == written(document[name])
