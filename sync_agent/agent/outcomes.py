"""What the agent's loops leave behind for good, as values; ``state`` keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_agent.telemetry.tally import Tally


@dataclass(frozen=True, slots=True)
class Position:
    """How far one partition has been read: ``watermark_ms`` is the newest event time seen in it."""

    sequence_number: int
    watermark_ms: int


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """One element's open health window and what its twin shows or shall show.

    ``window`` and ``published`` are JSON objects; ``revision`` counts the changes of ``published``.
    """

    element: str
    model: str
    partition: str
    window: Mapping[str, Any]
    published: Mapping[str, Any]
    revision: int = 0


@dataclass(frozen=True, slots=True)
class TransitionRecord:
    """A change of an element's health state; ``at_ms`` is event time."""

    element: str
    at_ms: int
    before: str
    after: str
    score: float | None
    worst_kpi: str
    explanation: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event, or one sample of it, that could not be applied, and why."""

    partition: str
    sequence_number: int
    element: str
    reason: str
    body: bytes
    recorded_ms: int


@dataclass(frozen=True, slots=True)
class FlagEvent:
    """An element that entered or left the answer of a named query; ``kind`` is entered or left."""

    query: str
    element: str
    kind: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """All that one batch of one partition changes; it is committed whole or not at all."""

    partition: str
    position: Position
    tally: Tally = field(default_factory=Tally)
    health: Sequence[HealthRecord] = ()
    transitions: Sequence[TransitionRecord] = ()
    dead_letters: Sequence[DeadLetter] = ()
