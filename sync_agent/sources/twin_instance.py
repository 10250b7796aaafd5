"""The twins of another instance as an inventory: a scope is a model, or the name of a relationship.

``from = "dtmi:telecom:place:Site;1"`` gives the twins of exactly that model, ``from = "locatedIn"``
the relationships of that name. Attributes are the properties as they are, parts with dots
(``health.score``), and beside them ``$id``, ``$model``; of a relationship ``$id``, ``$source``,
``$target``. Queries may lag behind writes by some seconds.

Bounds: ``records_max`` a scope.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from sync_agent.dtdl.dtmi import is_dtmi
from sync_agent.errors import ServiceError
from sync_agent.inventory.nested import Nested
from sync_agent.inventory.record import Coverage, Record, RecordDiagnostic, SourceRead
from sync_agent.ports.twin_store import TwinReader
from sync_agent.twins.twin import Document

Connect = Callable[[], AbstractAsyncContextManager[TwinReader]]


class TwinInstanceSource:
    """Another twin instance (port ``InventorySource``)."""

    def __init__(self, connect: Connect, place: str, *, records_max: int) -> None:
        """Prepare; ``connect`` opens the instance for one reading."""
        self._connect = connect
        self._place = place
        self._records_max = records_max

    async def check(self) -> str:
        """Return how many twins there are.

        Raises:
            ServiceError: the instance does not answer, or refuses us.
        """
        async with self._connect() as reader:
            async for row in reader.query("SELECT COUNT() FROM digitaltwins"):
                return f"{row['COUNT']:,} twins at {self._place}"
        return f"no twins at {self._place}"

    async def read(self, scopes: Sequence[str]) -> SourceRead:
        """Return the twins and relationships of these scopes.

        Raises:
            ServiceError: not one scope could be begun.
        """
        records: list[Record] = []
        coverage: list[Coverage] = []
        columns: dict[str, dict[str, None]] = {}
        faults: list[ServiceError] = []
        async with self._connect() as reader:
            for scope in dict.fromkeys(scopes):
                names = columns.setdefault(scope, {})
                reason = ""
                try:
                    async for document in reader.query(_query(scope)):
                        record = _record(scope, document, self._place)
                        names.update(dict.fromkeys(record.attributes))
                        records.append(record)
                        if len(records) > self._records_max:
                            raise ServiceError(
                                f"there are more than {self._records_max:,} twins",
                                remedy="raise records_max",
                            )
                except ServiceError as error:
                    faults.append(error)
                    reason = error.message
                coverage.append(Coverage(scope, not reason, reason))
        if faults and not records and len(faults) == len(coverage):
            raise faults[0]
        return SourceRead(
            records=tuple(records),
            coverage=tuple(coverage),
            columns={scope: tuple(names) for scope, names in columns.items()},
            diagnostics=tuple(
                RecordDiagnostic(
                    self._place,
                    f"was not read whole: {error.message}",
                    error.remedy or "try again; nothing that comes from it is deleted",
                )
                for error in faults
            ),
            digest=_digest(records),
            open_kinds=frozenset(columns),
        )

    async def close(self) -> None:
        """Do nothing: connections last for one reading."""


def _query(scope: str) -> str:
    quoted = scope.replace("\\", "\\\\").replace("'", "\\'")
    if is_dtmi(scope):
        return f"SELECT * FROM digitaltwins T WHERE IS_OF_MODEL(T, '{quoted}', exact)"  # noqa: S608 - quoted
    return f"SELECT * FROM relationships R WHERE R.$relationshipName = '{quoted}'"  # noqa: S608 - quoted


def _record(scope: str, document: Document, place: str) -> Record:
    properties = {name: value for name, value in document.items() if not name.startswith("$")}
    own: dict[str, Any]
    if "$relationshipId" in document:
        own = {
            "$id": document["$relationshipId"],
            "$source": document["$sourceId"],
            "$target": document["$targetId"],
        }
        id_ = f"{document['$sourceId']}/{document['$relationshipId']}"
    else:
        own = {"$id": document["$dtId"], "$model": document["$metadata"].get("$model")}
        id_ = document["$dtId"]
    return Record(scope, id_, Nested({**properties, **own}), f"{place}: {id_}")


def _digest(records: Sequence[Record]) -> str:
    encoder = msgspec.json.Encoder(order="sorted")
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda record: (record.kind, record.id)):
        digest.update(encoder.encode((record.kind, record.id, dict(record.attributes))))
    return digest.hexdigest()
