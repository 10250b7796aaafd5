"""A query as a tree of values: what the parser makes and what both executors read.

A node is frozen and compares by value, so that a test can say what it expects. And and Or hold at
least two operands: a chain of the same operator is one node, not a ladder, and depth is only what
parentheses and NOT make. Source: Azure Digital Twins query language reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Collection(StrEnum):
    """What a query reads from."""

    TWINS = "DIGITALTWINS"
    RELATIONSHIPS = "RELATIONSHIPS"


@dataclass(frozen=True, slots=True)
class Path:
    """A dotted path; the first segment is an alias where the query has one of that name."""

    segments: tuple[str, ...]


Scalar: TypeAlias = str | int | float | bool | None

# Integers outside 64 bits are doubles, in a query as in the stub's documents.
INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1


class Comparator(StrEnum):
    """Comparison operators."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True)
class Comparison:
    """``path op literal``."""

    path: Path
    op: Comparator
    value: Scalar


@dataclass(frozen=True, slots=True)
class Membership:
    """``path IN [...]`` or, negated, ``NIN``."""

    path: Path
    values: tuple[Scalar, ...]
    negated: bool = False


class TypeTest(StrEnum):
    """Functions of one path that answer yes or no."""

    IS_DEFINED = "IS_DEFINED"
    IS_NULL = "IS_NULL"
    IS_BOOL = "IS_BOOL"
    IS_NUMBER = "IS_NUMBER"
    IS_STRING = "IS_STRING"
    IS_OBJECT = "IS_OBJECT"
    IS_PRIMITIVE = "IS_PRIMITIVE"


@dataclass(frozen=True, slots=True)
class TypeCheck:
    """``IS_...(path)``."""

    test: TypeTest
    path: Path


class TextTest(StrEnum):
    """Functions of a path and a text."""

    STARTSWITH = "STARTSWITH"
    ENDSWITH = "ENDSWITH"
    CONTAINS = "CONTAINS"


@dataclass(frozen=True, slots=True)
class TextCheck:
    """``STARTSWITH(path, 'text')`` and its kin."""

    test: TextTest
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class ArrayContains:
    """``ARRAY_CONTAINS(path, literal)``."""

    path: Path
    value: Scalar


@dataclass(frozen=True, slots=True)
class OfModel:
    """``IS_OF_MODEL([alias,] 'dtmi' [, exact])``; an empty alias is the only collection."""

    model: str
    alias: str = ""
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """``NOT condition``."""

    operand: Condition


@dataclass(frozen=True, slots=True)
class And:
    """``condition AND condition ...``."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """``condition OR condition ...``."""

    operands: tuple[Condition, ...]


Predicate: TypeAlias = Comparison | Membership | TypeCheck | TextCheck | ArrayContains | OfModel
Condition: TypeAlias = Predicate | Not | And | Or


@dataclass(frozen=True, slots=True)
class Projected:
    """One item of a projection, with its name in the row where ``AS`` gives one."""

    path: Path
    name: str = ""


@dataclass(frozen=True, slots=True)
class Everything:
    """``SELECT *``."""


@dataclass(frozen=True, slots=True)
class Count:
    """``SELECT COUNT()``."""


Projection: TypeAlias = Everything | Count | tuple[Projected, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """``JOIN target RELATED source.relationship [alias]``."""

    target: str
    source: str
    relationship: str
    alias: str = ""


class Direction(StrEnum):
    """Which way a MATCH segment follows edges, seen from its left node."""

    OUT = "->"
    IN = "<-"
    EITHER = "-"


@dataclass(frozen=True, slots=True)
class Segment:
    """``-[alias:name|name*low..high]->``: ``hops_min`` to ``hops_max`` edges, both included.

    The text's lower bound is exclusive; here it is already the first allowed count.
    """

    direction: Direction
    alias: str = ""
    names: tuple[str, ...] = ()
    hops_min: int = 1
    hops_max: int = 1


@dataclass(frozen=True, slots=True)
class Match:
    """``MATCH (a)-[]->(b)...``: one more node than segments; an anonymous node is ''."""

    nodes: tuple[str, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query."""

    projection: Projection
    collection: Collection = Collection.TWINS
    alias: str = ""
    top: int | None = None
    joins: tuple[Join, ...] = ()
    match: Match | None = None
    where: Condition | None = None

    @property
    def twin_aliases(self) -> tuple[str, ...]:
        """Return the names that stand for twins, in the order they are introduced."""
        if self.match is not None:
            return tuple(dict.fromkeys(node for node in self.match.nodes if node))
        own = (self.alias,) if self.collection is Collection.TWINS and self.alias else ()
        return (*own, *(join.target for join in self.joins))

    @property
    def relationship_aliases(self) -> tuple[str, ...]:
        """Return the names that stand for relationships."""
        if self.match is not None:
            return tuple(segment.alias for segment in self.match.segments if segment.alias)
        own = (self.alias,) if self.collection is Collection.RELATIONSHIPS and self.alias else ()
        return (*own, *(join.alias for join in self.joins if join.alias))

    @property
    def aliases(self) -> tuple[str, ...]:
        """Return all names a path may start with."""
        return (*self.twin_aliases, *self.relationship_aliases)

    def resolve(self, path: Path) -> tuple[str, tuple[str, ...]]:
        """Return what a path starts from and its segments inside that document.

        Where the first segment is no name of the query, the path is in its only collection, which
        has its alias, or ''.
        """
        first, *rest = path.segments
        return (first, tuple(rest)) if first in self.aliases else (self.alias, path.segments)

    def is_edge(self, alias: str) -> bool:
        """Tell whether a name (or '', the only collection) stands for relationships."""
        if alias == self.alias and self.match is None:
            return self.collection is Collection.RELATIONSHIPS
        return alias in self.relationship_aliases
