"""Sites of the sample network and what stands on each: tower, power chain, router, ports.

Mains feeds a rectifier, the rectifier the equipment and the battery string that takes over when
mains fails. A router is the site's way into the network; its ports carry its links.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sync_agent.sample.geography import Place, RegionPlan
from sync_agent.sample.network import Element, Kind, SampleNetwork
from sync_agent.twins.twin import JsonValue

GIGABIT = 1_000_000_000

_ROUTERS = {
    "core": ("Meridian Networks", "MX-9600", "21.4.2"),
    "aggregation": ("Meridian Networks", "MX-4200", "21.4.2"),
    "access": ("Larkspur", "CSR-310", "7.8.1"),
}
_POWER = {"core": (40_000.0, 1200.0, 12), "aggregation": (15_000.0, 600.0, 6)}
_POWER_ACCESS = (6_000.0, 190.0, 4)  # rated watts, ampere-hours, rectifier modules


@dataclass(frozen=True, slots=True)
class SiteIds:
    """The ids of what stands on a site, derived from the site's own id."""

    site: str

    @property
    def router(self) -> str:
        """Return the id of the site's router."""
        return f"{self.site}-R1"

    @property
    def mains(self) -> str:
        """Return the id of the mains feed."""
        return f"{self.site}-MAINS"

    @property
    def rectifier(self) -> str:
        """Return the id of the rectifier."""
        return f"{self.site}-RECT"

    @property
    def battery(self) -> str:
        """Return the id of the battery string."""
        return f"{self.site}-BATT"

    def port(self, number: int) -> str:
        """Return the id of the router's port of that number, from 1."""
        return f"{self.router}-P{number}"


def add_site(
    network: SampleNetwork, chance: Random, plan: RegionPlan, site_type: str, name: str, at: Place
) -> Element:
    """Add a ``core``, ``aggregation`` or ``access`` site with its power chain and router."""
    number = network.next_number(plan.code)
    site = network.add(
        Element(
            Kind.SITE,
            f"{plan.code}{number:04d}",
            plan.code,
            at.latitude,
            at.longitude,
            {
                "displayLabel": f"{name} {_LABELS[site_type]}",
                "siteCode": f"{plan.code}-{number:04d}",
                "siteType": site_type,
                "region": region_id(plan),
                "latitude": at.latitude,
                "longitude": at.longitude,
                "address": f"{1 + chance.randrange(180)} Mast Road, {name}",
                "populationCovered": round(chance.uniform(800, 14_000)),
            },
        )
    )
    _add_power(network, chance, site)
    _add_router(network, site)
    return site


def add_tower(network: SampleNetwork, chance: Random, site: Element) -> Element:
    """Add the site's tower."""
    lattice = chance.random() < 0.4
    height = chance.uniform(35, 70) if lattice else chance.uniform(18, 36)
    attributes: dict[str, JsonValue] = {
        "site": site.id,
        "structureHeight": round(height, 1),
        "structureType": "lattice" if lattice else "monopole",
        "latitude": site.latitude,
        "longitude": site.longitude,
    }
    return add_at(network, site, Kind.TOWER, f"{site.id}-TWR", attributes)


def add_port(network: SampleNetwork, site: Element, speed_bps: float) -> Element:
    """Add the next port of the site's router."""
    ids = SiteIds(site.id)
    attributes: dict[str, JsonValue] = {
        "site": site.id,
        "router": ids.router,
        "portType": "10gbase-x-sfpp" if speed_bps <= 10 * GIGABIT else "100gbase-x-qsfp28",
        "portSpeedBps": speed_bps,
        "adminUp": True,
    }
    return add_at(network, site, Kind.PORT, ids.port(network.next_number(ids.router)), attributes)


def add_at(
    network: SampleNetwork,
    site: Element,
    kind: Kind,
    element_id: str,
    attributes: dict[str, JsonValue],
) -> Element:
    """Add an element that stands at a site, on the site's place on the map."""
    return network.add(
        Element(kind, element_id, site.region, site.latitude, site.longitude, attributes)
    )


def region_id(plan: RegionPlan) -> str:
    """Return the id of a region's element."""
    return f"REGION-{plan.code}"


def _add_power(network: SampleNetwork, chance: Random, site: Element) -> None:
    ids = SiteIds(site.id)
    watts, ampere_hours, modules = _POWER.get(site.text("siteType"), _POWER_ACCESS)
    add_at(network, site, Kind.MAINS, ids.mains, {"site": site.id, "ratedPower": watts})
    add_at(
        network,
        site,
        Kind.RECTIFIER,
        ids.rectifier,
        {"site": site.id, "modulesInstalled": modules, "vendorName": "Voltara"},
    )
    add_at(
        network,
        site,
        Kind.BATTERY,
        ids.battery,
        {
            "site": site.id,
            "nominalCapacityAh": ampere_hours,
            "stateOfHealthPct": round(chance.uniform(86, 100), 1),
        },
    )
    network.depend_on_one_of(ids.rectifier, ids.mains, ids.battery, group="supply")


def _add_router(network: SampleNetwork, site: Element) -> None:
    ids = SiteIds(site.id)
    role = site.text("siteType")
    vendor, model, software = _ROUTERS[role]
    number = len(network.by_kind[Kind.ROUTER])
    address = f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}"
    attributes: dict[str, JsonValue] = {
        "site": site.id,
        "displayLabel": f"{site.text('displayLabel')} router",
        "role": role,
        "vendorName": vendor,
        "modelName": model,
        "softwareVersion": software,
        "managementAddress": address,
        "routerId": address,
        "criticality": {"core": 1, "aggregation": 2}.get(role, 3),
        "poweredBy": ids.rectifier,
    }
    add_at(network, site, Kind.ROUTER, ids.router, attributes)


_LABELS = {"core": "Exchange", "aggregation": "Hub", "access": "Mast"}
