"""The telecom ontology keeps its own rules, and its page names only what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_agent.dtdl.adt_profile import check_adt, check_adt_count, ignored_by_adt
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dtdl_models" / "telecom"
PAGE = ROOT / "docs" / "ontology.md"
SHARED = ROOT.parent / "shared"
FILES = sorted(FOLDER.rglob("*.json"))
DOCUMENTS: dict[str, dict[str, Any]] = {
    f"{path.parent.name}:{path.stem}": json.loads(path.read_text(encoding="utf-8"))
    for path in FILES
}
UNITS_IN_NAMES = re.compile(
    r"(Dbm|Db|Pct|Bps|Ratio|Ber|Ah|Celsius|Volts|Amps|Minutes|Metres|Km|Units|Bytes)"
)


def elements(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the interface, its contents and the properties of its relationships, by path."""
    yield document["@id"], document
    for content in document.get("contents", ()):
        yield f"{document['@id']} {content['name']}", content
        for prop in content.get("properties", ()):
            yield f"{document['@id']} {content['name']}.{prop['name']}", prop


ELEMENTS = [element for document in DOCUMENTS.values() for element in elements(document)]


def registry() -> ModelRegistry:
    return ModelRegistry(parse_models(DOCUMENTS.values()).interfaces)


def test_it_is_valid_dtdl_and_nothing_is_missing() -> None:
    result = parse_models(DOCUMENTS.values())
    assert result.diagnostics == ()
    assert registry().missing() == ()
    assert len(registry()) == len(FILES)


def test_azure_digital_twins_takes_it_whole_and_stores_all_of_it() -> None:
    models = registry()
    interfaces = [models.interface(model) for model in models.ids]
    assert [d for interface in interfaces for d in check_adt(models, interface)] == []
    assert check_adt_count(models) == ()
    assert ignored_by_adt(interfaces)["telemetry"] == 0


def test_a_model_is_named_as_its_file() -> None:
    assert {key: document["@id"] for key, document in DOCUMENTS.items()} == {
        key: f"dtmi:telecom:{key};1" for key in DOCUMENTS
    }


def test_every_element_has_a_name_for_people() -> None:
    assert [path for path, element in ELEMENTS if not element.get("displayName")] == []


def test_every_element_says_what_it_is() -> None:
    assert [path for path, element in ELEMENTS if len(element.get("description", "")) < 10] == []


def test_every_element_names_its_source() -> None:
    assert [path for path, e in ELEMENTS if not e.get("comment", "").startswith("Source: ")] == []


def test_nothing_that_is_a_duration_level_or_rate_is_without_a_unit() -> None:
    bare = {
        path.rpartition(" ")[2]
        for path, element in ELEMENTS
        if element.get("schema") in ("double", "float")
        and "unit" not in element
        and not UNITS_IN_NAMES.search(element["name"])
    }
    assert bare == {
        "connectedUsersMean",
        "dependsOn.weight",
        "effectiveScore",
        "lowerBound",
        "rackPosition",
        "score",
        "upperBound",
        "vswr",
        "worstKpiScore",
    }


def test_every_managed_element_bears_health_forecast_and_maintenance() -> None:
    models = registry()
    entity = "dtmi:telecom:core:ManagedEntity;1"
    components = {"health", "forecast", "maintenance"}
    for model in models.ids:
        if models.is_of_model(model, entity):
            assert components <= models.contents(model).keys()


NAMED = re.compile(r"`([a-z0-9]+):([A-Z]\w*)(?:\.(\w+))?`")


def test_the_page_names_only_what_the_ontology_has() -> None:
    models = registry()
    text = PAGE.read_text(encoding="utf-8")
    wrong = []
    for package, name, content in NAMED.findall(text):
        model = f"dtmi:telecom:{package}:{name};1"
        if model not in models or (content and content not in models.contents(model)):
            wrong.append(f"{package}:{name}.{content}")
    assert len(NAMED.findall(text)) > 80
    assert wrong == []


def test_the_page_says_how_many_interfaces_there_are() -> None:
    assert f"{len(FILES)} interfaces" in PAGE.read_text(encoding="utf-8")


