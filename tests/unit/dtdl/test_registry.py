from __future__ import annotations

import pytest

from sync_agent.dtdl.elements import Interface, Primitive, Property
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import ModelError


def registry(**extends: list[str]) -> ModelRegistry:
    return ModelRegistry(
        Interface(
            id=f"dtmi:t:{name.replace('_', ';')}",
            dtdl_version=3,
            extends=tuple(f"dtmi:t:{base.replace('_', ';')}" for base in bases),
            contents={f"of{name[0]}": Property(f"of{name[0]}", Primitive.DOUBLE)},
            document={},
        )
        for name, bases in extends.items()
    )


MODELS = registry(A_1=[], A_2=[], B_1=["A_1"], C_1=["B_1"], D_1=["A_2"])


@pytest.mark.parametrize(
    ("model", "of", "exact", "expected"),
    [
        ("A;1", "A;1", False, True),
        ("A;2", "A;1", False, True),
        ("A;1", "A;2", False, False),
        ("C;1", "A;1", False, True),
        ("C;1", "A;2", False, False),
        ("D;1", "A;1", False, True),
        ("C;1", "A;1", True, False),
        ("A;2", "A;1", True, False),
        ("A;1", "A;1", True, True),
        ("Gone;3", "Gone;2", False, True),
        ("A;1", "B;1", False, False),
    ],
)
def test_is_of_model_knows_versions_and_inheritance(
    model: str, of: str, *, exact: bool, expected: bool
) -> None:
    assert MODELS.is_of_model(f"dtmi:t:{model}", f"dtmi:t:{of}", exact=exact) is expected


def test_contents_are_inherited() -> None:
    assert set(MODELS.contents("dtmi:t:C;1")) == {"ofA", "ofB", "ofC"}


def test_upload_order_puts_bases_first() -> None:
    order = registry(C_1=["B_1"], B_1=["A_1"], A_1=[]).upload_order()
    assert order == ("dtmi:t:A;1", "dtmi:t:B;1", "dtmi:t:C;1")


def test_a_cycle_ends_nothing() -> None:
    cycle = registry(A_1=["B_1"], B_1=["A_1"])
    assert set(cycle.ancestors("dtmi:t:A;1")) == {"dtmi:t:A;1", "dtmi:t:B;1"}
    assert set(cycle.upload_order()) == {"dtmi:t:A;1", "dtmi:t:B;1"}


def test_what_is_missing_makes_a_model_incomplete() -> None:
    lacking = MODELS.without(["dtmi:t:A;1"])
    assert lacking.missing() == ("dtmi:t:A;1",)
    assert not lacking.complete("dtmi:t:C;1")
    assert lacking.complete("dtmi:t:D;1")


def test_an_unknown_model_is_an_error_that_names_it() -> None:
    with pytest.raises(ModelError, match="dtmi:t:No;1"):
        MODELS.interface("dtmi:t:No;1")


def test_models_that_need_each_other_stay_in_one_group_after_what_they_need() -> None:
    circle = registry(C_1=["B_1", "A_1"], B_1=["C_1"], D_1=["B_1"], A_1=[])

    assert circle.upload_groups() == (
        ("dtmi:t:A;1",),
        ("dtmi:t:C;1", "dtmi:t:B;1"),
        ("dtmi:t:D;1",),
    )


def test_a_long_chain_is_ordered_without_recursion() -> None:
    names = [f"M{number}_1" for number in range(3_000)]
    chain = registry(**{name: names[i + 1 : i + 2] for i, name in enumerate(names)})

    assert chain.upload_order() == tuple(reversed(chain.ids))
