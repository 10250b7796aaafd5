"""The sample operator's network as values: elements by kind, and what depends on what.

The generator of this room fills it, ``tables`` turns it into the CSV files an inventory would
export, and the hour of telemetry and its faults are made from it. An element's attributes are named
as the properties of its model, so that the mapping to twins has little to say; ends and containers
(``site``, ``a_end``, ``powered_by``) hold the ids of other elements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sync_agent.twins.twin import JsonValue


class Kind(StrEnum):
    """Kinds of elements; the value is the name of the kind's CSV file."""

    REGION = "regions"
    SITE = "sites"
    TOWER = "towers"
    MAINS = "mains_feeds"
    RECTIFIER = "rectifiers"
    BATTERY = "battery_strings"
    ROUTER = "routers"
    PORT = "ports"
    RING = "rings"
    SPAN = "fibre_spans"
    CHANNEL = "optical_channels"
    IP_LINK = "ip_links"
    MICROWAVE = "microwave_links"
    AMF = "amf_functions"
    SMF = "smf_functions"
    UPF = "upf_functions"
    CU_CP = "gnb_cu_cp_functions"
    CU_UP = "gnb_cu_up_functions"
    GNB = "gnbs"
    DU = "gnb_du_functions"
    RADIO_UNIT = "radio_units"
    CELL = "nr_cells"
    SECTOR = "sectors"


@dataclass(frozen=True, slots=True)
class Element:
    """One element: where it is on the map, and its attributes in the order of its CSV columns."""

    kind: Kind
    id: str
    region: str
    latitude: float
    longitude: float
    attributes: Mapping[str, JsonValue]

    def text(self, name: str) -> str:
        """Return an attribute as text, such as the id of the element's site."""
        return str(self.attributes[name])

    def number(self, name: str) -> float:
        """Return an attribute as a number."""
        return float(self.attributes[name])


@dataclass(frozen=True, slots=True)
class Dependency:
    """``source`` depends on ``target``; members of one ``group`` stand in for each other.

    ``protection`` is ``series``, ``redundant`` or ``partial`` as in the model's ``dependsOn``;
    ``min_required`` members of a redundant group must work.
    """

    source: str
    target: str
    protection: str = "series"
    group: str = ""
    min_required: int = 1


@dataclass(slots=True)
class SampleNetwork:
    """The network while it is built and after; elements keep their order of creation."""

    by_kind: dict[Kind, list[Element]] = field(default_factory=lambda: {kind: [] for kind in Kind})
    by_id: dict[str, Element] = field(default_factory=dict)
    dependencies: list[Dependency] = field(default_factory=list)
    ring_members: list[tuple[str, str, int]] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)

    def add(self, element: Element) -> Element:
        """Add an element.

        Raises:
            ValueError: there is one of that id already.
        """
        if element.id in self.by_id:
            raise ValueError(f"element {element.id} is there already")
        self.by_kind[element.kind].append(element)
        self.by_id[element.id] = element
        return element

    def next_number(self, series: str) -> int:
        """Return the next number of a series, from 1: of a region's sites, of a router's ports."""
        self.numbers[series] += 1
        return self.numbers[series]

    def depend(self, source: str, target: str) -> None:
        """Note that ``source`` does not work without ``target``."""
        self.dependencies.append(Dependency(source, target))

    def depend_on_one_of(self, source: str, *targets: str, group: str) -> None:
        """Note that ``source`` works as long as one of ``targets`` does."""
        self.dependencies += [Dependency(source, t, "redundant", group) for t in targets]

    def elements(self) -> Iterator[Element]:
        """Yield every element, kind by kind."""
        return iter(self.by_id.values())

    def of_site(self, kind: Kind, site: str) -> list[Element]:
        """Return the elements of a kind whose ``site`` is that one."""
        return [element for element in self.by_kind[kind] if element.attributes["site"] == site]

    def __len__(self) -> int:
        return len(self.by_id)
