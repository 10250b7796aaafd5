"""Whatever bytes are in the files of a folder: records and findings come out, never a traceback."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.errors import InputError
from sync_agent.sources.folder import read_folder

CSV = b'id,name,"a b"\nS1,"No\nrth",1\nS2,South,\n'
NDJSON = b'{"id": 1, "site": {"name": "N"}}\n{"id": 2}\n'
GEOJSON = (
    b'{"type": "FeatureCollection", "features": [{"type": "Feature", "id": 7, "properties":'
    b' {"a": 1}, "geometry": {"type": "Point", "coordinates": [8.5, 50.5]}}]}'
)
GRAPHML = (
    b'<?xml version="1.0" encoding="utf-8"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    b'<key id="d0" for="node" attr.name="n" attr.type="int"><default>1</default></key>'
    b'<graph id="g" edgedefault="directed"><node id="a"><data key="d0">5</data><graph>'
    b'<node id="b"/></graph></node><edge source="a" target="b"/></graph></graphml>'
)
SAMPLES = {
    "a.csv": CSV,
    "a.tsv": CSV.replace(b",", b"\t"),
    "a.ndjson": NDJSON,
    "a.json": b"[" + NDJSON.replace(b"\n", b",")[:-1] + b"]",
    "a.json#nodes.inner": b'{"nodes": {"inner": [{"id": 1}, 2]}}',
    "a.geojson": GEOJSON,
    "a.graphml#nodes": GRAPHML,
    "a.graphml#edges": GRAPHML,
    "a.graphml#graph": GRAPHML,
}
PIECES = [b"\0", b"\xff", b"\xef\xbb\xbf", b'"', b"<", b">", b"&x;", b"{", b"[", b"null", b"\n"]


@st.composite
def damaged(draw: st.DrawFn, sample: bytes) -> bytes:
    """Return the sample cut off, with parts taken out, doubled, or replaced by odd ones."""
    data = sample
    for _ in range(draw(st.integers(1, 4))):
        begin, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        part = draw(st.sampled_from([*PIECES, b"", data[begin:end] * 2]) | st.binary(max_size=8))
        data = data[:begin] + part + data[end:]
    return data


@pytest.mark.parametrize("scope", SAMPLES)
@given(data=st.data())
def test_any_bytes_in_a_file_give_records_and_findings(scope: str, data: st.DataObject) -> None:
    sample = SAMPLES[scope]
    content = data.draw(st.binary(max_size=200) | damaged(sample) | st.just(sample))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / scope.partition("#")[0]).write_bytes(content)
        try:
            found = read_folder(folder, [scope])
        except InputError as error:
            assert error.place, error
            assert error.remedy, error
            return
    (stated,) = found.coverage
    assert stated.complete is not bool(found.diagnostics)
    assert all(fault.place and fault.remedy for fault in found.diagnostics)
    for record in found.records:
        assert set(record.attributes) <= set(found.columns[scope]) | {"$longitude", "$latitude"}
