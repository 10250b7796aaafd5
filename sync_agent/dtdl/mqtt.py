"""The types of the DTDL v3 feature extension MQTT, versions 1 to 4, as rows.

Azure Digital Twins does not take this extension (``adt_profile`` says so); models written for
devices have it, and are read here without complaint. Source: DTDL MQTT extension, versions 1 to 4.
"""

from __future__ import annotations

import re

from sync_agent.dtdl.contexts import REQUIREMENT
from sync_agent.dtdl.metamodel import Holds, Slot
from sync_agent.dtdl.supplement import Supplement

VERSIONS = (1, 2, 3, 4)

_V3 = frozenset({3})
_NOT_REQUIRED: dict[str, object] = {"excludes": "Required", "excludes_of": f"{REQUIREMENT};1"}
_CHARACTER = r"[!$-*,\-.0-z|~]"  # printable, but none of: blank " # + / { }
_FIRST = rf"[!%-*,\-.0-z|~]{_CHARACTER}*"  # a topic does not begin with $
_TOKEN = r"\{(?:[A-Za-z]+:)?[A-Za-z]+\}"  # noqa: S105 - a part of a topic
_TOPIC = re.compile(rf"(?:{_FIRST}|{_TOKEN})(?:/(?:{_CHARACTER}+|{_TOKEN}))*", re.ASCII)
_GROUP = re.compile(rf"{_CHARACTER}+", re.ASCII)

_OPTIONAL_TOPIC = Slot(Holds.TEXT, pattern=_TOPIC)
_OPTIONAL_GROUP = Slot(Holds.TEXT, pattern=_GROUP)
_INDEX = Slot(Holds.INTEGER, required=True, low=1, distinct=True)


def mqtt_types(version: int) -> tuple[Supplement, ...]:
    """Return the types of a version of the extension, which must be one of ``VERSIONS``."""
    types = [_interface(version), *_commands(), _indexed(version)]
    if version >= 2:
        types.append(_on("Transparent", "CommandRequest", "CommandResponse", schemas=_of("Object")))
    if version >= 3:
        types += _results(version)
    if version >= 4:
        types += _property_results()
    return tuple(types)


def _on(name: str, *classes: str, **rules: object) -> Supplement:
    return Supplement(name, frozenset(classes), _V3, **rules)  # type: ignore[arg-type]


def _of(*names: str) -> frozenset[str]:
    return frozenset(names)


def _interface(version: int) -> Supplement:
    slots = {
        "payloadFormat": Slot(Holds.TEXT, required=True),
        "telemetryTopic": _OPTIONAL_TOPIC,
        "commandTopic": _OPTIONAL_TOPIC,
    }
    if version >= 2:
        slots |= {"telemServiceGroupId": _OPTIONAL_GROUP, "cmdServiceGroupId": _OPTIONAL_GROUP}
    if version >= 4:
        slots |= {"propertyTopic": _OPTIONAL_TOPIC}
    return _on("Mqtt", "Interface", slots=slots)


def _commands() -> list[Supplement]:
    ttl = {"ttl": Slot(Holds.DURATION, required=True)}
    return [
        _on("Idempotent", "Command"),
        _on("Cacheable", "Command", slots=ttl, needs="Idempotent"),
    ]


def _indexed(version: int) -> Supplement:
    classes = ("EnumValue", "Field", "Telemetry", *(("Property",) if version >= 4 else ()))
    return _on("Indexed", *classes, slots={"index": _INDEX})


def _results(version: int) -> list[Supplement]:
    result_fields = _of("NormalResult", "ErrorResult")
    if version >= 4:
        result_fields |= _of("ErrorCode", "ErrorInfo")
    return [
        _on("Result", "Object", fields=result_fields),
        _on("Error", "Object"),
        _part("NormalResult", "Result", optional=True),
        _part("ErrorResult", "Result", optional=True, schema_types=_of("Error")),
        _part("ErrorMessage", "Error", schemas=_of("string")),
    ]


def _property_results() -> list[Supplement]:
    error = _of("Error")
    return [
        _on("PropertyResult", "Object", fields=_of("PropertyValue", "ReadError", "WriteError")),
        _part("PropertyValue", "PropertyResult", optional=True),
        _part("ReadError", "PropertyResult", optional=True, schema_types=error),
        _part("WriteError", "PropertyResult", optional=True, schema_types=error),
        _part("ErrorCode", "Result", "Error", schemas=_of("Enum")),
        _part("ErrorInfo", "Result", "Error", schemas=_of("Object"), sibling="ErrorCode"),
        _on("Fragmented", "Property", schemas=_of("Map")),
        _on("Indirect", "Field", **_NOT_REQUIRED),
    ]


def _part(name: str, *inside: str, optional: bool = False, **rules: object) -> Supplement:
    """Return the type of a field that stands once in objects of certain types."""
    if optional:
        rules = {**rules, **_NOT_REQUIRED}
    return _on(name, "Field", inside=_of(*inside), alone=True, **rules)
