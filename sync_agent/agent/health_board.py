"""Every element's open health window, in memory, and what of it changed since the last commit.

Windows live in event time: an element's own readings move it on, and the newest event time of its
partition (the watermark) moves on those that fell silent. Nothing here waits or looks at a clock.
Memory is one small window, about 1 KB, per element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sync_agent.agent.outcomes import HealthRecord, TransitionRecord
from sync_agent.health.profile import Profile
from sync_agent.health.window import (
    ElementHealth,
    Transition,
    close,
    health_values,
    observe,
)
from sync_agent.twins.twin import Document, JsonValue

SILENCE_PERIODS = 2  # how far a partition's newest event must be ahead before silence is looked at


@dataclass(frozen=True, slots=True)
class HealthChanges:
    """What is to be committed: windows that moved and states that changed."""

    records: tuple[HealthRecord, ...]
    transitions: tuple[TransitionRecord, ...]

    def __bool__(self) -> bool:
        return bool(self.records or self.transitions)


@dataclass(slots=True)
class _Tracked:
    model: str
    profile: Profile
    partition: str
    health: ElementHealth
    published: Document
    revision: int


class HealthBoard:
    """Windows by element; changes gather until ``take`` hands them over for a commit."""

    def __init__(self, profile_for: Callable[[str], Profile | None]) -> None:
        """Start empty; ``profile_for`` gives a model's profile, None where it has none."""
        self._profile_for = profile_for
        self._tracked: dict[str, _Tracked] = {}
        self._changed: set[str] = set()
        self._transitions: list[TransitionRecord] = []

    def restore(self, records: Iterable[HealthRecord]) -> None:
        """Go on from stored windows; those whose model has no profile any more are left alone."""
        for record in records:
            profile = self._profile_for(record.model)
            if profile is not None:
                self._tracked[record.element] = _Tracked(
                    record.model,
                    profile,
                    record.partition,
                    ElementHealth.from_json(record.window),
                    dict(record.published),
                    record.revision,
                )

    def observe(
        self,
        element: str,
        model: str,
        partition: str,
        attributes: Mapping[str, JsonValue],
        readings: Mapping[str, JsonValue],
        time_ms: int,
    ) -> None:
        """Take in an element's readings of one moment."""
        tracked = self._tracked.get(element)
        if tracked is None or tracked.model != model:
            profile = self._profile_for(model)
            if profile is None:
                return
            tracked = _Tracked(model, profile, partition, ElementHealth(), {}, 0)
            self._tracked[element] = tracked
        tracked.partition = partition
        health, transitions = observe(
            tracked.profile, tracked.health, attributes, readings, time_ms
        )
        self._settle(element, tracked, health, transitions)

    def pass_time(
        self,
        partition: str,
        up_to_ms: int,
        attributes_of: Callable[[str], Mapping[str, JsonValue]],
    ) -> None:
        """Close every open window of a partition up to and with the period of ``up_to_ms``."""
        for element, tracked in self._tracked.items():
            if tracked.partition == partition:
                period_ms = tracked.profile.period_ms
                end_ms = (up_to_ms // period_ms + 1) * period_ms
                health, transitions = close(
                    tracked.profile, tracked.health, attributes_of(element), end_ms
                )
                self._settle(element, tracked, health, transitions)

    def pass_silence(
        self,
        partition: str,
        watermark_ms: int,
        attributes_of: Callable[[str], Mapping[str, JsonValue]],
    ) -> None:
        """Close what ended well before a partition's newest event: its elements fell silent.

        Two periods of grace keep an element that reports a little late from being cut off.
        """
        for element, tracked in self._tracked.items():
            if tracked.partition == partition:
                up_to_ms = watermark_ms - SILENCE_PERIODS * tracked.profile.period_ms
                health, transitions = close(
                    tracked.profile, tracked.health, attributes_of(element), up_to_ms
                )
                self._settle(element, tracked, health, transitions)

    def take(self) -> HealthChanges:
        """Return what changed since the last call; the caller commits it."""
        records = tuple(self._record(element) for element in sorted(self._changed))
        changes = HealthChanges(records, tuple(self._transitions))
        self._changed = set()
        self._transitions = []
        return changes

    def _settle(
        self,
        element: str,
        tracked: _Tracked,
        health: ElementHealth,
        transitions: Iterable[Transition],
    ) -> None:
        if health is tracked.health:
            return
        scored = health.computed_ms != tracked.health.computed_ms
        tracked.health = health
        self._changed.add(element)
        if scored:
            shown = health_values(tracked.profile, health)
            if _differs(shown, tracked.published):
                tracked.published = shown
                tracked.revision += 1
        self._transitions += [
            TransitionRecord(
                element, t.at_ms, t.before, t.after, t.score, t.worst_kpi, t.explanation
            )
            for t in transitions
        ]

    def _record(self, element: str) -> HealthRecord:
        tracked = self._tracked[element]
        return HealthRecord(
            element,
            tracked.model,
            tracked.partition,
            tracked.health.to_json(),
            tracked.published,
            tracked.revision,
        )


def _differs(shown: Mapping[str, JsonValue], published: Mapping[str, JsonValue]) -> bool:
    # The time of computing alone is no news: it would be written every minute for nothing.
    return any(shown[key] != published.get(key) for key in shown if key != "computedAt")
