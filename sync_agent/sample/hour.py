"""The sample hour: each element's ordinary readings once a minute, the scenario's laid over them.

Reports come in event-time order. An element always reports at its own second of the minute, so
the load is even and per-minute periods hold exactly one report each. One minute more than the hour
is given, so that the last minute of the hour is closed by a report behind it, as in a network that
goes on living.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from sync_agent.sample.faults import BUS_FLOAT_VOLTS, MINUTE_MS, MINUTES, Scenario, faded_levels
from sync_agent.sample.network import Element, Kind, SampleNetwork
from sync_agent.twins.twin import JsonValue

Readings = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class _Habit:
    """An element's own second of the minute and its ordinary level of work, 0..1."""

    element: Element
    offset_ms: int
    load: float


@dataclass(frozen=True, slots=True)
class Report:
    """What one element says at one moment: readings by property name (``time_ms`` epoch, UTC)."""

    element: str
    time_ms: int
    values: Readings


def sample_hour(network: SampleNetwork, scenario: Scenario, chance: Random) -> Iterator[Report]:
    """Yield the hour's reports in event-time order, and one closing minute."""
    habits = [
        _Habit(element, 1000 * chance.randrange(60), chance.uniform(0.2, 0.55))
        for kind in _ORDINARY
        for element in network.by_kind[kind]
    ]
    habits.sort(key=lambda habit: habit.offset_ms)
    for minute in range(MINUTES + 1):
        for habit in habits:
            replaced = scenario.replaced.get(habit.element.id, {})
            values = replaced.get(minute, {})
            if values is None or (minute == MINUTES and replaced.get(minute - 1, {}) is None):
                continue
            readings = _ORDINARY[habit.element.kind](habit, minute, chance)
            time_ms = scenario.start_ms + minute * MINUTE_MS + habit.offset_ms
            yield Report(habit.element.id, time_ms, {**readings, **values})


def report_count(network: SampleNetwork, scenario: Scenario) -> int:
    """Return how many reports ``sample_hour`` yields."""
    reporting = sum(len(network.by_kind[kind]) for kind in _ORDINARY)
    silent = sum(values is None for row in scenario.replaced.values() for values in row.values())
    at_the_end = sum(row.get(MINUTES - 1, {}) is None for row in scenario.replaced.values())
    return reporting * (MINUTES + 1) - silent - at_the_end


def _load(habit: _Habit, minute: int, chance: Random) -> float:
    swell = 0.06 * math.sin(2 * math.pi * (minute + habit.offset_ms / 1000) / MINUTES)
    return min(0.64, max(0.02, habit.load + swell + chance.gauss(0.0, 0.015)))


def _cell(habit: _Habit, minute: int, chance: Random) -> Readings:
    load = _load(habit, minute, chance)
    return {
        "availabilityPct": 100.0,
        "rrcSetupSuccessPct": round(99.7 + chance.uniform(-0.2, 0.2), 2),
        "drbSetupSuccessPct": round(99.8 + chance.uniform(-0.1, 0.1), 2),
        "dropRatePct": round(0.22 + chance.uniform(-0.1, 0.1), 2),
        "handoverSuccessPct": round(99.1 + chance.uniform(-0.4, 0.4), 2),
        "prbUtilizationDlPct": round(100 * load, 1),
        "prbUtilizationUlPct": round(60 * load, 1),
        "userThroughputDlBps": round(90e6 * (1.0 - load)),
        "connectedUsersMean": round(180 * load, 1),
    }


def _microwave(habit: _Habit, _minute: int, chance: Random) -> Readings:
    levels = faded_levels(habit.element, abs(chance.gauss(0.0, 0.3)), chance)
    return {**levels, "tslAtoZDbm": 18.0, "tslZtoADbm": 18.0}


def _router(habit: _Habit, minute: int, chance: Random) -> Readings:
    load = _load(habit, minute, chance)
    return {
        "cpuUtilizationPct": round(12 + 70 * load, 1),
        "memoryUtilizationPct": round(38 + 30 * habit.load, 1),
        "temperatureCelsius": round(36 + 12 * load, 1),
    }


