"""Cells to property values: what a text means is decided by the property's schema.

Numbers are written with a point; whole numbers may come as ``3.0``, as spreadsheets export them.
Booleans are true/false, yes/no or 1/0. Times need a zone. Maps, objects, arrays and geometries are
JSON. A value that is no text already (from a source with types) is taken as it is and checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import partial

from sync_agent.dtdl.elements import EnumSchema, Primitive, Schema
from sync_agent.dtdl.values import check_value
from sync_agent.twins.twin import JsonValue

TEXT_BYTES_MAX = 4096
"""The longest text the service stores in a property, in UTF-8."""

REMEMBERED_MAX = 10_000

_QUICK_DIGITS = 40
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,19}(\.0*)?", re.ASCII)
_TRUE = frozenset(("true", "yes", "1"))
_FALSE = frozenset(("false", "no", "0"))


def convert(schema: Schema, value: JsonValue) -> JsonValue:
    """Return a cell's value in the schema's type.

    Raises:
        ValueError: it is none of that type; the message goes behind the property's name.
    """
    converted = _from_text(schema, value) if isinstance(value, str) else value
    fault = check_value(schema, converted)
    if fault is not None:
        raise ValueError(fault)
    if isinstance(converted, str):
        try:
            size = len(converted.encode())
        except UnicodeEncodeError:
            raise ValueError("holds half of a surrogate pair, which is no text") from None
        if size > TEXT_BYTES_MAX:
            raise ValueError(f"is longer than {TEXT_BYTES_MAX} bytes")
    return converted


def converter(schema: Schema) -> Callable[[JsonValue], JsonValue]:
    """Return ``convert`` for one schema, with short ways for what most cells are."""
    match schema:
        case Primitive.STRING:
            return as_text
        case Primitive.DOUBLE:
            return _double
        case EnumSchema(value_schema=Primitive.STRING, values=values):
            return partial(_word, schema, frozenset(values))
        case Primitive() | EnumSchema():
            return _remembered(partial(convert, schema))
        case _:
            return partial(convert, schema)


def _remembered(convert_one: Callable[[JsonValue], JsonValue]) -> Callable[[JsonValue], JsonValue]:
    """Return a converter of scalars that remembers what texts became: most cells repeat."""
    known: dict[str, JsonValue] = {}

    def convert_again(value: JsonValue) -> JsonValue:
        if type(value) is not str:
            return convert_one(value)
        converted = known.get(value)
        if converted is None:
            converted = convert_one(value)
            if len(known) < REMEMBERED_MAX:
                known[value] = converted
        return converted

    return convert_again


def as_text(value: JsonValue) -> JsonValue:
    """Return a value as ``convert`` does for a string, most of them at once."""
    if type(value) is str and value.isascii() and len(value) <= TEXT_BYTES_MAX:
        return value
    return convert(Primitive.STRING, value)


def fits_as_text(values: Sequence[str], longest: int) -> bool:
    """Tell whether ``as_text`` would return every one of these texts as it is, without a look.

    ``longest`` is the length of the longest of them.
    """
    return longest <= TEXT_BYTES_MAX and all(map(str.isascii, values))


def _double(value: JsonValue) -> JsonValue:
    if type(value) is str and len(value) < _QUICK_DIGITS and _PLAIN_NUMBER.fullmatch(value):
        return float(value)
    return convert(Primitive.DOUBLE, value)


def _word(schema: Schema, values: frozenset[str | int], value: JsonValue) -> JsonValue:
    return value if type(value) is str and value in values else convert(schema, value)


def _from_text(schema: Schema, text: str) -> JsonValue:
    match schema:
        case Primitive.DOUBLE | Primitive.FLOAT:
            return _number(text)
        case Primitive.INTEGER | Primitive.LONG:
            return _whole(text)
        case Primitive.BOOLEAN:
            return _boolean(text)
        case Primitive():
            return text
        case EnumSchema(value_schema=Primitive.INTEGER):
            return _whole(text)
        case EnumSchema():
            return text
        case _:
            return _json(text)


def _number(text: str) -> float:
    if _NUMBER.fullmatch(text) is None:
        hint = " (write a decimal point, or set decimal_comma = true)" if "," in text else ""
        raise ValueError(f"must be a number, not {text[:60]!r}{hint}")
    return float(text)


def _whole(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"must be a whole number, not {text[:60]!r}")
    return int(text.partition(".")[0])


def _boolean(text: str) -> bool:
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"must be true or false, not {text[:60]!r}")


def _json(text: str) -> JsonValue:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ValueError(f"must be JSON, not {text[:60]!r}") from None


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(name)
