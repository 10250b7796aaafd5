"""What goes wrong in the sample hour: each fault with the element it shows on, from when to when.

The faults are the ground truth that the agent's flags are compared with, so each is strong and long
enough that an operator would want to know: a level or ratio beyond the customary limits for
``LASTING_MINUTES`` at least. What must *not* be flagged is injected too: a light shower, spikes of
one minute, busy cells below the limit.

A scenario is a table: per element and minute the values that replace the ordinary ones, or None
where the element says nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from sync_agent.sample.geography import REGIONS, Place, distance_km
from sync_agent.sample.network import Element, Kind, SampleNetwork
from sync_agent.sample.sites import SiteIds
from sync_agent.sample.weather import RainCell
from sync_agent.twins.twin import JsonValue

MINUTES = 60
MINUTE_MS = 60_000
LASTING_MINUTES = 3
FADE_FAULT_DB = 10.0
RECEIVER_FLOOR_DBM = -92.0

BUS_FLOAT_VOLTS = 54.2
BUS_ON_BATTERY_VOLTS = 50.6
BUS_LOW_VOLTS = 46.8  # where a 48 V plant warns
BUS_EMPTY_VOLTS = 42.0  # here the low-voltage disconnect opens and the site goes dark

Values = Mapping[str, JsonValue]


class FaultKind(StrEnum):
    """What was injected."""

    RAIN_FADE = "rain fade"
    MAINS_FAILURE = "mains failure"
    BATTERY_DISCHARGE = "battery discharge"
    BUS_LOW = "low bus voltage"
    SITE_DARK = "site dark"
    SPAN_LOSS = "fibre span loss"
    OPTICAL = "optical degradation"
    CONGESTION = "congestion"
    FLAPPING = "port flapping"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault on one element, from ``start_ms`` up to ``end_ms`` (epoch)."""

    element: str
    kind: FaultKind
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class Scenario:
    """The faults of one hour and the values that bring them about, by element and minute."""

    start_ms: int
    faults: list[Fault] = field(default_factory=list)
    replaced: dict[str, dict[int, Values | None]] = field(default_factory=dict)

    def put(self, element: str, minute: int, values: Values | None) -> None:
        """Replace values of an element in a minute; None silences it."""
        self.replaced.setdefault(element, {})[minute] = values

    def fault(self, element: str, kind: FaultKind, minutes: Iterable[int]) -> None:
        """Note a fault that shows in these minutes, unless they are too few to matter."""
        hit = sorted(minutes)
        if len(hit) >= LASTING_MINUTES:
            start, end = (self.start_ms + m * MINUTE_MS for m in (hit[0], hit[-1] + 1))
            self.faults.append(Fault(element, kind, start, end))


def make_scenario(network: SampleNetwork, chance: Random, start_ms: int) -> Scenario:
    """Choose where things go wrong and lay down the hour that begins at ``start_ms``.

    The rain, the power cut, the fibre and the crowd each get a region of their own.
    """
    scenario = Scenario(start_ms)
    codes = [plan.code for plan in REGIONS]
    turn = chance.randrange(len(codes))
    wet, dark, cut, crowded = codes[turn:] + codes[:turn]
    _rain(scenario, network, chance, wet, peak_mm_h=48.0)
    _rain(scenario, network, chance, crowded, peak_mm_h=4.0)
    _power_cuts(scenario, network, chance, dark)
    _fibre_bend(scenario, network, chance, cut)
    _crowd(scenario, network, chance, crowded)
    _flapping_port(scenario, network, chance, dark)
    _silence(scenario, network, chance, cut)
    _spikes(scenario, network, chance, dark)
    return scenario


def _in_region(network: SampleNetwork, kind: Kind, region: str) -> list[Element]:
    return [element for element in network.by_kind[kind] if element.region == region]


def _one_of(chance: Random, elements: list[Element]) -> Element:
    return elements[chance.randrange(len(elements))]


def _rain(
    scenario: Scenario, network: SampleNetwork, chance: Random, region: str, *, peak_mm_h: float
) -> None:
    """Let a cell of rain cross the region from the west; it still rains when the hour ends."""
    links = _in_region(network, Kind.MICROWAVE, region)
    aim, over_it = _one_of(chance, links), 42
    east, north = 0.7, chance.uniform(-0.25, 0.25)
    start = Place(aim.latitude, aim.longitude).moved(-east * over_it, -north * over_it)
    cell = RainCell(start, east, north, 10.0, peak_mm_h, minutes=90)
    for link in links:
        faded = []
        for minute in range(MINUTES):
            fade = cell.fade_db(link, minute)
            if fade >= FADE_FAULT_DB:
                faded.append(minute)
            if fade > 0:
                scenario.put(link.id, minute, faded_levels(link, fade, chance))
        scenario.fault(link.id, FaultKind.RAIN_FADE, faded)


