"""JSON to nodes along the metamodel's tables, with a finding for whatever breaks a rule.

The reader looks at one element at a time: context, types, identifier, then each property by its
slot. What takes several elements to see (references, cycles, depth) is in ``structure``. Bound:
JSON nests at most ``NESTING_MAX`` deep. Source: DTDL v2 and v3 specification.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_agent.dtdl.contexts import CENTRAL_PREFIX, IOT_CENTRAL, Context, read_context
from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.dtmi import INTERFACE_ID_MAX, RESERVED_PREFIXES, is_user_dtmi
from sync_agent.dtdl.element_types import Types, fault_of_unknown, read_types
from sync_agent.dtdl.extensions import vocabulary
from sync_agent.dtdl.literals import read_language_map, read_literal, xsd_kind
from sync_agent.dtdl.metamodel import (
    ID_LENGTH_MAX,
    LIMITS,
    PRIMITIVES,
    Holds,
    Slot,
    metamodel,
)
from sync_agent.dtdl.nodes import Node, Reference
from sync_agent.dtdl.slot_limits import check_limits
from sync_agent.dtdl.terms import definition_of, term_of

NESTING_MAX = 64

_TOP = Slot(Holds.ELEMENT, classes=("Interface",), by_reference=True, top=True)
_ELEMENT_KEYS = frozenset({"@context", "@id", "@type"})
_NAME = frozenset({"name"})
_MISSING = {Holds.ELEMENT: "Object", Holds.IDENTIFIER: "Identifier", Holds.IRI: "Identifier"}


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
    defined: dict[str, str] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)

    def report(self, code: str, pointer: str, message: str) -> None:
        """Note a finding at a place of the document that is being read."""
        self.found.append(Diagnostic(code, message, self.model, pointer, self.source))

    def document(self, document: Any, source: str) -> None:
        """Read one JSON text: an interface, or an array of interfaces."""
        for item, pointer in _flat(document, ""):
            self.source, self.model = source, ""
            self._top(item, pointer)

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
            self._graph(item["@graph"], "topLevelGraphDisallowed", f"{pointer}/@graph")
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
        self._keywords(item, inner, pointer, top=slot.top)
        if "@id" not in item and slot.by_reference:
            self.report("missingRequiredId", f"{pointer}/@id", "it needs an @id")
        named = self._is_named(item, slot, inner, pointer)
        identifier = self._identified(item, inner, pointer)
        types = read_types(item, slot, inner, pointer, self.report)
        if types is None:
            return None
        node = Node(types.kind, inner, pointer, self.source, item, identifier)
        node.supplements = types.supplements
        outer_model = self.model
        if identifier and node.kind == "Interface":
            self.model = identifier
        self._place(node, owner)
        self._slots(node, types, frozenset() if named else _NAME)
        self.model = outer_model
        return node

    def _keywords(self, item: dict[str, Any], context: Context, pointer: str, *, top: bool) -> None:
        """Report what JSON-LD has and DTDL has not."""
        for key, value in item.items():
            if not key.startswith("@") or key in _ELEMENT_KEYS:
                continue
            place = f"{pointer}/{_escaped(key)}"
            if key == "@graph":
                self._graph(value, "graphDisallowed", place)
            elif context.version != 2:
                code = "topLevelKeywordDisallowed" if top else "keywordDisallowed"
                self.report(code, place, f"{key} is not allowed in an element")

    def _graph(self, value: Any, code: str, place: str) -> None:
        graphs = value if isinstance(value, list) else [value]
        if not all(isinstance(graph, dict) for graph in graphs):
            code = "graphNotObject"
        self.report(code, place, "@graph is not allowed")

    def _is_named(self, item: dict[str, Any], slot: Slot, context: Context, pointer: str) -> bool:
        """Tell whether an element without an identifier has the name that stands for it."""
        if "@id" in item or "name" not in slot.unique:
            return True
        keys = ["name"] if "name" in item else [k for k in item if term_of(k, context) == "name"]
        values = [item[key] for key in keys]
        if not values:
            message = "it has no name, nor an @id"
            self.report("missingDtmiSegPropertyValue", f"{pointer}/name", message)
            return False
        plain = values[0]
        while isinstance(plain, list) and len(plain) == 1:
            plain = plain[0]
        if isinstance(plain, dict):
            plain = plain.get("@value") if _is_of_text(plain.get("@type", "xsd:string")) else None
        if isinstance(plain, bool) or not isinstance(plain, (str, int, float)):
            message = "its name is no text"
            self.report("dtmiSegPropertyNotStringOrNumber", f"{pointer}/name", message)
            return False
        return True

    def _identified(self, item: dict[str, Any], context: Context, pointer: str) -> str:
        """Return the identifier of an element, "" (reported where it is at fault) without one."""
        given, place = item.get("@id"), f"{pointer}/@id"
        if "@id" not in item:
            return ""
        if not isinstance(given, str) or not given:
            self.report("idNotString", place, "an @id must be text")
        elif not is_user_dtmi(given, context.version):
            self.report("invalidId", place, f"{given!r} is no DTMI of DTDL v{context.version}")
        elif given.startswith(_reserved(context)):
            self.report("reservedId", place, f"{given} starts as the language's own do")
        elif len(given) > ID_LENGTH_MAX:
            self.report("idTooLong", place, f"the id is longer than {ID_LENGTH_MAX}")
        else:
            if given in self.defined:
                message = f"{given} is defined in {self.defined[given]} too"
                self.report("duplicateDefinition", place, message)
            self.defined.setdefault(given, self.source)
            return given
        return ""

    def _place(self, node: Node, owner: Node | None) -> None:
        """Put an element with an identifier where references look for it."""
        interface = node.kind == "Interface"
        if interface:
            self.interfaces.append(node)
            if len(node.id) > INTERFACE_ID_MAX:
                message = f"the id of an Interface is longer than {INTERFACE_ID_MAX}"
                self.report("idTooLongForType", f"{node.pointer}/@id", message)
        node.partition = node if interface or owner is None else owner.partition
        if node.id and node.partition is not None:
            node.partition.local[node.id] = node

    def _slots(self, node: Node, types: Types, known_faults: frozenset[str]) -> None:
        """Read the properties of an element; ``known_faults`` are those reported already."""
        slots = dict(metamodel(node.context.version).classes[node.kind].slots)
        for supplement in node.supplements:
            slots |= supplement.slots
        seen = set(known_faults)
        for key, value in node.json.items():
            if key.startswith("@"):
                continue
            name, place = term_of(key, node.context), f"{node.pointer}/{_escaped(key)}"
            if name in known_faults:
                continue
            if name in seen:
                self.report("duplicatePropertyName", place, f"{name} is there twice")
            elif name in slots:
                self._fill(node, name, slots[name], value, place)
            else:
                self._unknown(key, name, node, types, place)
            seen.add(name)
        self._missing(node, slots, seen)

    def _unknown(self, key: str, name: str, node: Node, types: Types, place: str) -> None:
        """Judge a property that no type of the element has.

        DTDL v2 lets any stand, v3 only one that may come from an unknown extension; and then there
        must be an unknown type, too, which may have it.
        """
        if not types.sound:
            return
        message = f"{node.kind} {node.name!r} has no property {key!r}"
        fault = fault_of_unknown(name, node.context)
        may_be_of_extension = fault in ("IrrelevantDtmiOrTerm", "UndefinedTerm")
        if node.context.version != 2 and not (may_be_of_extension and node.context.incomplete):
            self.report(f"property{fault}", place, message)
        elif not types.open_ended:
            code = "inferredTypeDoesNotAllow" if types.inferred else "noTypeThatAllows"
            self.report(code, place, message)

    def _missing(self, node: Node, slots: Mapping[str, Slot], seen: set[str]) -> None:
        own = metamodel(node.context.version).classes[node.kind].slots
        for name, slot in slots.items():
            if slot.required and name not in seen:
                kind = _MISSING.get(slot.holds, "Literal")
                code = f"missing{'' if name in own else 'Supplemental'}{kind}Property"
                message = f"the {node.kind} has no {name}"
                if slot.units:
                    message = f"a value with a semantic type needs a unit, here a {slot.units}"
                self.report(code, f"{node.pointer}/{name}", message)

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
                    check_limits(plain, slot, name, node.context, place, self.report)

    def _elements(
        self, node: Node, name: str, slot: Slot, value: Any, place: str
    ) -> list[Node | Reference]:
        values = list(_flat(value, place))
        if not slot.many and len(values) > 1:
            self.report("objectMultipleValues", place, f"{name} has several values, it takes one")
            return []
        if len(values) < max(slot.count_min, not slot.many and slot.required):
            self.report("objectCountBelowMin", place, f"{name} is empty")
        if slot.count_max is not None and len(values) > slot.count_max:
            message = f"{name} has {len(values)} values, the most is {slot.count_max}"
            self.report("objectCountAboveMax", place, message)
        read: list[Node | Reference] = []
        for item, pointer in values:
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
        elif slot.named:
            self.report("refObjectNotAllowed", place, f"{name} must be named by a term or an id")
        elif set(item) == {"@id"}:
            self.report("idReference", place, f"{name} is an object with only an @id")
        else:
            return self._element(item, slot, node.context, place, node)
        return None

    def _named(
        self, node: Node, name: str, slot: Slot, text: str, place: str
    ) -> Node | Reference | None:
        """Return what a text in the place of an element names: one of the language's, or an id."""
        context, is_id = node.context, text.startswith("dtmi:")
        found = definition_of(text, context)
        if not (is_user_dtmi(text, context.version) if is_id else found):
            message = f"{name} of {node.name!r} is {text!r}, which is neither an id nor a term here"
            self.report("badDtmiOrTerm", place, message)
            return None
        kind = vocabulary(found[1]).elements.get(found[0], "") if found else ""
        if found is None or not kind:
            if not is_id:
                self.report("badType", place, f"{name} of {node.name!r} cannot be {text!r}")
            elif text.startswith((*RESERVED_PREFIXES, CENTRAL_PREFIX)):
                self.report("undefinedReservedId", place, f"DTDL does not define {text}")
            else:
                return Reference(text, place, slot, name)
            return None
        fault = _fault_of_predefined(*found, kind, slot, context)
        if fault:
            takes = slot.units or " or ".join(slot.terms or slot.classes)
            self.report(fault, place, f"{name} of {node.name!r} is {text!r}, it takes {takes}")
        return None if fault else Node(found[0], context, place, self.source, text)

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


