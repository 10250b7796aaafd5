"""The stub's store of models, twins and relationships: one SQLite file, or memory.

Every write is one transaction. In WAL mode with ``synchronous=NORMAL`` every answered write
survives the death of the process, and the file stays whole through a power cut, which may lose the
last moments. Documents are kept as JSONB, ids, models and ends in indexed columns, so that queries
run in the engine; ``store_file`` has the tables.

One connection, used by one thread at a time; whoever shares it between threads takes turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import msgspec

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.stub.adt.store_file import BROKEN, failure, open_store
from sync_agent.twins.twin import Document

WATCH_EVERY = 20_000
"""Steps of SQLite's machine between two looks at the clock: about a millisecond."""

# Steps from one model to the next in the index, which is quicker than reading all of it.
_USED_MODELS = """
WITH RECURSIVE used(model) AS (
    SELECT min(model) FROM twins
    UNION ALL
    SELECT (SELECT min(model) FROM twins WHERE model > used.model) FROM used
    WHERE used.model IS NOT NULL)
SELECT model FROM used WHERE model IS NOT NULL
"""
_MODEL_COLUMNS = "SELECT pk, id, document, uploaded, decommissioned FROM models"


Write = tuple[str, tuple[Any, ...]]
"""One change of models, twins or relationships: the method that made it, and its arguments."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as uploaded; ``pk`` is its place in upload order."""

    pk: int
    id: str
    document: Document
    uploaded: str
    decommissioned: bool


