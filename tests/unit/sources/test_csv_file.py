from pathlib import Path

import pytest

from sync_agent.errors import InputError
from sync_agent.inventory.record import Coverage, Record, SourceRead
from sync_agent.sources import csv_file, folder
from sync_agent.sources.folder import read_folder

GOOD = b"id,name\nS1,North\nS2,South\n"


def read(tmp_path: Path, data: bytes) -> SourceRead:
    (tmp_path / "sites.csv").write_bytes(data)
    return read_folder(tmp_path, ["sites.csv"])


def test_each_row_becomes_a_record_with_its_place(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert tuple(found.records) == (
        Record("sites.csv", "", {"id": "S1", "name": "North"}, "sites.csv:2"),
        Record("sites.csv", "", {"id": "S2", "name": "South"}, "sites.csv:3"),
    )
    assert found.coverage == (Coverage("sites.csv", True),)
    assert found.columns == {"sites.csv": ("id", "name")}


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.rstrip(b"\n"),
        GOOD.replace(b"S1,North", b" S1 ,\tNorth"),
        GOOD.replace(b"\nS2", b"\n\nS2"),
        GOOD.replace(b"North", b'"North"'),
        b"sep=,\r\n" + GOOD,
        b'"sep=;"\n' + GOOD.replace(b",", b";"),
    ],
    ids=[
        *("bom", "crlf", "no newline at the end", "blanks", "blank line", "quotes"),
        *("separator stated", "another stated"),
    ],
)
def test_the_ways_spreadsheets_write_csv_read_the_same(tmp_path: Path, data: bytes) -> None:
    found = read(tmp_path, data)
    assert [r.attributes["id"] for r in found.records] == ["S1", "S2"]
    assert found.records[0].attributes["name"] == "North"
    assert found.diagnostics == ()


def test_a_cell_over_several_lines_keeps_the_place_of_its_first(tmp_path: Path) -> None:
    found = read(tmp_path, b'id,name\nS1,"No\nrth"\nS2,South\n')
    assert [r.place for r in found.records] == ["sites.csv:2", "sites.csv:4"]
    assert found.records[0].attributes["name"] == "No\nrth"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"S1,No\xffrth", "is not UTF-8 text"),
        (b"S1,No\0rth", "holds a NUL character"),
        (b"S1", "has 1 cells, the header has 2"),
        (b"S1,North,x", "has 3 cells, the header has 2"),
        (b'S1,"Nor"th', "is no CSV"),
        (b"S1," + b"x" * (csv_file.FIELD_CHARS_MAX + 1), "has a cell of more than"),
        (b"S1," + b"x" * 200_000, "is no CSV: field larger than field limit"),
    ],
)
def test_a_bad_line_is_told_and_the_others_are_read(tmp_path: Path, line: bytes, said: str) -> None:
    found = read(tmp_path, b"id,name\nS0,a\n" + line + b"\nS2,South\n")
    assert [r.attributes["id"] for r in found.records] == ["S0", "S2"]
    (fault,) = found.diagnostics
    assert fault.place == "sites.csv:3"
    assert said in fault.message
    assert fault.remedy
    assert not found.coverage[0].complete
    assert "sites.csv:3" in found.coverage[0].reason


def test_a_replacement_character_that_was_written_as_such_is_text(tmp_path: Path) -> None:
    assert not read(tmp_path, "id,name\nS1,\ufffd\n".encode()).diagnostics


def test_a_quote_that_is_never_closed_leaves_the_coverage_incomplete(tmp_path: Path) -> None:
    found = read(tmp_path, b'id,name\nS1,North\nS2,"South\nS3,East\n')
    assert [r.attributes["id"] for r in found.records] == ["S1"]
    assert found.diagnostics[0].place == "sites.csv:3"
    assert not found.coverage[0].complete


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "has no header line"),
        (b"\n", "has no header line"),
        (b",,\n", "has no header line"),
        (b"id,id\n", "has the column 'id' twice"),
        (b"i\xffd\n", "is not UTF-8 text"),
        (b"id,name\rS1,North\r", "has lines that end in a carriage return alone"),
        ("id,name\n".encode("utf-16"), "sites.csv:1: is UTF-16 text, not UTF-8"),
        ("id,name\n".encode("utf-16-le"), "sites.csv:1: holds a NUL character"),
        (b",".join(b"c%d" % n for n in range(1001)) + b"\n", "more than 1000 columns"),
        (b"id,name\n" + b"\xff,x\n" * 1100, "more than 1000 lines that cannot be read"),
        (b"id,name\n" + b"x\n" * 1100, "more than 1000 lines that cannot be read"),
    ],
)
def test_a_file_that_is_no_inventory_is_told_and_leaves_a_gap(
    tmp_path: Path, data: bytes, said: str
) -> None:
    found = read(tmp_path, data)
    assert said in str(found.diagnostics[-1])
    assert "sites.csv" in found.diagnostics[-1].place
    assert found.diagnostics[-1].remedy
    assert not found.coverage[0].complete


