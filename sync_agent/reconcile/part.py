"""The part of inventory and twins in which anything can differ, for a pass that costs the change.

What a plan says of a twin depends on that twin on both sides; what it says of a relationship, on
the relationship and its two ends; what it says of a twin that comes, goes or changes hands, on its
relationships as well. So a plan of the elements that changed on either side since the last plan,
with those and with whatever stood out then, is the plan of everything: what is left out was as
wanted and did not move. ``tests/property/test_incremental`` holds it to that.

Where the rules themselves changed - what is owned, which scope speaks of what - there is no part.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sync_agent.inventory.desired import DesiredGraph
from sync_agent.inventory.paths import value_at
from sync_agent.reconcile.change import same
from sync_agent.reconcile.plan import Plan
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Key, key_of


@dataclass(slots=True)
class Touched:
    """Elements that may differ: twins by id, relationships by source and id.

    ``turned`` are twins that came, went or changed hands, so that their relationships may differ.
    """

    twins: set[str] = field(default_factory=set)
    edges: set[Key] = field(default_factory=set)
    turned: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.twins or self.edges or self.turned)

    def add(self, other: Touched) -> None:
        """Take in the elements of another."""
        self.twins |= other.twins
        self.edges |= other.edges
        self.turned |= other.turned


def changed_between(before: DesiredGraph, after: DesiredGraph) -> Touched | None:
    """Return what an inventory wants otherwise than before; None where its rules are others."""
    if before is after:
        return Touched()
    if _rules(before) != _rules(after):
        return None
    turned = (before.twins.keys() ^ after.twins.keys()) | (before.held ^ after.held)
    twins = {id_ for id_, twin in after.twins.items() if _differs(before.twins.get(id_), twin)}
    if before.observed is not after.observed:
        twins |= {
            id_
            for id_ in before.observed.keys() | after.observed.keys()
            if before.observed.get(id_) != after.observed.get(id_)
        }
    twins |= turned | (before.placeholders ^ after.placeholders) | (before.gone ^ after.gone)
    known = before.relationships
    edges = {key for key, edge in after.relationships.items() if _differs(known.get(key), edge)}
    edges |= known.keys() - after.relationships.keys()
    edges |= before.held_relationships ^ after.held_relationships
    return Touched(twins, edges, set(turned))


def part_of(
    desired: DesiredGraph, observed: TwinGraph, touched: Touched
) -> tuple[DesiredGraph, TwinGraph]:
    """Return both graphs as far as they are about the touched elements, for ``make_plan``."""
    edges = set(touched.edges)
    going = {id_ for id_ in touched.twins if id_ not in desired.twins}
    for id_ in touched.turned | going:
        edges.update(key_of(edge) for edge in (*observed.outgoing(id_), *observed.incoming(id_)))
    if turned := touched.turned & desired.twins.keys():
        edges.update(
            key
            for key, edge in desired.relationships.items()
            if edge.source in turned or edge.target in turned
        )
    wanted = {key: edge for key in edges if (edge := desired.relationships.get(key)) is not None}
    there = [document for key in edges if (document := observed.relationship(*key)) is not None]
    ids = touched.twins | touched.turned
    ids |= {end for edge in wanted.values() for end in (edge.source, edge.target)}
    ids |= {document[end] for document in there for end in ("$sourceId", "$targetId")}
    part = replace(
        desired,
        twins={id_: twin for id_ in ids if (twin := desired.twins.get(id_)) is not None},
        relationships=wanted,
        observed={id_: desired.observed[id_] for id_ in ids if id_ in desired.observed},
    )
    twins = [document for id_ in ids if (document := observed.twin(id_)) is not None]
    return part, TwinGraph(twins, there)


def standing_out(plan: Plan, desired: DesiredGraph, observed: TwinGraph) -> Touched:
    """Return the elements in which a plan found a difference, whatever became of it.

    The graphs are those the plan was made from. The next plan looks at these again.
    """
    found = Touched(set(plan.foreign))
    for change in plan.changes:
        if change.relationship is not None:
            found.edges.add(change.edge.key)
        else:
            found.twins.add(change.element)
    names = {*plan.left, *plan.absent}
    if names:
        edges = (*desired.relationships, *map(key_of, observed.relationships()))
        found.edges.update(key for key in edges if "/".join(key) in names)
        found.twins.update(n for n in names if n in desired.twins or observed.twin(n) is not None)
    for id_, values in desired.observed.items():
        document = observed.twin(id_)
        if document and any(not same(value_at(document, p), v) for p, v in values.items()):
            found.twins.add(id_)
    return found


def _rules(graph: DesiredGraph) -> tuple[object, ...]:
    return (
        graph.owner,
        graph.ownership,
        graph.relationship_properties,
        graph.twin_scopes,
        graph.relationship_scopes,
        graph.unread,
    )


def _differs(before: object, after: object) -> bool:
    return before is not after and before != after
