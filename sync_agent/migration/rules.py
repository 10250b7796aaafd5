"""What a person says about a migration where the models leave it open.

TOML::

    [[migration]]
    from = "dtmi:telecom:transport:MicrowaveLink;1"
    to = "dtmi:telecom:transport:MicrowaveLink;2"
    accept = ["extends"]                   # breaking differences that are all right here

    [migration.rename]                     # old property = new property; a component's is dotted
    nominalRsl = "nominalRslDbm"

    [migration.convert.hopLength]          # by new property: number * scale + offset
    scale = 1000.0

    [migration.convert.adminState.values]  # by new property: old value = new value
    up = "inService"

    [migration.set]                        # by new property: the value of twins that have none
    vendor = "unknown"

    [migration.relationships]              # old name = new name; "" deletes such relationships
    feeds = "supplies"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from sync_agent.dtdl.compatibility import Comparison, Difference, Verdict
from sync_agent.dtdl.dtmi import is_dtmi
from sync_agent.errors import InputError
from sync_agent.toml_file.reader import read_toml
from sync_agent.twins.twin import JsonValue

REMEDY = "docs/model-lifecycle.md shows the form of a rules file"


class Conversion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a value changes: by a table of values, else (a number) by ``scale`` and ``offset``."""

    values: dict[str, JsonValue] = {}
    scale: float = 1.0
    offset: float = 0.0

    def of(self, value: JsonValue) -> JsonValue:
        """Return the new value; what the conversion does not speak of stays as it is."""
        if str(value) in self.values:
            return self.values[str(value)]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return value
        if self.scale == 1.0 and self.offset == 0.0:
            return value
        return value * self.scale + self.offset


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one pair of models; all empty when the models say everything."""

    rename: Mapping[str, str] = field(default_factory=dict)
    convert: Mapping[str, Conversion] = field(default_factory=dict)
    set: Mapping[str, JsonValue] = field(default_factory=dict)
    relationships: Mapping[str, str] = field(default_factory=dict)
    accept: frozenset[str] = frozenset()

    def settle(self, difference: Difference) -> bool:
        """Tell whether a difference needs no more words than the models and these rules have."""
        path = difference.path
        return (
            difference.verdict is not Verdict.BREAKING
            or path in self.accept
            or path in self.convert
            or path in self.rename
            or path in self.rename.values()
            or path in self.relationships
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """A model and the one its twins are to be of."""

    old: str
    new: str
    rules: Rules = Rules()


def unsettled(comparison: Comparison, rules: Rules) -> tuple[Difference, ...]:
    """Return the breaking differences nobody has decided about."""
    return tuple(d for d in comparison.differences if not rules.settle(d))


class _Migration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    old: str = msgspec.field(name="from")
    new: str = msgspec.field(name="to")
    rename: dict[str, str] = {}
    convert: dict[str, Conversion] = {}
    set: dict[str, JsonValue] = {}
    relationships: dict[str, str] = {}
    accept: list[str] = []


class _File(msgspec.Struct, forbid_unknown_fields=True):
    migration: list[_Migration]


def parse_rules(text: str, *, place: str) -> tuple[Pair, ...]:
    """Read pairs of models with their rules.

    Raises:
        InputError: it is no TOML, or has a key or a type that rules do not have.
    """
    read = read_toml(text, _File, place=place, remedy=REMEDY)
    for number, item in enumerate(read.migration):
        for key, model in (("from", item.old), ("to", item.new)):
            if not is_dtmi(model):
                message = f"{model!r} is not a model id"
                at = f"{place}: migration[{number}].{key}"
                raise InputError(message, place=at, remedy=REMEDY)
    return tuple(
        Pair(
            item.old,
            item.new,
            Rules(item.rename, item.convert, item.set, item.relationships, frozenset(item.accept)),
        )
        for item in read.migration
    )
