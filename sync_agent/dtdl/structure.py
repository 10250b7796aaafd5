"""Rules that take several elements to see: references, depth, cycles, what must not be inside what.

Works on nodes: each interface's own tree with its references. What spans interfaces by inheritance
is in ``inheritance``, over the registry. Source: DTDL v2 and v3 specification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sync_agent.dtdl.added_types import check_supplements
from sync_agent.dtdl.annotations import check_annotations
from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Primitive
from sync_agent.dtdl.metamodel import COMPLEX_SCHEMAS, GEOMETRIES, SCHEMA_DEPTH_MAX
from sync_agent.dtdl.nodes import Node, Reference
from sync_agent.dtdl.values import check_value

Report = Callable[[Node, str, str, str], None]
"""Takes the interface, a code, a JSON pointer and a message."""

_DEEPENS = frozenset({"elementSchema", "schema"})
_ARRAYS = frozenset({"Array", *GEOMETRIES})  # the coordinates of a geometry are an array
# What holds no part of an element: the datatype of an enum, a unit, what an alias stands for.
_ASIDE = frozenset({"aliasFor", "unit", "valueSchema"})
_GEOMETRY_DEPTH = {
    "point": 2, "lineString": 3, "polygon": 4,
    "multiPoint": 3, "multiLineString": 4, "multiPolygon": 5,
}  # fmt: skip


def check_structure(interfaces: list[Node]) -> Iterator[Diagnostic]:
    """Resolve the references in interfaces, and yield what is wrong between their elements."""
    found: list[Diagnostic] = []

    def report(interface: Node, code: str, pointer: str, message: str) -> None:
        found.append(Diagnostic(code, message, interface.id, pointer, interface.source))

    everywhere = {i: n for interface in interfaces for i, n in interface.local.items()}
    for interface in interfaces:
        for node in _own(interface):
            for reference in node.references():
                _resolve(reference, node, interface, everywhere, report)
    for interface in interfaces:
        for node in _own(interface):
            _check_node(node, interface, report)
        for code, node, message in check_annotations(interface):
            report(interface, code, _place(node, interface), message)
    yield from found


def _place(node: Node, interface: Node) -> str:
    return node.pointer if node.partition is interface else f"{interface.pointer}/extends"


def _own(interface: Node) -> Iterator[Node]:
    """Yield an interface and the elements in it, without those of interfaces nested in it."""
    pending = [interface]
    while pending:
        node = pending.pop()
        yield node
        pending += [child for child in node.children() if child.kind != "Interface"]


def _resolve(
    reference: Reference,
    node: Node,
    interface: Node,
    everywhere: Mapping[str, Node],
    report: Report,
) -> None:
    target = everywhere.get(reference.id)
    if target is None:
        if "Interface" not in reference.slot.classes:
            message = f"{reference.name} refers to {reference.id}, which this interface has not"
            report(interface, "unresolvedReference", reference.pointer, message)
    elif target.kind not in reference.slot.classes:
        message = f"{reference.name} refers to {reference.id}, a {target.kind}"
        report(interface, "badType", reference.pointer, message)
    elif target.kind != "Interface" and target.partition is not interface:
        message = f"{reference.id} is defined in another interface"
        report(interface, "crossPartitionReference", reference.pointer, message)
    elif target.context.version > node.context.version:
        message = f"{reference.id} is of DTDL v{target.context.version}, later than this"
        report(interface, "disallowedVersionReference", reference.pointer, message)
    else:
        reference.node = target


def _check_node(node: Node, interface: Node, report: Report) -> None:
    if node.kind in COMPLEX_SCHEMAS:
        _check_depth(node, interface, report)
    if node.kind == "Enum":
        _check_enum(node, interface, report)
    old_property = node.kind == "Property" and node.context.version == 2
    if old_property and any(inner.kind in _ARRAYS for inner in _beneath(node)):
        message = f"property {node.name!r} holds an array, which DTDL v2 does not allow"
        report(interface, "excludedType", node.pointer, message)
    for name in _named_twice(node):
        message = f"the name {name!r} is used twice, once by reference"
        report(interface, "nonUniquePropertyValue", node.pointer, message)
    for code, place, message in check_supplements(node):
        report(interface, code, place.pointer, message)


def _named_twice(node: Node) -> Iterator[str]:
    """Yield the names that a reference brings into a slot which has them already."""
    for slot, items in node.elements.items():
        if any(isinstance(item, Reference) and item.slot.unique for item in items):
            names = [inner.name for inner in node.held(slot) if inner.name]
            yield from sorted({name for name in names if names.count(name) > 1})


def _beneath(node: Node) -> Iterator[Node]:
    """Yield all elements under one, references followed, each once."""
    pending, seen = [node], {id(node)}
    while pending:
        current = pending.pop()
        for slot in current.elements.keys() - _ASIDE:
            for inner in current.held(slot):
                if id(inner) not in seen:
                    seen.add(id(inner))
                    pending.append(inner)
                    yield inner


def _check_depth(node: Node, interface: Node, report: Report) -> None:
    try:
        depth = _depth(node, (), {})
    except _EndlessSchemaError:
        message = f"the {node.kind} contains itself"
        report(interface, "recursiveStructureWide", node.pointer, message)
        return
    if depth > SCHEMA_DEPTH_MAX:
        message = f"schemas nest {depth} deep, the most is {SCHEMA_DEPTH_MAX}"
        report(interface, "excessiveDepthWide", node.pointer, message)


class _EndlessSchemaError(Exception):
    """A schema was found inside itself."""


def _depth(node: Node, trail: tuple[Node, ...], known: dict[int, int]) -> int:
    """Return how deep schemas stand inside one; beyond the limit one more is as good as any.

    ``known`` keeps what is worked out, by the identity of nodes.

    Raises:
        _EndlessSchemaError: the schema is inside itself.
    """
    if node in trail:
        raise _EndlessSchemaError
    if sum(item.kind in COMPLEX_SCHEMAS for item in trail) > 2 * SCHEMA_DEPTH_MAX:
        return SCHEMA_DEPTH_MAX + 1
    if id(node) in known:
        return known[id(node)]
    inside = (*trail, node)
    known[id(node)] = max(
        (
            _depth(inner, inside, known) + (slot in _DEEPENS)
            for slot in node.elements.keys() - _ASIDE
            for inner in node.held(slot)
        ),
        default=_GEOMETRY_DEPTH.get(node.kind, 0),
    )
    return known[id(node)]


def _check_enum(node: Node, interface: Node, report: Report) -> None:
    wanted = next((inner.kind for inner in node.held("valueSchema")), "")
    if wanted not in ("string", "integer"):
        return
    for value in node.held("enumValues"):
        given = value.literals.get("enumValue")
        if given is not None and check_value(Primitive(wanted), given) is not None:
            message = f"the value {given!r} is no {wanted}, as valueSchema has it"
            report(interface, "nonConformantDatatype", value.pointer, message)
