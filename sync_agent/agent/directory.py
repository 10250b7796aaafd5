"""What the agent knows of the twins it writes: model, attributes and newest reading per property.

An entry is read by id the first time an element is met in a process's life, never from a query,
which may lag ten seconds behind. That read is what makes a restart invisible: a
reading that the twin already holds (same source time) is not written a second time, and an older
one never overwrites a newer one.

Bounds: ``ENTRY_LIFE_S`` until a twin is read again, ``ABSENT_LIFE_S`` for an id that names none
(so that a flood of unknown elements costs one read each), ``READS_IN_FLIGHT`` at once. Memory is
one entry, about 1-4 KB, per element met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sync_agent.ports.twin_store import TwinReader
from sync_agent.runs.bounded import each
from sync_agent.telemetry.coalesce import Reading
from sync_agent.twins.time import parse_time_ms
from sync_agent.twins.twin import JsonValue, Twin

ENTRY_LIFE_S = 900.0
ABSENT_LIFE_S = 30.0
READS_IN_FLIGHT = 64


@dataclass(slots=True)
class Entry:
    """One twin as last read, brought up to date with what was written since."""

    model: str
    attributes: dict[str, JsonValue]
    readings: dict[str, Reading] = field(default_factory=dict)

    @classmethod
    def of(cls, twin: Twin) -> Entry:
        """Take from a twin what telemetry and health need of it."""
        readings = {}
        for name, value in twin.properties.items():
            source_time = (twin.metadata.get(name) or {}).get("sourceTime")
            if source_time:
                readings[name] = Reading(value, parse_time_ms(source_time))
        return cls(model=twin.model, attributes=dict(twin.properties), readings=readings)

    def note(self, values: Mapping[str, Reading]) -> None:
        """Take over readings that were written to the twin."""
        self.readings.update(values)
        self.attributes.update({name: reading.value for name, reading in values.items()})


class TwinDirectory:
    """Entries by element id, read when first asked for."""

    def __init__(self, reader: TwinReader, clock: Callable[[], float]) -> None:
        """Read through ``reader``; ``clock`` is monotonic seconds."""
        self._reader = reader
        self._clock = clock
        self._entries: dict[str, tuple[Entry | None, float]] = {}

    async def find(self, elements: Iterable[str]) -> dict[str, Entry | None]:
        """Return the entry of each element, None where there is no such twin.

        Raises:
            ServiceError: a twin could not be read.
        """
        now = self._clock()
        wanted = list(dict.fromkeys(elements))
        stale = [e for e in wanted if self._entries.get(e, (None, 0.0))[1] <= now]
        await each(stale, self._read, at_once=READS_IN_FLIGHT)
        return {element: self._entries[element][0] for element in wanted}

    def attributes(self, element: str) -> Mapping[str, JsonValue]:
        """Return the properties of an element met before; none when it is not at hand."""
        entry = self._entries.get(element, (None, 0.0))[0]
        return {} if entry is None else entry.attributes

    def forget(self, elements: Iterable[str]) -> None:
        """Read these again when next asked for: something else changed them."""
        for element in elements:
            self._entries.pop(element, None)

    async def _read(self, element: str) -> None:
        twin = await self._reader.get_twin(element)
        life = ABSENT_LIFE_S if twin is None else ENTRY_LIFE_S
        self._entries[element] = (None if twin is None else Entry.of(twin), self._clock() + life)
