from __future__ import annotations

from typing import Any

import pytest

from sync_agent.sources.geometry import geometry_attributes


def test_a_point_has_a_position_whatever_its_height() -> None:
    assert geometry_attributes({"type": "Point", "coordinates": [8.5, 50.25, 120]}) == {
        "$longitude": 8.5,
        "$latitude": 50.25,
        "$position": "8.5,50.25",
    }


def test_a_line_has_ends_and_a_length() -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [0, 1], [0, 2]]}
    found = geometry_attributes(line)
    assert (found["$start"], found["$end"]) == ("0,0", "0,2")
    assert found["$lengthMetres"] == pytest.approx(2 * 111_195, rel=1e-3)


def test_a_line_in_parts_leads_from_its_first_to_its_last_and_gaps_do_not_count() -> None:
    parts = [[[0, 0], [0, 1]], [[5, 5], [5, 6]]]
    found = geometry_attributes({"type": "MultiLineString", "coordinates": parts})
    assert (found["$start"], found["$end"]) == ("0,0", "5,6")
    assert found["$lengthMetres"] == pytest.approx(2 * 111_195, rel=1e-3)


def test_places_that_differ_by_less_than_a_metre_s_tenth_have_one_name() -> None:
    names = {
        geometry_attributes({"type": "Point", "coordinates": [x, -1e-9]})["$position"]
        for x in (8.5, 8.50000004)
    }
    assert names == {"8.5,0"}


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {"type": "Point", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        {"type": "GeometryCollection", "geometries": []},
    ],
)
def test_what_is_neither_point_nor_line_names_no_place(geometry: dict[str, Any] | None) -> None:
    assert geometry_attributes(geometry) == {}
