"""GraphML by its specification: types, defaults, inner graphs, ports, markup, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sync_agent.inventory.record import SourceRead
from sync_agent.sources.folder import read_folder

GRAPHML = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="label" attr.type="string" for="node" id="d0" />
  <key attr.name="Latitude" attr.type="double" for="node" id="d1" />
  <key attr.name="Internal" attr.type="int" for="node" id="d2"><default>1</default></key>
  <key attr.name="LinkSpeed" attr.type="double" for="edge" id="d3" />
  <key attr.name="Network" attr.type="string" for="graph" id="d4" />
  <graph edgedefault="undirected" id="g">
    <data key="d4">Small &amp; fine</data>
    <node id="0"><data key="d0">A</data><data key="d1">50.5</data></node>
    <node id="1"><data key="d0">B</data><data key="d2">0</data></node>
    <edge source="0" target="1"><data key="d3">10</data></edge>
    <edge source="1" target="0" id="e1" />
    <edge source="0" target="1" directed="true" />
  </graph>
</graphml>
"""


def read(folder: Path, part: str, text: str | bytes) -> SourceRead:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "net.graphml").write_bytes(data)
    return read_folder(folder, [f"net.graphml#{part}"])


def rows(folder: Path, part: str, text: str) -> list[dict[str, Any]]:
    """Return the attributes of a part's records, nothing wrong with them."""
    found = read(folder, part, text)
    assert found.diagnostics == ()
    return [dict(record.attributes) for record in found.records]


def graphml(body: str, keys: str = "") -> str:
    """Return a document with a graph."""
    return f'<graphml xmlns="http://graphml.graphdrawing.org/xmlns">{keys}{body}</graphml>'


def test_nodes_of_graphml_have_their_data_in_its_types(tmp_path: Path) -> None:
    found = read(tmp_path, "nodes", GRAPHML)
    one, two = (r.attributes for r in found.records)
    assert one == {
        "$file": "net",
        "$id": "0",
        "$graph": "g",
        "$parent": None,
        "label": "A",
        "Latitude": 50.5,
        "Internal": 1,
    }
    assert two["Internal"] == 0
    assert found.records[0].place == "net.graphml:10"
    assert "Latitude" in found.columns["net.graphml#nodes"]


def test_edges_of_graphml_know_their_ends_and_which_of_several_they_are(tmp_path: Path) -> None:
    edges = [r.attributes for r in read(tmp_path, "edges", GRAPHML).records]
    assert [(e["$source"], e["$target"], e["$parallel"]) for e in edges] == [
        ("0", "1", 0),
        ("1", "0", 1),
        ("0", "1", 2),
    ]
    assert edges[0]["LinkSpeed"] == 10.0
    assert edges[1]["$id"] == "e1"
    assert edges[2]["$directed"] is True


def test_the_graph_itself_is_a_record(tmp_path: Path) -> None:
    (graph,) = read(tmp_path, "graph", GRAPHML).records
    assert graph.attributes["Network"] == "Small & fine"
    assert graph.attributes["$id"] == "g"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GRAPHML[:-200], "is no XML"),
        (GRAPHML.replace("<node id", "<node name"), "has a <node> without id"),
        (GRAPHML.replace('key="d0"', 'key="d9"'), "a key 'd9' that is not declared"),
        ("<html></html>", "is no GraphML: it begins with <html>"),
        (
            GRAPHML.replace("<graphml", '<!DOCTYPE g [<!ENTITY a "aaaa">]>\n<graphml', 1),
            "declares or uses an entity",
        ),
        (GRAPHML.replace("<node id=", "<g>" * 300 + "<node id=", 1), "nested deeper than 256"),
        (GRAPHML.replace(">A<", f">{'x' * 40_000}<"), "more than 32768 characters"),
        ("", "is no XML"),
    ],
)
def test_graphml_that_breaks_off_keeps_what_came_before(
    tmp_path: Path, text: str, said: str
) -> None:
    found = read(tmp_path, "nodes", text)
    (fault,) = found.diagnostics
    assert said in fault.message
    assert fault.place.startswith("net.graphml:")
    assert not found.coverage[0].complete


def test_graphml_cut_off_in_its_edges_still_has_its_nodes(tmp_path: Path) -> None:
    cut = GRAPHML[: GRAPHML.index('<edge source="1"')]
    found = read(tmp_path, "nodes", cut)
    assert len(found.records) == 2
    assert not found.coverage[0].complete


