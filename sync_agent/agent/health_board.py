"""Every element's open health window, in memory, and what of it changed since the last commit.

Windows live in event time: an element's own readings move it on, and the newest event time of its
partition (the watermark) moves on those that fell silent. Nothing here waits or looks at a clock.
Memory is one small window per element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sync_agent.agent.state import HealthRecord, TransitionRecord
from sync_agent.health.profile import Profile, Profiles
from sync_agent.health.window import ElementHealth, Transition, close, health_values, observe
from sync_agent.twins.twin import JsonValue


@dataclass(slots=True)
class _Tracked:
    profile: Profile
    model: str
    partition: str
    health: ElementHealth
    published: Mapping[str, JsonValue]
    revision: int


class HealthBoard:
    """Windows by element; changes are collected until ``take`` hands them over for a commit."""

    def __init__(self, profile_for: Callable[[str], Profile | None]) -> None:
        """``profile_for`` gives the scoring profile of a model id, None where it has none."""
        self._profile_for = profile_for
        self._tracked: dict[str, _Tracked] = {}
        self._changed: set[str] = set()
        self._transitions: list[Transition] = []
