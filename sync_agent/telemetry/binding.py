"""Which twin property a reported metric belongs to, and which of its values mean "no value".

Bindings are declared in TOML::

    [[binding]]
    model = "dtmi:telecom:transport:MicrowaveLink;1"   # and every model that extends it
    metric = "rsl_dbm"
    when = { channel = "near-far" }                    # labels the sample must carry
    property = "rslAtoZDbm"
    missing = [-99.9]                                  # values the source writes for "no reading"
    scale = 1.0                                        # multiplies numbers

A metric that no binding names goes to the property of its own name, if the model has one. Of
several bindings that fit, the one with the most labels wins, then one whose property the model
has, then one for this very model, then the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from sync_agent.dtdl.elements import Property
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.values import check_value
from sync_agent.telemetry.sample import Sample
from sync_agent.toml_file.reader import read_toml
from sync_agent.twins.twin import JsonValue


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule: this metric, under these labels, of this model, is that property."""

    model: str
    metric: str
    property: str
    when: dict[str, str] = {}
    missing: tuple[JsonValue, ...] = ()
    scale: float = 1.0

    def fits(self, sample: Sample) -> bool:
        """Tell whether the sample carries the labels this binding asks for."""
        return all(sample.labels.get(name) == value for name, value in self.when.items())


class _File(msgspec.Struct, forbid_unknown_fields=True):
    binding: list[Binding] = []


def parse_bindings(text: str, *, place: str) -> tuple[Binding, ...]:
    """Read bindings from TOML.

    Raises:
        InputError: it is no TOML, or has a key or a type that bindings do not have.
    """
    remedy = "docs/telemetry.md shows the form of a bindings file"
    return tuple(read_toml(text, _File, place=place, remedy=remedy).binding)


@dataclass(frozen=True, slots=True)
class Bound:
    """A sample in terms of its twin: readings by property name, and what could not be used.

    ``missing`` are metrics that held no value; ``unknown`` have neither a binding nor a property;
    ``invalid`` says of each refused value why the model does not allow it.
    """

    element: str
    time_ms: int
    readings: Mapping[str, JsonValue]
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()


class Binder:
    """Binds samples for one set of models; what a metric means for a model is looked up once."""

    def __init__(self, bindings: tuple[Binding, ...], registry: ModelRegistry) -> None:
        self._bindings = bindings
        self._registry = registry
        self._rules: dict[tuple[str, str], tuple[Binding, ...]] = {}
        self._properties: dict[str, Mapping[str, Property]] = {}

    def knows(self, model: str) -> bool:
        """Tell whether the model is one of the set."""
        return model in self._registry

    def bind(self, sample: Sample, model: str) -> Bound:
        """Return what the sample means for a twin of ``model``."""
        readings: dict[str, JsonValue] = {}
        missing, unknown, invalid = [], [], []
        properties = self._properties_of(model)
        for metric, value in sample.values.items():
            rule = self._rule(sample, model, metric)
            name = rule.property if rule else metric
            target = properties.get(name)
            if target is None:
                unknown.append(metric)
            elif value is None or value == "" or (rule and value in rule.missing):
                missing.append(metric)
            else:
                reading = _scaled(value, rule.scale if rule else 1.0)
                fault = check_value(target.schema, reading)
                if fault is None:
                    readings[name] = reading
                else:
                    invalid.append(f"{metric}: {fault}")
        return Bound(
            sample.element,
            sample.time_ms,
            readings,
            tuple(missing),
            tuple(unknown),
            tuple(invalid),
        )

    def _rule(self, sample: Sample, model: str, metric: str) -> Binding | None:
        key = (model, metric)
        rules = self._rules.get(key)
        if rules is None:
            mine = (
                binding
                for binding in self._bindings
                if binding.metric == metric and self._registry.is_of_model(model, binding.model)
            )
            properties = self._properties_of(model)
            # A binding of an earlier version fits too, by IS_OF_MODEL, but may name what is gone.
            rules = tuple(
                sorted(
                    mine,
                    key=lambda binding: (
                        -len(binding.when),
                        binding.property not in properties,
                        binding.model != model,
                    ),
                )
            )
            self._rules[key] = rules
        return next((rule for rule in rules if rule.fits(sample)), None)

    def _properties_of(self, model: str) -> Mapping[str, Property]:
        if model not in self._properties:
            contents = self._registry.contents(model) if model in self._registry else {}
            self._properties[model] = {
                name: content for name, content in contents.items() if isinstance(content, Property)
            }
        return self._properties[model]


def _scaled(value: JsonValue, scale: float) -> JsonValue:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value * scale if is_number and scale != 1.0 else value
