"""How much an instance may hold, as the service has it: twins, relationships, models.

Looked at before a request that would add one, and only where a profile sets a bound. Rows are
numbered as they come, so while the newest number is below the bound nothing needs to be counted.
An import job has bounds of its own. Source of the figures: "Azure Digital Twins service limits"
(2025-01), functional limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sync_agent.stub.adt.answers import Refusal, bad_request
from sync_agent.stub.adt.store import TwinDb


@dataclass(frozen=True, slots=True)
class Capacity:
    """The most there may be; 0 stands for no bound.

    ``relationships_of_twin`` is for those that start at a twin, and again for those that lead to
    it.
    """

    models: int = 0
    twins: int = 0
    relationships: int = 0
    relationships_of_twin: int = 0

    @classmethod
    def published(cls) -> Capacity:
        """Return what the service publishes."""
        return cls(
            models=10_000,
            twins=2_000_000,
            relationships=20_000_000,
            relationships_of_twin=50_000,
        )

    def check_models(self, db: TwinDb, added: int) -> Refusal | None:
        """Return why so many models cannot be added, None when they can."""
        if self.models and added and len(db.registry) + added > self.models:
            return bad_request(f"There can be {self.models} models.", "LimitExceeded")
        return None

    def check_twin(self, db: TwinDb, twin_id: str) -> Refusal | None:
        """Return why a twin cannot be written, None when it can: it is there, or there is room."""
        if (
            not self.twins
            or db.model_of(twin_id) is not None
            or not _is_full(db, "twins", self.twins)
        ):
            return None
        return bad_request(f"There can be {self.twins} digital twins.", "TwinLimitReached")

    def check_relationship(
        self, db: TwinDb, relationship_id: str, ends: Sequence[str]
    ) -> Refusal | None:
        """Return why a relationship cannot be written between its ends, None when it can."""
        if db.relationship(ends[0], relationship_id) is not None:
            return None
        if self.relationships and _is_full(db, "relationships", self.relationships):
            return bad_request(f"There can be {self.relationships} relationships.", "LimitExceeded")
        for twin_id, column in zip(ends, ("source", "target"), strict=False):
            if self.relationships_of_twin and self._is_full_twin(db, twin_id, column):
                return bad_request(
                    f"The twin {twin_id} can be the {column} of {self.relationships_of_twin}"
                    " relationships.",
                    "LimitExceeded",
                )
        return None

    def _is_full_twin(self, db: TwinDb, twin_id: str, column: str) -> bool:
        sql = f"SELECT count(*) FROM relationships WHERE {column} = ?"  # noqa: S608 - source, target
        count: int = db.fetch(sql, (twin_id,))[0][0]
        return count >= self.relationships_of_twin


def _is_full(db: TwinDb, table: str, most: int) -> bool:
    newest: int | None = db.fetch(f"SELECT max(pk) FROM {table}", ())[0][0]  # noqa: S608 - fixed
    if newest is None or newest < most:
        return False
    count: int = db.fetch(f"SELECT count(*) FROM {table}", ())[0][0]  # noqa: S608 - fixed
    return count >= most
