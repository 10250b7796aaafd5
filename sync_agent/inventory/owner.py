"""Who a twin and a relationship belong to, as it is written on them.

A managed twin carries its owner's name in a marker property (``tags.managedBy`` unless the mapping
says otherwise); a managed relationship has it in front of its id (``inventory.locatedIn.SITE7``).
Both can be seen by anyone and queried; a twin is given up by removing its marker. Why:
docs/decisions/0003-ownership.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sync_agent.inventory.paths import Path, value_at
from sync_agent.twins.twin import Document, JsonValue

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
MARKER: Path = ("tags", "managedBy")


@dataclass(frozen=True, slots=True)
class Owner:
    """An inventory that manages twins: its name, and where a twin bears it."""

    name: str
    marker: Path = MARKER

    def owns_twin(self, properties: Mapping[str, JsonValue]) -> bool:
        """Tell whether a twin, by its document or its properties, is this owner's."""
        return bool(value_at(properties, self.marker) == self.name)

    def owns_relationship(self, document: Document) -> bool:
        """Tell whether a relationship's document is this owner's."""
        return bool(document["$relationshipId"].startswith(f"{self.name}."))

    def relationship_id(self, text: str) -> str:
        """Return the id a relationship of this owner has."""
        return f"{self.name}.{text}"

    def twins_query(self) -> str:
        """Return the query for the twins of this owner."""
        return f"SELECT * FROM {self.own_twins()}"  # noqa: S608 - a name is a-z, 0-9, -

    def relationships_query(self) -> str:
        """Return the query for the relationships of this owner."""
        return f"SELECT * FROM {self.own_relationships()}"  # noqa: S608 - see above

    def own_twins(self) -> str:
        """Return what stands behind FROM in a query about the twins of this owner, as ``T``."""
        path = ".".join(f"[[{name}]]" if not name.isidentifier() else name for name in self.marker)
        return f"digitaltwins T WHERE T.{path} = '{self.name}'"

    def own_relationships(self) -> str:
        """Return the same for its relationships, as ``R``."""
        return f"relationships R WHERE STARTSWITH(R.$relationshipId, '{self.name}.')"
