"""The pages of the ontology, one a package and an index, written from the models themselves.

A page has a diagram of the package's interfaces and, for each, what it is, what it inherits, and
its properties, relationships and components with units and sources. The pages are what the models
say, so what is missing on a page is missing in a model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "dtdl_models/telecom"
PAGES = ROOT / "docs/ontology"
PREFIX = "dtmi:telecom:"
PACKAGES = {
    "core": "What everything is made of: resources, functions, terminations, connections.",
    "place": "Where things are, from a region down to a rack.",
    "power": "What feeds the equipment, and for how long.",
    "equipment": "Hardware: devices, cards, ports, transceivers, antennas, cables.",
    "transport": "Links of every layer as twins, and the devices they run between.",
    "ran": "The radio network, with the names of 3GPP and O-RAN.",
    "core5g": "The functions of the 5G core.",
    "cloud": "Where virtualised functions run.",
    "service": "What customers buy, and what carries it.",
    "assurance": "Health, forecast and maintenance of an element, and planned work.",
}


@dataclass(frozen=True, slots=True)
class Model:
    """One interface as its file has it."""

    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Return the short name, such as Site."""
        return short(self.document["@id"]).partition(":")[2]

    @property
    def package(self) -> str:
        """Return the package, such as place."""
        return short(self.document["@id"]).partition(":")[0]

    @property
    def base(self) -> str:
        """Return the id of the model it extends, "" for none."""
        return str(self.document.get("extends", ""))

    def contents(self, kind: str) -> list[dict[str, Any]]:
        """Return the contents of a class, in the file's order."""
        return [c for c in self.document.get("contents", ()) if kind in _types(c)]


def pages() -> dict[Path, str]:
    """Return every page by its file."""
    models = read_models()
    made = {PAGES / "index.md": _index(models)}
    for package in PACKAGES:
        made[PAGES / f"{package}.md"] = _page(package, models)
    return made


def read_models() -> list[Model]:
    """Read the ontology, in the order of packages and names.

    Raises:
        ValueError: a package is not described here.
    """
    files = sorted(MODELS.rglob("*.json"))
    models = [Model(json.loads(path.read_text("utf-8"))) for path in files]
    unknown = {model.package for model in models} - PACKAGES.keys()
    if unknown:
        raise ValueError(f"packages without a description: {', '.join(sorted(unknown))}")
    order = list(PACKAGES)
    return sorted(models, key=lambda model: (order.index(model.package), model.name))


def short(model_id: str) -> str:
    """Return ``place:Site`` for ``dtmi:telecom:place:Site;1``."""
    return model_id.removeprefix(PREFIX).partition(";")[0]


def _index(models: list[Model]) -> str:
    lines = [
        "# The interfaces of the telecom ontology",
        "",
        f"{len(models)} interfaces in {len(PACKAGES)} packages; why they are so is in",
        "[the telecom ontology](../ontology.md).",
        "Written by `make docs` from `dtdl_models/telecom`.",
        "",
        "```mermaid",
        "flowchart TD",
        *(f"  {package}[{package}]" for package in PACKAGES),
        *_package_arrows(models),
        "```",
        "",
        "An arrow leads from a package to those its interfaces extend, have inside or relate to.",
        "In a package's diagram a hollow arrow leads to what an interface extends, a diamond",
        "stands where it has a component, and an open arrow is a relationship by its name.",
        "",
        "| package | interfaces | what it is about |",
        "| --- | --- | --- |",
    ]
    for package, about in PACKAGES.items():
        names = ", ".join(
            f"[{m.name}]({package}.md#{m.name.lower()})" for m in models if m.package == package
        )
        lines.append(f"| [{package}]({package}.md) | {names} | {about} |")
    return "\n".join(lines) + "\n"


def _package_arrows(models: list[Model]) -> Iterator[str]:
    pairs = {
        (model.package, short(other).partition(":")[0])
        for model in models
        for other in (
            model.base,
            *(component["schema"] for component in model.contents("Component")),
            *(relationship.get("target", "") for relationship in model.contents("Relationship")),
        )
        if other
    }
    yield from (f"  {one} --> {other}" for one, other in sorted(pairs) if one != other)


