"""What becomes of a value when its schema changes, and the value in its new form.

``fit_of`` says it of two schemas, ``converted`` of a value. A conversion loses nothing: 5.0 may
become 5 and "5" may, 5.5 may not. Text is read as people and programs write it (``true``, ``5``,
``2026-01-31``); whatever does not read is left to a rule or to a person.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from sync_agent.dtdl.elements import (
    ArraySchema,
    EnumSchema,
    MapSchema,
    ObjectSchema,
    Primitive,
    Schema,
)
from sync_agent.dtdl.values import check_value

_WHOLE = frozenset({Primitive.INTEGER, Primitive.LONG})
_NUMBERS = _WHOLE | {Primitive.DOUBLE, Primitive.FLOAT}
_TEXTS = frozenset({
    Primitive.DATE, Primitive.DATE_TIME, Primitive.DURATION, Primitive.STRING, Primitive.TIME,
})  # fmt: skip
_WIDER = frozenset({
    (Primitive.INTEGER, Primitive.LONG), (Primitive.INTEGER, Primitive.DOUBLE),
    (Primitive.INTEGER, Primitive.FLOAT), (Primitive.LONG, Primitive.DOUBLE),
    (Primitive.LONG, Primitive.FLOAT), (Primitive.FLOAT, Primitive.DOUBLE),
})  # fmt: skip


class Fit(IntEnum):
    """How values of an old schema fit a new one; the worst of several parts counts."""

    SAME = 0
    WIDER = 1
    CONVERTIBLE = 2
    FOREIGN = 3


def fit_of(old: Schema, new: Schema) -> tuple[Fit, str]:
    """Return how values of ``old`` fit ``new``, and why in words."""
    if old == new:
        return Fit.SAME, ""
    match old, new:
        case (ArraySchema(element=was), ArraySchema(element=is_now)):
            return fit_of(was, is_now)
        case (MapSchema(value=was), MapSchema(value=is_now)):
            return fit_of(was, is_now)
        case (ObjectSchema(), ObjectSchema()):
            return _fit_of_objects(old, new)
        case (EnumSchema(), EnumSchema()):
            return _fit_of_enums(old, new)
        case ((Primitive() | EnumSchema()), (Primitive() | EnumSchema())):
            return _fit_of_scalars(old, new)
        case _:
            return Fit.FOREIGN, "no value of the one is one of the other"


def converted(value: Any, new: Schema) -> Any:
    """Return a value in the form of a schema, without loss.

    Raises:
        ValueError: with why there is none.
    """
    fault = check_value(new, value)
    if fault is None:
        return value
    match new:
        case Primitive.STRING if isinstance(value, (bool, int, float)):
            return _as_text(value)
        case EnumSchema(value_schema=kind):
            found = converted(value, kind)
        case Primitive.BOOLEAN if isinstance(value, str) and value.lower() in ("true", "false"):
            found = value.lower() == "true"
        case Primitive() if new in _NUMBERS:
            found = _as_number(value, new)
        case ArraySchema(element=element) if isinstance(value, list):
            found = [converted(item, element) for item in value]
        case MapSchema(value=item) if isinstance(value, dict):
            found = {key: converted(entry, item) for key, entry in value.items()}
        case ObjectSchema(fields=fields) if isinstance(value, dict):
            kept = ((key, entry) for key, entry in value.items() if key in fields)
            found = {key: converted(entry, fields[key]) for key, entry in kept}
        case _:
            raise ValueError(fault)
    fault = check_value(new, found)
    if fault is not None:
        raise ValueError(fault)
    return found


def _fit_of_objects(old: ObjectSchema, new: ObjectSchema) -> tuple[Fit, str]:
    fits = [(Fit.WIDER, f"{name} is added") for name in new.fields.keys() - old.fields.keys()]
    fits += [
        (Fit.CONVERTIBLE, f"{name} is removed") for name in old.fields.keys() - new.fields.keys()
    ]
    for name in old.fields.keys() & new.fields.keys():
        fit, reason = fit_of(old.fields[name], new.fields[name])
        fits.append((fit, f"{name}: {reason}" if reason else ""))
    return _worst(fits)


def _fit_of_enums(old: EnumSchema, new: EnumSchema) -> tuple[Fit, str]:
    gone = [str(value) for value in old.values if value not in new.values]
    if old.value_schema != new.value_schema:
        return Fit.CONVERTIBLE, "values take the other form where that is one"
    if gone:
        return Fit.CONVERTIBLE, f"twins that have {', '.join(gone)} need a rule"
    if set(old.values) == set(new.values):
        return Fit.SAME, ""
    return Fit.WIDER, "values are added"


def _fit_of_scalars(old: Primitive | EnumSchema, new: Primitive | EnumSchema) -> tuple[Fit, str]:
    was = old.value_schema if isinstance(old, EnumSchema) else old
    is_now = new.value_schema if isinstance(new, EnumSchema) else new
    if isinstance(new, EnumSchema):
        return Fit.CONVERTIBLE, "values that are not of the enum need a rule"
    if was == is_now:  # an enum that opens to all values of its kind
        return Fit.WIDER, "every value is one"
    if (was, is_now) in _WIDER:
        return Fit.WIDER, "every value is one"
    if is_now is Primitive.STRING:
        wider = was in _TEXTS
        return (Fit.WIDER, "every value is one") if wider else (Fit.CONVERTIBLE, "written as text")
    if was is Primitive.STRING or (was in _NUMBERS and is_now in _NUMBERS):
        return Fit.CONVERTIBLE, "values that cannot be taken over need a rule"
    return Fit.FOREIGN, "no value of the one is one of the other"


def _worst(fits: Iterable[tuple[Fit, str]]) -> tuple[Fit, str]:
    ordered = sorted(fits, key=lambda item: (-item[0], item[1]))
    if not ordered:
        return Fit.SAME, ""
    worst = ordered[0][0]
    return worst, "; ".join(reason for fit, reason in ordered if fit == worst and reason)


def _as_text(value: bool | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _as_number(value: Any, kind: Primitive) -> int | float:
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("is no number")
    if kind in _WHOLE and isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"{value} is no whole number")
        return int(value)
    return value
