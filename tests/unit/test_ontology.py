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


@pytest.mark.real_data
def test_every_interface_of_the_outline_is_there() -> None:
    text = shared("design/ontology-outline.yaml")
    assert set(re.findall(r"^  (\w+:\w+):(?: |$)", text, re.MULTILINE)) == DOCUMENTS.keys()