def _fault_of_predefined(term: str, home: Context, kind: str, slot: Slot, context: Context) -> str:
    """Return the code of why an element that the language defines cannot stand in a slot."""
    if slot.units:
        if vocabulary(home).units.get(term) == slot.units and home.version == context.version:
            return ""
        return "notRequiredType" if context.version == 2 else "wrongParent"
    if kind not in slot.classes:
        return "badType"
    if slot.terms and term not in slot.terms:
        return "incorrectPropertyValue"
    later = home.version > context.version or (
        slot.same_version and home.version != context.version
    )
    return "disallowedVersionReference" if later and term not in PRIMITIVES else ""


def _is_of_text(types: Any) -> bool:
    names = types if isinstance(types, list) else [types]
    return [xsd_kind(name) for name in names if isinstance(name, str)] == ["string"]


def _flat(value: Any, place: str) -> Iterator[tuple[Any, str]]:
    """Yield the values of a slot with their places; an array in an array is no other array."""
    if isinstance(value, list) and place.count("/") <= NESTING_MAX:
        for number, item in enumerate(value):
            yield from _flat(item, f"{place}/{number}")
    else:
        yield value, place


def _reserved(context: Context) -> tuple[str, ...]:
    central = IOT_CENTRAL in context.extensions
    return (*RESERVED_PREFIXES, CENTRAL_PREFIX) if central else RESERVED_PREFIXES


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
