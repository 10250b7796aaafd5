"""Elements as they were read, before references are resolved and interfaces are built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sync_agent.dtdl.contexts import Context
from sync_agent.dtdl.metamodel import Slot
from sync_agent.dtdl.supplement import Supplement


@dataclass(slots=True, eq=False)
class Reference:
    """A DTMI where an element could stand; ``node`` is what it was found to name."""

    id: str
    pointer: str
    slot: Slot
    name: str
    node: Node | None = None


@dataclass(slots=True, eq=False)
class Node:
    """One element: ``kind`` is its class, or the term of a predefined schema.

    ``partition`` is the interface it stands in (an interface's own is itself); ``local`` of an
    interface are the elements in it that have an identifier.
    """

    kind: str
    context: Context
    pointer: str
    source: str
    json: Any
    id: str = ""
    partition: Node | None = None
    supplements: tuple[Supplement, ...] = ()
    literals: dict[str, Any] = field(default_factory=dict)
    elements: dict[str, list[Node | Reference]] = field(default_factory=dict)
    local: dict[str, Node] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the element's name, "" when it has none."""
        return str(self.literals.get("name", ""))

    def held(self, slot: str) -> Iterator[Node]:
        """Yield the elements in a slot, references followed where they lead somewhere."""
        for item in self.elements.get(slot, ()):
            node = item.node if isinstance(item, Reference) else item
            if node is not None:
                yield node

    def children(self) -> Iterator[Node]:
        """Yield the elements that stand inside this one, in their order."""
        for items in self.elements.values():
            yield from (item for item in items if isinstance(item, Node))

    def references(self) -> Iterator[Reference]:
        """Yield the references that stand directly in this element."""
        for items in self.elements.values():
            yield from (item for item in items if isinstance(item, Reference))
