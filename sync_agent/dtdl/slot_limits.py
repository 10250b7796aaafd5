"""Does a plain value keep to what its slot says: form, length, range?

The value is of the slot's kind already, which is what ``literals`` looks at. Source: DTDL v2 and v3
specification.
"""

from __future__ import annotations

from sync_agent.dtdl.contexts import Context
from sync_agent.dtdl.diagnostics import Report
from sync_agent.dtdl.dtmi import is_user_dtmi
from sync_agent.dtdl.elements import Primitive
from sync_agent.dtdl.metamodel import Holds, Slot
from sync_agent.dtdl.terms import definition_of
from sync_agent.dtdl.values import check_value


def text_length(text: str) -> int:
    """Return the length of a text as DTDL's limits count: in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_limits(
    value: str | float, slot: Slot, name: str, context: Context, place: str, report: Report
) -> None:
    """Report what is wrong with the value of a slot."""
    if isinstance(value, str):
        fault = _fault_of_form(value, slot, context)
        if fault:
            report(fault, place, f"{value!r} is no valid {name}")
        if slot.length_max is not None and text_length(value) > slot.length_max:
            kind = "identifier" if slot.holds is Holds.IDENTIFIER else "string"
            report(f"{kind}TooLong", place, f"{name} is longer than {slot.length_max}")
    elif isinstance(value, int) and not isinstance(value, bool):
        _check_range(value, slot, name, place, report)


def _fault_of_form(value: str, slot: Slot, context: Context) -> str:
    match slot.holds:
        case Holds.IDENTIFIER:
            return "" if is_user_dtmi(value, context.version) else "identifierNotDtmi"
        case Holds.IRI:
            return "" if ":" in value or definition_of(value, context) else "identifierNotUri"
        case Holds.DURATION:
            sound = check_value(Primitive.DURATION, value) is None
            return "" if sound else "durationInvalid"
        case _:
            sound = slot.pattern is None or slot.pattern.fullmatch(value) is not None
            return "" if sound else "stringInvalid"


def _check_range(value: int, slot: Slot, name: str, place: str, report: Report) -> None:
    low, high = slot.low, slot.high
    if low is not None and low == high != value:
        report("valueNotExact", place, f"{name} must be {low}")
    elif low is not None and value < low:
        code = "valueBelowMin" if high is None else "valueBelowRange"
        report(code, place, f"{name} must be at least {low}")
    elif high is not None and value > high:
        code = "valueAboveMax" if low is None else "valueAboveRange"
        report(code, place, f"{name} must be at most {high}")
