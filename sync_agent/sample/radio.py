"""The sample network's radio side and its core: functions, sectors, radio units, cells.

A mast carries one gNB with a distributed unit and three sectors, each with a radio unit and a cell.
The central units stand at the exchanges, the core functions at two of them (AMF and SMF in pairs).
"""

from __future__ import annotations

from random import Random

from sync_agent.sample.network import Element, Kind, SampleNetwork
from sync_agent.sample.sites import SiteIds, add_at
from sync_agent.twins.twin import JsonValue

PLMN = "00101"  # the test network code: nobody's
SECTORS = 3
GNB_ID_BITS = 24
CELL_ID_BITS = 36 - GNB_ID_BITS  # an NR cell identity has 36 bits

_BAND = {"band": "n78", "channelBandwidth": 100.0, "downlinkFrequency": 3549.99}


def add_core(network: SampleNetwork, exchanges: list[Element]) -> None:
    """Add the 5G core: AMF and SMF at the first two exchanges, a UPF at every one."""
    for site in exchanges[:2]:
        for kind, name in ((Kind.AMF, "AMF"), (Kind.SMF, "SMF")):
            add_at(network, site, kind, f"{name}-{site.region}", _function(site, name))
    for site in exchanges:
        upf = add_at(network, site, Kind.UPF, f"UPF-{site.region}", _function(site, "UPF"))
        network.depend_on_one_of(
            upf.id, *(smf.id for smf in network.by_kind[Kind.SMF]), group="smf-pool"
        )


def add_central_units(network: SampleNetwork, exchange: Element) -> None:
    """Add the region's central units at its exchange."""
    upf = f"UPF-{exchange.region}"
    control = add_at(
        network,
        exchange,
        Kind.CU_CP,
        f"CUCP-{exchange.region}",
        {
            "site": exchange.id,
            "gNBCUName": f"cucp-{exchange.region.lower()}",
            "e1": f"CUUP-{exchange.region}",
            "n2": network.by_kind[Kind.AMF][0].id,
        },
    )
    user = add_at(
        network,
        exchange,
        Kind.CU_UP,
        f"CUUP-{exchange.region}",
        {"site": exchange.id, "gNBCUUPId": len(network.by_kind[Kind.CU_UP]) + 1, "n3": upf},
    )
    network.depend_on_one_of(
        control.id, *(amf.id for amf in network.by_kind[Kind.AMF]), group="amf-pool"
    )
    network.depend(user.id, upf)


def add_gnb(network: SampleNetwork, chance: Random, mast: Element) -> None:
    """Add a mast's gNB: distributed unit, and three sectors with radio unit and cell."""
    number = len(network.by_kind[Kind.GNB]) + 1
    gnb = add_at(
        network,
        mast,
        Kind.GNB,
        f"{mast.id}-GNB",
        {
            "displayLabel": f"{mast.text('displayLabel')} gNB",
            "site": mast.id,
            "gNBId": number,
            "gNBIdLength": GNB_ID_BITS,
            "plmnId": PLMN,
        },
    )
    unit = add_at(
        network,
        mast,
        Kind.DU,
        f"{mast.id}-DU",
        {
            "site": mast.id,
            "gnb": gnb.id,
            "gNBId": number,
            "gNBDUId": 1,
            "f1c": f"CUCP-{mast.region}",
            "f1u": f"CUUP-{mast.region}",
        },
    )
    network.depend(unit.id, SiteIds(mast.id).router)
    network.depend(unit.id, f"CUCP-{mast.region}")
    turn = chance.randrange(120)
    for sector in range(1, SECTORS + 1):
        _add_sector(network, mast, unit, number, sector, turn + (sector - 1) * 120)


def _add_sector(
    network: SampleNetwork,
    mast: Element,
    unit: Element,
    gnb_number: int,
    sector: int,
    azimuth: int,
) -> None:
    radio = add_at(
        network,
        mast,
        Kind.RADIO_UNIT,
        f"{mast.id}-RU{sector}",
        {
            "site": mast.id,
            "du": unit.id,
            "oruId": gnb_number * 10 + sector,
            "vendorName": "Larkspur",
        },
    )
    cell = add_at(
        network,
        mast,
        Kind.CELL,
        f"{mast.id}-C{sector}",
        {
            "displayLabel": f"{mast.text('displayLabel')} cell {sector}",
            "site": mast.id,
            "du": unit.id,
            "nCI": (gnb_number << CELL_ID_BITS) + sector,
            "cellLocalId": sector,
            "physicalCellId": (gnb_number * SECTORS + sector) % 1008,
            "trackingAreaCode": 1 + gnb_number // 40,
            **_BAND,
            "configuredMaxTxPowerDbm": 49.0,
        },
    )
    add_at(
        network,
        mast,
        Kind.SECTOR,
        f"{mast.id}-S{sector}",
        {"site": mast.id, "cell": cell.id, "sectorId": sector, "azimuth": float(azimuth)},
    )
    network.depend(radio.id, SiteIds(mast.id).rectifier)
    network.depend(cell.id, radio.id)
    network.depend(cell.id, unit.id)


def _function(site: Element, name: str) -> dict[str, JsonValue]:
    return {
        "displayLabel": f"{name} {site.region}",
        "site": site.id,
        "sbiFqdn": f"{name.lower()}.{site.region.lower()}.5gc.mnc001.mcc001.3gppnetwork.org",
        "criticality": 1,
    }
