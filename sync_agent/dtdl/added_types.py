"""What added types ask of the elements around them: schema, neighbours, fields.

The rules are rows (``supplement``); here they are looked at once all elements are read. Source: the
DTDL v2 semantic types and the DTDL v3 feature extensions.
"""

from __future__ import annotations

from collections.abc import Iterator

from sync_agent.dtdl.nodes import Node
from sync_agent.dtdl.supplement import Supplement

Finding = tuple[str, Node, str]
"""Code, the element it is about, and the message."""


def check_supplements(node: Node) -> Iterator[Finding]:
    """Yield what is wrong with the types added to an element, and to the fields of an object."""
    for supplement in node.supplements:
        yield from _schema(node, supplement)
        needs, excludes = supplement.needs, supplement.excludes
        if needs and not _has(node, needs, supplement.needs_of):
            message = f"{supplement.name} needs the type {needs} beside it"
            yield "missingCocotype", node, message
        if excludes and _has(node, excludes, supplement.excludes_of):
            message = f"{supplement.name} cannot stand beside {excludes}"
            yield "disallowedCocotype", node, message
    if node.kind == "Object":
        yield from _fields(node)


def _has(node: Node, name: str, extension: str) -> bool:
    """Tell whether an element has an added type, of a certain extension where one is named."""
    return any(s.name == name and extension in ("", s.origin) for s in node.supplements)


def _names(node: Node) -> set[str]:
    return {supplement.name for supplement in node.supplements}


def _listed(names: frozenset[str]) -> str:
    return " or ".join(sorted(names))


def _schema(node: Node, supplement: Supplement) -> Iterator[Finding]:
    schemas = list(node.held("schema"))
    kinds = {schema.kind for schema in schemas}
    if supplement.schemas and kinds and not kinds & supplement.schemas:
        message = f"a {supplement.name} cannot be {' or '.join(sorted(kinds))}"
        vector = "vector" in supplement.schemas or "point" in supplement.schemas
        yield "notRequiredValue" if vector else "notRequiredType", node, message
    wanted = supplement.schema_types
    if wanted and any(not _names(schema) & wanted for schema in schemas):
        yield "notRequiredType", node, f"a {supplement.name} must be of type {_listed(wanted)}"


def _fields(node: Node) -> Iterator[Finding]:
    fields = list(node.held("fields"))
    for supplement in node.supplements:
        for field in fields:
            if supplement.fields and not _names(field) & supplement.fields:
                message = (
                    f"{field.name} in a {supplement.name} must be {_listed(supplement.fields)}"
                )
                yield "notRequiredType", field, message
    for field in fields:
        others = set().union(*(_names(other) for other in fields if other is not field))
        for supplement in field.supplements:
            if supplement.inside and not _names(node) & supplement.inside:
                message = f"{supplement.name} may only be in a {_listed(supplement.inside)}"
                yield "parentMissingCotype", field, message
            if supplement.alone and supplement.name in others:
                message = f"another field beside {field.name} is a {supplement.name} too"
                yield "siblingDuplicatesCotype", field, message
            if supplement.sibling and supplement.sibling not in others:
                message = f"{supplement.name} needs a field that is a {supplement.sibling}"
                yield "siblingMissingCotype", field, message
