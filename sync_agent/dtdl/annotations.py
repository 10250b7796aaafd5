"""Contents that speak of a sibling: ValueAnnotation and Override.

An annotation names a property or telemetry of the same interface, inherited ones included, so the
rule is looked at wherever the two meet for the first time. An override names a property that an
added type brought to that sibling (in practice its unit), takes the schema of that property's
values, and is the only one to do so. Source: DTDL v3 feature extensions Annotation and Overriding.
"""

from __future__ import annotations

from collections.abc import Iterator

from sync_agent.dtdl.metamodel import metamodel
from sync_agent.dtdl.nodes import Node
from sync_agent.dtdl.quantities import ALIASES
from sync_agent.dtdl.terms import term_of

Finding = tuple[str, Node, str]
"""Code, the annotating element, and the message."""


def check_annotations(interface: Node) -> Iterator[Finding]:
    """Yield what is wrong between annotations and what they annotate."""
    own = list(interface.held("contents"))
    inherited = list(_inherited(interface))
    if not any("annotates" in node.literals for node in (*own, *inherited)):
        return
    mine = set(map(id, own))
    by_name = {node.name: node for node in (*inherited, *own)}
    overridden: dict[tuple[str, str], Node] = {}
    for node in (*inherited, *own):
        sibling = by_name.get(node.literals.get("annotates", ""))
        if sibling is None:
            continue
        meets_here = id(node) in mine or id(sibling) in mine
        key = (sibling.name, _overridden(node))
        if key[1] and overridden.setdefault(key, node) is not node and id(node) in mine:
            message = f"{node.name} and {overridden[key].name} both override {key[1]} of {key[0]}"
            yield "multipleReference", node, message
        if meets_here:
            yield from _between(node, sibling)


def _inherited(interface: Node) -> Iterator[Node]:
    pending, seen = list(interface.held("extends")), {id(interface)}
    while pending:
        base = pending.pop()
        if id(base) not in seen:
            seen.add(id(base))
            pending += base.held("extends")
            yield from base.held("contents")


def _between(node: Node, sibling: Node) -> Iterator[Finding]:
    if sibling.kind not in ("Property", "Telemetry"):
        message = f"{node.name} annotates {sibling.name}, which is a {sibling.kind}"
        yield "notSiblingRequiredType", node, message
    elif "annotates" in sibling.literals:
        message = f"{node.name} annotates {sibling.name}, which is an annotation itself"
        yield "disallowedType", node, message
    elif "overrides" in node.literals:
        yield from _overrides(node, sibling, _overridden(node))


def _overridden(node: Node) -> str:
    return term_of(str(node.literals.get("overrides", "")), node.context)


def _overrides(node: Node, sibling: Node, name: str) -> Iterator[Finding]:
    # DTDL v2 has a unit, too, but it is another property.
    same = sibling.context.version == node.context.version
    added = {slot for supplement in sibling.supplements for slot in supplement.slots if same}
    if name in metamodel(sibling.context.version).classes[sibling.kind].slots:
        message = f"{node.name} overrides {name} of {sibling.name}, which no added type brings"
        yield "matchingPropertyNotSupplemental", node, message
    elif name not in added:
        message = f"{node.name} overrides {name}, which {sibling.name} does not have"
        yield "noMatchingSupplementalProperty", node, message
    elif name == "unit":
        families = {_family(s.units) for s in sibling.supplements if s.units}
        kinds = {_family(schema.kind) for schema in node.held("schema")}
        if not kinds & families:
            wanted = " or ".join(sorted(families))
            message = f"{node.name} overrides the unit of {sibling.name}: its schema is {wanted}"
            yield "siblingPropertyMismatch", node, message


def _family(name: str) -> str:
    return ALIASES.get(name, name)
