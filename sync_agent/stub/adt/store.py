"""The stub's store of models, twins and relationships: one SQLite file, or memory.

Every write is one transaction; WAL with ``synchronous=NORMAL`` keeps the file whole and every
answered write through a kill of the process (a power cut may lose the last ones). Documents are
kept as JSONB, ids and ends in indexed columns, so that queries run in the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import StoreError
from sync_agent.twins.twin import Document

SCHEMA_VERSION = 1
BUSY_MS = 5_000

_SCHEMA = """
CREATE TABLE models(
    pk INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
    uploaded TEXT NOT NULL, decommissioned INTEGER NOT NULL DEFAULT 0);
CREATE TABLE twins(
    pk INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, document BLOB NOT NULL);
CREATE INDEX twins_model ON twins(model);
CREATE TABLE relationships(
    pk INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
    target TEXT NOT NULL, document BLOB NOT NULL, UNIQUE(source, id));
CREATE INDEX relationships_source ON relationships(source, name);
CREATE INDEX relationships_target ON relationships(target, name);
"""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as uploaded; ``pk`` is its place in upload order."""

    pk: int
    id: str
    document: Document
    uploaded: str
    decommissioned: bool


class TwinDb:
    """The database of one instance; used from one thread."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file; ``None`` keeps everything in memory.

        Raises:
            StoreError: the file cannot be opened, is damaged, or is of another version.
        """
        self._path = path
        self._registry: ModelRegistry | None = None
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = apsw.Connection(str(path) if path else ":memory:")
            self._db.set_busy_timeout(BUSY_MS)
            self._prepare()
        except (apsw.Error, OSError) as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make what is done inside one transaction.

        Raises:
            StoreError: it cannot be stored (a full disk, for one); nothing of it is.
        """
        try:
            with self._db:
                yield
        except (apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.ReadOnlyError) as error:
            self._registry = None
            raise self._failure(error) from error
        except BaseException:
            self._registry = None
            raise

    # -- models ---------------------------------------------------------------------------------

    @property
    def registry(self) -> ModelRegistry:
        """Return all models, parsed."""
        if self._registry is None:
            documents = [model.document for model in self.models()]
            self._registry = ModelRegistry(parse_models(documents).interfaces)
        return self._registry

    def models(self, *, after: int = 0, limit: int = -1) -> list[StoredModel]:
        """Return models in upload order."""
        rows = self._db.execute(
            "SELECT pk, id, document, uploaded, decommissioned FROM models WHERE pk > ?"
            " ORDER BY pk LIMIT ?",
            (after, limit),
        )
        return [_model(row) for row in rows]

    def model(self, model_id: str) -> StoredModel | None:
        """Return a model, None when there is none of that id."""
        row = self._one(
            "SELECT pk, id, document, uploaded, decommissioned FROM models WHERE id = ?",
            (model_id,),
        )
        return None if row is None else _model(row)

    def add_model(self, model_id: str, document: Document, uploaded: str) -> None:
        """Add a model."""
        self._registry = None
        self._db.execute(
            "INSERT INTO models(id, document, uploaded) VALUES(?,?,?)",
            (model_id, json.dumps(document, ensure_ascii=False), uploaded),
        )

    def decommission_model(self, model_id: str) -> None:
        """Mark a model as closed for new twins."""
        self._db.execute("UPDATE models SET decommissioned = 1 WHERE id = ?", (model_id,))

    def delete_model(self, model_id: str) -> None:
        """Delete a model."""
        self._registry = None
        self._db.execute("DELETE FROM models WHERE id = ?", (model_id,))

    def models_of(self, of: str, exact: bool) -> list[str]:
        """Return the ids of models that are of one, deleted ones with twins included."""
        used = (row[0] for row in self._db.execute("SELECT DISTINCT model FROM twins"))
        known = dict.fromkeys((*self.registry.ids, *used))
        return [m for m in known if self.registry.is_of_model(m, of, exact=exact)]

    # -- twins ----------------------------------------------------------------------------------

    def twin(self, twin_id: str) -> Document | None:
        """Return a twin's document, None when there is none of that id."""
        row = self._one("SELECT json(document) FROM twins WHERE id = ?", (twin_id,))
        return None if row is None else json.loads(row[0])

    def has_twin(self, twin_id: str) -> bool:
        """Tell whether there is a twin of that id."""
        return self._one("SELECT 1 FROM twins WHERE id = ?", (twin_id,)) is not None

    def put_twin(self, document: Document) -> None:
        """Add a twin, or replace the one of that id in its place."""
        self._db.execute(
            "INSERT INTO twins(id, model, document) VALUES(?,?,jsonb(?)) ON CONFLICT(id)"
            " DO UPDATE SET model = excluded.model, document = excluded.document",
            (
                document["$dtId"],
                document["$metadata"]["$model"],
                json.dumps(document, ensure_ascii=False),
            ),
        )

    def delete_twin(self, twin_id: str) -> None:
        """Delete a twin."""
        self._db.execute("DELETE FROM twins WHERE id = ?", (twin_id,))

    # -- relationships --------------------------------------------------------------------------

    def relationship(self, source: str, relationship_id: str) -> Document | None:
        """Return a relationship's document, None when there is none."""
        row = self._one(
            "SELECT json(document) FROM relationships WHERE source = ? AND id = ?",
            (source, relationship_id),
        )
        return None if row is None else json.loads(row[0])

    def put_relationship(self, document: Document) -> None:
        """Add a relationship, or replace the one of that source and id in its place."""
        self._db.execute(
            "INSERT INTO relationships(source, id, name, target, document)"
            " VALUES(?,?,?,?,jsonb(?)) ON CONFLICT(source, id) DO UPDATE SET"
            " name = excluded.name, target = excluded.target, document = excluded.document",
            (
                document["$sourceId"],
                document["$relationshipId"],
                document["$relationshipName"],
                document["$targetId"],
                json.dumps(document, ensure_ascii=False),
            ),
        )

    def delete_relationship(self, source: str, relationship_id: str) -> None:
        """Delete a relationship."""
        self._db.execute(
            "DELETE FROM relationships WHERE source = ? AND id = ?", (source, relationship_id)
        )

    def outgoing(
        self, twin_id: str, name: str | None, *, after: int, limit: int
    ) -> list[tuple[int, Document]]:
        """Return a twin's relationships with their place in order, behind ``after``."""
        return self._edges("source", twin_id, name, after, limit)

    def incoming(self, twin_id: str, *, after: int, limit: int) -> list[tuple[int, Document]]:
        """Return the relationships that end at a twin."""
        return self._edges("target", twin_id, None, after, limit)

    def is_connected(self, twin_id: str) -> bool:
        """Tell whether a twin has a relationship at either end."""
        sql = "SELECT 1 FROM relationships WHERE source = ? OR target = ? LIMIT 1"
        return self._one(sql, (twin_id, twin_id)) is not None

    # -- queries --------------------------------------------------------------------------------

    def select(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a lowered query."""
        return list(self._db.execute(sql, tuple(parameters)))

    def counts(self) -> tuple[int, int, int]:
        """Return how many models, twins and relationships there are."""
        row = self._one(
            "SELECT (SELECT count(*) FROM models), (SELECT count(*) FROM twins),"
            " (SELECT count(*) FROM relationships)",
            (),
        )
        return (0, 0, 0) if row is None else (row[0], row[1], row[2])

    # -- inside ---------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
        row = self._one("PRAGMA user_version", ())
        version = row[0] if row else 0
        if version == 0:
            with self._db:
                self._db.execute(_SCHEMA)
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise StoreError(
                f"{self._path} is a stub store of version {version}, this is {SCHEMA_VERSION}",
                remedy="start with another --data-dir",
            )

    def _one(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        return next(iter(self._db.execute(sql, tuple(parameters))), None)

    def _edges(
        self, end: str, twin_id: str, name: str | None, after: int, limit: int
    ) -> list[tuple[int, Document]]:
        rows = self._db.execute(
            f"SELECT pk, json(document) FROM relationships WHERE {end} = ? AND pk > ?"  # noqa: S608 - own words
            " AND (? IS NULL OR name = ?) ORDER BY pk LIMIT ?",
            (twin_id, after, name, name, limit),
        )
        return [(row[0], json.loads(row[1])) for row in rows]

    def _failure(self, error: Exception) -> StoreError:
        full = isinstance(error, apsw.FullError) or "full" in str(error)
        remedy = (
            "free space on that disk" if full else "check the folder, or use another --data-dir"
        )
        return StoreError(f"stub store {self._path}: {error}", remedy=remedy)


def _model(row: tuple[Any, ...]) -> StoredModel:
    return StoredModel(row[0], row[1], json.loads(row[2]), row[3], bool(row[4]))
