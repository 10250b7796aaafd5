"""A type that is added to an element's own, as a value: what it brings and what it asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sync_agent.dtdl.metamodel import Slot


@dataclass(frozen=True, slots=True)
class Supplement:
    """A type that may be added to elements of some classes, in some language versions.

    ``origin`` is the extension it comes from, where that matters to another.

    What it asks (empty: nothing): ``units`` is the family its ``unit`` is of; ``schemas`` the
    kinds its element's schema may be of, and ``schema_types`` an added type that schema must have;
    ``needs`` a type that must be beside it, ``excludes`` one that must not, each of the extension
    ``needs_of`` or ``excludes_of`` where that is named; ``inside`` the types
    of which the object around a field must have one, ``alone`` that no other field there has this
    type, ``sibling`` a type another field there must have; ``fields`` the types of which each field
    of an object must have one.
    """

    name: str
    on: frozenset[str]
    versions: frozenset[int]
    slots: Mapping[str, Slot] = field(default_factory=dict)
    abstract: bool = False
    units: str = ""
    schemas: frozenset[str] = frozenset()
    schema_types: frozenset[str] = frozenset()
    origin: str = ""
    needs: str = ""
    needs_of: str = ""
    excludes: str = ""
    excludes_of: str = ""
    inside: frozenset[str] = frozenset()
    alone: bool = False
    sibling: str = ""
    fields: frozenset[str] = frozenset()
