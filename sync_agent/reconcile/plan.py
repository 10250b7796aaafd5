"""A plan: the changes in the order they can be made, and what is left alone and why. A value.

Deletions get into a plan in one way only: the scopes an element comes from were all read to their
end, and nothing is left that holds on to it. What stays out for such a reason is a warning.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from sync_agent.errors import InputError
from sync_agent.inventory.desired import DesiredGraph
from sync_agent.inventory.owner import Owner
from sync_agent.inventory.paths import value_at
from sync_agent.inventory.record import Coverage, complete_scopes
from sync_agent.reconcile.change import Action, Change, moves, same
from sync_agent.reconcile.diff import diff, foreign_twins
from sync_agent.reconcile.rules import (
    HeldBack,
    PlanRules,
    hold_accepted,
    hold_deletions,
    hold_paused,
)
from sync_agent.twins.graph import TwinGraph
from sync_agent.twins.twin import key_of, model_of

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done to the twins, in order.

    ``managed`` is how many twins and relationships the owner has before, ``managed_of`` how many of
    each model and relationship name; ``records`` and ``digest`` say what the source gave when the
    plan was made. ``foreign`` are the ids of twins that are in the way and belong to others,
    ``absent`` the elements the inventory no longer has, deleted by this plan or not yet, ``left``
    those that differ and are left as they are by a rule.
    """

    owner: Owner
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()
    managed: int = 0
    records: int = 0
    digest: str = ""
    managed_of: Mapping[str, int] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def counts(self) -> Mapping[Action, int]:
        """Return how many changes there are of each action."""
        counted = Counter(change.action for change in self.changes)
        return {action: counted[action] for action in Action}

    def deletions(self) -> int:
        """Return how many twins and relationships go for good.

        An edge whose end moves is deleted and made anew; that is no deletion.
        """
        return self.deletions_of().total()

    def deletions_of(self) -> Counter[str]:
        """Return how many go for good of each model and relationship name."""
        moving = moves(self.changes)
        return Counter(
            c.kind for c in self.changes if c.action is Action.DELETE and c.element not in moving
        )

    def edits_of(self) -> Counter[str]:
        """Return how many existing twins and relationships are edited, by model and name."""
        return Counter(c.kind for c in self.changes if c.action is Action.UPDATE)

    def without_deletions(self, reason: str) -> Plan:
        """Return the plan that does the rest: nothing goes, and what hangs on that stays as it is.

        A relationship whose end moves still moves.
        """
        moving = moves(self.changes)
        kept = tuple(
            c for c in self.changes if c.action is not Action.DELETE or c.element in moving
        )
        left = len(self.changes) - len(kept)
        warning = f"{left} deletions left out: {reason}"
        return replace(self, changes=kept, warnings=(*self.warnings, warning))

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values; ``from_json`` reads it back."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Plan:
        """Read a plan back.

        Raises:
            InputError: it is no plan.
        """
        try:
            return msgspec.convert(document, cls)
        except msgspec.ValidationError as error:
            raise InputError(f"this is no plan: {error}", remedy="make a new plan") from error


def make_plan(
    desired: DesiredGraph,
    observed: TwinGraph,
    coverage: Iterable[Coverage],
    *,
    records: int,
    digest: str = "",
    rules: PlanRules | None = None,
) -> Plan:
    """Return the plan that brings what was observed in line with what is desired.

    Deletions outside complete coverage, and of twins that others' relationships hold, are left out,
    and so is what ``rules`` hold back.
    """
    heeded = rules or PlanRules()
    stated = tuple(coverage)
    warnings = [f"{len(desired.held)} element(s) with faulty input are left as they are"] * bool(
        desired.held
    )
    foreign = foreign_twins(desired, observed)
    warnings += _foreign_warnings(desired.owner, foreign)
    warnings += _observed_warnings(desired, observed)
    covered = _within_coverage(desired, diff(desired, observed), stated)
    changes = covered.changes
    absent = _absent(changes)
    paused = hold_paused(changes, observed)
    accepted = hold_accepted(paused.changes, heeded)
    waiting = hold_deletions(accepted.changes, heeded)
    for held in (paused, accepted, waiting):
        warnings += _held_warnings(held)
    left = {
        change.element
        for held in (covered, paused, accepted, waiting)
        for of in held.reasons.values()
        for change in of
    }
    changes, holding = _unheld(waiting.changes, observed)
    managed = managed_by(desired.owner, observed)
    return Plan(
        owner=desired.owner,
        changes=in_order(changes),
        warnings=(*warnings, *_coverage_warnings(covered), *holding),
        managed=managed.total(),
        records=records,
        digest=digest,
        managed_of=dict(sorted(managed.items())),
        foreign=foreign,
        absent=absent,
        left=tuple(sorted(left)),
    )


