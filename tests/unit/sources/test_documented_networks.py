"""The mappings in docs/sources/files.md make of networks on a map and in JSON what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sync_agent.inventory.mapping import MappedGraph, check_columns, map_records, parse_mapping
from sync_agent.sources.folder import read_folder
from tests.telecom_mapping import telecom

PAGE = Path(__file__).parents[3] / "docs" / "sources" / "files.md"


def documented(file: str) -> str:
    """Return the mapping on the page that reads a file."""
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (found,) = [block for block in blocks if file in block]
    return str(found)


def mapped(folder: Path, mapping: str) -> MappedGraph:
    rules = parse_mapping(mapping, place="files.md")
    found = read_folder(folder, rules.scopes)
    check_columns(rules, found.columns, found.open_kinds)
    assert found.diagnostics == ()
    return map_records(rules, found.records, telecom())


def feature(properties: dict[str, Any], kind: str, coordinates: list[Any]) -> dict[str, Any]:
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def collection(*features: dict[str, Any]) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_a_network_in_node_link_form(tmp_path: Path) -> None:
    nodes = [{"id": "a"}, {"id": "b"}]
    links = [{"source": "a", "target": "b", "key": 0}]
    (tmp_path / "net.json").write_text(json.dumps({"nodes": nodes, "links": links}))
    graph = mapped(tmp_path, documented("net.json"))
    assert graph.diagnostics == ()
    assert set(graph.desired.twins) == {"a", "b", "a--b"}
    assert [e.target for e in graph.desired.relationships.values()] == ["a"]


def test_fibre_on_a_map_finds_the_sites_it_joins(tmp_path: Path) -> None:
    sites = [feature({"code": f"S{x}"}, "Point", [x, 50]) for x in (8, 9)]
    fibre = feature({"name": "F1"}, "LineString", [[8, 50], [8.5, 50], [9.0, 50.0]])
    (tmp_path / "sites.geojson").write_text(collection(*sites))
    (tmp_path / "fibre.geojson").write_text(collection(fibre))
    graph = mapped(tmp_path, documented("fibre.geojson"))
    assert graph.diagnostics == ()
    assert graph.desired.placeholders == frozenset()
    (edge,) = graph.desired.relationships.values()
    assert (edge.source, edge.name, edge.target) == ("F1", "aEnd", "S8")
    assert 71 < graph.desired.twins["F1"].properties["lengthKm"] < 72
