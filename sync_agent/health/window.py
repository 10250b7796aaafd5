"""An element's health over event time: periods, verdicts, and states that do not flap.

Readings fall into periods by their event time. A period is closed by the first reading of a later
one, or by ``close``; it is scored, and its band (good, degraded, critical) becomes a verdict.

- A state gets worse when ``breaches`` of the last ``of`` verdicts are at least that bad, and better
  after ``clean`` verdicts in a row that are better.
- A period without data gives no verdict: it is neither a breach nor clean, and "the last three"
  means the last three periods *with* data. (Elements that report every 64 s leave a minute out now
  and then.)
- After ``STALE_PERIODS`` whole periods without data a healthy element is ``unknown``, never green.
  A degraded one stays degraded: silence must not hide a known problem. Data brings the state back.
- Less than ``COVERAGE_MIN_PCT`` of the KPI weight makes a healthy verdict ``unknown`` too.
- The twin's own states overrule: administratively locked is ``maintenance``, operationally disabled
  is ``down`` (X.731).
- A reading of a period that is closed is late: it changes no verdict.

The outcome depends only on the readings and their times, not on how they came in batches. Values
are immutable and small; the caller keeps one ``ElementHealth`` per element.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from sync_agent.health.kpi import Aggregate, Band, Kpi
from sync_agent.health.profile import Profile
from sync_agent.health.score import PeriodScore, score_period
from sync_agent.twins.time import format_time_ms
from sync_agent.twins.twin import Document, JsonValue

STALE_PERIODS = 2
COVERAGE_MIN_PCT = 50.0


class HealthState(StrEnum):
    """What the twin's health component shows as ``state``."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"
    DOWN = "down"
    MAINTENANCE = "maintenance"


class Gathered(msgspec.Struct, frozen=True):
    """The values of one KPI in an open period."""

    worst: float
    total: float
    count: int
    last: float

    def value(self, aggregate: Aggregate) -> float:
        """Return the value that stands for the period."""
        if aggregate is Aggregate.MEAN:
            return self.total / self.count
        return self.last if aggregate is Aggregate.LAST else self.worst


class ElementHealth(msgspec.Struct, frozen=True):
    """Where one element stands: its open period, its recent verdicts and its state.

    Periods are numbered from the epoch (time divided by the period's length); ``level`` is what
    the verdicts say (None before the first), ``state`` what is shown.
    """

    open_period: int | None = None
    gathered: dict[str, Gathered] = {}
    last_period: int | None = None
    verdicts: tuple[Band, ...] = ()
    clean: int = 0
    not_critical: int = 0
    level: HealthState | None = None
    state: HealthState = HealthState.UNKNOWN
    since_ms: int = 0
    computed_ms: int = 0
    period: PeriodScore | None = None

    def to_json(self) -> Document:
        """Return it as a JSON object."""
        document: Document = msgspec.to_builtins(self)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, JsonValue]) -> ElementHealth:
        """Read what ``to_json`` wrote."""
        return msgspec.convert(document, cls)


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state, decided at the end of a period (``at_ms``, event time)."""

    at_ms: int
    before: HealthState
    after: HealthState
    score: float | None
    worst_kpi: str
    explanation: str


def observe(
    profile: Profile,
    health: ElementHealth,
    attributes: Mapping[str, JsonValue],
    readings: Mapping[str, JsonValue],
    time_ms: int,
) -> tuple[ElementHealth, tuple[Transition, ...]]:
    """Take in readings of one moment; those of a later period close the open one first.

    ``attributes`` are the twin's properties, for references and states. A late reading changes
    nothing.
    """
    values = _kpi_values(profile, attributes, readings)
    period = time_ms // profile.period_ms
    if not values or is_late(profile, health, time_ms):
        return health, ()
    transitions: tuple[Transition, ...] = ()
    if health.open_period is None or period > health.open_period:
        health, transitions = close(profile, health, attributes, period * profile.period_ms)
    gathered = dict(health.gathered)
    for kpi, value in values:
        gathered[kpi.name] = _gather(kpi, gathered.get(kpi.name), value)
    return replace(health, open_period=period, gathered=gathered), transitions


def is_late(profile: Profile, health: ElementHealth, time_ms: int) -> bool:
    """Tell whether a reading of that time belongs to a period that is closed already."""
    period = time_ms // profile.period_ms
    if health.open_period is not None:
        return period < health.open_period
    return health.last_period is not None and period <= health.last_period


def close(
    profile: Profile, health: ElementHealth, attributes: Mapping[str, JsonValue], up_to_ms: int
) -> tuple[ElementHealth, tuple[Transition, ...]]:
    """Close what ended at or before ``up_to_ms``: the open period, then the silence after it."""
    transitions: list[Transition] = []
    ended = up_to_ms // profile.period_ms  # the first period that has not ended
    if health.open_period is not None and health.open_period < ended:
        health = _verdict(profile, health)
        health = _show(health, attributes, health.computed_ms, transitions)
    if health.open_period is None and health.last_period is not None:
        stale_from = health.last_period + 1 + STALE_PERIODS
        if ended >= stale_from and health.level is HealthState.HEALTHY:
            silent = replace(health, level=None, period=None)
            health = _show(silent, attributes, stale_from * profile.period_ms, transitions)
    return health, tuple(transitions)


def health_values(profile: Profile, health: ElementHealth) -> Document:
    """Return the properties of the twin's ``health`` component; None: not to be there."""
    period = health.period
    return {
        "state": health.state.value,
        "score": None if period is None else period.score,
        "worstKpi": None if period is None else period.worst_kpi,
        "worstKpiScore": None if period is None else period.worst_kpi_score,
        "explanation": _explanation(profile, health),
        "dataCoveragePct": 0.0 if period is None else period.coverage_pct,
        "stateSince": format_time_ms(health.since_ms),
        "computedAt": format_time_ms(health.computed_ms),
        "profileVersion": profile.version,
    }


