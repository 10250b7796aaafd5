"""Rain over the sample network: a cell of rain that moves, and what it takes from a microwave link.

The specific attenuation is the power law of ITU-R P.838 (rounded coefficients), the path reduction
is the classic one of P.530: long hops are never inside the heavy rain as a whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sync_agent.sample.geography import Place, distance_km
from sync_agent.sample.network import Element

# Upper frequency in GHz, then k and alpha of "k * R^alpha" in dB/km for R in mm/h.
_SPECIFIC: tuple[tuple[float, float, float], ...] = (
    (14.0, 0.0285, 1.15),
    (20.0, 0.0739, 1.042),
    (28.0, 0.1285, 0.992),
    (math.inf, 0.392, 0.868),
)


@dataclass(frozen=True, slots=True)
class RainCell:
    """A round cell of rain: where it starts, how it moves, how wide and how heavy it is.

    ``width_km`` is where the rate has fallen to 61 % of the middle's, ``peak_mm_h`` the rate
    in the middle at the height of its life of ``minutes`` minutes.
    """

    start: Place
    east_km_per_min: float
    north_km_per_min: float
    width_km: float
    peak_mm_h: float
    minutes: int

    def rate_mm_h(self, place: Place, minute: int) -> float:
        """Return the rain rate at a place in a minute of the cell's life."""
        middle = self.start.moved(self.east_km_per_min * minute, self.north_km_per_min * minute)
        away = distance_km(place, middle) / self.width_km
        life = max(0.0, math.sin(math.pi * (minute + 0.5) / self.minutes))
        return self.peak_mm_h * life * math.exp(-away * away / 2)

    def fade_db(self, link: Element, minute: int) -> float:
        """Return the attenuation of a microwave link in a minute, bounded by its fade margin."""
        rate = self.rate_mm_h(Place(link.latitude, link.longitude), minute)
        if rate < 0.1:
            return 0.0
        frequency, hop_km = link.number("frequencyAtoZ"), link.number("hopLength")
        _, k, alpha = next(law for law in _SPECIFIC if frequency <= law[0])
        inside_km = hop_km / (1.0 + hop_km / (35.0 * math.exp(-0.015 * min(rate, 100.0))))
        return min(k * math.pow(rate, alpha) * inside_km, link.number("fadeMarginDb") + 5.0)
