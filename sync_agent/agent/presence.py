"""Tells once that a service is away, and once that it is back.

Requests are tried again in silence, and many at once meet the same outage: it is told when none
was answered for ``AWAY_AFTER_S``, and then no more until one is. A refusal is an answer; only
failures of the service (5xx) and requests that did not reach it count. What does not ask is not
told: a source that is read every five minutes is back at the next reading.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sync_agent.errors import ServiceError, UnavailableError, UnreachableError
from sync_agent.twins.time import duration

AWAY_AFTER_S = 3.0
TWIN_SERVICE = "the twin service"


@dataclass(frozen=True, slots=True)
class Absence:
    """A time in which a service did not answer; ``lasted_s`` so far."""

    service: str
    since_ms: int
    lasted_s: float
    reason: str = ""


Tell = Callable[[Absence], None]


class Presence:
    """Whether one service is there (port ``Watch``)."""

    def __init__(
        self,
        service: str,
        *,
        away: Tell,
        back: Tell,
        clock_s: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Begin with a service that is taken to be there."""
        self._service = service
        self._away = away
        self._back = back
        self._clock_s = clock_s
        self._now_ms = now_ms
        self._answered_s = float("-inf")
        self._since_s: float | None = None
        self._told = False

    def ended(self, began_s: float, error: ServiceError | None = None) -> None:
        """Hear of a request; tell what follows from it."""
        now_s = self._clock_s()
        if isinstance(error, UnreachableError | UnavailableError):
            if self._since_s is None:
                self._since_s = max(began_s, self._answered_s)
            if not self._told and now_s - self._since_s >= AWAY_AFTER_S:
                self._told = True
                self._away(self._absence(self._since_s, now_s, error.message))
            return
        self._answered_s = now_s
        since_s, self._since_s = self._since_s, None
        if self._told and since_s is not None:
            self._told = False
            self._back(self._absence(since_s, now_s))

    def _absence(self, since_s: float, now_s: float, reason: str = "") -> Absence:
        lasted_s = now_s - since_s
        since_ms = self._now_ms() - round(lasted_s * 1000)
        return Absence(self._service, since_ms, lasted_s, reason)


def said(service: str, say: Callable[[str], None]) -> Presence:
    """Return a watch that tells somebody who waits for a command."""

    def away(absence: Absence) -> None:
        say(f"{service} does not answer, it is asked again: {absence.reason}")

    def back(absence: Absence) -> None:
        say(f"{service} answers again, after {duration(absence.lasted_s)}")

    return Presence(service, away=away, back=back)
