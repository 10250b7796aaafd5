"""One KPI of a scoring profile: what it measures, its limits, and how good a value of it is.

Limits come in threes, from good over degraded to critical, and their order says which direction is
bad. A value on or beyond ``degraded`` is a breach. The utility is 1 at ``good`` and better, 0.7 at
``degraded``, 0.3 at ``critical``, linear in between and falling on at the last slope to 0; on a
log scale (bit errors, loss) the same over the logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from sync_agent.twins.twin import JsonValue

UTILITY_DEGRADED = 0.7
UTILITY_CRITICAL = 0.3
LOG_FLOOR = 1e-15  # below any error ratio a counter can show


class Band(StrEnum):
    """Where a value lies against its limits."""

    GOOD = "good"
    DEGRADED = "degraded"
    CRITICAL = "critical"


class Aggregate(StrEnum):
    """Which value stands for a period with several readings."""

    WORST = "worst"
    MEAN = "mean"
    LAST = "last"


class Deviation(StrEnum):
    """Which way a reading leaves its reference."""

    BELOW = "below"
    ABOVE = "above"


class Kpi(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A KPI over twin properties.

    ``properties`` are the readings that feed it; where ``references`` are given, one for each of
    them, the value is how far the reading lies below (or above) its reference, and the
    worst of them counts. ``cap`` limits the whole score when this KPI is at its worst: 0 lets it
    pull the score to 0, 1 only by its weight.
    """

    name: str
    properties: tuple[str, ...]
    good: float
    degraded: float
    critical: float
    references: tuple[str, ...] = ()
    deviation: Deviation = Deviation.BELOW
    aggregate: Aggregate = Aggregate.WORST
    weight: float = 1.0
    cap: float = 0.5
    log: bool = False
    unit: str = ""

    @property
    def higher_is_worse(self) -> bool:
        """Tell the direction, from the order of the limits."""
        return self.degraded > self.good

    def value_of(
        self, name: str, reading: JsonValue, attributes: Mapping[str, JsonValue]
    ) -> float | None:
        """Return the KPI value of a reading of property ``name``; None when it gives none.

        ``attributes`` are the twin's other properties, where a reference stands. Truth values count
        as 1 and 0.
        """
        number = _number(reading)
        if number is None or not self.references:
            return number
        reference = _number(attributes.get(self.references[self.properties.index(name)]))
        if reference is None:
            return None
        # Rounded, so that -57.1 against -47.1 lies exactly on a limit of 10, not a hair off it.
        below = round(reference - number, 9)
        return below if self.deviation is Deviation.BELOW else -below

    def worse(self, one: float, other: float) -> float:
        """Return the worse of two values."""
        return max(one, other) if self.higher_is_worse else min(one, other)

    def band(self, value: float) -> Band:
        """Return where a value lies; on a limit counts as beyond it."""
        sign = 1.0 if self.higher_is_worse else -1.0
        if sign * value >= sign * self.critical:
            return Band.CRITICAL
        return Band.DEGRADED if sign * value >= sign * self.degraded else Band.GOOD

    def utility(self, value: float) -> float:
        """Return how good a value is, 1 (good) to 0."""
        x, good, degraded, critical = (
            self._scaled(v) for v in (value, self.good, self.degraded, self.critical)
        )
        first = (x - good) / (degraded - good)  # 0 at good, 1 at degraded
        if first <= 1.0:
            return min(1.0, 1.0 - first * (1.0 - UTILITY_DEGRADED))
        beyond = (x - degraded) / (critical - degraded)  # 0 at degraded, 1 at critical
        return max(0.0, UTILITY_DEGRADED - beyond * (UTILITY_DEGRADED - UTILITY_CRITICAL))

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, LOG_FLOOR)) if self.log else value


def _number(value: JsonValue) -> float | None:
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    return float(value) if isinstance(value, (int, float)) else None