def faded_levels(link: Element, fade_db: float, chance: Random) -> Values:
    """Return what both ends of a link receive under a fade; the modulation follows it down."""
    steps = ((3.0, "1024qam"), (9.0, "256qam"), (16.0, "64qam"), (24.0, "16qam"))
    levels: dict[str, JsonValue] = {}
    for way in ("AtoZ", "ZtoA"):
        level = link.number(f"nominalRsl{way}Dbm") - fade_db + chance.gauss(0.0, 0.15)
        levels[f"rsl{way}Dbm"] = round(max(level, RECEIVER_FLOOR_DBM), 1)
    modulation = next((name for limit, name in steps if fade_db < limit), "qpsk")
    return {**levels, "currentModulation": modulation, "snrDb": round(max(2.0, 40.0 - fade_db), 1)}


def _power_cuts(scenario: Scenario, network: SampleNetwork, chance: Random, region: str) -> None:
    """Cut two masts' mains: one comes back in time, the other's battery runs empty."""
    masts = [s for s in _in_region(network, Kind.SITE, region) if s.text("siteType") == "access"]
    first = chance.randrange(len(masts))
    short, long = masts[first], masts[(first + 1) % len(masts)]
    _on_battery(scenario, short, range(9, 18), empty=MINUTES)
    _on_battery(scenario, long, range(16, MINUTES), empty=53)
    dark = range(53, MINUTES)
    for minute in dark:
        scenario.put(SiteIds(long.id).router, minute, None)
    scenario.fault(SiteIds(long.id).router, FaultKind.SILENCE, dark)
    for cell in network.of_site(Kind.CELL, long.id):
        for minute in dark:
            scenario.put(cell.id, minute, _DARK_CELL)
        scenario.fault(cell.id, FaultKind.SITE_DARK, dark)


def _on_battery(scenario: Scenario, site: Element, out: range, *, empty: int) -> None:
    """Take a site's mains away for some minutes; its battery would be empty at minute ``empty``."""
    ids = SiteIds(site.id)
    low = []
    for minute in out:
        left = max(0.0, 1.0 - (minute - out.start) / (empty - out.start))
        volts = round(BUS_EMPTY_VOLTS + (BUS_ON_BATTERY_VOLTS - BUS_EMPTY_VOLTS) * left, 2)
        if volts <= BUS_LOW_VOLTS:
            low.append(minute)
        scenario.put(ids.mains, minute, {"mainsPresent": False, "voltageVolts": 0.0})
        scenario.put(ids.rectifier, minute, {"loadPct": 0.0, "voltageVolts": volts})
        scenario.put(
            ids.battery,
            minute,
            {
                "stateOfChargePct": round(100.0 * left, 1),
                "voltageVolts": volts,
                "currentAmps": -38.0 if left else 0.0,
                "estimatedAutonomy": float(max(0, empty - minute)),
            },
        )
    scenario.fault(ids.mains, FaultKind.MAINS_FAILURE, out)
    scenario.fault(ids.battery, FaultKind.BATTERY_DISCHARGE, out)
    scenario.fault(ids.rectifier, FaultKind.BUS_LOW, low)


# What the central unit still reports of a cell that is off the air.
_DARK_CELL: Values = {
    "availabilityPct": 0.0,
    "prbUtilizationDlPct": 0.0,
    "connectedUsersMean": 0.0,
    "userThroughputDlBps": 0.0,
}


