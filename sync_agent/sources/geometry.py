"""What a GeoJSON geometry says about where an element is and what it joins (RFC 7946).

A point has ``$longitude``, ``$latitude`` and its ``$position``; a line the positions of its
``$start`` and ``$end``, and ``$lengthMetres`` along a sphere, which is within half a percent of the
earth. Positions are texts, rounded to some ten centimetres, so that what meets on the map has the
same name: a line finds its ends by an alias like ``at:{$position}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from typing import Any

EARTH_RADIUS_M = 6_371_008.8
DECIMALS = 6
FAR = 1e9
"""Beyond every coordinate on earth, even in metres."""

Position = tuple[float, float]


def geometry_attributes(geometry: Any) -> dict[str, Any]:
    """Return what a geometry gives a record; nothing where it is of no known shape.

    >>> geometry_attributes({"type": "LineString", "coordinates": [[8.5, 50], [8.5, 51]]})["$end"]
    '8.5,51'
    """
    shape: Mapping[str, Any] = geometry if isinstance(geometry, dict) else {}
    match shape.get("type"), shape.get("coordinates"):
        case "Point", coordinates:
            points = list(_positions([coordinates]))
            if points:
                longitude, latitude = points[0]
                position = _text(points[0])
                return {
                    "$longitude": longitude, "$latitude": latitude, "$position": position,
                }  # fmt: skip
        case "LineString", list(coordinates):
            return _line([list(_positions(coordinates))])
        case "MultiLineString", list(parts):
            return _line([list(_positions(part)) for part in parts if isinstance(part, list)])
    return {}


def _line(parts: list[list[Position]]) -> dict[str, Any]:
    parts = [part for part in parts if part]
    if not parts:
        return {}
    length_m = sum(_distance_m(*ends) for part in parts for ends in pairwise(part))
    return {
        "$start": _text(parts[0][0]),
        "$end": _text(parts[-1][-1]),
        "$lengthMetres": round(length_m, 1),
    }


def _positions(coordinates: list[Any]) -> Iterator[Position]:
    for place in coordinates:
        match place:
            case [float() | int() as x, float() | int() as y, *_] if max(abs(x), abs(y)) < FAR:
                yield x, y


def _text(position: Position) -> str:
    rounded = (f"{number:.{DECIMALS}f}".rstrip("0").rstrip(".") for number in position)
    return ",".join("0" if text == "-0" else text for text in rounded)


def _distance_m(one: Position, two: Position) -> float:
    (lon1, lat1), (lon2, lat2) = (tuple(map(radians, place)) for place in (one, two))
    h = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(max(h, 0.0), 1.0)))
