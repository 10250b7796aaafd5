"""The sample network's transport: fibre rings between hubs, a long-haul ring, tails to masts.

A fibre section is a span, an optical channel on it and an IP link on that; rings give every hub two
ways out. A mast hangs on its hub, or on a mast before it, by microwave, or on its hub by fibre.
"""

from __future__ import annotations

from random import Random

from sync_agent.sample.geography import Place, distance_km
from sync_agent.sample.network import Element, Kind, SampleNetwork
from sync_agent.sample.sites import GIGABIT, SiteIds, add_at, add_port
from sync_agent.twins.twin import JsonValue

LOSS_DB_PER_KM = 0.22
LOSS_OF_CONNECTORS_DB = 1.2
ROUTE_DETOUR = 1.25  # a cable follows roads
FEC_LIMIT_BER = 2e-2  # soft-decision FEC of the usual coherent pluggables

# Longest hop of a band in km, its frequency in GHz, duplex distance in GHz, and capacity in Gbit/s.
_BANDS = (
    (4.0, 38.3, 1.26, 2.0),
    (8.0, 23.1, 1.008, 1.2),
    (14.0, 18.2, 1.01, 0.9),
    (99.0, 12.9, 0.266, 0.5),
)


def add_fibre(
    network: SampleNetwork, a: Element, z: Element, *, capacity_bps: float, number: int = 1
) -> Element:
    """Join two sites by fibre: span, optical channel, IP link and a port at either end.

    Returns the IP link. ``number`` tells sections between the same sites apart.
    """
    name = f"{a.id}-{z.id}" if number == 1 else f"{a.id}-{z.id}-{number}"
    span = _add_span(network, a, z, f"FS-{name}")
    channel = _add_channel(network, a, z, f"OC-{name}", capacity_bps)
    link = add_at(
        network,
        a,
        Kind.IP_LINK,
        f"IP-{name}",
        {
            "displayLabel": _between(a, z),
            "a_end": SiteIds(a.id).router,
            "z_end": SiteIds(z.id).router,
            "carried_by": channel.id,
            "capacityBps": capacity_bps,
            "igpMetric": max(1, round(span.number("lengthKm"))),
        },
    )
    network.depend(link.id, channel.id)
    network.depend(channel.id, span.id)
    add_port(network, a, capacity_bps)
    add_port(network, z, capacity_bps)
    return link


def add_microwave(network: SampleNetwork, chance: Random, mast: Element, hub: Element) -> Element:
    """Hang a mast on another site by microwave; A is the mast's end."""
    hop_km = distance_km(_place(mast), _place(hub))
    _, frequency, duplex, gigabits = next(band for band in _BANDS if hop_km <= band[0])
    frequency = round(frequency + 0.028 * chance.randrange(12), 3)
    level = round(chance.uniform(-45.0, -37.0), 1)
    attributes: dict[str, JsonValue] = {
        "displayLabel": _between(mast, hub),
        "a_end": SiteIds(mast.id).router,
        "z_end": SiteIds(hub.id).router,
        "frequencyAtoZ": frequency,
        "frequencyZtoA": round(frequency + duplex, 3),
        "polarization": "V" if chance.random() < 0.7 else "H",
        "hopLength": round(hop_km, 2),
        "nominalRslAtoZDbm": level,
        "nominalRslZtoADbm": round(level + chance.uniform(-0.8, 0.8), 1),
        "fadeMarginDb": round(chance.uniform(30, 38), 1),
        "referenceModulation": "1024qam",
        "capacityBps": gigabits * GIGABIT,
    }
    middle = Place((mast.latitude + hub.latitude) / 2, (mast.longitude + hub.longitude) / 2)
    link = network.add(
        Element(
            Kind.MICROWAVE,
            f"MW-{mast.id}-{hub.id}",
            mast.region,
            round(middle.latitude, 5),
            round(middle.longitude, 5),
            attributes,
        )
    )
    network.depend(SiteIds(mast.id).router, link.id)
    network.depend(link.id, SiteIds(hub.id).router)
    add_port(network, mast, 10.0 * GIGABIT)
    return link


def add_fibre_tail(network: SampleNetwork, mast: Element, hub: Element) -> Element:
    """Hang a mast on another site by fibre."""
    link = add_fibre(network, mast, hub, capacity_bps=10.0 * GIGABIT)
    network.depend(SiteIds(mast.id).router, link.id)
    network.depend(link.id, SiteIds(hub.id).router)
    return link


def add_ring(network: SampleNetwork, ring_id: str, label: str, sites: list[Element]) -> Element:
    """Join sites in a ring by fibre.

    The ring comes home at the first site; each other router depends on either of its ring links.
    """
    ring = add_at(
        network, sites[0], Kind.RING, ring_id, {"displayLabel": label, "ringProtected": True}
    )
    links = [
        add_fibre(network, site, sites[(index + 1) % len(sites)], capacity_bps=100.0 * GIGABIT)
        for index, site in enumerate(sites)
    ]
    for index, site in enumerate(sites):
        router = SiteIds(site.id).router
        network.ring_members.append((ring.id, router, index + 1))
        if index > 0:
            network.depend_on_one_of(router, links[index - 1].id, links[index].id, group=ring.id)
    return ring


def _add_span(network: SampleNetwork, a: Element, z: Element, span_id: str) -> Element:
    length = max(0.4, ROUTE_DETOUR * distance_km(_place(a), _place(z)))
    # Beyond 80 km a route has amplifiers in between; the loss counted is that of its worst section.
    loss = LOSS_OF_CONNECTORS_DB + LOSS_DB_PER_KM * min(length, 80.0)
    return add_at(
        network,
        a,
        Kind.SPAN,
        span_id,
        {
            "displayLabel": f"Cable {_between(a, z)}",
            "a_end": a.id,
            "z_end": z.id,
            "lengthKm": round(length, 2),
            "baselineLossDb": round(loss, 2),
        },
    )


def _add_channel(
    network: SampleNetwork, a: Element, z: Element, channel_id: str, capacity_bps: float
) -> Element:
    return add_at(
        network,
        a,
        Kind.CHANNEL,
        channel_id,
        {
            "displayLabel": f"Wavelength {_between(a, z)}",
            "a_end": SiteIds(a.id).router,
            "z_end": SiteIds(z.id).router,
            "frequency": 193_100.0 + 50.0 * (len(network.by_kind[Kind.CHANNEL]) % 80),
            "capacityBps": capacity_bps,
            "fecLimitBer": FEC_LIMIT_BER,
        },
    )


def _between(a: Element, z: Element) -> str:
    return f"{a.text('displayLabel')} - {z.text('displayLabel')}"


def _place(element: Element) -> Place:
    return Place(element.latitude, element.longitude)
