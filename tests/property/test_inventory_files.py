"""Whatever bytes are in the files of an inventory: records and findings, never a traceback."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.errors import InputError
from sync_agent.inventory.record import SourceRead
from sync_agent.sources.folder import read_folder
from sync_agent.sources.teiv import TeivSource
from sync_agent.sources.tmf639 import Tmf639Source

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


TEIV = (
    b'ce_specversion:::1.0,ce_type:::ran-logical-topology.merge,,,{"entities": [{"m:Sector":'
    b' [{"id": "s1", "attributes": {"azimuth": 5}, "sourceIds": ["x"]}]}], "relationships":'
    b' [{"m:A_B_C": [{"id": "r1", "aSide": "s1", "bSide": "c1"}]}]}'
)
TMF639 = (
    b'[{"eventType": "ResourceCreateEvent", "eventTime": "2026-01-01T00:00:00Z", "event":'
    b' {"resource": {"id": "r1", "name": "R", "place": [{"role": "x", "place": {"id": "s"}}]}}}]'
)
EVENTS = {
    "a.txt": (TEIV, TeivSource, ("Sector", "A_B_C")),
    "a.json": (TMF639, Tmf639Source, ("resources", "places")),
}


@pytest.mark.parametrize("scope", SAMPLES)
@settings(deadline=None)
@given(data=st.data())
def test_any_bytes_in_a_file_give_records_and_findings(scope: str, data: st.DataObject) -> None:
    sample = SAMPLES[scope]
    content = data.draw(st.binary(max_size=200) | damaged(sample) | st.just(sample))
    found: SourceRead | None = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / scope.partition("#")[0]).write_bytes(content)
        with suppress(InputError):  # it is given up as a whole, and says so
            found = read_folder(folder, [scope])
    if found is None:
        return
    (stated,) = found.coverage
    assert stated.complete is not bool(found.diagnostics)
    assert all(fault.place and fault.remedy for fault in found.diagnostics)
    for record in found.records:
        assert set(record.attributes) <= set(found.columns[scope])


@pytest.mark.parametrize("name", EVENTS)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_any_bytes_in_an_event_file_give_records_and_findings(
    name: str, data: st.DataObject
) -> None:
    sample, kind, scopes = EVENTS[name]
    content = data.draw(st.binary(max_size=200) | damaged(sample) | st.just(sample))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        found = asyncio.run(kind(folder=Path(folder)).read(scopes))
    assert all(stated.complete is not bool(found.diagnostics) for stated in found.coverage)
    assert all(fault.place and fault.remedy for fault in found.diagnostics)
