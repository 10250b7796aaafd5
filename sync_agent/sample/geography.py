"""The sample operator's country: four regions, the names of its towns, and distances on the map.

The country is made up and lies where no land is, so that nobody takes it for a real network;
distances and bearings are true, since hop lengths and rain depend on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

EARTH_RADIUS_KM = 6371.0
KM_PER_DEGREE = 111.195


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the map, in degrees."""

    latitude: float
    longitude: float

    def moved(self, east_km: float, north_km: float) -> Place:
        """Return the place that far to the east and north (exact enough below 300 km)."""
        latitude = self.latitude + north_km / KM_PER_DEGREE
        degree_km = KM_PER_DEGREE * math.cos(math.radians(self.latitude))
        return Place(round(latitude, 5), round(self.longitude + east_km / degree_km, 5))

    def towards(self, bearing_deg: float, distance_km: float) -> Place:
        """Return the place at a bearing (clockwise from north) and distance."""
        angle = math.radians(bearing_deg)
        return self.moved(distance_km * math.sin(angle), distance_km * math.cos(angle))


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """A region: its name, the code its element ids begin with, and where its middle is."""

    code: str
    name: str
    centre: Place


REGIONS = (
    RegionPlan("NOR", "Norvik", Place(47.90, -38.40)),
    RegionPlan("EAS", "Eastmere", Place(46.60, -35.10)),
    RegionPlan("SOL", "Solmark", Place(44.80, -37.20)),
    RegionPlan("VES", "Vesterland", Place(46.20, -40.60)),
)

_FIRST_WORDS = (
    "Alder Amber Ash Birch Black Bram Briar Brook Carr Cedar Clay Crag Dun East Elm Fal Fen Glen "
    "Gran Hart Haven Hazel Holm Iron Kel Kirk Lang Lind Long Lor Mar Mill Moss New North Oak Old "
    "Pen Quar Raven Red Ros Sand Silver South Stan Sten Thorn Tor Ulm Wal West White Wick Wind Yar"
)
_LAST_WORDS = (
    "berg bridge brook burn bury by cliff combe crest dale den fell field ford gate ham haven "
    "hill holt hurst ing land leigh ley mere minster moor mouth ness pool port ridge row shaw side "
    "stead stone stow thorpe ton vale ville wick wold wood worth"
)
_FIRST = _FIRST_WORDS.split()
_LAST = _LAST_WORDS.split()


def town_name(chance: Random, taken: set[str]) -> str:
    """Return a town's name not yet ``taken``, and take it; when names run out, a number follows."""
    number = len(taken) // (len(_FIRST) * len(_LAST) // 2) + 1
    while True:
        name = _FIRST[chance.randrange(len(_FIRST))] + _LAST[chance.randrange(len(_LAST))]
        name = name if number == 1 else f"{name} {number}"
        if name not in taken:
            taken.add(name)
            return name


def distance_km(one: Place, other: Place) -> float:
    """Return the great-circle distance (haversine)."""
    phi, psi = math.radians(one.latitude), math.radians(other.latitude)
    half_lat = math.sin((psi - phi) / 2)
    half_lon = math.sin(math.radians(other.longitude - one.longitude) / 2)
    root = half_lat * half_lat + math.cos(phi) * math.cos(psi) * half_lon * half_lon
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(root))
