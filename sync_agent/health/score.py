"""The score of one period: how good its KPIs are together, which is worst, and in words why.

``score = 100 * min(sum(w*u)/sum(w), min(c + (1-c)*u))`` over the KPIs that have a value, with
utility
``u``, weight ``w`` and cap ``c``: a weighted mean that one bad KPI can pull down to its cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sync_agent.health.kpi import Band, Kpi
from sync_agent.health.profile import Profile

EXPLAINED_MAX = 3


@dataclass(frozen=True, slots=True)
class PeriodScore:
    """What one period came to: ``score`` 0..100, ``coverage_pct`` by weight of the KPIs."""

    score: float
    coverage_pct: float
    band: Band
    worst_kpi: str
    worst_kpi_score: float
    explanation: str


def score_period(profile: Profile, values: Mapping[str, float]) -> PeriodScore:
    """Score a period from its KPI values by KPI name; at least one must be there."""
    present = [kpi for kpi in profile.kpi if kpi.name in values]
    utility = {kpi.name: kpi.utility(values[kpi.name]) for kpi in present}
    weight = sum(kpi.weight for kpi in present)
    mean = sum(kpi.weight * utility[kpi.name] for kpi in present) / weight
    capped = min(kpi.cap + (1.0 - kpi.cap) * utility[kpi.name] for kpi in present)
    worst = min(present, key=lambda kpi: utility[kpi.name])
    return PeriodScore(
        score=round(100.0 * min(mean, capped), 1),
        coverage_pct=round(100.0 * weight / sum(kpi.weight for kpi in profile.kpi), 1),
        band=_worst_band(present, values),
        worst_kpi=worst.name,
        worst_kpi_score=round(100.0 * utility[worst.name], 1),
        explanation=_explain(sorted(present, key=lambda kpi: utility[kpi.name]), values),
    )


def _worst_band(present: list[Kpi], values: Mapping[str, float]) -> Band:
    bands = {kpi.band(values[kpi.name]) for kpi in present}
    return next(band for band in (Band.CRITICAL, Band.DEGRADED, Band.GOOD) if band in bands)


def _explain(worst_first: list[Kpi], values: Mapping[str, float]) -> str:
    reasons = []
    for kpi in worst_first:
        band = kpi.band(values[kpi.name])
        if band is not Band.GOOD:
            limit = kpi.critical if band is Band.CRITICAL else kpi.degraded
            unit = f" {kpi.unit}" if kpi.unit else ""
            reasons.append(f"{kpi.name} {values[kpi.name]:.6g}{unit} ({band} at {limit:g}{unit})")
    return "; ".join(reasons[:EXPLAINED_MAX])