def _page(package: str, models: list[Model]) -> str:
    own = [model for model in models if model.package == package]
    lines = [
        f"# {package}",
        "",
        PACKAGES[package],
        f"Written by `make docs` from `dtdl_models/telecom/{package}`; [all packages](index.md).",
        "",
        "```mermaid",
        "classDiagram",
        *_diagram(own),
        "```",
        "",
        "| interface | extends | what it is | source |",
        "| --- | --- | --- | --- |",
    ]
    for model in own:
        about, source = _about(model.document)
        link = f"[{model.name}](#{model.name.lower()})"
        base = _link(model.base, package) if model.base else ""
        lines.append(f"| {link} | {base} | {about} | {source} |")
    for model in own:
        lines += _interface(model, package)
    return "\n".join(lines) + "\n"


def _diagram(own: list[Model]) -> Iterator[str]:
    """Yield the package's interfaces, what they extend, have inside and relate to."""
    package = own[0].package
    arrows = list(_arrows(own))
    others = {short(other) for _, _, other, _ in arrows}
    yield from (f"  class {model.name}" for model in own)
    for other in sorted(others):
        if not other.startswith(f"{package}:"):
            yield f'  class {_node(other, package)}["{other}"]'
    for model, arrow, other, name in arrows:
        label = f" : {name}" if name else ""
        ends = (_node(short(other), package), model.name)
        one, two = ends if arrow == _EXTENDS else ends[::-1]
        yield f"  {one} {arrow} {two}{label}"


_EXTENDS, _HAS_INSIDE, _RELATES_TO = "<|--", "*--", "-->"


def _arrows(own: list[Model]) -> Iterator[tuple[Model, str, str, str]]:
    for model in own:
        if model.base:
            yield model, _EXTENDS, model.base, ""
        for component in model.contents("Component"):
            yield model, _HAS_INSIDE, component["schema"], component["name"]
        for relationship in model.contents("Relationship"):
            if relationship.get("target"):
                yield model, _RELATES_TO, relationship["target"], relationship["name"]


def _node(name: str, package: str) -> str:
    """Return what a diagram calls an interface, which may hold no colon."""
    other, _, own = name.partition(":")
    return own if other == package else f"{other}_{own}"


def _interface(model: Model, package: str) -> Iterator[str]:
    about, source = _about(model.document)
    yield from ("", f"## {model.name}", "", about, "")
    extends = f"Extends {_link(model.base, package)}. " if model.base else ""
    yield f"`{model.document['@id']}`. {extends}Source: {source}."
    properties = model.contents("Property")
    if properties:
        yield from ("", "| property | schema | unit | what it is | source |", _RULE * 5 + "|")
        for item in properties:
            about, source = _about(item)
            yield f"| `{item['name']}` | {_schema(item)} | {_unit(item)} | {about} | {source} |"
    relationships = model.contents("Relationship")
    if relationships:
        head = "| relationship | to | at most | properties | what it is | source |"
        yield from ("", head, _RULE * 6 + "|")
        for item in relationships:
            about, source = _about(item)
            most = item.get("maxMultiplicity", "")
            inner = ", ".join(f"`{p['name']}`" for p in item.get("properties", ()))
            target = _link(item.get("target", ""), package)
            yield f"| `{item['name']}` | {target} | {most} | {inner} | {about} | {source} |"
    components = model.contents("Component")
    if components:
        yield from ("", "| component | interface | what it is | source |", _RULE * 4 + "|")
        for item in components:
            about, source = _about(item)
            link = _link(item["schema"], package)
            yield f"| `{item['name']}` | {link} | {about} | {source} |"


_RULE = "| --- "


def _about(item: dict[str, Any]) -> tuple[str, str]:
    """Return description and source of an element, fit for a cell."""
    source = str(item.get("comment", "")).removeprefix("Source: ")
    return _cell(str(item.get("description", ""))), _cell(source)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _link(model_id: str, package: str) -> str:
    if not model_id:
        return "anything"
    other, _, name = short(model_id).partition(":")
    page = "" if other == package else f"{other}.md"
    text = name if other == package else f"{other}:{name}"
    return f"[{text}]({page}#{name.lower()})"


def _schema(item: dict[str, Any]) -> str:
    schema = item["schema"]
    if isinstance(schema, str):
        return schema.partition(";")[0].rpartition(":")[2]
    if schema["@type"] == "Enum":
        return "one of " + ", ".join(f"`{v['enumValue']}`" for v in schema["enumValues"])
    if schema["@type"] == "Map":
        return f"map of {schema['mapValue']['schema']}"
    return str(schema["@type"]).lower()


def _unit(item: dict[str, Any]) -> str:
    types = [name for name in _types(item) if name != "Property"]
    unit = str(item.get("unit", ""))
    return f"{unit} ({', '.join(types)})" if unit else ""


def _types(item: dict[str, Any]) -> list[str]:
    types = item["@type"]
    return types if isinstance(types, list) else [types]
