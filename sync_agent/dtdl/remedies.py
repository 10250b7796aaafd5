"""What to do about a finding, by its code, in words for the person who wrote the model."""

from __future__ import annotations

from collections.abc import Mapping

from sync_agent.dtdl.contexts import LATEST

_CONTEXT = f"begin @context with {LATEST}, then the extensions by their DTMIs"
_ID = "give an id such as dtmi:telecom:place:Site;1"
_TYPES = "keep one class of DTDL in @type, and beside it only types that fit it"
_TERM = "correct the spelling, or add the @context that defines it"
_NAMES = "rename one of them, or remove it"
_DEPTH = "flatten it, or split it into several properties"
_TEXT_BY_LANGUAGE = 'write text, or an object of texts by language: {"en": "Site"}'
_PLAIN = "write the plain value"

_BY_CODE: Mapping[str, str] = {
    "notJsonObject": "write an interface, or an array of interfaces",
    "missingContext": _CONTEXT,
    "emptyContext": _CONTEXT,
    "invalidContext": _CONTEXT,
    "missingDtdlContext": _CONTEXT,
    "missingContextVersion": "append the version, such as ;3",
    "disallowedContextFragment": "remove the fragment",
    "invalidContextFragment": "remove the fragment",
    "misplacedLimitContext": "remove it",
    "localContextNotLast": _CONTEXT,
    "disallowedLocalContext": _CONTEXT,
    "nonDtmiContextSpecifier": _CONTEXT,
    "invalidContextSpecifier": _CONTEXT,
    "invalidContextSpecifierForVersion": "name a whole version, such as ;3",
    "unrecognizedContextVersion": f"use {LATEST}",
    "unresolvableContextVersion": "use a version of the extension that exists",
    "unresolvableContextSpecifier": "correct the spelling, or remove the extension",
    "dtdlContextFollowsAffiliate": _CONTEXT,
    "missingTopLevelId": _ID,
    "missingRequiredId": _ID,
    "missingDtmiSegPropertyValue": "give it a name",
    "dtmiSegPropertyNotStringOrNumber": "give it a name, which is text",
    "idNotString": _ID,
    "invalidId": _ID,
    "idTooLong": "shorten the id",
    "idTooLongForType": "shorten the id",
    "reservedId": "choose an id that begins with your own name",
    "undefinedReservedId": _TERM,
    "idReference": "give the id as text",
    "duplicateDefinition": "keep one of the definitions",
    "duplicatePropertyName": "keep one of them",
    "badType": _TYPES,
    "multipleMaterialTypes": _TYPES,
    "invalidCotype": _TYPES,
    "invalidCotypeVersion": "use the version of the extension that fits the DTDL version",
    "abstractSupplementalType": "name a concrete type, such as Temperature",
    "conflictingSupplementalTypes": "remove one of the two types",
    "typeNotRootable": "make @type Interface",
    "typeInvalidDtmi": _TERM,
    "typeNotDtmiNorTerm": _TERM,
    "typeIrrelevantDtmiOrTerm": _TERM,
    "typeUndefinedTerm": _TERM,
    "badDtmiOrTerm": _TERM,
    "missingCocotype": "add the type that is missing",
    "disallowedCocotype": "remove one of the two types",
    "parentMissingCotype": "add that type to the object, or move the field",
    "siblingMissingCotype": "add a field of that type",
    "siblingDuplicatesCotype": "keep one such field",
    "propertyInvalidDtmi": _TERM,
    "propertyNotDtmiNorTerm": _TERM,
    "propertyIrrelevantDtmiOrTerm": "remove it, or add the type that has it",
    "propertyUndefinedTerm": "remove it, or correct the spelling",
    "inferredTypeDoesNotAllow": "remove it, or give the @type that has it",
    "noTypeThatAllows": "remove it, or add the type that has it",
    "keywordDisallowed": "remove it",
    "topLevelKeywordDisallowed": "remove it",
    "graphDisallowed": "write the models as an array",
    "graphNotObject": "write the models as an array",
    "topLevelGraphDisallowed": "write the models as an array",
    "stringInvalid": (
        "use only the characters that are allowed there; "
        "a name is letters, digits and _, first a letter, last no _"
    ),
    "stringTooLong": "shorten it",
    "langStringValueTooLong": "shorten it",
    "langTagValueInLangMap": "put the object into an array",
    "langMapObjKeyword": _TEXT_BY_LANGUAGE,
    "langStringElementCodeNotUnique": "keep one text a language",
    "identifierNotUri": _TERM,
    "identifierTooLong": "shorten the id",
    "identifierNotDtmi": _ID,
    "durationInvalid": "write it in ISO 8601, such as PT15M",
    "literalTypeNotSingular": _PLAIN,
    "literalNotValid": _PLAIN,
    "objectCountAboveMax": "remove some, or split the model",
    "objectCountBelowMin": "give at least one",
    "objectMultipleValues": "keep one of them",
    "refNotStringOrObject": "write an object, or an id as text",
    "refObjectNotAllowed": "write the term as text",
    "notRequiredType": "choose one of those that fit",
    "notRequiredValue": "choose one of those that fit",
    "wrongParent": "choose a unit of that quantity",
    "incorrectPropertyValue": "choose one of those that fit",
    "valueNotExact": "write that value, or remove it",
    "valueBelowMin": "raise it",
    "valueAboveMax": "lower it",
    "valueBelowRange": "raise it",
    "valueAboveRange": "lower it",
    "nonUniquePropertyValue": _NAMES,
    "nonUniqueImportedPropertyValue": _NAMES,
    "nonConformantDatatype": "make all values of the enum of its valueSchema",
    "notSiblingRequiredType": "annotate a property or a telemetry",
    "disallowedType": "annotate what the other annotates",
    "matchingPropertyNotSupplemental": "override a property that an added type brings, as unit",
    "noMatchingSupplementalProperty": "add the type that brings it to what is annotated",
    "siblingPropertyMismatch": "make its schema that family of units",
    "multipleReference": "keep one of the two",
    "unresolvedReference": "define it in this interface, or correct the id",
    "crossPartitionReference": "define it in this interface, too, under another id",
    "disallowedVersionReference": "raise this model's @context to the same version",
    "disallowedVersionDefinition": "use the @context of the model around it",
    "excludedType": "remove it, or move it to a model of its own",
    "excessiveCount": "extend fewer models",
    "excessiveDepthWide": _DEPTH,
    "excessiveDepthNarrow": "shorten the chain of extends",
    "recursiveStructureWide": "break the circle",
    "recursiveStructureNarrow": "break the circle",
    "partitionTooLarge": "split the model into several",
}
_BY_START: Mapping[str, str] = {
    "missing": "add it",
    "langString": _TEXT_BY_LANGUAGE,
    "termDefinition": _CONTEXT,
    "valueObject": _PLAIN,
}
_BY_END: Mapping[str, str] = {
    "MultipleValues": "keep one of them",
    "CountBelowMin": "give it a value",
}


def remedy_of(code: str) -> str:
    """Return what to do about a finding of a code; every code of this library has an answer."""
    known = _BY_CODE.get(code)
    if known is not None:
        return known
    for start, remedy in _BY_START.items():
        if code.startswith(start):
            return remedy
    return next((r for end, r in _BY_END.items() if code.endswith(end)), _PLAIN)
