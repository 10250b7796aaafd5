"""Rules: a relationship of this name, from such a twin to such a twin, implies ``dependsOn``.

Declared in TOML::

    [[rule]]
    name = "power"                                       # the group that what it derives is in
    relationship = "poweredBy"
    model = "dtmi:telecom:core:PhysicalResource;1"       # of the twin it starts at, or extends this
    target = "dtmi:telecom:power:PowerElement;1"         # of the twin it ends at; any when left out
    dependent = "source"                                 # which end depends on the other
    protection = "redundant"                             # series | redundant | partial | none
    min_required = 1                                     # of the group's members
    because = "an A and a B feed stand in for each other"

Instead of ``min_required`` a redundant rule may say ``tolerates`` (how many members may fail) or
``min_required_property`` (a property of the dependent twin that has the number). ``none`` says that
a relationship implies nothing, so that a person sees it was thought of. The first rule that fits a
relationship counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from sync_agent.dtdl.elements import Property, Relationship
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import InputError
from sync_agent.toml_file.reader import read_toml

RULES_MAX = 1000
REMEDY = "docs/dependencies.md shows the form of a rules file"


class Protection(StrEnum):
    """How much an element needs what it depends on; the values are the ontology's own.

    ``none`` is for rules only: no dependency.
    """

    SERIES = "series"  # it fails with it
    REDUNDANT = "redundant"  # it fails when fewer than the required members of the group work
    PARTIAL = "partial"  # each member that fails takes its share
    NONE = "none"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule; see the head of this module."""

    name: str
    relationship: str
    model: str
    protection: Protection
    because: str
    target: str = ""
    dependent: Literal["source", "target"] = "source"
    min_required: int | None = None
    tolerates: int | None = None
    min_required_property: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[Rule] = []


@dataclass(frozen=True, slots=True)
class DependencyRules:
    """The rules in force, in their order."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, text: str, *, place: str) -> DependencyRules:
        """Read rules from TOML.

        Raises:
            InputError: it is no TOML, has an unknown key or type, or a rule makes no sense.
        """
        rules = tuple(read_toml(text, _File, place=place, remedy=REMEDY).rule)
        if len(rules) > RULES_MAX:
            raise InputError(f"{len(rules)} rules; {RULES_MAX} are the most", place=place)
        for number, rule in enumerate(rules, start=1):
            for fault in _faults(rule):
                named = f"rule {number} ({rule.name}): {fault}"
                raise InputError(named, place=place, remedy=REMEDY)
        for name in _divided(rules):
            fault = f"rules named {name} differ in protection, dependent end or required number"
            raise InputError(fault, place=place, remedy="give them different names")
        return cls(rules)

    def check(self, registry: ModelRegistry) -> tuple[str, ...]:
        """Return a sentence for each thing a rule names that its models do not have."""
        return tuple(
            f"rule {number} ({rule.name}): {fault}"
            for number, rule in enumerate(self.rules, start=1)
            for fault in _unknown(rule, registry)
        )

    def idle(self, registry: ModelRegistry) -> tuple[str, ...]:
        """Return a sentence for each rule about a model that is not there: it does nothing."""
        return tuple(
            f"rule {number} ({rule.name}) is about {model}, which is not there"
            for number, rule in enumerate(self.rules, start=1)
            for model in (rule.model, rule.target)
            if model and model not in registry
        )

    def rule_for(
        self, registry: ModelRegistry, relationship: str, source_model: str, target_model: str
    ) -> Rule | None:
        """Return the first rule that fits a relationship between twins of these models, or None."""
        for rule in self.rules:
            if (
                rule.relationship == relationship
                and registry.is_of_model(source_model, rule.model)
                and (not rule.target or registry.is_of_model(target_model, rule.target))
            ):
                return rule
        return None


def _faults(rule: Rule) -> Iterator[str]:
    if not rule.name or not rule.relationship:
        yield "`name` and `relationship` must not be empty"
    numbers = (rule.min_required is not None, rule.tolerates is not None)
    if sum((*numbers, bool(rule.min_required_property))) > 1:
        yield "say one of `min_required`, `tolerates` and `min_required_property`"
    if any(numbers) and rule.protection in (Protection.SERIES, Protection.NONE):
        yield f"`min_required` and `tolerates` mean nothing with protection {rule.protection}"
    if rule.min_required_property and rule.protection is not Protection.REDUNDANT:
        yield "`min_required_property` is for protection redundant"
    if rule.min_required is not None and rule.min_required < 1:
        yield f"`min_required` must be at least 1, it is {rule.min_required}"
    if rule.tolerates is not None and rule.tolerates < 0:
        yield f"`tolerates` must not be negative, it is {rule.tolerates}"


def _divided(rules: tuple[Rule, ...]) -> Iterator[str]:
    """Yield the names of groups whose rules do not agree on what the group is."""
    first: dict[str, Rule] = {}
    for rule in rules:
        like = first.setdefault(rule.name, rule)
        if msgspec.structs.replace(
            rule, relationship="", model="", target="", because=""
        ) != msgspec.structs.replace(like, relationship="", model="", target="", because=""):
            yield rule.name


def _unknown(rule: Rule, registry: ModelRegistry) -> Iterator[str]:
    if rule.model not in registry:
        return
    below = [m for m in registry.ids if registry.is_of_model(m, rule.model)]
    if not any(isinstance(_content(registry, m, rule.relationship), Relationship) for m in below):
        yield f"no model that is a {rule.model} has a relationship {rule.relationship}"
    named = rule.min_required_property
    if named and not isinstance(_content(registry, rule.model, named), Property):
        yield f"{rule.model} has no property {named}"


def _content(registry: ModelRegistry, model: str, name: str) -> object:
    return registry.contents(model).get(name)
