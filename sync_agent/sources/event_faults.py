"""The events of an inventory that could not be used, until later ones say what they said.

What such an event was about is not known to the source, and so nothing it does not mention counts
as gone. Where its ids can be read, that ends as soon as each of its elements was spoken of anew:
wholly (it was created or deleted), or in all the parts the event named. Where they cannot, it ends
only when somebody says that the event is no loss, or the whole inventory is read again.

A later word has a time not before that of the event; without a time an event stands where it was
found. Bounds: ``KEPT_MAX`` faults with their place, the others are counted; an event about more
than ``ELEMENTS_MAX`` is not made good by others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sync_agent.inventory.record import RecordDiagnostic

KEPT_MAX = 100
ELEMENTS_MAX = 10_000

Key = tuple[str, str]
"""Entity or relationship (the two may share an id), and its id."""
Parts = frozenset[str] | None
"""What of an element an event named; None for all of it."""


@dataclass(eq=False, slots=True)
class _Fault:
    """An event that could not be used, and what of it was not said again yet."""

    told: RecordDiagnostic
    time_ms: int
    about: dict[Key, Parts]


class EventFaults:
    """The events that could not be used and that nothing made good."""

    def __init__(self) -> None:
        """Begin with none."""
        self._faults: dict[_Fault, None] = {}
        self._more = 0
        self._more_told: RecordDiagnostic | None = None
        self._waiting: dict[Key, list[_Fault]] = defaultdict(list)

    def add(
        self, told: RecordDiagnostic, *, time_ms: int = 0, about: Mapping[Key, Parts] | None = None
    ) -> None:
        """Note an event that could not be used; ``about`` are its elements, if all are known."""
        if len(self._faults) >= KEPT_MAX:
            self._more += 1
            self._more_told = told
            return
        known = about if about and len(about) <= ELEMENTS_MAX else {}
        fault = _Fault(told, time_ms, dict(known))
        self._faults[fault] = None
        for key in fault.about:
            self._waiting[key].append(fault)

    @property
    def mendable(self) -> bool:
        """Tell whether later events can make any of them good."""
        return bool(self._waiting)

    def heard(self, key: Key, time_ms: int, parts: Parts = None) -> None:
        """Take note that an element was spoken of, wholly or in some parts."""
        if key not in self._waiting:
            return
        still = []
        for fault in self._waiting.pop(key):
            left = fault.about[key]
            if time_ms < fault.time_ms or (left is None and parts is not None):
                still.append(fault)
            elif left is not None and parts is not None and (left := left - parts):
                fault.about[key] = left
                still.append(fault)
            else:
                del fault.about[key]
                if not fault.about:
                    del self._faults[fault]
        if still:
            self._waiting[key] = still

    def told(self) -> tuple[RecordDiagnostic, ...]:
        """Return the faults there still are, and how many more there were."""
        told = tuple(fault.told for fault in self._faults)
        if self._more_told is None:
            return told
        last = self._more_told
        more = f"{self._more:,} more events could not be used; this is the last of them"
        return (*told, RecordDiagnostic(last.place, f"{more}: {last.message}", last.remedy))