def section(title: str) -> set[str]:
    """Return the names in the first column of a section's table."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    cells = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def shared(name: str) -> str:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs shared/{name}, which is not beside this checkout")
    return path.read_text(encoding="utf-8")


@pytest.mark.real_data
def test_every_teiv_entity_and_relationship_is_mapped_or_has_a_reason() -> None:
    text = shared("reference/teiv-entities.txt")
    assert section("O-RAN TEIV") == set(re.findall(r"^ [ER] (\w+)", text, re.MULTILINE))


def outline() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="the outline is YAML")
    read: dict[str, Any] = yaml.safe_load(shared("design/ontology-outline.yaml"))
    return read


def classes(element: dict[str, Any]) -> list[str]:
    given = element["@type"]
    return given if isinstance(given, list) else [given]


def of_class(document: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    return {c["name"]: c for c in document.get("contents", ()) if name in classes(c)}


def name_of(model_id: str) -> str:
    return model_id.removeprefix("dtmi:telecom:").partition(";")[0]


def source_of(text: str) -> str:
    """Return a source as the outline has it; what is of this project is called own there."""
    words = text.removeprefix("Source: ").replace("sync-agent, ", "sync-agent ")
    return (
        words.replace("sync-agent:", "own:")
        .replace("name of sync-agent", "own name")
        .replace("sync-agent", "own")
    )


def schema_of(element: dict[str, Any], enums: dict[str, list[str]]) -> str:
    schema = element["schema"]
    if isinstance(schema, str):
        return schema.partition(";")[0].rpartition(":")[2]
    if schema["@type"] == "Map":
        return "map"
    values = [value["enumValue"] for value in schema["enumValues"]]
    return next((name for name, known in enums.items() if known == values), str(values))


def unit_of(element: dict[str, Any]) -> str:
    semantic = [name for name in classes(element) if name != "Property"]
    return f"{semantic[0]}/{element['unit']}" if semantic else ""


DEPARTURES = {"frequency", "rslDbm", "nominalRslDbm", "tslDbm"}
"""Of MicrowaveLink: they exist per direction. docs/ontology.md says why."""


def outlined(wish: dict[str, Any]) -> dict[str, object]:
    """Return what the outline says of an interface, by the name of the element ("" is itself)."""
    said: dict[str, object] = {"": (wish.get("extends", ""), source_of(wish["src"]))}
    for name, (schema, unit, source) in (wish.get("props") or {}).items():
        said[name] = (schema, unit, source_of(source))
    for name, link in (wish.get("rels") or {}).items():
        properties = sorted(link.get("props", ()))
        said[name] = (link["to"], link.get("max"), source_of(link["src"]), properties)
    return said | (wish.get("components") or {})


def modelled(document: dict[str, Any], enums: dict[str, list[str]]) -> dict[str, object]:
    """Return the same of a model."""
    base = name_of(document.get("extends", ""))
    said: dict[str, object] = {"": (base, source_of(document["comment"]))}
    for name, item in of_class(document, "Property").items():
        said[name] = (schema_of(item, enums), unit_of(item), source_of(item["comment"]))
    for name, item in of_class(document, "Relationship").items():
        properties = sorted(prop["name"] for prop in item.get("properties", ()))
        most, source = item.get("maxMultiplicity"), source_of(item["comment"])
        said[name] = (name_of(item["target"]), most, source, properties)
    for name, item in of_class(document, "Component").items():
        said[name] = name_of(item["schema"])
    return said


PER_DIRECTION = {"frequency", "rslDbm", "nominalRslDbm", "tslDbm"}
"""Of MicrowaveLink: what the outline has once exists per direction. docs/ontology.md says why."""


@pytest.mark.real_data
def test_the_ontology_follows_its_outline_in_all_its_page_does_not_justify() -> None:
    drawn = outline()
    departures = {}
    for key, wish in drawn["interfaces"].items():
        wanted, made = outlined(wish), modelled(DOCUMENTS[key], drawn["enums"])
        differing = {name for name in wanted | made if wanted.get(name) != made.get(name)}
        if differing:
            departures[key] = differing

    assert drawn["interfaces"].keys() == DOCUMENTS.keys()
    assert departures.keys() == {"transport:MicrowaveLink"}
    link = departures["transport:MicrowaveLink"]
    both_ways = {name for name in link - PER_DIRECTION if re.search(r"AtoZ|ZtoA", name)}
    assert link == PER_DIRECTION | both_ways | {"polarization"}
    assert len(both_ways) == 2 * len(PER_DIRECTION)
    assert "`polarization`" in PAGE.read_text(encoding="utf-8")


def test_the_enumerations_of_one_name_have_one_set_of_values() -> None:
    seen: dict[str, list[list[str]]] = {}
    for document in DOCUMENTS.values():
        for schema in document.get("schemas", ()):
            values = [value["enumValue"] for value in schema["enumValues"]]
            seen.setdefault(name_of(schema["@id"]).rpartition(":")[2], []).append(values)
    assert len(seen["HealthState"]) == 2
    for values in seen.values():
        assert values == [values[0]] * len(values)


@pytest.mark.real_data
def test_the_enumerations_are_those_of_the_outline() -> None:
    found = {
        name_of(schema["@id"]).rpartition(":")[2]: [v["enumValue"] for v in schema["enumValues"]]
        for document in DOCUMENTS.values()
        for schema in document.get("schemas", ())
    }
    assert found == outline()["enums"]


@pytest.mark.parametrize("key", DOCUMENTS)
def test_the_diagram_of_a_package_has_all_that_leads_out_of_an_interface(key: str) -> None:
    package, _, name = key.partition(":")
    page = (ROOT / "docs" / "ontology" / f"{package}.md").read_text(encoding="utf-8")
    diagram = page.split("```mermaid\n")[1].split("```")[0].splitlines()
    document = DOCUMENTS[key]

    def node(model_id: str) -> str:
        return name_of(model_id).removeprefix(f"{package}:").replace(":", "_")

    base = document.get("extends")
    wanted = [f"  {node(base)} <|-- {name}"] if base else []
    wanted += [
        f"  {name} *-- {node(part['schema'])} : {part['name']}"
        for part in of_class(document, "Component").values()
    ]
    wanted += [
        f"  {name} --> {node(link['target'])} : {link['name']}"
        for link in of_class(document, "Relationship").values()
    ]
    assert f"  class {name}" in diagram
    assert [line for line in wanted if line not in diagram] == []
