"""``@type``: the class of an element, and the types added to it.

Exactly one type is a class of the language; the others are semantic types, types of an extension,
or unknown. Unknown ones are allowed where an unknown extension is in force, and in DTDL v2 more
freely; an element with one may also have properties nobody here knows. Source: DTDL v2 and v3
specification, "Language extensions".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync_agent.dtdl.contexts import Context
from sync_agent.dtdl.diagnostics import Report
from sync_agent.dtdl.dtmi import is_user_dtmi
from sync_agent.dtdl.extensions import vocabulary
from sync_agent.dtdl.metamodel import BUILT_IN_CLASSES, Slot, class_names, metamodel
from sync_agent.dtdl.supplement import Supplement
from sync_agent.dtdl.terms import definition_of

_CLASS = re.compile(r"dtmi:dtdl:class:(\w+);([234])")
_FAMILY = re.compile(r"dtmi:standard:class:(\w+);(2)")


@dataclass(frozen=True, slots=True)
class Types:
    """What ``@type`` says: the class, the added types, whether unknown properties may stand.

    ``sound``: no type is at fault; otherwise nobody can tell which properties may stand.
    """

    kind: str
    supplements: tuple[Supplement, ...] = ()
    open_ended: bool = False
    inferred: bool = False
    sound: bool = True


def read_types(
    item: Mapping[str, Any], slot: Slot, context: Context, pointer: str, report: Report
) -> Types | None:
    """Return the types of an element that stands in a slot; None (reported) without a class."""
    if "@type" not in item and (implied := _implied(slot, context)):
        return Types(implied, inferred=True)
    value, place = item.get("@type"), f"{pointer}/@type"
    listed = value if isinstance(value, list) else [value]
    names = list(dict.fromkeys(listed)) if all(isinstance(n, str) for n in listed) else []
    classes = {name: named for name in names if (named := _class_named(name, context))}
    kind = _kind(list(classes.values()), slot, context, place, report)
    supplements: list[Supplement] = []
    open_ended, sound = False, True
    for name in names:
        if name in classes:
            continue
        added = _added(name, context)
        if added is None:
            allowed = _is_allowed(name, context, place, report)
            open_ended, sound = True, sound and allowed
        elif added.abstract:
            report("abstractSupplementalType", place, f"{added.name} is abstract")
            sound = False
        elif kind and added not in supplements:
            _check_place(added, kind, context, place, report)
            supplements.append(added)
    if not kind:
        if not classes and sound and not slot.top:
            _report_class(" ".join(names), slot, context, place, report)
        return None
    _check_conflict(supplements, place, report)
    return Types(kind, tuple(supplements), open_ended, sound=sound)


def _implied(slot: Slot, context: Context) -> str:
    classes = metamodel(context.version).classes
    return next((n for n in slot.classes if n in classes and classes[n].type_optional), "")


def _class_named(name: str, context: Context) -> tuple[str, int] | None:
    """Return the class that a name or DTMI names and its version, of any version of DTDL."""
    if name in class_names():
        return name, context.version
    core, standard = _CLASS.fullmatch(name), _FAMILY.fullmatch(name)
    if core is not None and core[1] in class_names():
        return core[1], int(core[2])
    families = vocabulary(Context(2)).families
    if standard is not None and standard[1] in families:
        return standard[1], 2
    return (name, 2) if context.version == 2 and name in families else None


def _kind(
    named: list[tuple[str, int]], slot: Slot, context: Context, place: str, report: Report
) -> str:
    """Return the one class that an element is of, "" (reported where it has any) without one."""
    writable = metamodel(context.version).classes
    known = {*writable, *BUILT_IN_CLASSES, *vocabulary(Context(2)).families}
    if slot.top and ("Interface", context.version) not in named:
        report("typeNotRootable", place, f"a top-level model must be an {slot.classes[0]}")
        return ""
    kinds = []
    for name, version in named:
        fits = name in known if slot.top else name in writable and name in slot.classes
        if not fits or (version != context.version and name in class_names()):
            _report_class(name, slot, context, place, report)
            return ""
        kinds.append(name)
    if len(set(kinds)) > 1:
        report("multipleMaterialTypes", place, f"the @type names {' and '.join(kinds)}")
        return ""
    return kinds[0] if kinds else ""


def _report_class(given: str, slot: Slot, context: Context, place: str, report: Report) -> None:
    writable = metamodel(context.version).classes
    wanted = " or ".join(name for name in slot.classes if name in writable)
    report("badType", place, f"{given or 'this'} cannot stand here, only {wanted}")


def _added(name: str, context: Context) -> Supplement | None:
    if name.startswith("dtmi:") and not is_user_dtmi(name, context.version):
        return None
    found = definition_of(name, context)
    return vocabulary(found[1]).supplements.get(found[0]) if found else None


def _check_place(
    supplement: Supplement, kind: str, context: Context, place: str, report: Report
) -> None:
    if kind not in supplement.on:
        fits = " or ".join(sorted(supplement.on))
        report("invalidCotype", place, f"{supplement.name} may stand on {fits}, not on {kind}")
    elif context.version not in supplement.versions:
        message = f"{supplement.name} of that extension does not fit DTDL v{context.version}"
        report("invalidCotypeVersion", place, message)


def _check_conflict(supplements: list[Supplement], place: str, report: Report) -> None:
    seen: dict[str, str] = {}
    for supplement in supplements:
        for name in supplement.slots:
            if name in seen:
                message = f"{seen[name]} and {supplement.name} both bring the property {name}"
                report("conflictingSupplementalTypes", place, message)
            seen[name] = supplement.name


def _is_allowed(name: str, context: Context, place: str, report: Report) -> bool:
    """Tell whether a type that nobody here knows may stand; what may not is reported."""
    fault = fault_of_unknown(name, context)
    if fault == "NotDtmiNorTerm" and context.version == 2:
        return True
    if fault == "UndefinedTerm" and (context.version == 2 or context.incomplete):
        return True
    if fault == "IrrelevantDtmiOrTerm" and context.incomplete:
        return True
    report(f"type{fault}", place, f"no context here defines the type {name!r}")
    return False


def fault_of_unknown(name: str, context: Context) -> str:
    """Return how a name fails that is no type or property here, as codes end."""
    if name.startswith("dtmi:"):
        valid = is_user_dtmi(name, context.version)
        return "IrrelevantDtmiOrTerm" if valid else "InvalidDtmi"
    if ":" in name:
        return "NotDtmiNorTerm"
    return "IrrelevantDtmiOrTerm" if definition_of(name, context) else "UndefinedTerm"
