"""``@type``: the class of an element, and the types added to it.

Exactly one type is a class of the language; the others are semantic types, types of an extension,
or unknown. Unknown ones are allowed where an unknown extension is in force, and in DTDL v2 more
freely; an element with one may also have properties nobody here knows. Source: DTDL v2 and v3
specification, "Language extensions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync_agent.dtdl.contexts import Context
from sync_agent.dtdl.diagnostics import Report
from sync_agent.dtdl.dtmi import is_dtmi
from sync_agent.dtdl.extensions import vocabulary
from sync_agent.dtdl.metamodel import ABSTRACT_CLASSES, Slot, metamodel
from sync_agent.dtdl.quantities import FAMILY_NAMES
from sync_agent.dtdl.supplement import Supplement
from sync_agent.dtdl.terms import term_of

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Types:
    """What ``@type`` says: the class, the added types, whether unknown properties may stand."""

    kind: str
    supplements: tuple[Supplement, ...] = ()
    open_ended: bool = False
    inferred: bool = False


def read_types(
    item: Mapping[str, Any], slot: Slot, context: Context, pointer: str, report: Report
) -> Types | None:
    """Return the types of an element that stands in a slot; None (reported) without a class."""
    value = item.get("@type", _ABSENT)
    classes = metamodel(context.version).classes
    implied = next((name for name in slot.classes if classes[name].type_optional), "")
    if value is _ABSENT and implied:
        return Types(implied, inferred=True)
    names = value if isinstance(value, list) else [value]
    place = f"{pointer}/@type"
    if not names or not all(isinstance(name, str) and name for name in names):
        wanted = " or ".join(slot.classes)
        report("badType", place, f"@type must be text or an array of texts; here one is {wanted}")
        return None
    terms = [term_of(name, context) for name in names]
    material = classes.keys() | (FAMILY_NAMES if context.version == 2 else ())
    kinds = tuple(dict.fromkeys(term for term in terms if term in material))
    if len(kinds) > 1:
        report("multipleMaterialTypes", place, f"the @type names {' and '.join(kinds)}")
        return None
    kind = kinds[0] if kinds else ""
    supplements: list[Supplement] = []
    open_ended = False
    for term in dict.fromkeys(term for term in terms if term not in material):
        known = vocabulary(context).supplements.get(term)
        if known is not None:
            if kind and _may_stand(known, kind, context, place, report):
                supplements.append(known)
        else:
            open_ended |= _unknown(term, context, place, report)
    if kind not in slot.classes:
        _report_class(kind, slot, terms, place, report)
        return None
    _check_conflict(supplements, place, report)
    return Types(kind, tuple(supplements), open_ended)


def _check_conflict(supplements: list[Supplement], place: str, report: Report) -> None:
    seen: dict[str, str] = {}
    for supplement in supplements:
        for name in supplement.slot_names:
            if name in seen:
                message = f"{seen[name]} and {supplement.name} both bring the property {name}"
                report("conflictingSupplementalTypes", place, message)
            seen[name] = supplement.name


def _report_class(kind: str, slot: Slot, terms: list[str], place: str, report: Report) -> None:
    wanted = " or ".join(slot.classes)
    if slot.top:
        report("typeNotRootable", place, f"a top-level model must be an {wanted}")
    else:
        given = kind or " ".join(terms)
        report("badType", place, f"{given} cannot stand here, only {wanted}")


def _may_stand(
    supplement: Supplement, kind: str, context: Context, place: str, report: Report
) -> bool:
    if supplement.abstract:
        report("abstractSupplementalType", place, f"{supplement.name} is abstract")
    elif kind not in supplement.on:
        fits = " or ".join(sorted(supplement.on))
        report("invalidCotype", place, f"{supplement.name} may stand on {fits}, not on {kind}")
    elif context.version not in supplement.versions:
        message = f"{supplement.name} of that extension does not fit DTDL v{context.version}"
        report("invalidCotypeVersion", place, message)
    else:
        return True
    return False


def _unknown(term: str, context: Context, place: str, report: Report) -> bool:
    if term.startswith("dtmi:") and not is_dtmi(term):
        report("typeInvalidDtmi", place, f"the type {term!r} is not a valid DTMI")
        return False
    if ":" in term and not term.startswith("dtmi:"):
        if context.version == 2:
            return True
        report("typeNotDtmiNorTerm", place, f"the type {term!r} is an IRI but no DTMI")
        return False
    if is_irrelevant(term, context):
        if not context.incomplete:
            report("typeIrrelevantDtmiOrTerm", place, f"{term!r} is no type in this context")
        return context.incomplete
    if context.version == 2 or context.incomplete:
        return True
    report("typeUndefinedTerm", place, f"no context here defines the type {term!r}")
    return False


def is_irrelevant(term: str, context: Context) -> bool:
    """Tell whether a name means something in this context, but not a type or property here."""
    return (
        term.startswith("dtmi:")
        or term in ABSTRACT_CLASSES
        or term in metamodel(context.version).terms
        or term in vocabulary(context).terms
    )
