from __future__ import annotations

from typing import Any

import pytest

from tests.unit.dtdl.documents import codes, interface, prop

REQUIREMENT = "dtmi:dtdl:extension:requirement;1"


def device(*contents: Any, version: int = 3, **more: Any) -> list[str]:
    mqtt = f"dtmi:dtdl:extension:mqtt;{version}"
    requirement = more.pop("requirement", REQUIREMENT)
    head = {"@type": ["Interface", "Mqtt"], "payloadFormat": "Json/ecma/404", **more}
    return codes(interface(*contents, extensions=(mqtt, requirement), **head))


def telemetry(name: str, index: Any) -> dict[str, Any]:
    return {"@type": ["Telemetry", "Indexed"], "name": name, "schema": "double", "index": index}


def command(*types: str, **more: Any) -> dict[str, Any]:
    return {"@type": ["Command", *types], "name": "restart", **more}


def field(name: str, *types: str, schema: Any = "string") -> dict[str, Any]:
    return {"@type": ["Field", *types], "name": name, "schema": schema}


def objects(*fields: Any, types: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"@type": ["Object", *types], "fields": list(fields)}


@pytest.mark.parametrize("topic", ["dt/{modelId}/tele", "a", "{ex:name}/b"])
def test_topics_are_labels_and_tokens(topic: str) -> None:
    assert device(telemetryTopic=topic) == []


@pytest.mark.parametrize("topic", ["", "/a", "a//b", "$a/b", "a/+/b", "a b", "{a"])
def test_other_topics_are_refused(topic: str) -> None:
    assert device(commandTopic=topic) == ["stringInvalid"]


def test_what_a_version_does_not_have_yet_is_refused() -> None:
    assert device(version=4, propertyTopic="a") == []
    assert device(version=3, propertyTopic="a") != []


def test_indexes_differ_within_an_interface() -> None:
    assert device(telemetry("a", 1), telemetry("b", 2)) == []
    assert device(telemetry("a", 1), telemetry("b", 1)) == ["nonUniquePropertyValue"]
    assert device(telemetry("a", 0)) == ["valueBelowMin"]


def test_a_cacheable_command_is_idempotent_and_says_how_long() -> None:
    assert device(command("Idempotent", "Cacheable", ttl="PT15S")) == []
    assert device(command("Cacheable", ttl="PT15S")) == ["missingCocotype"]
    assert device(command("Idempotent", "Cacheable", ttl="soon")) == ["durationInvalid"]
    assert device(command("Idempotent", "Cacheable")) == ["missingSupplementalLiteralProperty"]


def test_the_parts_of_a_result_stand_in_a_result() -> None:
    error = objects(field("text", "ErrorMessage"), types=("Error",))
    sound = objects(
        field("value", "NormalResult"),
        field("error", "ErrorResult", schema=error),
        types=("Result",),
    )
    assert device(prop(schema=sound)) == []
    assert device(prop(schema=objects(field("value", "NormalResult")))) == ["parentMissingCotype"]


def test_a_result_has_each_part_once_and_no_other_field() -> None:
    twice = objects(field("a", "NormalResult"), field("b", "NormalResult"), types=("Result",))
    other = objects(field("a", "NormalResult"), field("b"), types=("Result",))

    assert set(device(prop(schema=twice))) == {"siblingDuplicatesCotype"}
    assert device(prop(schema=other)) == ["notRequiredType"]


def test_a_part_of_a_result_is_not_required() -> None:
    field_types = ("NormalResult", "Required")
    result = objects(field("value", *field_types), types=("Result",))

    assert device(prop(schema=result)) == ["disallowedCocotype"]
    later = "dtmi:dtdl:extension:requirement;2"
    assert device(prop(schema=result), requirement=later) == []


def test_an_error_result_is_an_error() -> None:
    result = objects(field("error", "ErrorResult"), types=("Result",))

    assert device(prop(schema=result)) == ["notRequiredType"]
