"""Taking a step back: the step in the other direction, with the very values that stood there.

What somebody changed since (telemetry, an operator) is kept, in the form the old model has for it;
what is as the migration left it gets the value it had before. A step that was cut off may have
taken relationships away and put none in their place; those come back, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace

from msgspec import structs

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.migration.edges import EdgeWrite
from sync_agent.migration.rules import Conversion, Pair, Rules
from sync_agent.migration.step import Step, Target
from sync_agent.twins.twin import Document, Relationship


def undo_step(
    pair: Pair,
    registry: ModelRegistry,
    done: Step,
    document: Document,
    edges: Iterable[Relationship] = (),
    *,
    finished: bool = True,
) -> Step:
    """Return the step that takes a twin back to the model it had before ``done``.

    ``finished`` tells whether all of ``done`` was made; one that was not may have been cut off
    anywhere.

    Raises:
        CannotMigrateError: it holds values now that the old model has no room for.
    """
    back = Pair(pair.new, pair.old, _rules(pair.rules, done))
    step = Target(back, registry).step(document, edges)
    settled = {write.edge.key for write in step.after if write.action == "put"}
    if finished:  # a renamed relationship that is not there any more was deleted by somebody
        settled |= {write.edge.key for write in done.after if write.action == "put"}
    return replace(step, after=(*step.after, *_edges_again(done, settled)))


def undo_edges(done: Step, document: Document) -> Step:
    """Return the step for a twin that never left its old model, though ``done`` was begun."""
    again = tuple(_edges_again(done, set()))
    return Step(done.twin, document.get("$etag") or "", patch=(), touched=(), after=again)


def _rules(rules: Rules, done: Step) -> Rules:
    """Return rules under which every value the step replaced comes back."""
    source_of = {new: old for old, new in rules.rename.items()}
    after = {item.name: item.after for item in done.touched if item.after is not None}
    before = {item.name: item.before for item in done.touched if item.before is not None}
    convert = {}
    for name, value in before.items():
        now = after.get(rules.rename.get(name, name))
        if now is not None:
            convert[name] = _inverse(rules, rules.rename.get(name, name), {str(now): value})
    gone = {n: v for n, v in before.items() if n not in convert}
    relationships = {new: old for old, new in rules.relationships.items() if new}
    return Rules(source_of, convert, gone, relationships)


def _inverse(rules: Rules, name: str, values: dict[str, object]) -> Conversion:
    forward = rules.convert.get(name, Conversion())
    known = {str(new): old for old, new in forward.values.items()} | values
    scale = 1.0 / forward.scale if forward.scale else 1.0
    return Conversion(known, scale, -forward.offset * scale)


def _edges_again(done: Step, settled: AbstractSet[tuple[str, str]]) -> Iterator[EdgeWrite]:
    """Yield the writes that bring back what the step took from relationships, or took away."""
    for write in done.before:
        if write.action == "delete" and write.edge.key not in settled:
            yield EdgeWrite("put", structs.replace(write.edge, etag=""))
        elif write.action == "patch":
            values = [
                {"op": "add", "path": operation["path"], "value": write.edge.properties[name]}
                for operation in write.patch
                if (name := str(operation["path"])[1:]) in write.edge.properties
            ]
            yield EdgeWrite("patch", write.edge, tuple(values))
