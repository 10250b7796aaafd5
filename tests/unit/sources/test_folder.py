"""Files that are no CSV: NDJSON, JSON, GeoJSON, GraphML; patterns; what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync_agent.errors import InputError
from sync_agent.inventory.record import SourceRead
from sync_agent.sources import json_lines
from sync_agent.sources.folder import FolderSource, read_folder
from tests.unit.sources.test_graphml_file import GRAPHML


def read(folder: Path, scope: str, text: str | bytes, name: str = "") -> SourceRead:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / (name or scope.partition("#")[0])).write_bytes(data)
    return read_folder(folder, [scope])


def test_a_line_of_ndjson_is_a_record_with_its_parts(tmp_path: Path) -> None:
    found = read(tmp_path, "a.ndjson", '{"id": 1, "site": {"name": "N"}}\n\n{"id": 2}\n')
    assert [r.place for r in found.records] == ["a.ndjson:1", "a.ndjson:3"]
    assert found.records[0].attributes.get("site.name") == "N"
    assert found.records[1].attributes.get("site.name") is None
    assert found.open_kinds == {"a.ndjson"}
    assert found.coverage[0].complete


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": ', "is no JSON"),
        ("[1]", "is no JSON object"),
        ("[" * 100_000, "is no JSON"),
        (b'{"id": "\xff"}', "is no JSON"),
        ('{"id": 1e999}', "is no JSON"),
    ],
)
def test_a_bad_line_of_ndjson_is_told_and_the_others_are_read(
    tmp_path: Path, line: str | bytes, said: str
) -> None:
    bad = line if isinstance(line, bytes) else line.encode()
    found = read(tmp_path, "a.ndjson", b'{"id": 1}\n' + bad + b'\n{"id": 3}\n')
    assert len(found.records) == 2
    (fault,) = found.diagnostics
    assert fault.place == "a.ndjson:2"
    assert said in fault.message
    assert not found.coverage[0].complete


def test_a_file_of_nothing_but_bad_lines_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than 1000 lines"):
        read(tmp_path, "a.ndjson", "x\n" * 1100)


def test_a_json_array_is_a_list_of_records(tmp_path: Path) -> None:
    found = read(tmp_path, "a.json", '[{"id": 1}, 7, {"id": 2}]')
    assert [r.place for r in found.records] == ["a.json[0]", "a.json[2]"]
    assert found.diagnostics[0].place == "a.json[1]"


def test_a_geojson_point_has_its_coordinates_as_attributes(tmp_path: Path) -> None:
    feature = {
        "type": "Feature",
        "id": "S1",
        "properties": {"name": "North"},
        "geometry": {"type": "Point", "coordinates": [8.5, 50.5]},
    }
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    (record,) = read(tmp_path, "sites.geojson", text).records
    assert record.attributes["$id"] == "S1"
    assert record.attributes["name"] == "North"
    assert (record.attributes["$longitude"], record.attributes["$latitude"]) == (8.5, 50.5)
    assert record.attributes["$geometry"]["type"] == "Point"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"type": "FeatureCollection", "features": [{"type": "Fea', "is no JSON"),
        ('{"type": "Feature"}', "neither a JSON array nor a GeoJSON"),
        ("[" * 200_000, "is no JSON"),
        ("\udcff", "is no JSON"),
    ],
)
def test_a_json_file_that_is_cut_off_leaves_its_coverage_incomplete(
    tmp_path: Path, text: str, said: str
) -> None:
    found = read(tmp_path, "s.geojson", text.encode(errors="surrogateescape"))
    assert found.records == ()
    assert said in found.diagnostics[0].message
    assert not found.coverage[0].complete


def test_a_json_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "FILE_BYTES_MAX", 10)
    with pytest.raises(InputError, match="larger than 10 bytes"):
        read(tmp_path, "a.json", "[" + " " * 20 + "]")


def test_a_pattern_reads_every_file_that_fits(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.graphml").write_text(GRAPHML)
    found = read_folder(tmp_path, ["*.graphml#nodes", "*.graphml#edges"])
    assert [r.attributes["$file"] for r in found.records if r.kind == "*.graphml#nodes"] == [
        "a", "a", "b", "b",
    ]  # fmt: skip
    assert [c.scope for c in found.coverage] == ["*.graphml#nodes", "*.graphml#edges"]


def test_one_broken_file_of_a_pattern_makes_its_scope_incomplete(tmp_path: Path) -> None:
    (tmp_path / "a.graphml").write_text(GRAPHML)
    (tmp_path / "b.graphml").write_text(GRAPHML[:-30])
    found = read_folder(tmp_path, ["*.graphml#edges"])
    assert not found.coverage[0].complete
    assert "b.graphml:" in found.coverage[0].reason


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("x.xlsx", "is no file this source reads"),
        ("x.graphml", "is no file this source reads"),
        ("x.csv#nodes", "is no file this source reads"),
        ("*.csv", "no file fits"),
    ],
)
def test_a_scope_that_cannot_be_read_is_refused(tmp_path: Path, scope: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read_folder(tmp_path, [scope])
    assert raised.value.remedy


async def test_a_folder_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"id": 1}\n')
    source = FolderSource(tmp_path)
    assert await source.check() == f"1 files in {tmp_path}"
    assert len((await source.read(["a.ndjson"])).records) == 1
    await source.close()
    with pytest.raises(InputError, match="is not a folder"):
        await FolderSource(tmp_path / "x").check()
