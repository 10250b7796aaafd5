"""``@context``: the language version and the extensions in force for an element.

A document starts with a DTDL context and may add extensions; an element inside may add its own
``@context``, in DTDL v3 also that of an earlier version. An extension nobody here knows makes a
context incomplete: where that is allowed, unknown types and properties may come from it. Minor
versions differ in nothing that matters here. Source: DTDL v2 and v3 specification, "Context".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sync_agent.dtdl.diagnostics import Report
from sync_agent.dtdl.dtmi import is_dtmi, is_user_dtmi, path_of, version_of
from sync_agent.dtdl.metamodel import VERSIONS

DTDL = "dtmi:dtdl:context"
LATEST = f"{DTDL};{VERSIONS[-1]}"
CENTRAL_PREFIX = "dtmi:iotcentral:"
IOT_CENTRAL = f"{CENTRAL_PREFIX}context;2"
IOT_OPERATIONS = "dtmi:iotoperations:context;4"
QUANTITATIVE_TYPES = "dtmi:dtdl:extension:quantitativeTypes"
ANNOTATION = "dtmi:dtdl:extension:annotation"
HISTORIZATION = "dtmi:dtdl:extension:historization"
OVERRIDING = "dtmi:dtdl:extension:overriding"
REQUIREMENT = "dtmi:dtdl:extension:requirement"
MQTT = "dtmi:dtdl:extension:mqtt"
_LAST_VERSION = {
    ANNOTATION: 2, HISTORIZATION: 2, MQTT: 4, OVERRIDING: 2, QUANTITATIVE_TYPES: 3, REQUIREMENT: 2,
}  # fmt: skip
KNOWN = frozenset(
    f"{name};{version}" for name, last in _LAST_VERSION.items() for version in range(1, last + 1)
) | {IOT_CENTRAL, IOT_OPERATIONS}

_FAMILIES = frozenset(path_of(name) for name in KNOWN)
# Sets of limits, which DTDL v4 puts behind its own context and no earlier version takes.
_LIMITS = frozenset({"dtmi:dtdl:limits:aio;1", "dtmi:dtdl:limits:onvif;1"})
_LIMIT_FRAGMENTS = frozenset({"limits", "limitless"})


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
    places = [f"{pointer}/{n}" for n in range(len(specifiers))]
    named = list(zip(specifiers, places if isinstance(value, list) else [pointer], strict=True))
    grammatical = [_is_grammatical(specifier, place, report) for specifier, place in named]
    if not all(grammatical):
        return None
    for specifier, place in named[:-1]:
        if isinstance(specifier, dict):
            report("localContextNotLast", place, "definitions of one's own must come last")
    if outer is None and not named:
        report("emptyContext", pointer, "the @context is empty")
        return None
    named = _language_first(named)
    if outer is None and not _is_language(named[0][0]):
        report("missingDtdlContext", named[0][1], f"the first @context must be {LATEST}")
        return None
    return _composed(named, outer, report, undefined=undefined)


def _composed(
    named: list[tuple[Any, str]], context: Context | None, report: Report, *, undefined: bool | None
) -> Context | None:
    extended = False
    for specifier, place in named:
        if not _is_language(specifier) and context is not None:
            extended = True
            context = _extended(context, specifier, place, report, undefined=undefined)
        elif extended:
            report("dtdlContextFollowsAffiliate", place, f"{specifier} must come first")
        else:
            version = _known_version(specifier, place, report)
            if version is None:
                return None
            context = replace(context, version=version) if context else Context(version)
    return context


def _language_first(named: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
    """Return the specifiers with DTDL's before IoT Central's, which implies and may precede it."""
    first = next((n for n, (each, _) in enumerate(named) if each != IOT_CENTRAL), len(named))
    end = first
    while end < len(named) and _is_language(named[end][0]):
        end += 1
    return [*named[first:end], *named[:first], *named[end:]]


def _extended(
    context: Context, specifier: Any, place: str, report: Report, *, undefined: bool | None
) -> Context:
    if not _is_specifier(specifier, context.version, place, report):
        return context
    known = f"{path_of(specifier)};{version_of(specifier)[0]}"
    if known in KNOWN:
        others = {each for each in context.extensions if path_of(each) != path_of(known)}
        return replace(context, extensions=frozenset({*others, known}))
    if context.version == 2 if undefined is None else undefined:
        return replace(context, incomplete=True)
    _report_unknown(specifier, place, report)
    return context


def _is_language(specifier: Any) -> bool:
    return isinstance(specifier, str) and specifier.startswith(f"{DTDL};")


def _known_version(specifier: str, place: str, report: Report) -> int | None:
    plain, hash_sign, fragment = specifier.partition("#")
    if not is_dtmi(plain):
        report("invalidContextSpecifier", place, f"{specifier!r} is not a DTMI")
        return None
    if hash_sign:
        is_limit = fragment in _LIMIT_FRAGMENTS
        code = "disallowedContextFragment" if is_limit else "invalidContextFragment"
        report(code, place, f"{specifier} has a fragment (#)")
        return None
    major, minor = version_of(specifier)
    if major not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        report("unrecognizedContextVersion", place, f"DTDL {major} is not known, only {known}")
        return None
    if minor and not is_user_dtmi(specifier, major):
        message = f"{specifier} has a minor version, which DTDL v{major} does not know"
        report("invalidContextSpecifierForVersion", place, message)
        return None
    return major


def _is_grammatical(specifier: Any, place: str, report: Report) -> bool:
    """Tell whether a specifier is one of JSON-LD at all: text, or definitions of terms."""
    if isinstance(specifier, str):
        return True
    if not isinstance(specifier, dict):
        report("invalidContext", place, "a @context must be text or an array of texts")
        return False
    sound = True
    for term, definition in specifier.items():
        if definition is None or isinstance(definition, str):
            continue
        if not isinstance(definition, dict):
            code = "termDefinitionNotStringOrObject"
        elif "@id" not in definition:
            code = "termDefinitionMissingIdProperty"
        elif not isinstance(definition["@id"], str):
            code = "termDefinitionIdPropertyNotString"
        else:
            continue
        sound = False
        report(code, place, f"the definition of {term!r} must be text or an object with an @id")
    return sound


def _is_specifier(specifier: Any, version: int, place: str, report: Report) -> bool:
    if isinstance(specifier, dict):
        report("disallowedLocalContext", place, "definitions of one's own are not allowed here")
    elif not specifier.startswith("dtmi:"):
        report("nonDtmiContextSpecifier", place, f"{specifier!r} is not a DTMI")
    elif not is_dtmi(specifier):
        report("invalidContextSpecifier", place, f"{specifier!r} is not a DTMI")
    elif not is_user_dtmi(specifier, version):
        message = f"{specifier} is not as DTDL v{version} writes identifiers"
        report("invalidContextSpecifierForVersion", place, message)
    elif ";" not in specifier:
        report("missingContextVersion", place, f"{specifier} names no version")
    elif specifier in _LIMITS:
        report("misplacedLimitContext", place, f"{specifier} holds limits of DTDL v4")
    else:
        return True
    return False


def _report_unknown(specifier: str, place: str, report: Report) -> None:
    family = path_of(specifier)
    if family in _FAMILIES:
        report("unresolvableContextVersion", place, f"{family} is not known in that version")
    else:
        report("unresolvableContextSpecifier", place, f"{specifier} is no known extension")
