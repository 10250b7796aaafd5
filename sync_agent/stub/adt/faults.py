"""What shall go wrong: a profile that a test or a person sets while the stub runs.

As TOML (``sync-agent stub --faults FILE``) or as JSON of the same form (``PUT /stub/faults``)::

    seed = 7                         # the same seed, the same requests: the same faults
    query_lag_s = 3.0                # queries see what was written this long ago
    relationship_lag_s = 0.5         # new twins cannot be related yet, nor parted ones deleted
    strict_limits = true             # the limits the service publishes

    [limits]                         # or limits of your own; what is left out has none
    patches = 50
    twin_writes = 2

    [capacity]                       # the most an instance may hold
    twins = 100

    [[fault]]
    kind = "status"                  # status, delay, reset-before, reset-after
    operations = ["DigitalTwins_Update"]   # names or quota classes ("patch"); all when left out
    twin = "L1"                      # only of this twin
    status = 503
    retry_after_s = 2
    probability = 0.1                # of each request
    skip = 3                         # let the first so many pass
    times = 5                        # then be gone

    [event_hubs]
    throttle_s = 2                   # senders are told the server is busy for so long
    detach_links = true              # every link is detached now
    drop_connections = true          # all connections end now
    reset_before = 1                 # that of the next sent batch ends before it is kept
    reset_after = 1                  # that of the next ends when it is kept, without an answer

``reset-before`` ends the connection before anything is done, ``reset-after`` when it is done and
committed: the client cannot tell which. Deciding is pure: chance comes from the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from sync_agent.errors import InputError
from sync_agent.stub.adt.capacity import Capacity
from sync_agent.stub.adt.operation import OPERATIONS, Operation, Quota
from sync_agent.stub.adt.quotas import RateLimits
from sync_agent.toml_file.reader import read_toml

FAULTS_MAX = 100
LAG_MAX_S = 10.0
DELAY_MAX_S = 600.0
REMEDY = "docs/stub.md shows the form of a fault profile"


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong; see the head of this module."""

    kind: Literal["status", "delay", "reset-before", "reset-after"]
    operations: tuple[str, ...] = ()
    twin: str = ""
    status: int = 503
    retry_after_s: float = 0
    delay_s: float = 0
    probability: float = 1.0
    skip: int = 0
    times: int | None = None

    def concerns(self, operation: Operation | None, twins: tuple[str, ...]) -> bool:
        """Tell whether a request is one it is about."""
        if self.twin and self.twin not in twins:
            return False
        if not self.operations:
            return True
        return operation is not None and (
            operation.name in self.operations or operation.quota.value in self.operations
        )


class EventHubFaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong on the event hubs, when the profile is set or with the next batches sent."""

    throttle_s: float = 0
    detach_links: bool = False
    drop_connections: bool = False
    reset_before: int = 0
    reset_after: int = 0


class FaultProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that shall go wrong; the default is nothing."""

    seed: int = 0
    query_lag_s: float = 0
    relationship_lag_s: float = 0
    strict_limits: bool = False
    limits: dict[str, float] = {}
    capacity: dict[str, int] = {}
    fault: tuple[Fault, ...] = ()
    event_hubs: EventHubFaults = EventHubFaults()

    @classmethod
    def parse(cls, text: str, *, place: str) -> FaultProfile:
        """Read a profile from TOML.

        Raises:
            InputError: it is no TOML, or makes no sense.
        """
        return _sound(read_toml(text, cls, place=place, remedy=REMEDY), place)

    @classmethod
    def of(cls, document: Any, *, place: str) -> FaultProfile:
        """Read a profile from its document.

        Raises:
            InputError: a key is unknown or of the wrong kind, or a value makes no sense.
        """
        try:
            profile = msgspec.convert(document, cls)
        except msgspec.ValidationError as error:
            raise InputError(str(error), place=place, remedy=REMEDY) from error
        return _sound(profile, place)

    def rate_limits(self) -> RateLimits:
        """Return the rate limits in force."""
        if self.strict_limits:
            return RateLimits.published()
        return RateLimits(**self.limits)

    def capacities(self) -> Capacity:
        """Return how much the instance may hold."""
        if self.strict_limits:
            return Capacity.published()
        return Capacity(**self.capacity)

    def document(self) -> dict[str, Any]:
        """Return the profile as JSON has it."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


@dataclass(slots=True)
class FaultSource:
    """Decides, request by request, what goes wrong."""

    profile: FaultProfile
    hits: dict[int, int] = field(default_factory=dict)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Seed the chance."""
        self._chance = random.Random(self.profile.seed)  # noqa: S311 - chance, not secrets

    def next(self, operation: Operation | None, twins: tuple[str, ...]) -> Fault | None:
        """Return the first fault that hits a request; what concerned it is counted."""
        for number, fault in enumerate(self.profile.fault):
            if not fault.concerns(operation, twins):
                continue
            seen = self.hits.get(number, 0)
            if fault.times is not None and seen >= fault.skip + fault.times:
                continue
            if seen < fault.skip:
                self.hits[number] = seen + 1
                continue
            if fault.probability < 1 and self._chance.random() >= fault.probability:
                continue
            self.hits[number] = seen + 1
            return fault
        return None


def _sound(profile: FaultProfile, place: str) -> FaultProfile:
    """Return a profile that makes sense.

    Raises:
        InputError: it makes none.
    """
    for fault in _faults(profile):
        raise InputError(fault, place=place, remedy=REMEDY)
    return profile


def _faults(profile: FaultProfile) -> list[str]:
    """Return what makes no sense in a profile."""
    found = [
        f"{name} must be 0 to {LAG_MAX_S:g}"
        for name in ("query_lag_s", "relationship_lag_s")
        if not 0 <= getattr(profile, name) <= LAG_MAX_S
    ]
    if profile.strict_limits and (profile.limits or profile.capacity):
        own = "limits" if profile.limits else "capacity"
        found.append(f"strict_limits and {own} are both set: keep one of them")
    if len(profile.fault) > FAULTS_MAX:
        found.append(f"there are {len(profile.fault)} faults, the most is {FAULTS_MAX}")
    found += _limit_faults("limits", profile.limits, RateLimits)
    found += _limit_faults("capacity", profile.capacity, Capacity)
    for number, fault in enumerate(profile.fault, start=1):
        found += [f"fault {number}: {text}" for text in _fault_faults(fault)]
    return found


def _limit_faults(
    table: str, limits: Mapping[str, float], kind: type[RateLimits | Capacity]
) -> list[str]:
    known = kind.__dataclass_fields__
    strange = [name for name in limits if name not in known]
    found = [f"{table}.{name} is none of {', '.join(known)}" for name in strange]
    return found + [f"{table}.{name} must not be negative" for name, v in limits.items() if v < 0]


def _fault_faults(fault: Fault) -> list[str]:
    known = {operation.name for operation in OPERATIONS} | {quota.value for quota in Quota}
    found = [f"{name} is no operation" for name in fault.operations if name not in known]
    if fault.kind == "status" and not 400 <= fault.status <= 599:
        found.append("status must be 400 to 599")
    if fault.kind == "delay" and not 0 < fault.delay_s <= DELAY_MAX_S:
        found.append(f"delay_s must be above 0 and at most {DELAY_MAX_S:g}")
    if not 0 < fault.probability <= 1:
        found.append("probability must be above 0 and at most 1")
    if fault.skip < 0 or (fault.times is not None and fault.times < 1):
        found.append("skip must not be negative, times at least 1")
    return found
