"""What rules name that their models do not have: a misspelt rename would drop the value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sync_agent.dtdl.elements import Relationship
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.migration.rules import Pair
from sync_agent.migration.step import properties_of


def misnamed(pair: Pair, registry: ModelRegistry) -> tuple[str, ...]:
    """Return a sentence for each such name; both models must be in the registry."""
    rules = pair.rules
    before, after = _properties(registry, pair.old), _properties(registry, pair.new)
    kept = [name for name in rules.relationships.values() if name]
    return (
        *_missing("rename", rules.rename, before, f"no property of {pair.old}"),
        *_missing("rename", rules.rename.values(), after, f"no property of {pair.new}"),
        *_missing("convert", rules.convert, after, f"no property of {pair.new}"),
        *_missing("set", rules.set, after, f"no property of {pair.new}"),
        *_missing(
            "relationships",
            rules.relationships,
            _relationships(registry, pair.old),
            f"no relationship of {pair.old}",
        ),
        *_missing(
            "relationships",
            kept,
            _relationships(registry, pair.new),
            f"no relationship of {pair.new}",
        ),
    )


def _missing(table: str, names: Iterable[str], known: set[str], what: str) -> Iterator[str]:
    yield from (f"{table}: {name} is {what}" for name in names if name not in known)


def _properties(registry: ModelRegistry, model: str) -> set[str]:
    return {".".join(path) for path, _ in properties_of(registry, model)}


def _relationships(registry: ModelRegistry, model: str) -> set[str]:
    contents = registry.contents(model).items()
    return {name for name, content in contents if isinstance(content, Relationship)}