def test_what_stands_before_the_fault_that_is_one_too_many_stays(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD + b"x\n" * 1_001 + b"S3,Behind\n")
    assert [record.attributes["id"] for record in found.records] == ["S1", "S2"]
    assert len(found.diagnostics) == 1_002


def test_a_file_that_is_given_up_keeps_what_came_before(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD + b"x" * (csv_file.LINE_BYTES_MAX + 1))
    assert [r.attributes["id"] for r in found.records] == ["S1", "S2"]
    assert "sites.csv:4" in str(found.diagnostics[0])
    assert "is longer than" in found.diagnostics[0].message
    assert not found.coverage[0].complete


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_without_a_comma_in_its_header_a_file_has_another_separator(
    tmp_path: Path, separator: str
) -> None:
    text = f'id{separator}"na,me"\nS1{separator}"North{separator}upper"\n'
    (record,) = read(tmp_path, text.encode()).records
    assert record.attributes == {"id": "S1", "na,me": f"North{separator}upper"}


def test_a_header_with_commas_is_separated_by_them(tmp_path: Path) -> None:
    (record,) = read(tmp_path, b"id,kinds (a;b;c)\nS1,a;b\n").records
    assert record.attributes == {"id": "S1", "kinds (a;b;c)": "a;b"}


def test_a_header_with_commas_inside_is_separated_by_what_its_rows_are(tmp_path: Path) -> None:
    text = "Standort;Länge, km;Typ\nS1;12,5;Glas\n"
    (record,) = read(tmp_path, text.encode()).records
    assert record.attributes == {"Standort": "S1", "Länge, km": "12,5", "Typ": "Glas"}


def test_a_line_that_states_the_separator_keeps_the_numbers_of_the_others(tmp_path: Path) -> None:
    found = read(tmp_path, b"sep=;\nid;name\nS1;North\nS2\n")
    assert found.records[0].place == "sites.csv:3"
    assert found.diagnostics[0].place == "sites.csv:4"


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("id\tna,me\nS1\tNorth, upper\n", {"id": "S1", "na,me": "North, upper"}),
        ("id\ta, b, c\nS1\t1, 2, 3\n", {"id": "S1", "a, b, c": "1, 2, 3"}),
        ("id\nS1, S2\n", {"id": "S1, S2"}),
        ("id,name\nS1,North\n", {"id": "S1", "name": "North"}),
    ],
)
def test_tabs_separate_a_tsv_whatever_else_its_header_holds(
    tmp_path: Path, text: str, attributes: dict[str, str]
) -> None:
    (tmp_path / "sites.tsv").write_text(text)
    (record,) = read_folder(tmp_path, ["sites.tsv"]).records
    assert record.attributes == attributes


def test_what_spreadsheets_leave_empty_is_passed_over(tmp_path: Path) -> None:
    found = read(tmp_path, b",id,name,,\n0,S1,North,,x\n,,,,\n1,S2,South,,\n")
    assert [r.attributes for r in found.records] == [
        {"id": "S1", "name": "North"},
        {"id": "S2", "name": "South"},
    ]
    assert found.records[1].place == "sites.csv:4"
    assert found.columns == {"sites.csv": ("id", "name")}
    assert found.coverage[0].complete


def test_a_file_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    (fault,) = read_folder(tmp_path, ["sites.csv"]).diagnostics
    assert str(fault) == f"{tmp_path / 'sites.csv'}: is not there"


def test_a_folder_that_is_none_is_told_by_name(tmp_path: Path) -> None:
    found = read_folder(tmp_path / "x", ["sites.csv", "links.csv"])
    assert [str(fault) for fault in found.diagnostics] == [f"{tmp_path / 'x'}: is not a folder"]
    assert [stated.complete for stated in found.coverage] == [False, False]


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").mkdir()
    assert "sites.csv: is no file" in str(read_folder(tmp_path, ["sites.csv"]).diagnostics[0])


def test_more_rows_than_the_bound_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "RECORDS_MAX", 1)
    with pytest.raises(InputError, match="more than 1 records"):
        read(tmp_path, GOOD)


def test_the_digest_changes_with_any_byte_and_with_nothing_else(tmp_path: Path) -> None:
    one = read(tmp_path, GOOD).digest
    assert read(tmp_path, GOOD).digest == one
    assert read(tmp_path, GOOD + b"S3,x\n").digest != one
    assert len(one) == 64