def _port(habit: _Habit, minute: int, chance: Random) -> Readings:
    load = _load(habit, minute, chance)
    return {
        "operUp": True,
        "inUtilizationPct": round(95 * load, 1),
        "outUtilizationPct": round(70 * load, 1),
        "inErrorRatio": 1e-10,
        "outDiscardRatio": 1e-7,
        "carrierTransitions": 0,
    }


def _mains(_habit: _Habit, _minute: int, chance: Random) -> Readings:
    return {"mainsPresent": True, "voltageVolts": round(230 + chance.gauss(0.0, 1.2), 1)}


def _rectifier(habit: _Habit, minute: int, chance: Random) -> Readings:
    return {
        "voltageVolts": BUS_FLOAT_VOLTS,
        "loadPct": round(30 + 60 * _load(habit, minute, chance), 1),
        "modulesHealthy": int(habit.element.number("modulesInstalled")),
    }


def _battery(_habit: _Habit, _minute: int, chance: Random) -> Readings:
    return {
        "stateOfChargePct": 100.0,
        "voltageVolts": BUS_FLOAT_VOLTS,
        "currentAmps": 0.4,
        "estimatedAutonomy": 240.0,
        "batteryTemperature": round(24 + chance.gauss(0.0, 0.3), 1),
    }


def _span(habit: _Habit, _minute: int, chance: Random) -> Readings:
    return {
        "spanLossDb": round(habit.element.number("baselineLossDb") + chance.gauss(0.0, 0.04), 2)
    }


def _channel(_habit: _Habit, _minute: int, chance: Random) -> Readings:
    return {
        "inputPowerDbm": round(-9.0 + chance.gauss(0.0, 0.1), 2),
        "osnrDb": round(24.0 + chance.gauss(0.0, 0.1), 2),
        "preFecBer": 8e-5 * 10 ** chance.gauss(0.0, 0.05),
        "postFecBer": 0.0,
        "qValueDb": round(11.5 + chance.gauss(0.0, 0.05), 2),
    }


def _ip_link(habit: _Habit, minute: int, chance: Random) -> Readings:
    load = _load(habit, minute, chance)
    return {
        "utilizationPct": round(90 * load, 1),
        "lossRatio": 1e-7,
        "oneWayDelay": round(0.1 + 0.005 * habit.element.number("igpMetric"), 3),
        "delayVariation": round(0.05 + 0.1 * load, 3),
    }


def _amf(habit: _Habit, minute: int, chance: Random) -> Readings:
    return {
        "cpuUtilizationPct": round(80 * _load(habit, minute, chance), 1),
        "procedureSuccessPct": round(99.85 + chance.uniform(-0.1, 0.1), 2),
        "registrationSuccessPct": round(99.85 + chance.uniform(-0.1, 0.1), 2),
        "registeredSubscribers": 410_000 + 25 * minute,
    }


def _smf(habit: _Habit, minute: int, chance: Random) -> Readings:
    return {
        "cpuUtilizationPct": round(80 * _load(habit, minute, chance), 1),
        "procedureSuccessPct": round(99.85 + chance.uniform(-0.1, 0.1), 2),
        "pduSessionSuccessPct": round(99.85 + chance.uniform(-0.1, 0.1), 2),
        "sessionsActive": 520_000 + 30 * minute,
    }


def _upf(habit: _Habit, minute: int, chance: Random) -> Readings:
    load = _load(habit, minute, chance)
    return {
        "cpuUtilizationPct": round(90 * load, 1),
        "throughputBps": round(180e9 * load),
        "gtpLossRatio": 1e-7,
    }


_ORDINARY: dict[Kind, Callable[[_Habit, int, Random], Readings]] = {
    Kind.CELL: _cell,
    Kind.MICROWAVE: _microwave,
    Kind.ROUTER: _router,
    Kind.PORT: _port,
    Kind.MAINS: _mains,
    Kind.RECTIFIER: _rectifier,
    Kind.BATTERY: _battery,
    Kind.SPAN: _span,
    Kind.CHANNEL: _channel,
    Kind.IP_LINK: _ip_link,
    Kind.AMF: _amf,
    Kind.SMF: _smf,
    Kind.UPF: _upf,
}
