"""JSON to nodes along the metamodel's tables, with a finding for whatever breaks a rule.

The reader looks at one element at a time: context, types, identifier, then each property by its
slot. What takes several elements to see (references, cycles, depth) is in ``structure``. Bound:
JSON nests at most ``NESTING_MAX`` deep. Source: DTDL v2 and v3 specification.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_agent.dtdl.contexts import CENTRAL_PREFIX, IOT_CENTRAL, Context, read_context
from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.dtmi import INTERFACE_ID_MAX, RESERVED_PREFIXES, is_dtmi, is_user_dtmi
from sync_agent.dtdl.element_types import Types, is_irrelevant, read_types
from sync_agent.dtdl.elements import Primitive
from sync_agent.dtdl.extensions import vocabulary
from sync_agent.dtdl.literals import read_language_map, read_literal
from sync_agent.dtdl.metamodel import (
    GEOMETRIES,
    ID_LENGTH_MAX,
    LIMITS,
    PRIMITIVES,
    Holds,
    Slot,
    metamodel,
)
from sync_agent.dtdl.nodes import Node, Reference
from sync_agent.dtdl.terms import term_of
from sync_agent.dtdl.values import check_value

NESTING_MAX = 64

_TOP = Slot(Holds.ELEMENT, classes=("Interface",), by_reference=True, top=True)
_UNIT = Slot(Holds.ELEMENT, required=True)
_ELEMENT_KEYS = frozenset({"@context", "@id", "@type"})


@dataclass(slots=True)
class Reader:
    """Reads documents one after the other; interfaces and findings gather.

    ``undefined`` says whether extensions nobody here knows are allowed (None: as the language
    version has it).
    """

    undefined: bool | None = None
    source: str = ""
    model: str = ""
    interfaces: list[Node] = field(default_factory=list)
    defined: dict[str, Node] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)

    def report(self, code: str, pointer: str, message: str, remedy: str = "") -> None:
        """Note a finding at a place of the document that is being read."""
        self.found.append(Diagnostic(code, message, self.model, pointer, self.source, remedy))

    def document(self, document: Any, source: str) -> None:
        """Read one JSON text: an interface, or an array of interfaces."""
        for number, item in enumerate(document if isinstance(document, list) else [document]):
            self.source, self.model = source, ""
            self._top(item, f"/{number}" if isinstance(document, list) else "")

    def _top(self, item: Any, pointer: str) -> None:
        if not isinstance(item, dict):
            self.report("notJsonObject", pointer, "a model must be a JSON object")
            return
        if isinstance(item.get("@id"), str):
            self.model = item["@id"]
        if "@context" not in item:
            message = "the model has no @context of DTDL"
            self.report("missingContext", f"{pointer}/@context", message)
            return
        context = self._context(item["@context"], None, pointer)
        if "@graph" in item:
            self.report("topLevelGraphDisallowed", f"{pointer}/@graph", "@graph is not allowed")
        elif "@id" not in item:
            self.report("missingTopLevelId", f"{pointer}/@id", "the model has no @id")
        elif context is not None:
            self._element(item, _TOP, context, pointer, None)
            self._check_size(item, LIMITS[context.version].text_bytes, pointer)

    def _check_size(self, item: dict[str, Any], limit: int | None, pointer: str) -> None:
        try:
            size = len(json.dumps(item, ensure_ascii=False).encode())
        except RecursionError:
            self.report("excessiveDepthWide", pointer, "JSON nests too deep to be handled")
            return
        if limit is not None and size > limit:
            self.report("partitionTooLarge", pointer, f"the model has more than {limit} bytes")

    def _context(self, value: Any, outer: Context | None, pointer: str) -> Context | None:
        place = f"{pointer}/@context"
        return read_context(value, outer, place, self.report, undefined=self.undefined)

    def _element(
        self, item: dict[str, Any], slot: Slot, context: Context, pointer: str, owner: Node | None
    ) -> Node | None:
        if pointer.count("/") > NESTING_MAX:
            self.report("excessiveDepthWide", pointer, f"JSON nests deeper than {NESTING_MAX}")
            return None
        inner: Context | None = context
        if owner is not None and "@context" in item:
            inner = self._context(item["@context"], context, pointer)
        if inner is None:
            return None
        if inner.version > context.version or (
            slot.same_version and inner.version != context.version
        ):
            message = f"DTDL v{inner.version} cannot stand in a v{context.version} element here"
            self.report("disallowedVersionDefinition", pointer, message)
            return None
        types = read_types(item, slot, inner, pointer, self.report)
        if types is None:
            return None
        node = Node(types.kind, inner, pointer, self.source, item, top=slot.top)
        node.supplements = types.supplements
        outer_model = self.model
        self._identify(node, slot, owner)
        self._slots(node, types)
        self.model = outer_model
        return node

    def _identify(self, node: Node, slot: Slot, owner: Node | None) -> None:
        given = node.json.get("@id")
        interface = node.kind == "Interface"
        if interface:
            self.interfaces.append(node)
        node.partition = node if interface or owner is None else owner.partition
        if given is None and "@id" not in node.json:
            if slot.by_reference:
                message = f"the {node.kind} needs an @id"
                self.report("missingRequiredId", f"{node.pointer}/@id", message)
            return
        if self._is_identifier(given, node):
            node.id = given
            self.model = given if interface else self.model
            if given in self.defined:
                message = f"{given} is defined in {self.defined[given].source} too"
                self.report("duplicateDefinition", f"{node.pointer}/@id", message)
            else:
                self.defined[given] = node
            if node.partition is not None:
                node.partition.local[given] = node

    def _is_identifier(self, given: Any, node: Node) -> bool:
        place, version = f"{node.pointer}/@id", node.context.version
        if not isinstance(given, str) or not given:
            self.report("idNotString", place, "an @id must be text")
        elif not is_user_dtmi(given, version):
            self.report("invalidId", place, f"{given!r} is no DTMI of DTDL v{version}")
        elif given.startswith(_reserved(node.context)):
            self.report("reservedId", place, f"{given} starts as the language's own do")
        elif len(given) > ID_LENGTH_MAX:
            self.report("idTooLong", place, f"the id is longer than {ID_LENGTH_MAX}")
        elif node.kind == "Interface" and len(given) > INTERFACE_ID_MAX:
            message = f"the id of an Interface is longer than {INTERFACE_ID_MAX}"
            self.report("idTooLongForType", place, message)
        else:
            return True
        return False

    def _slots(self, node: Node, types: Types) -> None:
        slots = dict(metamodel(node.context.version).classes[node.kind].slots)
        for supplement in node.supplements:
            slots |= supplement.slots
        seen: set[str] = set()
        for key, value in node.json.items():
            if key in _ELEMENT_KEYS:
                continue
            name, place = term_of(key, node.context), f"{node.pointer}/{_escaped(key)}"
            if name in seen:
                self.report("duplicatePropertyName", place, f"{name} is there twice")
            elif key.startswith("@"):
                self._keyword(key, node, place)
            elif name in slots:
                self._fill(node, name, slots[name], value, place)
            elif name == "unit" and any(s.units for s in node.supplements):
                self._unit(node, value, place)
            else:
                self._unknown(key, name, node, types, place)
            seen.add(name)
        self._missing(node, slots, seen)

    def _keyword(self, key: str, node: Node, place: str) -> None:
        if key == "@graph":
            self.report("graphDisallowed", place, "@graph is not allowed")
        elif node.context.version != 2:
            code = "topLevelKeywordDisallowed" if node.top else "keywordDisallowed"
            self.report(code, place, f"{key} is not allowed in an element")

    def _unknown(self, key: str, name: str, node: Node, types: Types, place: str) -> None:
        """Judge a property that no type of the element has."""
        old, lenient = node.context.version == 2, node.context.incomplete
        message = f"{node.kind} {node.name!r} has no property {key!r}"
        if name.startswith("dtmi:") and not is_dtmi(name):
            code, allowed = "propertyInvalidDtmi", old
        elif ":" in name and not name.startswith("dtmi:"):
            code, allowed = "propertyNotDtmiNorTerm", old
        elif is_irrelevant(name, node.context):
            code, allowed = "propertyIrrelevantDtmiOrTerm", old or lenient
        else:
            code, allowed = "propertyUndefinedTerm", old or lenient
        unsupplemented = not types.open_ended and not types.supplements
        if unsupplemented and code == "propertyIrrelevantDtmiOrTerm":
            code = "inferredTypeDoesNotAllow" if types.inferred else "noTypeThatAllows"
        if not types.open_ended or not allowed:
            self.report(code, place, message)

    def _missing(self, node: Node, slots: Mapping[str, Slot], seen: set[str]) -> None:
        own = metamodel(node.context.version).classes[node.kind].slots
        for name, slot in slots.items():
            if not slot.required or name in seen:
                continue
            kind = "Object" if slot.holds is Holds.ELEMENT else "Literal"
            code = f"missing{'' if name in own else 'Supplemental'}{kind}Property"
            if name == "name" and not node.id and node.kind != "Interface":
                code = "missingDtmiSegPropertyValue"
            self.report(code, f"{node.pointer}/{name}", f"the {node.kind} has no {name}")
        if "unit" not in seen and any(s.units and s.unit_required for s in node.supplements):
            names = " and ".join(s.name for s in node.supplements if s.units)
            message = f"a value of type {names} needs a unit"
            self.report("missingSupplementalObjectProperty", f"{node.pointer}/unit", message)

    def _fill(self, node: Node, name: str, slot: Slot, value: Any, place: str) -> None:
        strict = node.context.version != 2
        match slot.holds:
            case Holds.ELEMENT:
                node.elements[name] = self._elements(node, name, slot, value, place)
            case Holds.LANGUAGE_MAP:
                node.literals[name] = read_language_map(
                    value, slot, name, place, self.report, strict=strict
                )
            case _:
                plain = read_literal(value, slot, name, place, self.report, strict=strict)
                if plain is not None:
                    node.literals[name] = plain
                    self._check_plain(node, name, slot, plain, place)

    def _check_plain(self, node: Node, name: str, slot: Slot, value: Any, place: str) -> None:
        if isinstance(value, str):
            if slot.holds is Holds.IDENTIFIER:
                if not is_user_dtmi(value, node.context.version):
                    code = "identifierInvalid" if is_dtmi(value) else "identifierNotDtmi"
                    self.report(code, place, f"{name} {value!r} is no DTMI")
            elif slot.holds is Holds.DURATION:
                if (fault := check_value(Primitive.DURATION, value)) is not None:
                    self.report("durationInvalid", place, f"{name} {fault}")
            elif slot.pattern is not None and not slot.pattern.fullmatch(value):
                name_rule = "letters, digits and _, first a letter, last no _"
                remedy = name_rule if name == "name" else ""
                self.report("stringInvalid", place, f"{value!r} is no valid {name}", remedy)
            if slot.length_max is not None and len(value) > slot.length_max:
                self.report("stringTooLong", place, f"{name} is longer than {slot.length_max}")
        elif isinstance(value, int) and not isinstance(value, bool):
            if slot.low is not None and slot.low == slot.high != value:
                self.report("valueNotExact", place, f"{name} must be {slot.low}")
            elif slot.low is not None and value < slot.low:
                self.report("valueBelowMin", place, f"{name} must be at least {slot.low}")
            elif slot.high is not None and value > slot.high:
                self.report("valueAboveMax", place, f"{name} must be at most {slot.high}")

    def _elements(
        self, node: Node, name: str, slot: Slot, value: Any, place: str
    ) -> list[Node | Reference]:
        values = value if isinstance(value, list) else [value]
        if not slot.many and len(values) > 1:
            self.report("objectMultipleValues", place, f"{name} has several values, it takes one")
            return []
        if len(values) < max(slot.count_min, not slot.many and slot.required):
            self.report("objectCountBelowMin", place, f"{name} is empty")
        if slot.count_max is not None and len(values) > slot.count_max:
            message = f"{name} has {len(values)} values, the most is {slot.count_max}"
            self.report("objectCountAboveMax", place, message)
        read: list[Node | Reference] = []
        for number, item in enumerate(values):
            pointer = f"{place}/{number}" if isinstance(value, list) else place
            held = self._held(node, name, slot, item, pointer)
            if held is not None:
                read.append(held)
        self._check_unique(name, slot, read, place)
        return read

    def _held(
        self, node: Node, name: str, slot: Slot, item: Any, place: str
    ) -> Node | Reference | None:
        if isinstance(item, str):
            return self._named(node, name, slot, item, place)
        if not isinstance(item, dict):
            self.report("refNotStringOrObject", place, f"{name} must be an object or an id")
        elif slot.terms:
            message = f"{name} must be {' or '.join(slot.terms)}"
            self.report("badType", place, message)
        elif set(item) == {"@id"}:
            self.report("idReference", place, f"{name} is an object with only an @id")
        else:
            return self._element(item, slot, node.context, place, node)
        return None

    def _named(
        self, node: Node, name: str, slot: Slot, text: str, place: str
    ) -> Node | Reference | None:
        term = term_of(text, node.context)
        if slot.terms:
            if term in slot.terms:
                return Node(term, node.context, place, self.source, text)
            code = "badType" if is_irrelevant(term, node.context) else "badDtmiOrTerm"
            message = f"{name} must be {' or '.join(slot.terms)}, not {text!r}"
            self.report(code, place, message)
            return None
        if _predefined(term, slot, node.context):
            return Node(term, node.context, place, self.source, text)
        if term.startswith((*RESERVED_PREFIXES, CENTRAL_PREFIX)) and is_dtmi(term):
            self.report("undefinedReservedId", place, f"DTDL does not define {text}")
        elif is_user_dtmi(term, node.context.version):
            return Reference(term, place, slot, name)
        elif not term.startswith("dtmi:") and is_irrelevant(term, node.context):
            self.report("badType", place, f"{name} of {node.name!r} cannot be {text!r}")
        else:
            message = f"{name} of {node.name!r} is {text!r}, which is neither an id nor a term here"
            self.report("badDtmiOrTerm", place, message)
        return None

    def _check_unique(
        self, name: str, slot: Slot, read: list[Node | Reference], place: str
    ) -> None:
        added = {
            key
            for item in read
            if isinstance(item, Node)
            for supplement in item.supplements
            for key, held in supplement.slots.items()
            if held.distinct
        }
        for key in (*slot.unique, *sorted(added)):
            seen: set[tuple[type, Any]] = set()
            for item in read:
                value = item.literals.get(key) if isinstance(item, Node) else None
                if value is None:
                    continue
                if (type(value), value) in seen:
                    message = f"the {key} {value!r} is used twice in {name}"
                    where = item.pointer if isinstance(item, Node) else place
                    self.report("nonUniquePropertyValue", where, message)
                seen.add((type(value), value))

    def _unit(self, node: Node, value: Any, place: str) -> None:
        values = value if isinstance(value, list) else [value]
        families = {s.units for s in node.supplements if s.units}
        if len(values) != 1:
            code = "objectMultipleValues" if values else "objectCountBelowMin"
            self.report(code, place, "there must be one unit")
            return
        if not isinstance(values[0], str):
            is_object = isinstance(values[0], dict)
            code = "refObjectNotAllowed" if is_object else "refNotStringOrObject"
            self.report(code, place, "the unit must be named by a term")
            return
        term = term_of(values[0], node.context)
        family = vocabulary(node.context).units.get(term)
        if family is None:
            known = "notRequiredType" if node.context.version == 2 else "badType"
            code = known if is_irrelevant(term, node.context) else "badDtmiOrTerm"
            self.report(code, place, f"{values[0]!r} is no unit")
        elif family not in families:
            message = f"{term} is a {family}, and {' and '.join(sorted(families))} is needed"
            self.report(
                "notRequiredType" if node.context.version == 2 else "wrongParent", place, message
            )
        node.literals["unit"] = term


def _predefined(term: str, slot: Slot, context: Context) -> bool:
    return slot.predefined and (
        term in PRIMITIVES or term in GEOMETRIES or term in vocabulary(context).schemas
    )


def _reserved(context: Context) -> tuple[str, ...]:
    central = IOT_CENTRAL in context.extensions
    return (*RESERVED_PREFIXES, CENTRAL_PREFIX) if central else RESERVED_PREFIXES


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
