"""What two versions of a model mean for the twins there are: compatible, migratable or breaking.

Compatible: a twin that is valid for the old one is valid for the new one as it stands. Migratable:
its document has to change, and how follows from the models (a removed property goes, a new
component comes, a value takes another form). Breaking: somebody has to decide, with a rule or by
giving something up. Inherited contents count as the model's own. Texts, ``writable`` and telemetry,
which is not stored, change nothing about twins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from sync_agent.dtdl.dtmi import path_of
from sync_agent.dtdl.elements import (
    Command,
    Component,
    Content,
    Property,
    Relationship,
    Telemetry,
)
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.schema_change import Fit, fit_of
from sync_agent.dtdl.values import schema_name


class Verdict(IntEnum):
    """How much a change asks of the twins; the worst of several changes counts."""

    COMPATIBLE = 0
    MIGRATABLE = 1
    BREAKING = 2

    @property
    def word(self) -> str:
        """Return the verdict as people write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: ``path`` is the content's name, dotted inside a component or relationship.

    ``change`` is ``added``, ``removed`` or ``changed``.
    """

    path: str
    change: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences between two versions, in the order of names."""

    old: str
    new: str
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict; compatible when there is no difference."""
        return max((d.verdict for d in self.differences), default=Verdict.COMPATIBLE)


def compare(old_models: ModelRegistry, old: str, new_models: ModelRegistry, new: str) -> Comparison:
    """Compare a model of one registry with a model of another (or of the same).

    Raises:
        ModelError: a registry lacks its model.
    """
    differences = [
        *_supertypes(old_models, old, new_models, new),
        *_contents(_Pair(old_models, new_models), old, new, ""),
    ]
    return Comparison(old, new, tuple(differences))


@dataclass(frozen=True, slots=True)
class _Pair:
    old: ModelRegistry
    new: ModelRegistry


def _supertypes(
    old_models: ModelRegistry, old: str, new_models: ModelRegistry, new: str
) -> Iterator[Difference]:
    """Yield what a twin no longer is: queries and relationship targets rely on it."""
    for model in old_models.ancestors(old):
        if not new_models.is_of_model(new, model):
            reason = f"a twin would no longer be of model {model}"
            yield Difference("extends", "removed", Verdict.BREAKING, reason)
    known = {path_of(model) for model in old_models.ancestors(old)}
    for model in new_models.ancestors(new):
        if path_of(model) not in known:
            yield Difference("extends", "added", Verdict.COMPATIBLE, f"it is of model {model}, too")


def _contents(models: _Pair, old: str, new: str, prefix: str) -> Iterator[Difference]:
    before, after = models.old.contents(old), models.new.contents(new)
    for name in sorted(before.keys() | after.keys()):
        path = f"{prefix}{name}"
        was, is_now = before.get(name), after.get(name)
        if was is None and is_now is not None:
            yield _added(path, is_now)
        elif was is not None and is_now is None:
            yield _removed(path, was)
        elif was is not None and is_now is not None:
            yield from _changed(models, path, was, is_now)


def _added(path: str, content: Content) -> Difference:
    if isinstance(content, Component):
        return Difference(path, "added", Verdict.MIGRATABLE, "every twin gets an empty component")
    kind = type(content).__name__.lower()
    return Difference(path, "added", Verdict.COMPATIBLE, f"the {kind} is optional")


def _removed(path: str, content: Content) -> Difference:
    match content:
        case Property() | Component():
            reason = "its values go from the twins"
            return Difference(path, "removed", Verdict.MIGRATABLE, reason)
        case Relationship():
            reason = "relationships of that name could not stay"
            return Difference(path, "removed", Verdict.BREAKING, reason)
        case Telemetry() | Command():
            kind = type(content).__name__.lower()
            return Difference(path, "removed", Verdict.COMPATIBLE, f"a {kind} is not stored")


def _changed(models: _Pair, path: str, was: Content, is_now: Content) -> Iterator[Difference]:
    match was, is_now:
        case (Property(), Property()):
            yield from _property(path, was, is_now)
        case (Relationship(), Relationship()):
            yield from _relationship(models, path, was, is_now)
        case (Component(), Component()):
            if models.old.complete(was.schema) and models.new.complete(is_now.schema):
                yield from _contents(models, was.schema, is_now.schema, f"{path}.")
        case (Telemetry(), Telemetry()) | (Command(), Command()):
            return
        case _:
            one, other = type(was).__name__.lower(), type(is_now).__name__.lower()
            reason = f"was a {one} and is a {other}"
            gone = isinstance(was, Relationship)
            verdict = Verdict.BREAKING if gone else Verdict.MIGRATABLE
            if isinstance(was, (Telemetry, Command)) and not isinstance(is_now, Component):
                verdict = Verdict.COMPATIBLE
            yield Difference(path, "changed", verdict, reason)


def _property(path: str, was: Property, is_now: Property) -> Iterator[Difference]:
    if was.unit != is_now.unit:
        reason = f"its unit was {was.unit or 'not given'} and is {is_now.unit or 'not given'}"
        yield Difference(path, "changed", Verdict.BREAKING, reason)
    fit, detail = fit_of(was.schema, is_now.schema)
    if fit is Fit.SAME:
        return
    reason = f"was {schema_name(was.schema)} and is {schema_name(is_now.schema)}: {detail}"
    verdict = {
        Fit.WIDER: Verdict.COMPATIBLE,
        Fit.CONVERTIBLE: Verdict.MIGRATABLE,
        Fit.FOREIGN: Verdict.BREAKING,
    }[fit]
    yield Difference(path, "changed", verdict, reason)


def _relationship(
    models: _Pair, path: str, was: Relationship, is_now: Relationship
) -> Iterator[Difference]:
    if is_now.target and not _covers(models.old, was.target, is_now.target):
        reason = f"its target was {was.target or 'anything'} and is {is_now.target}"
        yield Difference(path, "changed", Verdict.BREAKING, reason)
    elif was.target != is_now.target:
        reason = f"its target is wider: {is_now.target or 'anything'}"
        yield Difference(path, "changed", Verdict.COMPATIBLE, reason)
    limit = is_now.max_multiplicity
    if limit is not None and (was.max_multiplicity is None or was.max_multiplicity > limit):
        reason = f"a twin may have at most {limit} of it"
        yield Difference(path, "changed", Verdict.BREAKING, reason)
    yield from _edge_properties(path, was.properties, is_now.properties)


def _edge_properties(
    path: str, before: Mapping[str, Property], after: Mapping[str, Property]
) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        was, is_now = before.get(name), after.get(name)
        if was is None and is_now is not None:
            yield _added(f"{path}.{name}", is_now)
        elif was is not None and is_now is None:
            yield _removed(f"{path}.{name}", was)
        elif was is not None and is_now is not None:
            yield from _property(f"{path}.{name}", was, is_now)


def _covers(old_models: ModelRegistry, was: str, is_now: str) -> bool:
    """Tell whether every twin the old target allowed is allowed by the new one."""
    return bool(was) and (was == is_now or old_models.is_of_model(was, is_now))