def test_graphml_in_the_wrong_encoding_is_told(tmp_path: Path) -> None:
    data = GRAPHML.replace(">A<", ">\xe9<").encode("latin-1")
    assert "net.graphml:" in read(tmp_path, "nodes", data).diagnostics[0].place


def test_a_node_with_an_inner_graph_keeps_its_own_data_and_its_nodes_name_it(
    tmp_path: Path,
) -> None:
    keys = '<key id="k" for="node" attr.name="label"/>'
    body = """<graph id="G" edgedefault="undirected">
      <node id="site"><data key="k">Site</data>
        <graph id="site:" edgedefault="directed">
          <node id="site::r1"><data key="k">Router</data></node>
          <node id="site::r2"/>
          <edge source="site::r1" target="site::r2"/>
        </graph>
      </node>
      <node id="far"/>
      <edge source="site" target="far"/>
    </graph>"""
    nodes = {n["$id"]: n for n in rows(tmp_path, "nodes", graphml(body, keys))}
    assert nodes["site"]["label"] == "Site"
    assert nodes["site::r1"]["label"] == "Router"
    assert {i: n["$parent"] for i, n in nodes.items()} == {
        "site": None, "site::r1": "site", "site::r2": "site", "far": None,
    }  # fmt: skip
    assert {n["$graph"] for n in nodes.values()} == {"G"}
    edges = rows(tmp_path, "edges", graphml(body, keys))
    assert [(e["$source"], e["$directed"]) for e in edges] == [("site::r1", True), ("site", False)]
    assert [g["$id"] for g in rows(tmp_path, "graph", graphml(body, keys))] == ["G"]


def test_the_data_of_an_inner_graph_is_not_that_of_the_outer(tmp_path: Path) -> None:
    keys = '<key id="k" for="all" attr.name="name"/>'
    body = """<graph id="G"><data key="k">outer</data><node id="a"><graph id="I">
      <data key="k">inner</data></graph></node></graph>"""
    assert [g["name"] for g in rows(tmp_path, "graph", graphml(body, keys))] == ["outer"]


def test_several_graphs_in_a_file_are_a_record_each(tmp_path: Path) -> None:
    body = '<graph id="A"><node id="a"/></graph><graph id="B"><node id="b"/></graph>'
    assert [g["$id"] for g in rows(tmp_path, "graph", graphml(body))] == ["A", "B"]
    nodes = rows(tmp_path, "nodes", graphml(body))
    assert [(n["$id"], n["$graph"]) for n in nodes] == [("a", "A"), ("b", "B")]


def test_values_have_the_types_and_defaults_their_keys_declare(tmp_path: Path) -> None:
    keys = "".join(
        f'<key id="k{n}" for="{whose}" attr.name="{name}" attr.type="{kind}">{default}</key>'
        for n, (whose, name, kind, default) in enumerate(
            [
                ("all", "up", "boolean", "<default>true</default>"),
                ("node", "ports", "int", "<default>48</default>"),
                ("node", "serial", "long", ""),
                ("node", "height", "float", ""),
                ("edge", "ports", "string", "<default>edge</default>"),
                ("node", "note", "string", "<desc>free text</desc><default/>"),
            ]
        )
    )
    body = """<graph><node id="a"><data key="k0">false</data><data key="k2">9007199254740993</data>
      <data key="k3">1.5e2</data></node><node id="b"><data key="k1">x</data><data key="k3"/></node>
      <edge source="a" target="b"/></graph>"""
    a, b = rows(tmp_path, "nodes", graphml(body, keys))
    assert (a["up"], a["ports"], a["serial"], a["height"]) == (False, 48, 9007199254740993, 150.0)
    assert (b["up"], b["ports"], b["height"], b["note"]) == (True, "x", None, "")
    (edge,) = rows(tmp_path, "edges", graphml(body, keys))
    assert (edge["up"], edge["ports"]) == (True, "edge")


def test_ports_are_passed_over_but_edges_say_which_they_use(tmp_path: Path) -> None:
    keys = '<key id="k" for="port" attr.name="speed"/><key id="n" for="node" attr.name="name"/>'
    body = """<graph><node id="a"><port name="p1"><data key="k">10</data><port name="p1.1"/></port>
      <data key="n">A</data></node><node id="b"/>
      <edge source="a" target="b" sourceport="p1"/></graph>"""
    assert [n.get("name") for n in rows(tmp_path, "nodes", graphml(body, keys))] == ["A", None]
    (edge,) = rows(tmp_path, "edges", graphml(body, keys))
    assert (edge["$sourcePort"], edge["$targetPort"]) == ("p1", None)


