"""Geometries by RFC 7946: what can be used, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from sync_agent.sources.geometry_check import geometry_fault

RING = [[0, 0], [1, 0], [1, 1], [0, 0]]
HOLE = [[0.2, 0.1], [0.3, 0.2], [0.3, 0.1], [0.2, 0.1]]


def shape(kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates}


@pytest.mark.parametrize(
    "good",
    [
        None,
        shape("Point", [180, -90]),
        shape("Point", [8.5, 50, 431.7]),
        shape("Point", []),
        shape("MultiPoint", [[8, 50], [9, 51]]),
        shape("LineString", [[177, 0], [183 - 360, 0]]),
        shape("MultiLineString", [[[0, 0], [0, 1]], [[2, 2], [3, 3]]]),
        shape("Polygon", [RING, HOLE]),
        shape("Polygon", [RING[::-1]]),  # which way it turns is not for readers to refuse
        shape("MultiPolygon", [[RING], [RING, HOLE]]),
        {"type": "GeometryCollection", "geometries": [shape("Point", [1, 1]), None]},
    ],
)
def test_a_geometry_of_the_rfc_has_no_fault(good: Any) -> None:
    assert geometry_fault(good) is None


@pytest.mark.parametrize(
    ("bad", "said", "remedy"),
    [
        (7, "is no object", "null"),
        ([], "is no object", "null"),
        ({}, "no type there is: None", "Point"),
        (shape("Circle", [0, 0]), "no type there is: 'Circle'", "GeometryCollection"),
        ({"type": ["x"], "coordinates": []}, "no type there is", "Point"),
        ({"type": "Point"}, "Point has no list of coordinates", "null"),
        (shape("Point", "8,5"), "has no list of coordinates", "null"),
        (shape("Point", [8]), "coordinates is no position: [8]", "numbers"),
        (shape("Point", ["8", "5"]), "is no position", "numbers"),
        (shape("Point", [True, 5]), "is no position", "numbers"),
        (shape("Point", [8.5, 99]), "latitude is beyond 90", "longitude first"),
        (shape("Point", [2600000.5, 1200000]), "is not in degrees", "WGS 84"),
        (shape("Point", [10**400, 1]), "is not in degrees", "WGS 84"),
        (shape("Point", [181, 1]), "is not in degrees", "WGS 84"),
        (shape("MultiPoint", [[8, 50], [8, None]]), "coordinates[1] is no position", "numbers"),
        (shape("LineString", [[8, 50]]), "is a line of 1 positions", "two"),
        (shape("MultiLineString", [[[0, 0], [0, 1]], []]), "coordinates[1] is a line of 0", "two"),
        (shape("MultiLineString", [7]), "coordinates[0] is no list: 7", "RFC 7946"),
        (shape("Polygon", RING), "coordinates[0][0] is no position: 0", "numbers"),
        (shape("Polygon", [RING, HOLE[:-1]]), "coordinates[1] is a ring that is not closed", "end"),
        (shape("Polygon", [[]]), "coordinates[0] is a ring that is not closed", "end"),
        (shape("Polygon", [[[0, 0], [1, 1], [0, 0]]]), "a ring of 3 positions", "4 of them"),
        (shape("MultiPolygon", [[RING], [RING[:3]]]), "coordinates[1][0] is a ring", "end"),
        ({"type": "GeometryCollection"}, "no list of geometries", "add"),
        (
            {
                "type": "GeometryCollection",
                "geometries": [shape("Point", [1, 1]), shape("Polygon", [RING[:3]])],
            },
            "is not closed",
            "end",
        ),
    ],
)
def test_a_geometry_that_is_wrong_is_told_with_place_and_remedy(
    bad: Any, said: str, remedy: str
) -> None:
    fault = geometry_fault(bad)
    assert fault is not None
    assert said in fault.message
    assert remedy in fault.remedy


def test_collections_may_be_nested_as_deep_as_they_like() -> None:
    nested: dict[str, Any] = shape("Point", [0, 91])
    for _ in range(10_000):
        nested = {"type": "GeometryCollection", "geometries": [nested]}
    assert geometry_fault(nested) is not None
