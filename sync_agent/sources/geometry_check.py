"""What is wrong with a GeoJSON geometry (RFC 7946, 3.1): its type, its positions, lines and rings.

Positions are longitude and latitude in degrees; other systems of coordinates are not GeoJSON any
more (4). Which way a ring turns is not looked at, as the RFC asks of readers (3.1.6). Empty
coordinates stand for no geometry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

LONGITUDE_MAX, LATITUDE_MAX = 180, 90
RING_MIN = 4
"""The least positions of a ring: a triangle, and its first one again."""

_DEGREES = "write longitude and latitude in degrees (WGS 84), as ogr2ogr -lco RFC7946=YES does"
_DEGREES_NAMES = (":CRS84", ":4326")
_CLOSE = "end the ring with the position it begins with"


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why something is not used, and what to do."""

    message: str
    remedy: str


def system_fault(document: dict[str, Any]) -> Unfit | None:
    """Return what is wrong with the system of coordinates a document names, as GeoJSON once did.

    >>> crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2056"}}
    >>> system_fault({"type": "FeatureCollection", "crs": crs}).message
    'its coordinates are in urn:ogc:def:crs:EPSG::2056'
    """
    crs = document.get("crs")
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str) or name.endswith(_DEGREES_NAMES):
        return None
    return Unfit(f"its coordinates are in {name}", _DEGREES)


def geometry_fault(geometry: Any) -> Unfit | None:
    """Return what is wrong with a geometry first, None where it can be used.

    >>> geometry_fault({"type": "Point", "coordinates": [8.5, 150]}).message
    'coordinates [8.5, 150]: the latitude is beyond 90 degrees'
    """
    waiting = [geometry]
    while waiting:
        shape = waiting.pop()
        if shape is None:
            continue
        if not isinstance(shape, dict):
            return Unfit("its geometry is no object", "write an object, or null for none")
        if shape.get("type") == "GeometryCollection":
            parts = shape.get("geometries")
            if not isinstance(parts, list):
                return Unfit("its GeometryCollection has no list of geometries", "add one")
            waiting += reversed(parts)
        elif (fault := _fault(shape)) is not None:
            return fault
    return None


def _fault(shape: dict[str, Any]) -> Unfit | None:
    kind, coordinates = shape.get("type"), shape.get("coordinates")
    check = _CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        known = ", ".join([*_CHECKS, "GeometryCollection"])
        return Unfit(f"its geometry has no type there is: {kind!r}", f"known: {known}")
    if not isinstance(coordinates, list):
        return Unfit(f"its {kind} has no list of coordinates", "add them, or null for the geometry")
    return next(check(coordinates, "coordinates"), None) if coordinates else None


_Check = Callable[[Any, str], Iterator[Unfit]]
"""Yields what is wrong at a place."""


def _position(place: Any, at: str) -> Iterator[Unfit]:
    match place:
        case [x, y, *_] if all(type(number) in (int, float) for number in place):
            pass
        case _:
            yield Unfit(
                f"{at} is no position: {_shown(place)}", "write numbers, [longitude, latitude]"
            )
            return
    if abs(y) > LATITUDE_MAX and abs(x) <= LATITUDE_MAX and abs(y) <= LONGITUDE_MAX:
        said = f"the latitude is beyond {LATITUDE_MAX} degrees"
        yield Unfit(f"{at} {_shown(place)}: {said}", "write the longitude first, then the latitude")
    elif abs(x) > LONGITUDE_MAX or abs(y) > LATITUDE_MAX:
        yield Unfit(f"{at} {_shown(place)}: is not in degrees of longitude and latitude", _DEGREES)


def _line(line: Any, at: str) -> Iterator[Unfit]:
    yield from _each(line, at, _position)
    if isinstance(line, list) and len(line) < 2:
        yield Unfit(f"{at} is a line of {len(line)} positions", "a line needs two of them")


def _ring(ring: Any, at: str) -> Iterator[Unfit]:
    yield from _each(ring, at, _position)
    if isinstance(ring, list) and (not ring or ring[0] != ring[-1]):
        yield Unfit(f"{at} is a ring that is not closed", _CLOSE)
    elif isinstance(ring, list) and len(ring) < RING_MIN:
        needed = f"a ring needs {RING_MIN} of them at least, the first one twice"
        yield Unfit(f"{at} is a ring of {len(ring)} positions", needed)


def _each(items: Any, at: str, check: _Check) -> Iterator[Unfit]:
    if not isinstance(items, list):
        yield Unfit(f"{at} is no list: {_shown(items)}", "RFC 7946 shows the form of coordinates")
        return
    for number, item in enumerate(items):
        yield from check(item, f"{at}[{number}]")


def _each_of(check: _Check) -> _Check:
    return lambda items, at: _each(items, at, check)


_CHECKS: dict[str, _Check] = {
    "Point": _position,
    "MultiPoint": _each_of(_position),
    "LineString": _line,
    "MultiLineString": _each_of(_line),
    "Polygon": _each_of(_ring),
    "MultiPolygon": _each_of(_each_of(_ring)),
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
