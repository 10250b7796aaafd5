"""Scoring profiles: which KPIs make up the health of a kind of element, and when a state changes.

Declared in TOML::

    [[profile]]
    model = "dtmi:telecom:transport:MicrowaveLink;1"   # and models that extend it, unless nearer
    version = "1"
    period_s = 60
    enter = { breaches = 2, of = 3 }
    leave = { clean = 3 }

    [[profile.kpi]]
    name = "fade"
    properties = ["rslAtoZDbm", "rslZtoADbm"]
    references = ["nominalRslAtoZDbm", "nominalRslZtoADbm"]
    good = 3
    degraded = 10
    critical = 20
    unit = "dB"

A profile that makes no sense is refused when it is read, with a sentence that says what to change.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import InputError
from sync_agent.health.kpi import Kpi
from sync_agent.toml_file.reader import read_toml

OF_MAX = 60
KPIS_MAX = 32


class Enter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A state gets worse when ``breaches`` of the last ``of`` periods breach."""

    breaches: int = 2
    of: int = 3


class Leave(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A state gets better after ``clean`` periods in a row that do not breach."""

    clean: int = 3


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one kind of element is scored; ``period_s`` is the granularity of its verdicts."""

    model: str
    kpi: tuple[Kpi, ...]
    version: str = "1"
    period_s: int = 60
    enter: Enter = Enter()
    leave: Leave = Leave()

    @property
    def period_ms(self) -> int:
        """Return the length of a period in milliseconds."""
        return self.period_s * 1000


class _File(msgspec.Struct, forbid_unknown_fields=True):
    profile: list[Profile] = []


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles in force, found by model."""

    profiles: tuple[Profile, ...] = ()

    @classmethod
    def parse(cls, text: str, *, place: str) -> Profiles:
        """Read profiles from TOML.

        Raises:
            InputError: it is no TOML, has an unknown key or type, or a profile makes no sense.
        """
        remedy = "docs/health.md shows the form of a profile"
        profiles = tuple(read_toml(text, _File, place=place, remedy=remedy).profile)
        for profile in profiles:
            for fault in _faults(profile):
                raise InputError(f"profile of {profile.model}: {fault}", place=place)
        return cls(profiles)

    def for_model(self, model: str, registry: ModelRegistry) -> Profile | None:
        """Return the profile of the model itself or of its nearest ancestor that has one."""
        by_model = {profile.model: profile for profile in self.profiles}
        if model not in registry:
            return by_model.get(model)
        return next((by_model[a] for a in registry.ancestors(model) if a in by_model), None)


def _faults(profile: Profile) -> list[str]:
    faults = []
    if not 1 <= len(profile.kpi) <= KPIS_MAX:
        faults.append(f"it needs 1 to {KPIS_MAX} KPIs, it has {len(profile.kpi)}")
    if profile.period_s < 1:
        faults.append("`period_s` must be at least 1")
    if not 1 <= profile.enter.breaches <= profile.enter.of <= OF_MAX:
        faults.append(f"`enter` needs 1 <= breaches <= of <= {OF_MAX}")
    if not 1 <= profile.leave.clean <= OF_MAX:
        faults.append(f"`leave.clean` must be 1 to {OF_MAX}")
    for kpi in profile.kpi:
        faults += [f"KPI {kpi.name}: {fault}" for fault in _kpi_faults(kpi)]
    return faults


def _kpi_faults(kpi: Kpi) -> list[str]:
    faults = []
    rising = kpi.good < kpi.degraded < kpi.critical
    if not rising and not kpi.good > kpi.degraded > kpi.critical:
        faults.append("`good`, `degraded`, `critical` must rise or fall strictly in that order")
    if not kpi.properties:
        faults.append("`properties` names no property")
    if kpi.references and len(kpi.references) != len(kpi.properties):
        faults.append("`references` needs one entry for each of `properties`")
    if kpi.weight <= 0:
        faults.append("`weight` must be above 0")
    if not 0 <= kpi.cap <= 1:
        faults.append("`cap` must be 0 to 1")
    if kpi.log and min(kpi.good, kpi.critical) <= 0:
        faults.append("limits on a log scale must be above 0")
    return faults
