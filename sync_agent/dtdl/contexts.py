"""``@context``: the language version and the extensions in force for an element.

A document starts with a DTDL context and may add extensions; an element inside may add its own
``@context``, in DTDL v3 also that of an earlier version. An extension nobody here knows makes a
context incomplete: where that is allowed, unknown types and properties may come from it. Source:
DTDL v2 and v3 specification, "Context".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from sync_agent.dtdl.diagnostics import Report
from sync_agent.dtdl.dtmi import is_dtmi
from sync_agent.dtdl.metamodel import VERSIONS

DTDL = "dtmi:dtdl:context"
LATEST = f"{DTDL};{VERSIONS[-1]}"
CENTRAL_PREFIX = "dtmi:iotcentral:"
IOT_CENTRAL = f"{CENTRAL_PREFIX}context;2"
QUANTITATIVE_TYPES = "dtmi:dtdl:extension:quantitativeTypes"
ANNOTATION = "dtmi:dtdl:extension:annotation"
HISTORIZATION = "dtmi:dtdl:extension:historization"
OVERRIDING = "dtmi:dtdl:extension:overriding"
REQUIREMENT = "dtmi:dtdl:extension:requirement"
MQTT = "dtmi:dtdl:extension:mqtt"
_LAST_VERSION = {
    ANNOTATION: 2, HISTORIZATION: 2, MQTT: 4, OVERRIDING: 2, QUANTITATIVE_TYPES: 2, REQUIREMENT: 2,
}  # fmt: skip
KNOWN = frozenset(
    f"{name};{version}" for name, last in _LAST_VERSION.items() for version in range(1, last + 1)
) | {IOT_CENTRAL}

_MAJOR_ONLY = re.compile(r"[^;]+;[1-9][0-9]{0,8}", re.ASCII)
_FAMILIES = frozenset(name.partition(";")[0] for name in KNOWN)


@dataclass(frozen=True, slots=True)
class Context:
    """What is in force: the version, the known extensions, and whether unknown ones are too."""

    version: int
    extensions: frozenset[str] = frozenset()
    incomplete: bool = False


def read_context(
    value: Any, outer: Context | None, pointer: str, report: Report, *, undefined: bool | None
) -> Context | None:
    """Return the context that ``@context`` makes of the ``outer`` one (None: top level).

    ``undefined`` says whether unknown extensions are allowed; None leaves it to the language
    version, of which 2 allows them. Returns None when the version cannot be told.
    """
    specifiers = value if isinstance(value, list) else [value]
    if outer is None and not specifiers:
        report("emptyContext", pointer, "the @context is empty")
        return None
    context = outer or Context(_implied_version(specifiers))
    extended = False
    for number, specifier in enumerate(specifiers):
        place = f"{pointer}/{number}" if isinstance(value, list) else pointer
        named = _dtdl_version(specifier)
        if named is None:
            if not context.version:
                report("missingDtdlContext", place, f"the first @context must be {LATEST}")
                return None
            extended = extended or specifier != IOT_CENTRAL
            context = _extended(context, specifier, place, report, undefined=undefined)
        elif extended:
            report("dtdlContextFollowsAffiliate", place, f"{specifier} must come first")
        else:
            version = _known_version(named, specifier, place, report)
            if version is None:
                return None
            context = replace(context, version=version)
    return context


def _implied_version(specifiers: list[Any]) -> int:
    """Return the version that the one extension implies which may come before DTDL's own."""
    implied = specifiers[0] == IOT_CENTRAL and f"{DTDL};2" in specifiers
    return 2 if implied else 0


def _extended(
    context: Context, specifier: Any, place: str, report: Report, *, undefined: bool | None
) -> Context:
    if not _is_specifier(specifier, context.version, place, report):
        return context
    if specifier in KNOWN:
        return replace(context, extensions=context.extensions | {specifier})
    if context.version == 2 if undefined is None else undefined:
        return replace(context, incomplete=True)
    _report_unknown(specifier, place, report)
    return context


def _dtdl_version(specifier: Any) -> str | None:
    if not isinstance(specifier, str) or specifier.partition(";")[0] != DTDL:
        return None
    return specifier.partition(";")[2]


def _known_version(text: str, specifier: str, place: str, report: Report) -> int | None:
    if text in [str(version) for version in VERSIONS]:
        return int(text)
    if not text:
        report("missingContextVersion", place, f"{specifier} names no version")
    elif "#" in text:
        report("disallowedContextFragment", place, f"{specifier} has a fragment (#)")
    elif not _MAJOR_ONLY.fullmatch(specifier):
        report("invalidContextSpecifierForVersion", place, f"{specifier} is no version of DTDL")
    else:
        known = " and ".join(map(str, VERSIONS))
        report("unrecognizedContextVersion", place, f"DTDL {text} is not known, only {known}")
    return None


def _is_specifier(specifier: Any, version: int, place: str, report: Report) -> bool:
    if isinstance(specifier, dict):
        report("disallowedLocalContext", place, "definitions of one's own are not allowed here")
    elif not isinstance(specifier, str):
        report("invalidContext", place, "a @context must be text or an array of texts")
    elif not specifier.startswith("dtmi:"):
        report("nonDtmiContextSpecifier", place, f"{specifier!r} is not a DTMI")
    elif "#" in specifier:
        report("disallowedContextFragment", place, f"{specifier} has a fragment (#)")
    elif not is_dtmi(specifier):
        report("invalidContextSpecifier", place, f"{specifier!r} is not a DTMI")
    elif ";" not in specifier:
        report("missingContextVersion", place, f"{specifier} names no version")
    elif version == 2 and not _MAJOR_ONLY.fullmatch(specifier):
        report("invalidContextSpecifierForVersion", place, f"{specifier} has a minor version")
    else:
        return True
    return False


def _report_unknown(specifier: str, place: str, report: Report) -> None:
    family = specifier.partition(";")[0]
    if family in _FAMILIES:
        report("unresolvableContextVersion", place, f"{family} is not known in that version")
    else:
        report("unresolvableContextSpecifier", place, f"{specifier} is no known extension")
