"""How well what was flagged matches what was injected: found, missed, false, and how late.

A fault is found when its element is flagged at any moment from the fault's start to ``GRACE_MS``
behind its end; a flagging is right when it meets a fault of its element in that way. Silence is not
a degradation: it is found when the element becomes ``unknown``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from sync_agent.sample.faults import MINUTE_MS, Fault, FaultKind

FLAGGED = frozenset({"degraded", "critical", "down"})
UNKNOWN = frozenset({"unknown"})
GRACE_MS = 4 * MINUTE_MS  # a state is decided at the end of a minute, by two or three of them


@dataclass(frozen=True, slots=True)
class StateChange:
    """An element came into a health state (``at_ms``: epoch, event time)."""

    element: str
    at_ms: int
    state: str


@dataclass(frozen=True, slots=True)
class Span:
    """An element was in one of some states from ``start_ms`` to ``end_ms`` (None: it still is)."""

    element: str
    start_ms: int
    end_ms: int | None

    def meets(self, fault: Fault) -> bool:
        """Tell whether the span and the fault, with its grace, overlap."""
        ended = self.end_ms is not None and self.end_ms < fault.start_ms
        return not ended and self.start_ms <= fault.end_ms + GRACE_MS


@dataclass(frozen=True, slots=True)
class KindFound:
    """The faults of one kind: how many there were, how many were found, and how late in the median.

    ``delay_min`` is None when none was found.
    """

    kind: FaultKind
    injected: int
    found: int
    delay_min: float | None


@dataclass(frozen=True, slots=True)
class Detection:
    """The comparison as a whole; ``recall`` and ``precision`` leave silence out."""

    kinds: tuple[KindFound, ...]
    flaggings: int
    right: int
    missed: tuple[Fault, ...]
    false_elements: tuple[str, ...]

    @property
    def injected(self) -> int:
        """Return how many faults there were, without silence."""
        return sum(k.injected for k in self.kinds if k.kind is not FaultKind.SILENCE)

    @property
    def found(self) -> int:
        """Return how many of them were found."""
        return sum(k.found for k in self.kinds if k.kind is not FaultKind.SILENCE)

    @property
    def recall(self) -> float:
        """Return the share of faults that were found."""
        return self.found / self.injected if self.injected else 1.0

    @property
    def precision(self) -> float:
        """Return the share of flaggings that were right."""
        return self.right / self.flaggings if self.flaggings else 1.0


def compare(faults: Sequence[Fault], changes: Sequence[StateChange]) -> Detection:
    """Compare the injected faults with the state changes, which come in the order of their time."""
    flagged = spans(changes, FLAGGED)
    silent = spans(changes, UNKNOWN)
    met: dict[Fault, list[Span]] = {}
    for fault in faults:
        candidates = silent if fault.kind is FaultKind.SILENCE else flagged
        met[fault] = [s for s in candidates.get(fault.element, ()) if s.meets(fault)]
    real = [fault for fault in faults if fault.kind is not FaultKind.SILENCE]
    right = {span for fault in real for span in met[fault]}
    every = [span for of_element in flagged.values() for span in of_element]
    present = {fault.kind for fault in faults}
    return Detection(
        kinds=tuple(_of_kind(kind, met) for kind in FaultKind if kind in present),
        flaggings=len(every),
        right=len(right),
        missed=tuple(fault for fault in faults if not met[fault]),
        false_elements=tuple(sorted({span.element for span in every if span not in right})),
    )


def spans(changes: Iterable[StateChange], states: frozenset[str]) -> dict[str, list[Span]]:
    """Return, by element, the spans of time in any of ``states``."""
    found: dict[str, list[Span]] = {}
    begun: dict[str, int] = {}
    for change in changes:
        if change.state in states:
            begun.setdefault(change.element, change.at_ms)
        elif (start := begun.pop(change.element, None)) is not None:
            found.setdefault(change.element, []).append(Span(change.element, start, change.at_ms))
    for element, start in begun.items():
        found.setdefault(element, []).append(Span(element, start, None))
    return found


def _of_kind(kind: FaultKind, met: dict[Fault, list[Span]]) -> KindFound:
    mine = {fault: hits for fault, hits in met.items() if fault.kind is kind}
    delays = [
        max(0, min(span.start_ms for span in hits) - fault.start_ms) / MINUTE_MS
        for fault, hits in mine.items()
        if hits
    ]
    return KindFound(kind, len(mine), len(delays), median(delays) if delays else None)
