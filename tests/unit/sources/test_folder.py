"""Files that are no CSV: NDJSON, JSON, GeoJSON, GraphML; patterns; what is wrong with them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from sync_agent.errors import InputError
from sync_agent.inventory.record import SourceRead
from sync_agent.sources import folder as folder_module
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
        (b'{"id": "\xff"}', "is not UTF-8 text"),
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
    found = read(tmp_path, "a.ndjson", "x\n" * 1100)
    assert "more than 1000 lines" in found.diagnostics[-1].message


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
        ('{"type": "Topology"}', "neither a JSON array nor GeoJSON"),
        ('{"type": "FeatureCollection"}', "without a list of features"),
        ('{"type": "FeatureCollection", "features": null}', "without a list of features"),
        ('{"type": "FeatureCollection", "features": {"a": 1}}', "without a list of features"),
        ('{"type": "Feature", "properties": [1]}', "properties are no object"),
        ("[" * 200_000, "is no JSON"),
        ("\udcff", "is not UTF-8 text"),
    ],
)
def test_a_json_file_that_is_cut_off_leaves_its_coverage_incomplete(
    tmp_path: Path, text: str, said: str
) -> None:
    found = read(tmp_path, "s.geojson", text.encode(errors="surrogateescape"))
    assert not found.records
    assert said in found.diagnostics[0].message
    assert not found.coverage[0].complete


def test_a_feature_with_a_wrong_geometry_is_told_by_number_and_id_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    def mast(id_: str, latitude: float) -> dict[str, object]:
        geometry = {"type": "Point", "coordinates": [8.5, latitude]}
        return {"type": "Feature", "id": id_, "properties": {}, "geometry": geometry}

    features = [mast("M1", 50), mast("M2", 95), {"type": "Point"}]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    found = read(tmp_path, "masts.geojson", text)
    assert [record.attributes["$id"] for record in found.records] == ["M1"]
    assert [str(fault) for fault in found.diagnostics] == [
        "masts.geojson[1]: feature 'M2': coordinates [8.5, 95]: the latitude is beyond 90 degrees",
        "masts.geojson[2]: is no feature of GeoJSON",
    ]
    assert found.diagnostics[0].remedy == "write the longitude first, then the latitude"
    assert not found.coverage[0].complete


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", ""])
def test_a_geojson_file_may_say_that_it_is_in_degrees(tmp_path: Path, name: str) -> None:
    crs = {"type": "name", "properties": {"name": name}} if name else None
    feature: dict[str, object] = {"type": "Feature", "id": "M1", "properties": {}, "geometry": None}
    text = json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]})
    assert len(read(tmp_path, "masts.geojson", text).records) == 1


def test_a_geojson_file_in_other_coordinates_is_told_once(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2056"}}
    point = {"type": "Point", "coordinates": [2.6, 1.2]}
    feature = {"type": "Feature", "properties": {}, "geometry": point}
    text = json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature] * 3})
    found = read(tmp_path, "masts.geojson", text)
    assert not found.records
    (fault,) = found.diagnostics
    assert str(fault) == "masts.geojson: its coordinates are in urn:ogc:def:crs:EPSG::2056"
    assert "ogr2ogr" in fault.remedy


def test_a_feature_alone_is_a_record_and_a_line_keeps_its_geometry(tmp_path: Path) -> None:
    line = {"type": "LineString", "coordinates": [[8.5, 50.5], [8.6, 50.7]]}
    text = json.dumps({"type": "Feature", "properties": None, "geometry": line})
    (record,) = read(tmp_path, "fibre.geojson", text).records
    assert record.attributes["$geometryType"] == "LineString"
    assert record.attributes["$geometry.coordinates.1.0"] == 8.6
    assert record.attributes.get("$longitude") is None


NODE_LINK = """{"graph": {"name": "N"}, "nodes": [{"id": "a"}, {"id": "b"}, 7],
 "topology": {"links": {"L1": {"source": "a", "target": "b"}}}}"""


def test_lists_inside_a_json_document_are_named_with_their_path(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(NODE_LINK)
    found = read_folder(tmp_path, ["net.json#nodes", "net.json#topology.links"])
    nodes = [r.attributes["id"] for r in found.records if r.kind == "net.json#nodes"]
    (link,) = [r.attributes for r in found.records if r.kind == "net.json#topology.links"]
    assert nodes == ["a", "b"]
    assert dict(link) == {"source": "a", "target": "b", "$key": "L1"}
    assert [c.complete for c in found.coverage] == [False, True]


@pytest.mark.parametrize(
    ("scope", "said"),
    [("net.json#edges", "graph, nodes, topology"), ("net.json", "net.json#nodes")],
)
def test_a_list_that_is_not_in_the_document_is_told_with_those_that_are(
    tmp_path: Path, scope: str, said: str
) -> None:
    (tmp_path / "net.json").write_text(NODE_LINK)
    found = read_folder(tmp_path, [scope])
    assert said in found.diagnostics[0].remedy
    assert not found.coverage[0].complete


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"elements": {"nodes": [{}], "edges": [{}]}, "data": []}', "#elements.nodes or x.json#"),
        ('{"data": [1]}', "it holds no list of objects"),
    ],
)
def test_a_document_without_a_list_of_its_own_is_told_with_those_inside(
    tmp_path: Path, text: str, said: str
) -> None:
    assert said in read(tmp_path, "x.json", text).diagnostics[0].remedy


def test_a_json_array_of_nothing_but_rubbish_is_given_up(tmp_path: Path) -> None:
    found = read(tmp_path, "a.json", json.dumps([1] * 1100))
    assert "more than 1000 items" in found.diagnostics[-1].message


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bad.csv", "id,name\n".encode("utf-16")),
        ("bad.csv", b"id,id\n1,2\n"),
        ("gone.csv", None),
        ("*.tsv", None),
        ("bad.ndjson", b"x\n" * 1100),
    ],
)
def test_a_file_that_cannot_be_used_is_a_gap_and_the_others_are_read(
    tmp_path: Path, name: str, data: bytes | None
) -> None:
    (tmp_path / "good.csv").write_text("id\nS1\n")
    if data is not None:
        (tmp_path / name).write_bytes(data)
    found = read_folder(tmp_path, [name, "good.csv"])
    assert [r.attributes["id"] for r in found.records] == ["S1"]
    assert [c.complete for c in found.coverage] == [False, True]
    assert found.diagnostics[-1].remedy
    assert name in found.open_kinds


def test_a_file_that_is_missing_is_told_with_one_of_a_similar_name(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text("id\nS1\n")
    (fault,) = read_folder(tmp_path, ["site.csv"]).diagnostics
    assert fault.message == "is not there, did you mean sites.csv?"


def test_a_link_is_followed_inside_the_folder_and_not_out_of_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("id\nS1\n")
    folder = tmp_path / "export"
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "in.csv").write_text("id\nS2\n")
    (folder / "in.csv").symlink_to("..data/in.csv")
    (folder / "out.csv").symlink_to(secret)
    (folder / "round.csv").symlink_to("round.csv")
    found = read_folder(folder, ["in.csv", "out.csv", "round.csv"])
    assert [r.attributes["id"] for r in found.records] == ["S2"]
    assert "leads out of the folder" in found.diagnostics[0].message
    assert found.diagnostics[1].place.endswith("round.csv")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    assert "is no file" in read_folder(tmp_path, ["a.csv"]).diagnostics[0].message


def test_a_json_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "FILE_BYTES_MAX", 10)
    found = read(tmp_path, "a.json", "[" + " " * 20 + "]")
    assert "larger than 10 bytes" in found.diagnostics[0].message


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


async def test_a_file_that_did_not_change_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "SETTLED_S", 0)
    (tmp_path / "a.ndjson").write_text('{"id": "A"}\n')
    (tmp_path / "b.ndjson").write_text('{"id": "B"}\n')
    source = FolderSource(tmp_path)
    first = await source.read(["a.ndjson", "b.ndjson"])
    (tmp_path / "b.ndjson").write_text('{"id": "C"}\n')
    second = await source.read(["a.ndjson", "b.ndjson"])
    assert second.records[0] is first.records[0]
    assert second.records[1].attributes == {"id": "C"}
    assert second.digest != first.digest
    assert second == read_folder(tmp_path, ["a.ndjson", "b.ndjson"])


async def test_a_file_that_could_not_be_read_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "SETTLED_S", 0)
    (tmp_path / "a.csv").write_text("id\nA\n")
    source = FolderSource(tmp_path)
    with monkeypatch.context() as context:
        context.setattr(folder_module, "S_ISREG", _no_more_files)
        broken = await source.read(["a.csv"])
    assert not broken.coverage[0].complete
    assert "Too many open files" in broken.coverage[0].reason
    again = await source.read(["a.csv"])
    assert again.coverage[0].complete
    assert len(again.records) == 1


def _no_more_files(_: int) -> bool:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


async def test_a_file_written_a_moment_ago_is_read_again_whatever_its_times(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id\nA\n")
    source = FolderSource(tmp_path)
    await source.read(["a.csv"])
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_text("id\nB\n")
    os.utime(path, ns=times)
    assert (await source.read(["a.csv"])).records[0].attributes == {"id": "B"}
