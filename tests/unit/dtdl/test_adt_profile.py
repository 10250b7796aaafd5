from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sync_agent.dtdl.adt_profile import ADT, check_adt, check_adt_count, ignored_by_adt
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from tests.unit.dtdl.documents import QUANTITATIVE, component, interface, prop


def refused(*documents: Any) -> list[str]:
    interfaces = parse_models(documents).interfaces
    registry = ModelRegistry(interfaces)
    return [finding.code for i in interfaces for finding in check_adt(registry, i)]


def test_a_plain_model_is_taken() -> None:
    assert refused(interface(prop(), extensions=(QUANTITATIVE,))) == []


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (interface({"@type": "Command", "name": "reset"}), "adt:command"),
        (
            interface(component("c", {"@id": "dtmi:t:In;1", "@type": "Interface"})),
            "adt:inlineInterface",
        ),
        (
            interface(extensions=("dtmi:dtdl:extension:annotation;2",)),
            "adt:extension",
        ),
        (
            interface(prop() | {"@context": "dtmi:dtdl:extension:mqtt;1"}),
            "adt:extension",
        ),
        (
            interface(version=2) | {"@other": "x" * (1 << 20)},
            "adt:tooLarge",
        ),
    ],
)
def test_what_the_service_refuses_though_dtdl_allows_it(
    document: dict[str, Any], code: str
) -> None:
    assert refused(document) == [code]


def test_a_model_that_does_not_go_with_what_is_deployed_is_found() -> None:
    (deployed,) = parse_models([interface(prop("a"), id="Base")]).interfaces
    (child,) = parse_models([interface(prop("a"), extends="dtmi:t:Base;1")]).interfaces

    found = check_adt(ModelRegistry([deployed, child]), child)

    assert [finding.code for finding in found] == ["nonUniqueImportedPropertyValue"]


def test_an_instance_holds_so_many_models_and_no_more() -> None:
    one = parse_models([interface()]).interfaces[0]
    many = [replace(one, id=f"dtmi:t:M{number};1") for number in range(ADT.models_max + 1)]

    assert check_adt_count(ModelRegistry(many[:-1])) == ()
    assert [finding.code for finding in check_adt_count(ModelRegistry(many))] == ["adt:tooMany"]


def test_what_the_service_does_nothing_with_is_counted() -> None:
    telemetry = {"@type": "Telemetry", "name": "t", "schema": "double"}
    models = parse_models([interface(prop("a", writable=True), prop("b"), telemetry)]).interfaces

    assert ignored_by_adt(models) == {"telemetry": 1, "writable": 1}
