"""What holds a change back although inventory and twins differ, each with its reason.

- A deletion waits out its grace: the element has a tombstone with a time of its own, which nothing
  but the element's return takes away. An edit of the twin does not restart it.
- A deletion of a model that is never to be deleted does not come into a plan; the relationships the
  twin has itself stay with it.
- A twin that is paused (``tags.syncPaused``) is left as it is, with its own relationships.
- A difference that a person accepted stays until the inventory itself says something new.

Everything else about what may be deleted is decided where the plan is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import structs

from sync_agent.inventory.paths import Path, value_at
from sync_agent.reconcile.change import Action, Change, Edit, moves, same
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.time import format_time_ms
from sync_agent.twins.twin import JsonValue

PAUSE_MARK: Path = ("tags", "syncPaused")
WHOLE: Path = ()
"""The place of an accepted difference that is about the whole element: it is gone."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A difference somebody accepted: what stands on the twin, and what the inventory says."""

    actual: JsonValue
    wanted: JsonValue

    def covers(self, edit: Edit) -> bool:
        """Tell whether an edit would undo just this difference."""
        return same(edit.before, self.actual) and same(edit.after, self.wanted)


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What a plan has to heed beside inventory and twins.

    ``absent_since`` has the tombstones: elements by id (``source/relationship id`` for
    relationships) and since when they are not in the inventory. ``never_delete`` are models, with
    or without their version. ``accepted`` are accepted differences by element and path.
    """

    now_ms: int = 0
    grace_ms: int = 0
    absent_since: Mapping[str, int] = field(default_factory=dict)
    never_delete: frozenset[str] = frozenset()
    accepted: Mapping[str, Mapping[Path, Accepted]] = field(default_factory=dict)


@dataclass(slots=True)
class HeldBack:
    """The changes that go on, and those that do not, by reason."""

    changes: list[Change] = field(default_factory=list)
    reasons: dict[str, list[Change]] = field(default_factory=dict)

    def hold(self, reason: str, change: Change) -> None:
        """Note a change that does not go on."""
        self.reasons.setdefault(reason, []).append(change)


def hold_paused(changes: Sequence[Change], observed: TwinGraph) -> HeldBack:
    """Hold back edits and deletions of paused twins, and all changes of their relationships."""
    result = HeldBack()
    for change in changes:
        twin = observed.twin(change.twins[0])
        if twin is not None and value_at(twin, PAUSE_MARK) not in (None, "", "false", False):
            result.hold(f"paused by {'.'.join(PAUSE_MARK)}", change)
        else:
            result.changes.append(change)
    return result


def hold_accepted(changes: Sequence[Change], rules: PlanRules) -> HeldBack:
    """Hold back what would undo a difference that was accepted."""
    result = HeldBack()
    moving = moves(changes)
    missing: set[str] = set()
    for change in changes:  # twins come before relationships
        accepted = rules.accepted.get(change.element)
        comes = change.action is Action.CREATE
        if comes and not missing.isdisjoint(change.twins):
            result.hold("the deletion of its end was accepted", change)
        elif not accepted:
            result.changes.append(change)
        elif WHOLE in accepted and (comes or change.element in moving):
            if change.twin is not None:
                missing.add(change.element)
            result.hold("accepted as it is", change)
        else:
            left = tuple(
                edit
                for edit in change.edits
                if edit.path not in accepted or not accepted[edit.path].covers(edit)
            )
            if len(left) < len(change.edits):
                result.hold("accepted as it is", structs.replace(change, edits=()))
            if left or not change.edits:
                result.changes.append(structs.replace(change, edits=left))
    return result


def hold_deletions(changes: Sequence[Change], rules: PlanRules) -> HeldBack:
    """Hold back deletions that are forbidden or whose grace is not over.

    A relationship whose end moves is no deletion.
    """
    moving = moves(changes)
    result = HeldBack()
    kept: set[str] = set()
    for change in changes:  # twins come before relationships
        if change.action is not Action.DELETE or change.element in moving:
            result.changes.append(change)
        elif change.twin is not None and _named(change.kind, rules.never_delete):
            kept.add(change.element)
            result.hold("its model is never deleted (guards.never_delete)", change)
        elif change.twins[0] in kept:
            result.hold("its twin is never deleted (guards.never_delete)", change)
        elif (due_ms := _due_ms(change, rules)) > rules.now_ms:
            result.hold(f"absent, to be deleted from {format_time_ms(due_ms)} on", change)
        else:
            result.changes.append(change)
    return result


def _due_ms(change: Change, rules: PlanRules) -> int:
    return rules.absent_since.get(change.element, rules.now_ms) + rules.grace_ms


def _named(model: str, names: frozenset[str]) -> bool:
    return model in names or model.partition(";")[0] in names
