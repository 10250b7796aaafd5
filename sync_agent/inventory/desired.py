"""The graph that should be, as the inventory has it, with what it does not speak about.

It says of each model which properties the inventory owns; all others on a twin belong to someone
else. ``held`` are elements whose input is faulty, or to which faulty input refers: they are neither
written nor deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import Path
from sync_agent.inventory.record import Coverage, RecordDiagnostic
from sync_agent.twins.twin import JsonValue, Key, Relationship, Twin


class Ownership(StrEnum):
    """Who has the say over a property; the values are what a mapping file writes."""

    MANAGED = "managed"  # the inventory, at any time
    INITIAL_ONLY = "initial-only"  # the inventory when the twin is created, others from then on
    OBSERVED = "observed"  # others; the inventory only compares


@dataclass(frozen=True, slots=True)
class DesiredGraph:
    """What the inventory wants of the twins.

    ``twins`` bear managed and initial-only values and every component, but no observed values:
    those are in ``observed`` by twin id. ``ownership`` has the properties the mapping speaks of by
    model; ``relationship_properties`` the managed ones by relationship name. The scopes say where
    twins of a model, and relationships of a name, come from.

    ``placeholders`` are among ``twins``: a link names them and no record describes them. They are
    made where nothing is and never written over anything. ``unread`` are properties by model whose
    absence means nothing, because a scope that might give them was not read whole. ``gone`` are
    ids of twins, and of relationships behind their source's (``R1/inventory.locatedIn.S1``), that
    the source itself said were deleted: as good as a complete reading without them.
    """

    owner: Owner
    twins: Mapping[str, Twin] = field(default_factory=dict)
    relationships: Mapping[Key, Relationship] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    held_relationships: frozenset[Key] = frozenset()
    observed: Mapping[str, Mapping[Path, JsonValue]] = field(default_factory=dict)
    ownership: Mapping[str, Mapping[Path, Ownership]] = field(default_factory=dict)
    relationship_properties: Mapping[str, frozenset[str]] = field(default_factory=dict)
    twin_scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    relationship_scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    placeholders: frozenset[str] = frozenset()
    unread: Mapping[str, frozenset[Path]] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Desired:
    """What one reading of the inventory gave.

    ``coverage`` includes the gaps that unusable records left, ``digest`` is the same for the same
    content and mapping, ``records`` counts what was read.
    """

    graph: DesiredGraph
    coverage: tuple[Coverage, ...]
    digest: str
    records: int
    diagnostics: tuple[RecordDiagnostic, ...] = ()