class TwinDb:
    """The database of one instance.

    Raises (constructor):
        StoreError: the file is in use by another process, damaged, of another version, or its
            folder cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or create the file; ``None`` keeps everything in memory."""
        self._path = path
        self._registry: ModelRegistry | None = None
        self._written: list[Write] = []
        self._is_writing = False
        self.follower: Callable[[Sequence[Write]], None] | None = None
        self._db = open_store(path)

    def close(self) -> None:
        """Move the write-ahead log into the file and close it."""
        self._db.close()

    @contextmanager
    def writing(self, *, one_statement: bool = False) -> Iterator[None]:
        """Make what is done inside one transaction; inside another it is a part of that.

        With ``one_statement`` nothing else is done inside, and that is its own transaction, for
        half of what it costs with one around it.

        Raises:
            StoreError: it cannot be stored (a full disk, for one); nothing of it is.
        """
        if self._is_writing:
            yield
            return
        try:
            if not one_statement:
                self._db.execute("BEGIN IMMEDIATE")
            self._written, self._is_writing = [], True
            try:
                yield
                if not one_statement:
                    self._db.execute("COMMIT")
                if self.follower is not None:
                    self.follower(self._written)
            except BaseException:
                # A full disk has rolled back already, and then there is nothing to roll back.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._is_writing = False
        except BROKEN as error:
            self._registry = None
            raise failure(self._path, error) from error
        except BaseException:
            self._registry = None
            raise

    def copy_into(self, other: TwinDb) -> None:
        """Make another store an exact copy of this one.

        Raises:
            StoreError: it cannot be written.
        """
        try:
            with other._db.backup("main", self._db, "main") as backup:
                backup.step()
        except apsw.Error as error:
            raise failure(other._path, error) from error
        other._registry = None

    def replay(self, writes: Sequence[Write]) -> None:
        """Do again what another store's ``follower`` was told of."""
        with self.writing():
            for name, arguments in writes:
                getattr(self, name)(*arguments)

    # -- models ---------------------------------------------------------------------------------

    @property
    def registry(self) -> ModelRegistry:
        """Return all models, parsed."""
        if self._registry is None:
            documents = [model.document for model in self.models()]
            self._registry = ModelRegistry(parse_models(documents).interfaces)
        return self._registry

    @registry.setter
    def registry(self, registry: ModelRegistry) -> None:
        """Take what is already parsed, after the same was written."""
        self._registry = registry

    def models(self, *, after: int = 0, limit: int = -1) -> list[StoredModel]:
        """Return models in upload order, behind a place in it; without a limit (-1) all."""
        sql = f"{_MODEL_COLUMNS} WHERE pk > ? ORDER BY pk LIMIT ?"
        return [_model(row) for row in self._rows(sql, (after, limit))]

    def model(self, model_id: str) -> StoredModel | None:
        """Return a model, None when there is none of that id."""
        row = self._row(f"{_MODEL_COLUMNS} WHERE id = ?", (model_id,))
        return None if row is None else _model(row)

    def add_model(self, model_id: str, document: Document, uploaded: str) -> None:
        """Add a model."""
        self._note("add_model", model_id, document, uploaded)
        self._registry = None
        self._db.execute(
            "INSERT INTO models(id, document, uploaded) VALUES(?,?,?)",
            (model_id, _text(document), uploaded),
        )

    def decommission_model(self, model_id: str) -> None:
        """Mark a model as closed for new twins."""
        self._note("decommission_model", model_id)
        self._db.execute("UPDATE models SET decommissioned = 1 WHERE id = ?", (model_id,))

    def delete_model(self, model_id: str) -> None:
        """Delete a model."""
        self._note("delete_model", model_id)
        self._registry = None
        self._db.execute("DELETE FROM models WHERE id = ?", (model_id,))

    def models_of(self, of: str, exact: bool) -> list[str]:
        """Return the ids of all models that are of one, those of orphaned twins included."""
        used = (row[0] for row in self._rows(_USED_MODELS, ()))
        known = dict.fromkeys((*self.registry.ids, *used))
        return [m for m in known if self.registry.is_of_model(m, of, exact=exact)]

    # -- twins ----------------------------------------------------------------------------------

    def twin(self, twin_id: str) -> Document | None:
        """Return a twin's document, None when there is none of that id."""
        return self._document("SELECT json(document) FROM twins WHERE id = ?", (twin_id,))

    def model_of(self, twin_id: str) -> str | None:
        """Return the id of a twin's model, None when there is no such twin."""
        row = self._row("SELECT model FROM twins WHERE id = ?", (twin_id,))
        return None if row is None else row[0]

    def put_twin(self, document: Document) -> None:
        """Add a twin, or replace the one of that id in its place."""
        self._note("put_twin", document)
        self._db.execute(
            "INSERT INTO twins(id, model, document) VALUES(?,?,jsonb(?)) ON CONFLICT(id)"
            " DO UPDATE SET model = excluded.model, document = excluded.document",
            (document["$dtId"], document["$metadata"]["$model"], _text(document)),
        )

    def change_twin(self, document: Document) -> None:
        """Write a twin that is there and keeps its model: less than ``put_twin`` has to do."""
        self._note("change_twin", document)
        self._db.execute(
            "UPDATE twins SET document = jsonb(?) WHERE id = ?",
            (_text(document), document["$dtId"]),
        )

    def delete_twin(self, twin_id: str) -> None:
        """Delete a twin."""
        self._note("delete_twin", twin_id)
        self._db.execute("DELETE FROM twins WHERE id = ?", (twin_id,))

    # -- relationships --------------------------------------------------------------------------

    def relationship(self, source: str, relationship_id: str) -> Document | None:
        """Return a relationship's document, None when there is none."""
        return self._document(
            "SELECT json(document) FROM relationships WHERE source = ? AND id = ?",
            (source, relationship_id),
        )

    def put_relationship(self, document: Document) -> None:
        """Add a relationship, or replace the one of that source and id in its place."""
        self._note("put_relationship", document)
        self._db.execute(
            "INSERT INTO relationships(source, id, name, target, document)"
            " VALUES(?,?,?,?,jsonb(?)) ON CONFLICT(source, id) DO UPDATE SET"
            " name = excluded.name, target = excluded.target, document = excluded.document",
            (
                document["$sourceId"],
                document["$relationshipId"],
                document["$relationshipName"],
                document["$targetId"],
                _text(document),
            ),
        )

    def delete_relationship(self, source: str, relationship_id: str) -> None:
        """Delete a relationship."""
        self._note("delete_relationship", source, relationship_id)
        self._db.execute(
            "DELETE FROM relationships WHERE source = ? AND id = ?", (source, relationship_id)
        )

    def outgoing(
        self, twin_id: str, name: str | None, *, after: int, limit: int
    ) -> list[tuple[int, Document]]:
        """Return a twin's relationships with their place in order, behind ``after``."""
        rows = self._rows(
            "SELECT pk, json(document) FROM relationships WHERE source = ? AND pk > ?"
            " AND (? IS NULL OR name = ?) ORDER BY pk LIMIT ?",
            (twin_id, after, name, name, limit),
        )
        return [(pk, msgspec.json.decode(text)) for pk, text in rows]

    def incoming(self, twin_id: str, *, after: int, limit: int) -> list[tuple[int, Document]]:
        """Return the relationships that end at a twin, likewise."""
        rows = self._rows(
            "SELECT pk, json(document) FROM relationships WHERE target = ? AND pk > ?"
            " ORDER BY pk LIMIT ?",
            (twin_id, after, limit),
        )
        return [(pk, msgspec.json.decode(text)) for pk, text in rows]

    def is_connected(self, twin_id: str) -> bool:
        """Tell whether a twin has a relationship at either end."""
        sql = "SELECT 1 FROM relationships WHERE source = ? OR target = ? LIMIT 1"
        return self._row(sql, (twin_id, twin_id)) is not None

    # -- what else is kept ----------------------------------------------------------------------

    def fetch(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return rows of the tables of routes, outbox and jobs, whose rooms know their columns."""
        return self._rows(sql, parameters)

    def change(self, sql: str, parameters: Sequence[Any]) -> None:
        """Change those tables, inside ``writing``."""
        self._db.execute(sql, tuple(parameters))

    # -- queries --------------------------------------------------------------------------------

    def select(
        self, sql: str, parameters: Sequence[Any], *, limit_s: float | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a lowered query.

        Raises:
            TimeoutError: it takes longer than ``limit_s``, or ``interrupt`` was called.
        """
        if limit_s is None:
            return self._rows(sql, parameters)
        end = time.monotonic() + limit_s
        self._db.set_progress_handler(lambda: time.monotonic() > end, WATCH_EVERY)
        try:
            return self._rows(sql, parameters)
        except apsw.InterruptError as error:
            raise TimeoutError from error
        finally:
            self._db.set_progress_handler(None)

    def interrupt(self) -> None:
        """End the ``select`` that runs in another thread, if there is one."""
        self._db.interrupt()

    # -- inside ---------------------------------------------------------------------------------

    def _note(self, method: str, *arguments: Any) -> None:
        if self.follower is not None:
            self._written.append((method, arguments))

    def _rows(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return list(self._db.execute(sql, tuple(parameters)))
        except BROKEN as error:
            raise failure(self._path, error) from error

    def _row(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        return next(iter(self._rows(sql, parameters)), None)

    def _document(self, sql: str, parameters: Sequence[Any]) -> Document | None:
        row = self._row(sql, parameters)
        return None if row is None else msgspec.json.decode(row[0])


def _model(row: tuple[Any, ...]) -> StoredModel:
    return StoredModel(row[0], row[1], msgspec.json.decode(row[2]), row[3], bool(row[4]))


def _text(document: Document) -> str:
    return msgspec.json.encode(document).decode()
