"""What has to change for the twins to be as the inventory wants them.

Property by property, and only what the inventory owns: twins and relationships that bear another
owner's mark or none, properties the mapping does not speak of, initial-only values once the twin is
there, and whatever is held - none of it makes a change. The result is in order of ids, so it does
not depend on the order of either side. Time is linear in both graphs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sync_agent.inventory.desired import DesiredGraph, Ownership
from sync_agent.inventory.paths import Path, put_at, value_at
from sync_agent.reconcile.change import MODEL_PATH, Action, Change, Edit, same
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document, JsonValue, Relationship, Twin


def diff(desired: DesiredGraph, observed: TwinGraph) -> tuple[Change, ...]:
    """Return the changes, twins before relationships, in order of ids."""
    twins = (*_wanted_twins(desired, observed), *_unwanted_twins(desired, observed))
    edges = (*_wanted_edges(desired, observed), *_unwanted_edges(desired, observed))
    return (
        *sorted(twins, key=lambda change: change.element),
        *sorted(edges, key=lambda change: (change.element, change.action is Action.CREATE)),
    )


def foreign_twins(desired: DesiredGraph, observed: TwinGraph) -> tuple[str, ...]:
    """Return the ids the inventory wants that twins of others have."""
    return tuple(
        id_
        for id_ in sorted(desired.twins)
        if (document := observed.twin(id_)) is not None and not desired.owner.owns_twin(document)
    )


def twin_edits(desired: DesiredGraph, twin: Twin, document: Document) -> tuple[Edit, ...]:
    """Return the edits that make an existing twin as wanted, in order of paths."""
    old_model = (document.get("$metadata") or {}).get("$model", "")
    owned = {p for p, by in desired.ownership[twin.model].items() if by is Ownership.MANAGED}
    unread = desired.unread.get(twin.model, frozenset())
    edits: list[Edit] = []
    parts: dict[Path, Document] = {}
    if old_model != twin.model:
        edits.append(Edit(MODEL_PATH, old_model, twin.model))
        parts = {path: {"$metadata": {}} for path in _components_missing(twin, document)}
        # What the inventory set under the old model would stay for ever otherwise.
        owned |= set(desired.ownership.get(old_model, {}))
    for path in sorted(owned):
        before, after = value_at(document, path), value_at(twin.properties, path)
        if same(before, after) or (after is None and path in unread):
            continue
        missing = _first_missing(document, path[:-1])
        if missing is None:
            edits.append(Edit(path, before, after))
        elif after is not None:
            put_at(parts.setdefault(missing, {}), path[len(missing) :], after)
    edits += [Edit(path, None, value) for path, value in parts.items()]
    return tuple(edits)


def _wanted_twins(desired: DesiredGraph, observed: TwinGraph) -> Iterator[Change]:
    for id_, twin in desired.twins.items():
        document = observed.twin(id_)
        if document is None:
            yield Change(Action.CREATE, twin=twin)
        elif desired.owner.owns_twin(document) and id_ not in desired.placeholders:
            edits = twin_edits(desired, twin, document)
            if edits:
                named = Twin(id_, twin.model, etag=document.get("$etag") or "")
                yield Change(Action.UPDATE, twin=named, edits=edits)


def _unwanted_twins(desired: DesiredGraph, observed: TwinGraph) -> Iterator[Change]:
    for document in observed.twins():
        id_ = document["$dtId"]
        if id_ in desired.twins or id_ in desired.held or not desired.owner.owns_twin(document):
            continue
        twin = Twin.from_document(document)
        yield Change(Action.DELETE, twin=Twin(id_, twin.model, etag=twin.etag))


def _wanted_edges(desired: DesiredGraph, observed: TwinGraph) -> Iterator[Change]:
    foreign = set(foreign_twins(desired, observed))
    for key, edge in desired.relationships.items():
        if edge.source in foreign or edge.target in foreign:
            continue
        document = observed.relationship(*key)
        if document is None:
            yield Change(Action.CREATE, relationship=edge)
        elif (document["$relationshipName"], document["$targetId"]) != (edge.name, edge.target):
            # The service cannot move an edge's end.
            yield _deletion(document)
            yield Change(Action.CREATE, relationship=edge)
        elif edits := _edge_edits(desired, edge, document):
            named = Relationship(
                edge.id, edge.source, edge.name, edge.target, etag=document.get("$etag") or ""
            )
            yield Change(Action.UPDATE, relationship=named, edits=edits)


def _unwanted_edges(desired: DesiredGraph, observed: TwinGraph) -> Iterator[Change]:
    for document in observed.relationships():
        key = (document["$sourceId"], document["$relationshipId"])
        if key in desired.relationships or key in desired.held_relationships:
            continue
        ends = {document["$sourceId"], document["$targetId"]}
        if desired.owner.owns_relationship(document) and not ends & desired.held:
            yield _deletion(document)


def _deletion(document: Document) -> Change:
    edge = Relationship.from_document(document)
    named = Relationship(edge.id, edge.source, edge.name, edge.target, etag=edge.etag)
    return Change(Action.DELETE, relationship=named)


def _edge_edits(desired: DesiredGraph, edge: Relationship, document: Document) -> tuple[Edit, ...]:
    names = sorted(desired.relationship_properties.get(edge.name, ()))
    pairs = ((name, document.get(name), edge.properties.get(name)) for name in names)
    return tuple(Edit((n,), before, after) for n, before, after in pairs if not same(before, after))


def _components_missing(twin: Twin, document: Document) -> Iterator[Path]:
    for name, value in sorted(twin.properties.items()):
        if isinstance(value, Mapping) and "$metadata" in value and name not in document:
            yield (name,)


def _first_missing(document: Mapping[str, JsonValue], parent: Path) -> Path | None:
    """Return the shortest part of a path that has to be made before anything is put under it."""
    for length in range(1, len(parent) + 1):
        if not isinstance(value_at(document, parent[:length]), Mapping):
            return parent[:length]
    return None
