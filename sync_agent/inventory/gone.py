"""What sources themselves said is gone: as good as a complete reading without it.

A source names elements by id or alias. A relationship has no name of its own in most sources, so
its last record says which it was, by the rules that made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sync_agent.inventory.owner import Owner
from sync_agent.inventory.record import Record
from sync_agent.inventory.rules import RelationshipRule


def gone_elements(names: Iterable[str], ids: Mapping[str, str]) -> Iterator[str]:
    """Yield the twins that names stand for; ``ids`` are those of elements by their names."""
    return (ids.get(name, name) for name in names)


def gone_relationships(
    rules: Iterable[RelationshipRule],
    records: Iterable[Record],
    ids: Mapping[str, str],
    owner: Owner,
) -> Iterator[str]:
    """Yield the relationships that records stood for, as changes name them (``SOURCE/ID``)."""
    by_scope: dict[str, list[RelationshipRule]] = {}
    for rule in rules:
        by_scope.setdefault(rule.scope, []).append(rule)
    for record in records:
        for rule in by_scope.get(record.kind, ()):
            if not all(condition.holds(record.attributes) for condition in rule.when):
                continue
            source, target = (
                rule.source.fill(record.attributes),
                rule.target.fill(record.attributes),
            )
            if source is None or target is None:
                continue
            target = ids.get(target, target)
            own = rule.id.fill(record.attributes) if rule.id else target
            if own is not None:
                relationship = owner.relationship_id(f"{rule.name}.{own}")
                yield f"{ids.get(source, source)}/{relationship}"
