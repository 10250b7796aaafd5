"""Who hears how the requests to a service ended, to tell people when it stays away."""

from __future__ import annotations

from typing import Protocol

from sync_agent.errors import ServiceError


class Watch(Protocol):
    """Hears of one service."""

    def ended(self, began_s: float, error: ServiceError | None = None) -> None:
        """Hear how a request that began then on the monotonic clock ended, or that it is late."""
        ...


class Unwatched:
    """A watch that nobody keeps."""

    def ended(self, began_s: float, error: ServiceError | None = None) -> None:
        """Do nothing."""
