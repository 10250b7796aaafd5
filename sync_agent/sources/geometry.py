"""What a GeoJSON geometry says about where an element is and what it joins (RFC 7946).

A point has ``$longitude``, ``$latitude`` and its ``$position``; a line the positions of its
``$start`` and ``$end``, and ``$lengthMetres`` along a sphere, which is within half a percent of the
earth. Positions are texts, rounded to some ten centimetres, so that what meets on the map has the
same name: a line finds its ends by an alias like ``at:{$position}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from typing import Any

EARTH_RADIUS_M = 6_371_008.8
DECIMALS = 6

Position = tuple[float, float]


def geometry_attributes(geometry: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a geometry that was checked gives a record.

    >>> geometry_attributes({"type": "LineString", "coordinates": [[8.5, 50], [8.5, 51]]})["$end"]
    '8.5,51'
    """
    if geometry is None or not geometry.get("coordinates"):
        return {}
    coordinates = geometry["coordinates"]
    match geometry["type"]:
        case "Point":
            longitude, latitude = coordinates[:2]
            position = _text((longitude, latitude))
            return {"$longitude": longitude, "$latitude": latitude, "$position": position}
        case "LineString":
            return _line([coordinates])
        case "MultiLineString":
            return _line(coordinates)
    return {}


def _line(parts: list[list[list[float]]]) -> dict[str, Any]:
    lines = [[(place[0], place[1]) for place in part] for part in parts]
    length_m = sum(_distance_m(*ends) for line in lines for ends in pairwise(line))
    return {
        "$start": _text(lines[0][0]),
        "$end": _text(lines[-1][-1]),
        "$lengthMetres": round(length_m, 1),
    }


def _text(position: Position) -> str:
    rounded = (f"{number:.{DECIMALS}f}".rstrip("0").rstrip(".") for number in position)
    return ",".join("0" if text == "-0" else text for text in rounded)


def _distance_m(one: Position, two: Position) -> float:
    (lon1, lat1), (lon2, lat2) = (tuple(map(radians, place)) for place in (one, two))
    h = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(max(h, 0.0), 1.0)))
