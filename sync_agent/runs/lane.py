"""A lane lets so many operations pass a second, and learns when the service wants fewer.

It gives moments, it does not wait: who asks sleeps by itself. A lane that was idle saves nothing
up, so a start is no burst; one that is late because the process was busy catches up by at most
``CATCH_UP_S``. A refusal (429) halves its rate and closes it for as long as the service asked;
each second after that gives back ``RECOVERY`` of the full rate. Additive increase with
multiplicative decrease finds the share that is really free when others use the instance too.
"""

from __future__ import annotations

HEADROOM = 0.985
"""Share of a quota that is used: clocks differ, and a request arrives later than it was sent."""
CATCH_UP_S = 0.02
RECOVERY = 0.05
RATE_SHARE_MIN = 0.02
CUTS_APART_S = 1.0
"""Refusals this close together are one: the requests were under way at the same time."""


class Lane:
    """One quota; all moments are seconds of one monotonic clock."""

    def __init__(self, per_s: float) -> None:
        """Begin idle, at the full rate."""
        self._full = per_s * HEADROOM
        self._rate = self._full
        self._next_s = 0.0
        self._closed_until_s = 0.0
        self._cut_s = float("-inf")
        self._grown_s = 0.0

    def free_at(self) -> float:
        """Return from when on the next operation may pass."""
        return max(self._next_s, self._closed_until_s)

    def take(self, now_s: float, asked_s: float) -> None:
        """Let one operation pass now that has been waiting since ``asked_s``."""
        self._grow(now_s)
        waited = asked_s <= self._next_s  # for this lane: if it is late now, that is ours
        base = max(self._next_s, now_s - CATCH_UP_S) if waited else now_s
        self._next_s = base + 1.0 / self._rate

    def charge(self, now_s: float, units: float) -> None:
        """Count what an operation cost after it was made."""
        self._grow(now_s)
        self._next_s = max(self._next_s, now_s) + units / self._rate

    def refuse(self, now_s: float, retry_after_s: float) -> None:
        """Note that the service refused an operation of this lane."""
        self._closed_until_s = max(self._closed_until_s, now_s + retry_after_s)
        self._grow(now_s)
        if now_s - self._cut_s >= CUTS_APART_S:
            self._cut_s = now_s
            self._rate = max(self._rate / 2, self._full * RATE_SHARE_MIN)
            self._grown_s = self._closed_until_s

    def idle(self, now_s: float) -> bool:
        """Tell whether a new lane would behave the same."""
        self._grow(now_s)
        return self.free_at() <= now_s and self._rate == self._full

    def _grow(self, now_s: float) -> None:
        if self._rate < self._full and now_s > self._grown_s:
            grown = self._rate + self._full * RECOVERY * (now_s - self._grown_s)
            self._rate = min(self._full, grown)
        self._grown_s = max(self._grown_s, now_s)
