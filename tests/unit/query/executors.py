"""Both executors of a query behind one signature, for tests that hold one against the other."""

from __future__ import annotations

from collections.abc import Iterable

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.query.interpreter import run
from sync_agent.query.tree import Query
from sync_agent.stub.adt.lowering import lower
from sync_agent.stub.adt.store import TwinDb
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document

ALL = 10_000


def model(model_id: str, *extends: str) -> Document:
    return {
        "@context": "dtmi:dtdl:context;3",
        "@id": model_id,
        "@type": "Interface",
        "extends": list(extends),
    }


def in_memory(query: Query, graph: TwinGraph, models: Iterable[Document]) -> list[Document]:
    return list(run(query, graph, ModelRegistry(parse_models(models).interfaces)))


def in_sqlite(
    query: Query, graph: TwinGraph, models: Iterable[Document], *, page: int = ALL
) -> list[Document]:
    """Run a query in the stub's store, ``page`` rows at a time, up to its TOP."""
    db = store_of(graph, models)
    try:
        lowered = lower(query, db.models_of)
        top = ALL if query.top is None or lowered.is_count else query.top
        rows: list[Document] = []
        after = 0
        while len(rows) < top:
            found = db.select(*lowered.page(min(page, top - len(rows)), after))
            rows += map(lowered.row, found)
            if len(found) < page or lowered.is_count:
                break
            after = found[-1][-1] if lowered.keyset else after + len(found)
        return rows
    finally:
        db.close()


def store_of(graph: TwinGraph, models: Iterable[Document]) -> TwinDb:
    db = TwinDb(None)
    with db.writing():
        for document in models:
            db.add_model(document["@id"], document, "2026-01-01T00:00:00Z")
        for twin in graph.twins():
            db.put_twin(twin)
        for edge in graph.relationships():
            db.put_relationship(edge)
    return db
