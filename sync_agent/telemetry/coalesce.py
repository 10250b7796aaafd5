"""Many samples, one patch per twin: of each property the newest reading by event time stands.

A twin may be written ten times a second and reports arrive faster than that, so a batch of samples
becomes at most one patch a twin. What is dropped was superseded, never lost: each sample is
counted as applied (a reading of it stands on the twin) or coalesced (all of its readings were
superseded).

The result does not depend on how samples are split into batches nor on repeats: a reading older
than what the twin holds never wins, an equal one is not written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sync_agent.telemetry.binding import Bound
from sync_agent.twins.time import format_time_ms
from sync_agent.twins.twin import Document, JsonValue


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of one property and when it was measured (epoch ms)."""

    value: JsonValue
    time_ms: int


@dataclass(frozen=True, slots=True)
class TwinUpdate:
    """The readings one twin is to take over, by property name."""

    element: str
    values: Mapping[str, Reading]

    def patch(self) -> list[Document]:
        """Return the JSON Patch: each value with its event time as the property's ``sourceTime``.

        ``add`` only: it replaces what is there and, unlike ``replace``, works on a property never
        set, so the patch may be repeated. Source: adt "JSON Patch", api-version 2022-05-31 and
        later.
        """
        patch: list[Document] = []
        for name, reading in self.values.items():
            stamp = format_time_ms(reading.time_ms)
            patch.append({"op": "add", "path": f"/{name}", "value": reading.value})
            patch.append({"op": "add", "path": f"/$metadata/{name}/sourceTime", "value": stamp})
        return patch


@dataclass(frozen=True, slots=True)
class Coalesced:
    """What a batch of bound samples comes to; ``applied`` are positions in that batch."""

    updates: tuple[TwinUpdate, ...]
    applied: frozenset[int]


def coalesce(samples: Sequence[Bound], known: Mapping[str, Mapping[str, Reading]]) -> Coalesced:
    """Reduce samples to one update per twin, given the readings each twin holds already.

    Of readings with the same event time the later sample wins. A winner that the twin already
    holds with the same time and value is counted as applied and not written again.
    """
    winners = _winners(enumerate(samples))
    updates: dict[str, dict[str, Reading]] = {}
    applied: set[int] = set()
    for (element, name), (number, reading) in winners.items():
        held = known.get(element, {}).get(name)
        if held is not None and held.time_ms > reading.time_ms:
            continue
        applied.add(number)
        if held != reading:
            updates.setdefault(element, {})[name] = reading
    return Coalesced(
        tuple(TwinUpdate(element, values) for element, values in updates.items()),
        frozenset(applied),
    )


def _winners(
    samples: Iterable[tuple[int, Bound]],
) -> dict[tuple[str, str], tuple[int, Reading]]:
    winners: dict[tuple[str, str], tuple[int, Reading]] = {}
    for number, sample in samples:
        for name, value in sample.readings.items():
            best = winners.get((sample.element, name))
            if best is None or best[1].time_ms <= sample.time_ms:
                winners[sample.element, name] = (number, Reading(value, sample.time_ms))
    return winners
