from typing import Any

import pytest

from sync_agent.dtdl.elements import ArraySchema, EnumSchema, MapSchema, Primitive, Schema
from sync_agent.inventory.conversion import TEXT_BYTES_MAX, convert

GRADES = EnumSchema(Primitive.INTEGER, (1, 2))
COLOURS = EnumSchema(Primitive.STRING, ("red", "blue"))


@pytest.mark.parametrize(
    ("schema", "cell", "value"),
    [
        (Primitive.DOUBLE, "18.195", 18.195),
        (Primitive.DOUBLE, "-.5e3", -500.0),
        (Primitive.INTEGER, "3", 3),
        (Primitive.INTEGER, "3.0", 3),
        (Primitive.LONG, "9007199254740993", 9007199254740993),
        (Primitive.BOOLEAN, "Yes", True),
        (Primitive.BOOLEAN, "0", False),
        (Primitive.STRING, "12", "12"),
        (Primitive.DATE_TIME, "2024-05-01T00:00:00Z", "2024-05-01T00:00:00Z"),
        (GRADES, "2", 2),
        (COLOURS, "red", "red"),
        (ArraySchema(Primitive.INTEGER), "[1, 2]", [1, 2]),
        (MapSchema(Primitive.STRING), '{"a": "b"}', {"a": "b"}),
        (Primitive.DOUBLE, 4, 4),
        (Primitive.BOOLEAN, True, True),
    ],
)
def test_a_cell_takes_the_type_of_its_property(schema: Schema, cell: Any, value: Any) -> None:
    converted = convert(schema, cell)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("schema", "cell", "said"),
    [
        (Primitive.DOUBLE, "18,195", "decimal point"),
        (Primitive.DOUBLE, "nan", "must be a number"),
        (Primitive.DOUBLE, "1e999", "must be a finite number"),
        (Primitive.DOUBLE, "0x10", "must be a number"),
        (Primitive.DOUBLE, "1_000", "must be a number"),
        (Primitive.INTEGER, "3.5", "must be a whole number"),
        (Primitive.INTEGER, "3000000000", "2147483647"),
        (Primitive.BOOLEAN, "maybe", "must be true or false"),
        (Primitive.BOOLEAN, 1, "must be true or false"),
        (Primitive.DATE_TIME, "yesterday", "must be a date-time"),
        (Primitive.STRING, 5, "must be text"),
        (COLOURS, "green", "is not one of red, blue"),
        (ArraySchema(Primitive.INTEGER), "1;2", "must be JSON"),
        (ArraySchema(Primitive.DOUBLE), "[NaN]", "must be JSON"),
        (ArraySchema(Primitive.DOUBLE), "[" * 100_000, "must be JSON"),
        (Primitive.STRING, "ä" * (TEXT_BYTES_MAX // 2 + 1), "is longer than"),
    ],
)
def test_a_cell_that_does_not_fit_says_why(schema: Schema, cell: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        convert(schema, cell)
