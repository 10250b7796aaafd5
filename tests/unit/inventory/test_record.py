"""Records as sources give them."""

from __future__ import annotations

import pytest

from sync_agent.inventory.columns import ScopeRecords
from sync_agent.inventory.record import Record, Row

COLUMNS = {"id": 0, "name": 2}
ROW = Row(COLUMNS, ("R1", "of a column without a name", "north"))


def test_a_row_is_what_a_mapping_of_its_columns_to_its_cells_is() -> None:
    assert ROW == {"id": "R1", "name": "north"}
    assert {**ROW, "name": "south"} == {"id": "R1", "name": "south"}
    assert (len(ROW), list(ROW.items())) == (2, [("id", "R1"), ("name", "north")])


def test_a_column_that_is_not_there_is_none_as_in_any_mapping() -> None:
    assert ROW.get("site") is None
    assert ROW.get("site", "x") == "x"
    assert "site" not in ROW
    with pytest.raises(KeyError):
        ROW["site"]


def test_rows_of_several_tables_give_the_cells_that_all_of_them_have() -> None:
    other = Row({"name": 0, "id": 1}, ("south", "R2"))
    records = [Record("r.csv", "", row, f"r.csv:{n}") for n, row in enumerate([ROW, other], 2)]
    assert ScopeRecords(records).cells(["id", "name"]) == [("R1", "R2"), ("north", "south")]
    assert ScopeRecords(records[:1]).cells(["name"]) == [("north",)]
