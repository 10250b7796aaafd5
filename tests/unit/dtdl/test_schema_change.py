from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.dtdl.elements import (
    ArraySchema,
    EnumSchema,
    MapSchema,
    ObjectSchema,
    Primitive,
    Schema,
)
from sync_agent.dtdl.schema_change import Fit, converted, fit_of
from sync_agent.dtdl.values import check_value

COLOURS = EnumSchema(Primitive.STRING, ("red", "blue"))
CODES = EnumSchema(Primitive.INTEGER, (1, 2))

scalars = st.sampled_from([*Primitive, COLOURS, CODES])
schemas: st.SearchStrategy[Schema] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        inner.map(ArraySchema),
        inner.map(MapSchema),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(ObjectSchema),
    ),
    max_leaves=4,
)
values = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-5, 5),
        st.floats(-5, 5),
        st.sampled_from(["red", "1", "true", "2026-01-31", "x"]),
    ),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("value", "schema", "result"),
    [
        (5, Primitive.DOUBLE, 5),
        (5.0, Primitive.INTEGER, 5),
        ("5", Primitive.LONG, 5),
        ("5.5", Primitive.DOUBLE, 5.5),
        (5, Primitive.STRING, "5"),
        (True, Primitive.STRING, "true"),
        ("TRUE", Primitive.BOOLEAN, True),
        ("red", COLOURS, "red"),
        ("2", CODES, 2),
        (["1", 2], ArraySchema(Primitive.INTEGER), [1, 2]),
        ({"a": 1, "z": 2}, ObjectSchema({"a": Primitive.STRING}), {"a": "1"}),
        ({"k": 1.0}, MapSchema(Primitive.INTEGER), {"k": 1}),
    ],
)
def test_a_value_takes_the_form_of_the_new_schema(value: Any, schema: Schema, result: Any) -> None:
    assert converted(value, schema) == result
    assert type(converted(value, schema)) is type(result)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (5.5, Primitive.INTEGER),
        ("five", Primitive.DOUBLE),
        ("nan", Primitive.DOUBLE),
        ("9" * 5_000, Primitive.LONG),
        (True, Primitive.INTEGER),
        (1, Primitive.BOOLEAN),
        ("green", COLOURS),
        (3, CODES),
        ("soon", Primitive.DATE_TIME),
        ({"a": 1}, ArraySchema(Primitive.INTEGER)),
        (2**40, Primitive.INTEGER),
    ],
)
def test_a_value_that_would_lose_something_is_refused(value: Any, schema: Schema) -> None:
    with pytest.raises(ValueError, match=r"."):
        converted(value, schema)


@given(value=values, schema=schemas)
def test_what_is_converted_is_valid(value: Any, schema: Schema) -> None:
    try:
        result = converted(value, schema)
    except ValueError:
        return
    assert check_value(schema, result) is None


@given(value=values, old=schemas, new=schemas)
def test_a_wider_schema_takes_every_value_as_it_is(value: Any, old: Schema, new: Schema) -> None:
    if check_value(old, value) is None and fit_of(old, new)[0] <= Fit.WIDER:
        assert check_value(new, value) is None


@given(schema=schemas)
def test_a_schema_fits_itself(schema: Schema) -> None:
    assert fit_of(schema, schema) == (Fit.SAME, "")