def test_a_hyperedge_is_told_and_the_edges_are_not_the_whole(tmp_path: Path) -> None:
    body = """<graph><node id="a"/><node id="b"/><edge source="a" target="b"/>
      <hyperedge><endpoint node="a"/><endpoint node="b"/></hyperedge></graph>"""
    found = read(tmp_path, "edges", graphml(body))
    assert len(found.records) == 1
    assert [(d.place, d.message) for d in found.diagnostics] == [
        ("net.graphml:2", "has a hyperedge, which is not read")
    ]
    assert not found.coverage[0].complete
    assert read(tmp_path, "nodes", graphml(body)).coverage[0].complete


def test_of_markup_inside_data_the_text_counts_and_its_names_mean_nothing(tmp_path: Path) -> None:
    keys = '<key id="d6" for="node" yfiles.type="nodegraphics"/>'
    body = """<graph><node id="n0"><data key="d6"><y:ShapeNode xmlns:y="urn:y">
      <y:Geometry height="30"/><y:NodeLabel>Core 1<y:LabelModel/></y:NodeLabel>
      <y:node id="x"><y:NodeLabel> second </y:NodeLabel></y:node><node id="z"/>
      </y:ShapeNode></data></node></graph>"""
    (node,) = rows(tmp_path, "nodes", graphml(body, keys))
    assert (node["$id"], node["d6"]) == ("n0", "Core 1\nsecond")


def test_elements_of_other_namespaces_are_no_part_of_the_graph(tmp_path: Path) -> None:
    body = '<graph><x:node xmlns:x="urn:x" id="x"/><node id="a"/></graph>'
    assert [n["$id"] for n in rows(tmp_path, "nodes", graphml(body))] == ["a"]
    bare = body.replace("<graph>", "<graphml><graph>").replace("</graph>", "</graph></graphml>")
    assert [n["$id"] for n in rows(tmp_path, "nodes", bare)] == ["a"]


def test_directed_and_undirected_edges_between_two_nodes_are_told_apart(tmp_path: Path) -> None:
    ends = [(0, 1, "true"), (1, 0, "false"), (1, 0, "true"), (0, 1, "false")]
    edges = "".join(f'<edge source="{a}" target="{b}" directed="{d}"/>' for a, b, d in ends)
    found = rows(tmp_path, "edges", graphml(f'<graph><node id="0"/>{edges}</graph>'))
    assert [e["$parallel"] for e in found] == [0, 1, 2, 3]


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "windows-1252", "us-ascii"])
def test_graphml_is_read_in_the_encoding_it_declares(tmp_path: Path, encoding: str) -> None:
    name = "Gen&#232;ve" if encoding == "us-ascii" else "Genève"
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + GRAPHML.partition("?>")[2]
    found = read(tmp_path, "nodes", text.replace(">A<", f">{name}<").encode(encoding))
    assert found.records[0].attributes["label"] == "Genève"
    assert found.coverage[0].complete


@pytest.mark.parametrize("encoding", ["shift_jis", "x-none"])
def test_an_encoding_that_is_not_read_is_told(tmp_path: Path, encoding: str) -> None:
    found = read(tmp_path, "nodes", GRAPHML.replace("utf-8", encoding, 1))
    assert "encoding" in found.diagnostics[0].message
    assert not found.coverage[0].complete


def test_an_entity_of_a_document_type_elsewhere_is_refused(tmp_path: Path) -> None:
    text = GRAPHML.replace("<graphml", '<!DOCTYPE graphml SYSTEM "g.dtd">\n<graphml', 1)
    assert read(tmp_path, "nodes", text).coverage[0].complete
    found = read(tmp_path, "nodes", text.replace(">A<", ">A&site;B<"))
    assert "uses an entity" in found.diagnostics[0].message


@pytest.mark.parametrize("text", ["NaN", "nan", "-nan"])
def test_a_number_that_is_none_is_no_value(tmp_path: Path, text: str) -> None:
    found = rows(tmp_path, "nodes", GRAPHML.replace(">50.5<", f">{text}<"))
    assert [row.get("Latitude") for row in found] == [None, None]


def test_a_file_in_another_encoding_than_it_says_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, "nodes", GRAPHML.replace("Small", "Zürich").encode("latin-1"))
    (fault,) = found.diagnostics
    assert fault.place == "net.graphml:9"
    assert "another encoding than its first line says" in fault.remedy
