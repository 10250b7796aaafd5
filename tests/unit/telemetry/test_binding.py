from __future__ import annotations

import pytest

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import InputError
from sync_agent.telemetry.binding import Binder, parse_bindings
from sync_agent.telemetry.sample import Sample

BASE, LEAF = "dtmi:t:Base;1", "dtmi:t:Leaf;1"
REGISTRY = ModelRegistry(
    parse_models(
        [
            {
                "@context": "dtmi:dtdl:context;3",
                "@id": BASE,
                "@type": "Interface",
                "contents": [
                    {"@type": "Property", "name": name, "schema": "double"}
                    for name in ("up", "down", "load")
                ],
            },
            {
                "@context": "dtmi:dtdl:context;3",
                "@id": LEAF,
                "@type": "Interface",
                "extends": BASE,
            },
        ]
    ).interfaces
)
TEXT = f"""
[[binding]]
model = "{BASE}"
metric = "rsl"
property = "up"
when = {{ channel = "near" }}
missing = [-99.9]

[[binding]]
model = "{BASE}"
metric = "rsl"
property = "down"
when = {{ channel = "far" }}
scale = 10
"""
BINDER = Binder(parse_bindings(TEXT, place="b.toml"), REGISTRY)


def sample(channel: str = "near", **values: object) -> Sample:
    return Sample("L1", 1, values, {"channel": channel})


def test_labels_choose_the_property_and_subtypes_are_bound_as_their_base() -> None:
    assert BINDER.bind(sample(rsl=-47.0), LEAF).readings == {"up": -47.0}
    assert BINDER.bind(sample("far", rsl=-4.7), LEAF).readings == {"down": -47.0}


def test_a_metric_without_a_binding_goes_to_the_property_of_its_name() -> None:
    assert BINDER.bind(sample(load=0.5), LEAF).readings == {"load": 0.5}


@pytest.mark.parametrize("value", [-99.9, None, ""])
def test_a_sentinel_or_an_empty_value_is_missing_not_a_reading(value: object) -> None:
    bound = BINDER.bind(sample(rsl=value), LEAF)
    assert (bound.readings, bound.missing) == ({}, ("rsl",))


def test_what_no_property_and_no_binding_knows_is_named() -> None:
    assert BINDER.bind(sample(odd=1.0), LEAF).unknown == ("odd",)
    assert BINDER.bind(sample(rsl=1.0), "dtmi:t:Gone;1").unknown == ("rsl",)


def test_a_value_the_model_does_not_allow_is_invalid_and_says_why() -> None:
    assert BINDER.bind(sample(load="high"), LEAF).invalid == ("load: must be a number, not text",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("binding = 7", "array"),
        ('[[binding]]\nmodel = "m"\nmetric = "x"', "property"),
        ('[[bindings]]\nmodel = "m"', "bindings"),
        ("[[binding", "Expected"),
    ],
)
def test_a_bindings_file_that_makes_no_sense_is_refused_with_its_name(
    text: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        parse_bindings(text, place="b.toml")
    assert caught.value.place == "b.toml:1"