def _explanation(profile: Profile, health: ElementHealth) -> str:
    if health.state is HealthState.UNKNOWN and health.period is None:
        return f"no data for {STALE_PERIODS} periods of {profile.period_s} s"
    if health.period is None:
        return ""
    held = health.state in (HealthState.DEGRADED, HealthState.CRITICAL)
    if held and not health.period.explanation:
        return f"recovering: {health.clean} of {profile.leave.clean} clean periods"
    return health.period.explanation


def _kpi_values(
    profile: Profile, attributes: Mapping[str, JsonValue], readings: Mapping[str, JsonValue]
) -> list[tuple[Kpi, float]]:
    values = []
    for kpi in profile.kpi:
        for name in kpi.properties:
            if name in readings:
                value = kpi.value_of(name, readings[name], attributes)
                if value is not None:
                    values.append((kpi, value))
    return values


def _gather(kpi: Kpi, so_far: Gathered | None, value: float) -> Gathered:
    if so_far is None:
        return Gathered(value, value, 1, value)
    return Gathered(kpi.worse(so_far.worst, value), so_far.total + value, so_far.count + 1, value)


def _verdict(profile: Profile, health: ElementHealth) -> ElementHealth:
    """Score the open period and let its verdict move the level."""
    values = {
        kpi.name: health.gathered[kpi.name].value(kpi.aggregate)
        for kpi in profile.kpi
        if kpi.name in health.gathered
    }
    period = score_period(profile, values)
    verdicts = (*health.verdicts, period.band)[-profile.enter.of :]
    clean = health.clean + 1 if period.band is Band.GOOD else 0
    not_critical = health.not_critical + 1 if period.band is not Band.CRITICAL else 0
    closed = health.open_period or 0
    return replace(
        health,
        open_period=None,
        gathered={},
        last_period=closed,
        verdicts=verdicts,
        clean=clean,
        not_critical=not_critical,
        level=_level(profile, health.level, verdicts, clean, not_critical),
        computed_ms=(closed + 1) * profile.period_ms,
        period=period,
    )


def _level(
    profile: Profile,
    level: HealthState | None,
    verdicts: tuple[Band, ...],
    clean: int,
    not_critical: int,
) -> HealthState:
    critical = verdicts.count(Band.CRITICAL)
    breaches = critical + verdicts.count(Band.DEGRADED)
    if critical >= profile.enter.breaches and not_critical < profile.leave.clean:
        return HealthState.CRITICAL
    if level is HealthState.CRITICAL and not_critical < profile.leave.clean:
        return HealthState.CRITICAL
    if breaches >= profile.enter.breaches and clean < profile.leave.clean:
        return HealthState.DEGRADED
    if level in (HealthState.DEGRADED, HealthState.CRITICAL) and clean < profile.leave.clean:
        return HealthState.DEGRADED
    return HealthState.HEALTHY


def _show(
    health: ElementHealth,
    attributes: Mapping[str, JsonValue],
    at_ms: int,
    transitions: list[Transition],
) -> ElementHealth:
    """Settle what is shown, and note the transition when that changed."""
    state = _shown_state(health, attributes)
    if state is health.state:
        return replace(health, since_ms=health.since_ms or at_ms, computed_ms=at_ms)
    period = health.period
    transitions.append(
        Transition(
            at_ms,
            health.state,
            state,
            None if period is None else period.score,
            "" if period is None else period.worst_kpi,
            "" if period is None else period.explanation,
        )
    )
    return replace(health, state=state, since_ms=at_ms, computed_ms=at_ms)


def _shown_state(health: ElementHealth, attributes: Mapping[str, JsonValue]) -> HealthState:
    if attributes.get("administrativeState") == "locked":
        return HealthState.MAINTENANCE
    if attributes.get("operationalState") == "disabled":
        return HealthState.DOWN
    if health.level is HealthState.HEALTHY and (
        health.period is None or health.period.coverage_pct < COVERAGE_MIN_PCT
    ):
        return HealthState.UNKNOWN
    return health.level or HealthState.UNKNOWN
