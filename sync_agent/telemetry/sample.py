"""A sample: what one element reported at one moment, not yet in terms of its twin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sync_agent.twins.twin import JsonValue


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of telemetry: ``values`` by metric name, measured at ``time_ms`` (epoch, UTC).

    ``labels`` tell readings of one metric apart (``{"channel": "near-far"}``). A value of None is a
    metric that was reported without a value.
    """

    element: str
    time_ms: int
    values: Mapping[str, JsonValue]
    labels: Mapping[str, str] = field(default_factory=dict)
