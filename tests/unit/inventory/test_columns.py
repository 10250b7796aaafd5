"""Columns at once say what records one by one say, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.dtdl.elements import Primitive
from sync_agent.inventory.columns import Rows, ScopeRecords, values_by_column
from sync_agent.inventory.conversion import converter
from sync_agent.inventory.record import Record
from tests.small_network import ROUTERS, mapped, records

TEXT, NUMBER = converter(Primitive.STRING), converter(Primitive.DOUBLE)
PLAIN = [("label", "name", TEXT), ("height", "heightMetres", NUMBER)]
CELLS = st.sampled_from(["", "a", "é", "x" * 5000, "1", "2.5", "-0"])


def rows(*cells: tuple[object, object]) -> list[Record]:
    return [
        Record("t.csv", str(n), {"label": label, "height": height}, f"t.csv:{n}")
        for n, (label, height) in enumerate(cells, 2)
    ]


def one_by_one(given: list[Record]) -> list[dict[str, object]]:
    return [
        {name: convert(cell) for column, name, convert in PLAIN if (cell := r.attributes[column])}
        for r in given
    ]


@given(st.lists(st.tuples(CELLS, CELLS), max_size=6))
def test_a_column_converts_as_its_cells_do(cells: list[tuple[str, str]]) -> None:
    given = rows(*cells)
    try:
        expected = one_by_one(given)
    except ValueError:
        assert values_by_column(ScopeRecords(given), PLAIN) is None
    else:
        found = values_by_column(ScopeRecords(given), PLAIN)
        if isinstance(found, Rows):
            texts = [value for row in found for value in row if isinstance(value, str)]
            assert all(len(text) <= found.chars_max for text in texts)
            found = [dict(zip(found.names, row, strict=True)) for row in found]
        assert found == (expected or None)


@pytest.mark.parametrize("cell", [True, 1, 1.0, None, ["a"], {"a": 1}])
def test_what_is_no_text_is_left_to_the_records_one_by_one(cell: object) -> None:
    assert values_by_column(ScopeRecords(rows(("a", "1"), ("b", cell))), PLAIN) is None


def test_a_faulty_record_among_sound_ones_is_told_with_its_place_and_the_others_are_made() -> None:
    sound = [{**ROUTERS[0], "id": f"R{n}"} for n in range(5)]
    graph = mapped(records(routers=[*sound, {**ROUTERS[0], "id": "R9", "role": "king"}], links=[]))
    assert [fault.place for fault in graph.diagnostics] == ["routers.csv:7"]
    assert {f"R{n}" for n in range(5)} <= graph.desired.twins.keys()
    assert "R9" not in graph.desired.twins


@pytest.mark.parametrize(("twice", "said"), [("R1", "the id R1 is used twice"), ("", "has no id")])
def test_an_id_that_comes_twice_or_is_none_is_told(twice: str, said: str) -> None:
    graph = mapped(records(routers=[ROUTERS[0], {**ROUTERS[1], "id": twice}], links=[]))
    assert any(f.place == "routers.csv:3" and said in f.message for f in graph.diagnostics)


@pytest.mark.timeout(8)  # it takes a fifth of a second, and half a minute where each record costs
def test_an_id_that_all_of_many_records_have_takes_no_longer_than_many_ids() -> None:
    graph = mapped(records(routers=[ROUTERS[0]] * 60_000, links=[]))
    said = [fault.message for fault in graph.diagnostics]
    assert said == ["the id R1 is used twice: see also routers.csv:2"] * 59_999
