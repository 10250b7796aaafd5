"""Builds the sample operator's network to a wished size, the same for the same seed.

Each region has an exchange and hubs on fibre rings through it; the exchanges form the long-haul
ring. Masts fill the network up to its size, region by region in turn, most on microwave tails (some
behind another mast), a fourth on fibre. Time and memory grow linearly with the size.
"""

from __future__ import annotations

from itertools import cycle
from random import Random

from sync_agent.errors import InputError
from sync_agent.sample.geography import REGIONS, Place, RegionPlan, town_name
from sync_agent.sample.network import Element, Kind, SampleNetwork
from sync_agent.sample.radio import add_central_units, add_core, add_gnb
from sync_agent.sample.sites import add_site, add_tower, region_id
from sync_agent.sample.transport import add_fibre_tail, add_microwave, add_ring

ELEMENTS_DEFAULT = 2_100
ELEMENTS_MIN = 600
ELEMENTS_MAX = 500_000

RING_HUBS = 4
ELEMENTS_PER_HUB = 260  # a hub and the masts that hang on it
TAIL_SHARE_FIBRE = 0.25
TAIL_SHARE_BEHIND = 0.3
RING_SPACING_KM = 46.0


def build_network(chance: Random, elements: int = ELEMENTS_DEFAULT) -> SampleNetwork:
    """Build a network of at least ``elements`` elements, and hardly more.

    Raises:
        InputError: the size is out of bounds.
    """
    if not ELEMENTS_MIN <= elements <= ELEMENTS_MAX:
        raise InputError(
            f"a sample network of {elements} elements cannot be made",
            remedy=f"choose {ELEMENTS_MIN} to {ELEMENTS_MAX}",
        )
    network = SampleNetwork()
    names: set[str] = set()
    hubs: dict[str, list[Element]] = {}
    exchanges = []
    rings = max(1, round(elements / (len(REGIONS) * RING_HUBS * ELEMENTS_PER_HUB)))
    for plan in REGIONS:
        exchange, hubs[plan.code] = _add_region(network, chance, plan, names, rings)
        exchanges.append(exchange)
    add_ring(network, "RING-LONGHAUL", "Long-haul ring", exchanges)
    add_core(network, exchanges)
    for exchange in exchanges:
        add_central_units(network, exchange)
    masts: dict[str, list[Element]] = {plan.code: [] for plan in REGIONS}
    for plan in cycle(REGIONS):
        if len(network) >= elements:
            break
        masts[plan.code].append(
            _add_mast(network, chance, plan, names, hubs[plan.code], masts[plan.code])
        )
    return network


def _add_region(
    network: SampleNetwork, chance: Random, plan: RegionPlan, names: set[str], rings: int
) -> tuple[Element, list[Element]]:
    """Add a region with its exchange and its rings; return the exchange and the hubs."""
    network.add(
        Element(
            Kind.REGION,
            region_id(plan),
            plan.code,
            plan.centre.latitude,
            plan.centre.longitude,
            {
                "displayLabel": plan.name,
                "latitude": plan.centre.latitude,
                "longitude": plan.centre.longitude,
            },
        )
    )
    exchange = add_site(network, chance, plan, "core", town_name(chance, names), plan.centre)
    hubs = []
    for ring in range(rings):
        middle = plan.centre.towards(ring * 137.5, RING_SPACING_KM * ring**0.5)
        members = [
            add_site(
                network,
                chance,
                plan,
                "aggregation",
                town_name(chance, names),
                middle.towards(
                    360 * index / RING_HUBS + chance.uniform(-18, 18), chance.uniform(14, 24)
                ),
            )
            for index in range(RING_HUBS)
        ]
        add_ring(
            network,
            f"RING-{plan.code}-{ring + 1}",
            f"{plan.name} ring {ring + 1}",
            [exchange, *members],
        )
        hubs += members
    return exchange, hubs


def _add_mast(
    network: SampleNetwork,
    chance: Random,
    plan: RegionPlan,
    names: set[str],
    hubs: list[Element],
    masts: list[Element],
) -> Element:
    parent = hubs[len(masts) % len(hubs)]
    fibre = chance.random() < TAIL_SHARE_FIBRE
    if not fibre and len(masts) >= len(hubs) and chance.random() < TAIL_SHARE_BEHIND:
        # The mast before on the same hub; chains stay short, since most masts start at the hub.
        parent = masts[len(masts) - len(hubs)]
    reach = chance.uniform(0.8, 3.0) if fibre else chance.uniform(2.2, 13.0)
    at = Place(parent.latitude, parent.longitude).towards(chance.uniform(0, 360), reach)
    mast = add_site(network, chance, plan, "access", town_name(chance, names), at)
    add_tower(network, chance, mast)
    if fibre:
        add_fibre_tail(network, mast, parent)
    else:
        add_microwave(network, chance, mast, parent)
    add_gnb(network, chance, mast)
    return mast
