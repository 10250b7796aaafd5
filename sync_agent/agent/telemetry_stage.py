"""From events to twins: decode, bind, coalesce, observe health, write, and only then move the position.

One stage serves every partition; a partition's batches come one after another. The order inside a batch
is fixed: (1) decode and find the twins, (2) coalesce to one patch per twin and feed the health
windows, (3) patch the twins, (4) commit position, counts, windows and dead letters in one
transaction. A process killed before (4) reads the batch again and finds at (2) that the twins
hold it already; killed after, it goes on behind it. So nothing is lost and nothing counted twice.

Every sample (a row of telemetry) ends in exactly one count: applied, coalesced, missing or
dead-lettered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sync_agent.agent.bounded import each
from sync_agent.agent.directory import Entry, TwinDirectory
from sync_agent.agent.health_board import HealthBoard
from sync_agent.agent.state import BatchOutcome, DeadLetter, Position, StateStore
from sync_agent.errors import NotFoundError, ServiceError
from sync_agent.ports.events import Event
from sync_agent.ports.twin_store import TwinWriter

__all__ = ["TelemetryStage"]


@dataclass(slots=True)
class _Batch:
    """One batch of one partition on its way through the stage."""