def managed_by(owner: Owner, observed: TwinGraph) -> Counter[str]:
    """Return how many twins of each model, and relationships of each name, are the owner's."""
    managed = Counter(model_of(twin) for twin in observed.twins() if owner.owns_twin(twin))
    managed.update(
        edge["$relationshipName"]
        for edge in observed.relationships()
        if owner.owns_relationship(edge)
    )
    return managed


def _absent(changes: Sequence[Change]) -> tuple[str, ...]:
    moving = moves(changes)
    return tuple(
        c.element for c in changes if c.action is Action.DELETE and c.element not in moving
    )


def _held_warnings(held: HeldBack) -> list[str]:
    return [f"{_listed(changes)} left as is: {why}" for why, changes in held.reasons.items()]


def _coverage_warnings(held: HeldBack) -> list[str]:
    return [f"{_listed(changes)} not deleted: {why}" for why, changes in held.reasons.items()]


def in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return changes in an order in which they can be made."""
    return tuple(sorted(changes, key=_phase))


def phases(changes: Sequence[Change]) -> tuple[tuple[Change, ...], ...]:
    """Return ordered changes in groups: those of one group do not depend on each other."""
    groups: dict[int, list[Change]] = defaultdict(list)
    for change in changes:
        groups[_phase(change)].append(change)
    return tuple(tuple(groups[number]) for number in sorted(groups))


_TWIN_PHASES = {Action.CREATE: 0, Action.UPDATE: 1, Action.DELETE: 5}
_EDGE_PHASES = {Action.DELETE: 2, Action.CREATE: 3, Action.UPDATE: 4}


def _phase(change: Change) -> int:
    """Return when a change can be made: twins first, edges between, twins that go last."""
    return (_EDGE_PHASES if change.twin is None else _TWIN_PHASES)[change.action]


def _within_coverage(
    desired: DesiredGraph, changes: Sequence[Change], coverage: Sequence[Coverage]
) -> HeldBack:
    """Hold back deletions that an incompletely read scope might contradict."""
    if not any(change.action is Action.DELETE for change in changes):
        return HeldBack(list(changes))
    complete = complete_scopes(coverage)
    reasons = {c.scope: c.reason for c in coverage if not c.complete}
    retargeted = {c.element for c in changes if c.action is Action.CREATE}
    result = HeldBack()
    for change in changes:
        if change.action is not Action.DELETE:
            result.changes.append(change)
            continue
        scopes = desired.twin_scopes if change.twin else desired.relationship_scopes
        of = scopes.get(change.kind, frozenset())
        named = change.element in retargeted or change.element in desired.gone
        said = named or not desired.gone.isdisjoint(change.twins)
        if said:
            result.changes.append(change)
        elif not of:
            result.hold(f"no rule of the mapping speaks of {change.kind}", change)
        elif gaps := sorted(of - complete):
            gap = gaps[0]
            result.hold(f"{gap} was not read whole ({reasons.get(gap) or 'not read'})", change)
        else:
            result.changes.append(change)
    return result


def _unheld(changes: list[Change], observed: TwinGraph) -> tuple[list[Change], list[str]]:
    """Leave out deletions of twins that keep a relationship: the service would refuse them."""
    going = {
        c.edge.key for c in changes if c.relationship is not None and c.action is Action.DELETE
    }
    coming = {
        end for c in changes if c.relationship and c.action is Action.CREATE for end in c.twins
    }
    stay: list[Change] = []
    held: list[Change] = []
    for change in changes:
        if change.twin is None or change.action is not Action.DELETE:
            stay.append(change)
            continue
        id_ = change.twin.id
        edges = (*observed.outgoing(id_), *observed.incoming(id_))
        left = [edge for edge in edges if key_of(edge) not in going]
        (held if left or id_ in coming else stay).append(change)
    return stay, [f"{_listed(held)} not deleted: relationships that stay hold on"] * bool(held)


def _foreign_warnings(owner: Owner, foreign: Sequence[str]) -> list[str]:
    if not foreign:
        return []
    marker = ".".join(owner.marker)
    what = "a twin of that id is there and is not ours, so it is left alone"
    how = f"set its {marker} to {owner.name!r} to hand it over"
    return [f"{_names(foreign)}: {what} ({how})"]


def _observed_warnings(desired: DesiredGraph, observed: TwinGraph) -> list[str]:
    warnings = []
    for id_ in sorted(desired.observed):
        document = observed.twin(id_)
        if document is None or id_ not in desired.twins:
            continue
        for path, value in sorted(desired.observed[id_].items()):
            now = value_at(document, path)
            if not same(now, value):
                name = ".".join(path)
                warnings.append(f"{id_}.{name} is {now!r}, the inventory has {value!r} (observed)")
    return warnings


def _listed(changes: Sequence[Change]) -> str:
    return _names([change.element for change in changes])


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
