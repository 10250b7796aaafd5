"""What has to change for the twins to be as the inventory wants them.

Property by property, and only what the inventory owns: twins and relationships that bear another
owner's mark or none, properties the mapping does not speak of, initial-only values once the twin is
there, and whatever is held - none of it makes a change. The result is in order of ids, so it does
not depend on the order of either side. Time is linear in both graphs; most of it goes into finding
that nothing differs, so that is looked for first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sync_agent.dtdl.dtmi import path_of, version_of
from sync_agent.inventory.desired import DesiredGraph, Ownership
from sync_agent.inventory.paths import Path, put_at, value_at
from sync_agent.reconcile.change import MODEL_PATH, Action, Change, Edit, same
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import Document, JsonValue, Relationship, Twin, model_of


def diff(desired: DesiredGraph, observed: TwinGraph) -> tuple[Change, ...]:
    """Return the changes, twins before relationships, in order of ids."""
    foreign: set[str] = set()
    twins = list(_wanted_twins(desired, observed, foreign))
    if observed.twin_count > len(desired.twins) - _missing(twins):
        twins += _unwanted_twins(desired, observed)
    edges = list(_wanted_edges(desired, observed, foreign))
    if foreign or observed.relationship_count > len(desired.relationships) - _missing(edges):
        edges += _unwanted_edges(desired, observed)
    return (
        *sorted(twins, key=lambda change: change.element),
        *sorted(edges, key=lambda change: (change.element, change.action is Action.CREATE)),
    )


def _missing(changes: Iterable[Change]) -> int:
    """Return how many of what is wanted are not there; an edge that has to move is."""
    actions = [change.action for change in changes]
    return actions.count(Action.CREATE) - actions.count(Action.DELETE)


def foreign_twins(desired: DesiredGraph, observed: TwinGraph) -> tuple[str, ...]:
    """Return the ids the inventory wants that twins of others have."""
    return tuple(sorted(_foreign(desired, observed)))


def twin_edits(desired: DesiredGraph, twin: Twin, document: Document) -> tuple[Edit, ...]:
    """Return the edits that make an existing twin as wanted, in order of paths."""
    old_model = model_of(document)
    owned = {p for p, by in desired.ownership[twin.model].items() if by is Ownership.MANAGED}
    unread = desired.unread.get(twin.model, frozenset())
    edits: list[Edit] = []
    parts: dict[Path, Document] = {}
    if not _is_model(old_model, twin.model):
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


def _is_model(model: str, wanted: str) -> bool:
    """Tell whether a twin has its model, or a later version of it (it was migrated)."""
    return model == wanted or (
        path_of(model) == path_of(wanted) and version_of(model) >= version_of(wanted)
    )


def deletion_of_twin(document: Document) -> Change:
    """Return the change that deletes an existing twin; its bookkeeping stays behind."""
    twin = Twin.from_document(document)
    return Change(
        Action.DELETE, twin=Twin(twin.id, twin.model, _without_bookkeeping(document), twin.etag)
    )


def deletion_of_edge(document: Document) -> Change:
    """Return the change that deletes an existing relationship."""
    return Change(Action.DELETE, relationship=Relationship.from_document(document))


def _without_bookkeeping(bag: Mapping[str, JsonValue]) -> Document:
    """Return a document's properties; a component keeps an empty ``$metadata``, which marks it."""
    kept: Document = {}
    for name, value in bag.items():
        if name.startswith("$"):
            continue
        if isinstance(value, Mapping):
            inner = _without_bookkeeping(value)
            kept[name] = {"$metadata": {}, **inner} if "$metadata" in value else inner
        else:
            kept[name] = value
    return kept


def _foreign(desired: DesiredGraph, observed: TwinGraph) -> Iterator[str]:
    owns = desired.owner.owns_twin
    for id_ in desired.twins.keys() & observed.twin_ids:
        document = observed.twin(id_)
        if document is not None and not owns(document):
            yield id_


