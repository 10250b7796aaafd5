"""Values that are no elements: texts, texts by language, booleans, integers.

DTDL is JSON-LD, so a value may stand plain, alone in an array, or as a value object
(``{"@value": 3, "@type": "xsd:integer"}``). Source: DTDL v2 and v3 specification, "Representation".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sync_agent.dtdl.diagnostics import Report
from sync_agent.dtdl.metamodel import Holds, Slot
from sync_agent.dtdl.slot_limits import text_length

DEFAULT_LANGUAGE = "en"

_LANGUAGE = re.compile(r"[a-z]{2,4}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?", re.ASCII)
_XSD = "http://www.w3.org/2001/XMLSchema#"
_KINDS = {
    Holds.TEXT: ("string", "String"),
    Holds.BOOLEAN: ("boolean", "Boolean"),
    Holds.INTEGER: ("integer", "Integer"),
    Holds.IDENTIFIER: ("identifier", "String"),
    Holds.IRI: ("identifier", "String"),
    Holds.DURATION: ("duration", "String"),
    Holds.ENUM_VALUE: ("literal", ""),
    Holds.NUMBER: ("numeric", "Numeric"),
}
_ENUM_KINDS = {
    "string": Holds.TEXT,
    "integer": Holds.INTEGER,
    "boolean": Holds.BOOLEAN,
    "decimal": Holds.NUMBER,
}
_FORBIDDEN = {"@context": "Context", "@id": "Id", "@graph": "Graph"}
_INTEGER = 2**31
_NESTING_MAX = 32


def read_literal(
    value: Any, slot: Slot, name: str, pointer: str, report: Report, *, strict: bool
) -> Any:
    """Return the plain value of a slot, or None (reported) when it has none that fits.

    ``strict``: keywords that mean nothing in a value object are faults (DTDL v3).
    """
    kind, type_name = _KINDS[slot.holds]
    values = list(_flat(value))
    if len(values) > 1:
        report(f"{kind}MultipleValues", pointer, f"{name} has several values, it takes one")
        return None
    if not values:
        if slot.required:
            report(f"{kind}CountBelowMin", pointer, f"{name} has no value")
        return None
    value = values[0]
    if isinstance(value, dict) and slot.holds not in (Holds.IDENTIFIER, Holds.IRI):
        return _value_object(value, slot, name, pointer, report, strict=strict)
    if not _fits(slot.holds, value):
        wanted = {Holds.ENUM_VALUE: "NotValid"}.get(slot.holds, f"Not{type_name}")
        report(f"{kind}{wanted}", pointer, f"{name} must be {_words(slot.holds)}")
        return None
    return _plain(slot.holds, value)


def _value_object(
    value: dict[str, Any], slot: Slot, name: str, pointer: str, report: Report, *, strict: bool
) -> Any:
    kind, type_name = _KINDS[slot.holds]
    sound = _check_keys(value, ("@value", "@type"), "valueObject", name, pointer, report, strict)
    holds = slot.holds
    if "@value" not in value:
        report(f"{kind}ObjectNoValue", pointer, f"{name} is an object without @value")
        return None
    if "@type" in value:
        types = value["@type"] if isinstance(value["@type"], list) else [value["@type"]]
        named = [xsd_kind(item) for item in types if isinstance(item, str)]
        if len(types) != 1 or not named:
            report("literalTypeNotSingular", pointer, f"{name} must be of one @type")
            return None
        if slot.holds is Holds.ENUM_VALUE:
            if named[0] not in _ENUM_KINDS:
                report("literalNotValid", pointer, f"{name} must be text or a whole number")
                return None
            holds = _ENUM_KINDS[named[0]]
        elif named != [kind]:
            code = f"{kind}TypeNot{kind.capitalize()}"
            report(code, pointer, f"{name}'s @type must be xsd:{kind}")
            return None
    plain = value["@value"]
    if not _fits(holds, plain) or not _fits(slot.holds, plain):
        kind, type_name = _KINDS[holds]
        code = f"{kind}ValueNot{type_name}" if type_name else "literalNotValid"
        report(code, pointer, f"the @value of {name} must be {_words(holds)}")
        return None
    return _plain(slot.holds, plain) if sound else None


def read_language_map(
    value: Any, slot: Slot, name: str, pointer: str, report: Report, *, strict: bool
) -> dict[str, str]:
    """Return texts by language; what does not fit is reported and left out."""
    tagged = isinstance(value, dict) and set(value) == {"@value", "@language"}
    if tagged and isinstance(value["@value"], str):
        report("langTagValueInLangMap", pointer, f"{name}: a value object must be in an array")
        return {}
    texts: dict[str, str] = {}
    pairs = _by_language(value, name, pointer, report, strict=strict)
    for language, text in pairs:
        if language in texts:
            report("langStringElementCodeNotUnique", pointer, f"{name} is twice in {language!r}")
        elif slot.length_max is not None and text_length(text) > slot.length_max:
            message = f"{name} is longer than {slot.length_max}"
            report("langStringValueTooLong", pointer, message)
        else:
            texts[language] = text
    return texts


def _by_language(
    value: Any, name: str, pointer: str, report: Report, *, strict: bool
) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        yield from _mapped(value, name, pointer, report)
        return
    for item in _flat(value):
        if isinstance(item, str):
            yield DEFAULT_LANGUAGE, item
        elif isinstance(item, dict):
            yield from _tagged(item, name, pointer, report, strict=strict)
        else:
            message = f"{name} must be text, or text by language"
            report("langStringElementNotStringOrObject", pointer, message)


def _mapped(
    value: dict[str, Any], name: str, pointer: str, report: Report
) -> Iterable[tuple[str, str]]:
    for language, text in value.items():
        if language == "@graph" and not isinstance(text, dict):
            report("graphNotObject", pointer, f"{name} must be texts by language")
        elif language.startswith("@"):
            report("langMapObjKeyword", pointer, f"{name} must be texts by language")
        elif not _LANGUAGE.fullmatch(language):
            report("langStringInvalidCode", pointer, f"{language!r} is no language code")
        elif not isinstance(text, str):
            report("langStringValueNotString", pointer, f"{name} in {language!r} must be text")
        else:
            yield language, text


def _tagged(
    item: dict[str, Any], name: str, pointer: str, report: Report, *, strict: bool
) -> Iterable[tuple[str, str]]:
    keys = ("@value", "@language") if strict else ("@value", "@language", "@type")
    _check_keys(item, keys, "langStringElement", name, pointer, report, strict)
    language = item.get("@language", DEFAULT_LANGUAGE)
    if not isinstance(language, str) or not language:
        report("langStringElementCodeNotString", pointer, f"the @language of {name} must be text")
    elif not _LANGUAGE.fullmatch(language):
        report("langStringElementInvalidCode", pointer, f"{language!r} is no language code")
    elif "@value" not in item:
        report("langStringElementNoValue", pointer, f"{name} has an object without @value")
    elif not isinstance(item["@value"], str):
        report("langStringElementValueNotString", pointer, f"the @value of {name} must be text")
    else:
        yield language, item["@value"]


def _check_keys(
    value: dict[str, Any],
    allowed: tuple[str, ...],
    prefix: str,
    name: str,
    pointer: str,
    report: Report,
    strict: bool,
) -> bool:
    sound = True
    for key, inner in value.items():
        if key in allowed or (key.startswith("@") and not strict and key not in _FORBIDDEN):
            continue
        sound = False
        if key == "@graph" and not isinstance(inner, dict):
            code = "graphNotObject"
        elif key in _FORBIDDEN:
            code = f"{prefix}{_FORBIDDEN[key]}"
        elif key == "@type":
            code = f"{prefix}Type"
        elif key == "@language":
            code = f"{prefix}Language"
        elif key.startswith("@"):
            code = f"{prefix}Keyword"
        else:
            code = f"{prefix}InvalidProp"
        report(code, pointer, f"{name} is an object with {key!r}, which does not belong there")
    return sound


def _flat(value: Any, depth: int = 0) -> Iterable[Any]:
    """Yield a value, or those of an array; an array in an array is no other array."""
    if isinstance(value, list) and depth < _NESTING_MAX:
        for item in value:
            yield from _flat(item, depth + 1)
    else:
        yield value


def xsd_kind(item: str) -> str | None:
    """Return the name of a datatype of XML Schema, which is how JSON-LD types a literal."""
    for prefix in ("xsd:", _XSD):
        if item.startswith(prefix):
            return item[len(prefix) :]
    return None


def _fits(holds: Holds, value: Any) -> bool:
    match holds:
        case Holds.BOOLEAN:
            return isinstance(value, bool)
        case Holds.INTEGER:
            return _is_whole(value) and -_INTEGER <= value < _INTEGER
        case Holds.ENUM_VALUE:
            return isinstance(value, (str, bool, int, float))
        case Holds.NUMBER:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case _:
            return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number, however it is written: 1.0 is one in JSON."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(holds: Holds, value: Any) -> Any:
    may_be_whole = holds in (Holds.INTEGER, Holds.ENUM_VALUE) and isinstance(value, float)
    return int(value) if may_be_whole and value.is_integer() else value


def _words(holds: Holds) -> str:
    return {
        Holds.BOOLEAN: "true or false",
        Holds.INTEGER: "a whole number",
        Holds.ENUM_VALUE: "text or a whole number",
        Holds.NUMBER: "a number",
    }.get(holds, "text")
