"""Records as sources give them."""

from __future__ import annotations

import pytest

from sync_agent.inventory.columns import ScopeRecords
from sync_agent.inventory.record import Record, Records, Row, Table

TABLE = Table("r.csv", "r.csv", {"id": ["R1", "R2"], "name": ["north", "south"]}, range(2, 4))
ROW = Row(TABLE.columns, 0)
LOOSE = Record("r.csv", "", {"id": "R0", "name": "east"}, "r.csv[0]")


def test_a_row_is_what_a_mapping_of_its_columns_to_its_cells_is() -> None:
    assert ROW == {"id": "R1", "name": "north"}
    assert {**ROW, "name": "west"} == {"id": "R1", "name": "west"}
    assert (len(ROW), list(ROW.items())) == (2, [("id", "R1"), ("name", "north")])


def test_a_column_that_is_not_there_is_none_as_in_any_mapping() -> None:
    assert ROW.get("site") is None
    assert ROW.get("site", "x") == "x"
    assert "site" not in ROW
    with pytest.raises(KeyError):
        ROW["site"]


def test_the_records_of_a_table_come_between_others_in_the_order_they_were_read() -> None:
    records = Records((LOOSE, TABLE, LOOSE))
    assert len(records) == 4
    assert [record.place for record in records] == ["r.csv[0]", "r.csv:2", "r.csv:3", "r.csv[0]"]
    assert records[2] == Record("r.csv", "", {"id": "R2", "name": "south"}, "r.csv:3")
    assert records[:1] == (LOOSE,)
    assert not Records()


def test_tables_and_records_give_the_cells_that_all_of_them_have() -> None:
    other = Table("r.csv", "s.csv", {"name": ["west"], "id": ["R3"]}, [9])
    found = ScopeRecords([TABLE, LOOSE, other]).cells(["id", "name"])
    assert found == [["R1", "R2", "R0", "R3"], ["north", "south", "east", "west"]]
    assert ScopeRecords([TABLE]).cells(["name"]) == [["north", "south"]]


def test_a_column_that_one_of_several_tables_lacks_is_looked_at_record_by_record() -> None:
    other = Table("r.csv", "s.csv", {"id": ["R3"]}, [2])
    assert ScopeRecords([TABLE, other]).cells(["name"]) is None
    assert ScopeRecords([TABLE, other]).cells(["id"]) == [["R1", "R2", "R3"]]