_Managed = tuple[tuple[str, ...], tuple[Path, ...]]
"""What the inventory has the say over: names at the root, and paths to what is inside something."""


def _managed_by_model(desired: DesiredGraph) -> dict[str, _Managed]:
    """Return what is managed of each model; the owner's mark is always in it."""
    managed = {}
    for model, owned in desired.ownership.items():
        paths = {desired.owner.marker: None}
        paths |= {path: None for path, by in owned.items() if by is Ownership.MANAGED}
        names = tuple(path[0] for path in paths if len(path) == 1)
        managed[model] = (names, tuple(path for path in paths if len(path) > 1))
    return managed


def _as_wanted(twin: Twin, document: Document, managed: _Managed) -> bool:
    """Tell whether an existing twin is as wanted, without saying what is not."""
    model = model_of(document)
    if model != twin.model and not _is_model(model, twin.model):
        return False
    properties = twin.properties
    names, paths = managed
    for name in names:
        before, after = document.get(name), properties.get(name)
        if before is after or (type(before) is str and before == after):
            continue
        if not same(before, after):
            return False
    for path in paths:
        before, after = value_at(document, path), value_at(properties, path)
        if before is not after and not same(before, after):
            return False
    return True


def _wanted_twins(
    desired: DesiredGraph, observed: TwinGraph, foreign: set[str]
) -> Iterator[Change]:
    """Yield the changes of twins that are wanted; note in ``foreign`` which are not ours."""
    managed = _managed_by_model(desired)
    for id_, twin in desired.twins.items():
        document = observed.twin(id_)
        if document is None:
            yield Change(Action.CREATE, twin=twin)
        elif _as_wanted(twin, document, managed[twin.model]):
            continue
        elif not desired.owner.owns_twin(document):
            foreign.add(id_)
        elif id_ not in desired.placeholders:
            edits = twin_edits(desired, twin, document)
            if edits:
                named = Twin(id_, twin.model, etag=document.get("$etag") or "")
                yield Change(Action.UPDATE, twin=named, edits=edits)


def _unwanted_twins(desired: DesiredGraph, observed: TwinGraph) -> Iterator[Change]:
    for id_ in observed.twin_ids - desired.twins.keys() - desired.held:
        document = observed.twin(id_)
        if document is not None and desired.owner.owns_twin(document):
            yield deletion_of_twin(document)


def _wanted_edges(
    desired: DesiredGraph, observed: TwinGraph, foreign: set[str]
) -> Iterator[Change]:
    managed = {name: sorted(of) for name, of in desired.relationship_properties.items()}
    for key, edge in desired.relationships.items():
        if foreign and (edge.source in foreign or edge.target in foreign):
            continue
        document = observed.relationship(*key)
        if document is None:
            yield Change(Action.CREATE, relationship=edge)
        elif document["$targetId"] != edge.target or document["$relationshipName"] != edge.name:
            # The service cannot move an edge's end.
            yield deletion_of_edge(document)
            yield Change(Action.CREATE, relationship=edge)
        elif (names := managed.get(edge.name)) and (edits := _edge_edits(names, edge, document)):
            named = Relationship(
                edge.id, edge.source, edge.name, edge.target, etag=document.get("$etag") or ""
            )
            yield Change(Action.UPDATE, relationship=named, edits=edits)


def _unwanted_edges(desired: DesiredGraph, observed: TwinGraph) -> Iterator[Change]:
    unwanted = observed.relationship_keys - desired.relationships.keys()
    for key in unwanted - desired.held_relationships:
        document = observed.relationship(*key)
        if document is None or not desired.owner.owns_relationship(document):
            continue
        if desired.held.isdisjoint((document["$sourceId"], document["$targetId"])):
            yield deletion_of_edge(document)


def _edge_edits(names: Iterable[str], edge: Relationship, document: Document) -> tuple[Edit, ...]:
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
