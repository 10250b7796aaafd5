from __future__ import annotations

from sync_agent.dtdl.inheritance import check_inheritance
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from tests.unit.dtdl.documents import codes, component, interface, prop


def chain(length: int) -> list[dict[str, object]]:
    """Return models of which each extends the one before."""
    return [
        interface(id=f"M{n}", extends=[f"dtmi:t:M{n - 1};1"] if n else []) for n in range(length)
    ]


def test_inheritance_is_ten_deep_and_no_deeper() -> None:
    assert codes(*chain(11)) == []
    assert codes(*chain(12)) == ["excessiveDepthNarrow"]


def test_a_model_cannot_extend_itself_over_others() -> None:
    own = interface(extends="dtmi:t:Thing;1")
    there, back = (
        interface(id="A", extends="dtmi:t:B;1"),
        interface(id="B", extends=["dtmi:t:A;1"]),
    )

    assert codes(own) == ["recursiveStructureNarrow"]
    assert codes(there, back) == ["recursiveStructureNarrow"] * 2


def test_a_name_cannot_come_from_two_places() -> None:
    base, other = interface(prop("a"), id="Base"), interface(prop("a"), id="Other")
    child = interface(prop("a"), id="Child", extends="dtmi:t:Base;1")
    both = interface(id="Both", extends=["dtmi:t:Base;1", "dtmi:t:Other;1"])

    assert codes(base, child) == ["nonUniqueImportedPropertyValue"]
    assert codes(base, other, both) == ["nonUniqueImportedPropertyValue"]


def test_a_base_met_on_two_ways_counts_once() -> None:
    models = [
        interface(prop("a"), id="Top"),
        interface(id="Left", extends="dtmi:t:Top;1"),
        interface(id="Right", extends="dtmi:t:Top;1"),
        interface(id="Bottom", extends=["dtmi:t:Left;1", "dtmi:t:Right;1"]),
    ]

    assert codes(*models) == []


def test_a_base_named_twice_counts_once() -> None:
    base = interface(prop("a"), id="Base")

    assert codes(base, interface(extends=["dtmi:t:Base;1", "dtmi:t:Base;1"])) == []


def test_a_v2_model_has_300_contents_inherited_ones_included() -> None:
    base = interface(*(prop(f"a{n}") for n in range(200)), id="Base", version=2)

    def heir(own: int, version: int) -> dict[str, object]:
        contents = [prop(f"b{n}") for n in range(own)]
        return interface(*contents, extends="dtmi:t:Base;1", version=version)

    assert codes(base, heir(100, 2)) == []
    assert codes(base, heir(101, 2)) == ["objectCountAboveMax"]
    assert codes(base, heir(101, 3)) == []


def test_a_base_counts_for_the_limit_on_every_way_to_it() -> None:
    def reached(bases: int) -> list[str]:
        ids = [f"dtmi:t:B{n};1" for n in range(bases)]
        roots = [interface(id=f"B{n}") for n in range(bases)]
        ways = [interface(id=f"Way{n}", extends=ids) for n in range(2)]
        top = interface(extends=["dtmi:t:Way0;1", "dtmi:t:Way1;1"])
        return codes(*roots, *ways, top)

    assert reached(511) == []
    assert reached(512) == ["excessiveCount"]


def test_a_component_has_no_components_itself_inherited_ones_included() -> None:
    leaf = interface(id="Leaf")
    part = interface(component("c", "dtmi:t:Leaf;1"), id="Part")
    heir = interface(id="Heir", extends="dtmi:t:Part;1")
    whole = interface(component("p", "dtmi:t:Heir;1"), id="Whole")

    assert codes(leaf, part, heir) == []
    assert codes(leaf, part, heir, whole) == ["excludedType"]


def test_a_v2_model_cannot_build_on_a_v3_one() -> None:
    new, old = interface(id="New"), interface(id="Old", version=2)

    assert codes(new, interface(extends="dtmi:t:New;1", version=2)) == [
        "disallowedVersionReference"
    ]
    assert codes(old, interface(extends="dtmi:t:Old;1")) == []


def test_a_missing_base_is_no_fault_of_the_model() -> None:
    lone = parse_models([interface(extends="dtmi:t:Gone;1")])

    assert lone.diagnostics == ()
    registry = ModelRegistry(lone.interfaces)
    assert check_inheritance(registry, "dtmi:t:Thing;1") == ()
    assert registry.missing() == ("dtmi:t:Gone;1",)