def _fibre_bend(scenario: Scenario, network: SampleNetwork, chance: Random, region: str) -> None:
    """Bend a ring's cable: its loss creeps up and the wavelength on it nears its FEC limit."""
    spans = [
        span
        for span in _in_region(network, Kind.SPAN, region)
        if network.by_id[span.text("a_end")].text("siteType") != "access"
        and network.by_id[span.text("z_end")].region == region
    ]
    span = _one_of(chance, spans)
    channel = network.by_id[span.id.replace("FS-", "OC-", 1)]
    begin = 14
    lossy, near_limit = [], []
    for minute in range(begin, MINUTES):
        extra = min(9.0, 0.5 * (minute - begin))
        if extra >= 3.0:
            lossy.append(minute)
        if extra >= 6.0:
            near_limit.append(minute)
        scenario.put(
            span.id, minute, {"spanLossDb": round(span.number("baselineLossDb") + extra, 2)}
        )
        scenario.put(
            channel.id,
            minute,
            {
                "inputPowerDbm": round(-9.0 - extra, 2),
                "osnrDb": round(24.0 - 1.2 * extra, 2),
                "preFecBer": 8e-5 * 10 ** (0.25 * extra),
                "qValueDb": round(11.5 - 0.52 * extra, 2),
            },
        )
    scenario.fault(span.id, FaultKind.SPAN_LOSS, lossy)
    scenario.fault(channel.id, FaultKind.OPTICAL, near_limit)


def _crowd(scenario: Scenario, network: SampleNetwork, chance: Random, region: str) -> None:
    """Fill the cells around one mast for an event; those a little further are only busy."""
    masts = [s for s in _in_region(network, Kind.SITE, region) if s.text("siteType") == "access"]
    middle = _one_of(chance, masts)
    here = Place(middle.latitude, middle.longitude)
    masts.sort(key=lambda mast: distance_km(here, Place(mast.latitude, mast.longitude)))
    crowded = range(29, MINUTES)
    for rank, mast in enumerate(masts[:5]):
        for cell in network.of_site(Kind.CELL, mast.id):
            for minute in crowded:
                values = _full_cell(chance) if rank < 2 else _busy_cell(chance)
                scenario.put(cell.id, minute, values)
            if rank < 2:
                scenario.fault(cell.id, FaultKind.CONGESTION, crowded)


def _full_cell(chance: Random) -> Values:
    return {
        "prbUtilizationDlPct": round(chance.uniform(96.0, 99.5), 1),
        "prbUtilizationUlPct": round(chance.uniform(80.0, 90.0), 1),
        "userThroughputDlBps": round(chance.uniform(0.8e6, 2.5e6)),
        "connectedUsersMean": round(chance.uniform(380, 520), 1),
        "rrcSetupSuccessPct": round(chance.uniform(95.5, 97.2), 2),
        "drbSetupSuccessPct": round(chance.uniform(97.4, 98.6), 2),
        "dropRatePct": round(chance.uniform(1.3, 1.9), 2),
    }


def _busy_cell(chance: Random) -> Values:
    return {
        "prbUtilizationDlPct": round(chance.uniform(60.0, 68.0), 1),
        "connectedUsersMean": round(chance.uniform(120, 200), 1),
        "userThroughputDlBps": round(chance.uniform(12e6, 22e6)),
    }


def _flapping_port(scenario: Scenario, network: SampleNetwork, chance: Random, region: str) -> None:
    """Let a hub's port go down and up every minute."""
    ports = [
        port
        for port in _in_region(network, Kind.PORT, region)
        if network.by_id[port.text("site")].text("siteType") == "aggregation"
    ]
    port = _one_of(chance, ports)
    flapping = range(31, 47)
    for minute in flapping:
        up = minute % 2 == 0
        traffic: Values = {} if up else {"inUtilizationPct": 0.0, "outUtilizationPct": 0.0}
        scenario.put(port.id, minute, {"operUp": up, "carrierTransitions": 1, **traffic})
    scenario.fault(port.id, FaultKind.FLAPPING, flapping)


def _silence(scenario: Scenario, network: SampleNetwork, chance: Random, region: str) -> None:
    """Let one cell stop reporting."""
    cell = _one_of(chance, _in_region(network, Kind.CELL, region))
    silent = range(25, MINUTES)
    for minute in silent:
        scenario.put(cell.id, minute, None)
    scenario.fault(cell.id, FaultKind.SILENCE, silent)


def _spikes(scenario: Scenario, network: SampleNetwork, chance: Random, region: str) -> None:
    """Let some links fade for one minute now and then, as a crane or a bird makes them do."""
    for link in _in_region(network, Kind.MICROWAVE, region)[:4]:
        for minute in (
            5 + chance.randrange(10),
            25 + chance.randrange(10),
            45 + chance.randrange(10),
        ):
            scenario.put(link.id, minute, faded_levels(link, 15.0, chance))
