"""What was asked: a count per operation and outcome, the billable units, and the latest requests.

The service meters operations in steps of 1 KB of the larger of request and answer, query units as
``query-charge`` says, and messages routed out in steps of 1 KB. Requests that were throttled or
refused by the gateway are counted and not billed.
Source: "Azure Digital Twins pricing", meters. Bound: ``LATEST`` requests are kept one by one.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

LATEST = 1_000
BILLED_BYTES = 1_024
OTHER = "Other"
_UNBILLED = frozenset((401, 403, 429))


class LoggedRequest(msgspec.Struct, frozen=True, gc=False):
    """One request as it went; ``time`` is epoch seconds."""

    time: float
    operation: str
    method: str
    path: str
    status: int
    ms: float
    fault: str = ""


@dataclass(slots=True)
class RequestLog:
    """Counts since the start or the last reset."""

    statuses: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    operations_billed: int = 0
    query_units: float = 0.0
    messages_billed: int = 0
    latest: deque[LoggedRequest] = field(default_factory=lambda: deque(maxlen=LATEST))

    def note(self, request: LoggedRequest, size: int, query_units: float = 0.0) -> None:
        """Count a request; ``size`` is the larger of its two bodies in bytes."""
        self.statuses[request.operation][request.status] += 1
        self.latest.append(request)
        if request.operation != OTHER and request.status not in _UNBILLED:
            self.operations_billed += steps(size)
            self.query_units += query_units

    def note_message(self, size: int) -> None:
        """Count a message that was routed out."""
        self.messages_billed += steps(size)

    def reset(self) -> None:
        """Count from nothing again."""
        self.statuses.clear()
        self.latest.clear()
        self.operations_billed = self.messages_billed = 0
        self.query_units = 0.0

    def document(self, latest: int) -> dict[str, Any]:
        """Return the counts, and so many of the latest requests, the newest last."""
        kept = list(self.latest)[-latest:] if latest else []
        return {
            "operations": {
                name: {
                    "requests": sum(counts.values()),
                    "statuses": {str(status): counts[status] for status in sorted(counts)},
                }
                for name, counts in sorted(self.statuses.items())
            },
            "billed": {
                "operations": self.operations_billed,
                "queryUnits": round(self.query_units, 2),
                "messages": self.messages_billed,
            },
            "latest": msgspec.to_builtins(kept),
        }


def steps(size: int) -> int:
    """Return how many units of 1 KB so many bytes are billed as; nothing is billed as one."""
    return max(1, -(-size // BILLED_BYTES))
