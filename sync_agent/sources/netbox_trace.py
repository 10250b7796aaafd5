"""From cables to what they join: paths through patch panels and circuits, and the way of power.

A path starts at an end point (an interface, a power port) and goes along cables; a front port leads
to its position on a rear port, a rear port back to the front port of the position the path came in
at, a circuit's end to its other end. It is complete when it reaches end points, or the site or
provider network where a circuit ends. These are the rules NetBox traces by; its own recorded paths
are the oracle of the test.

Pure: it takes listed objects and returns records' attributes. Bounds: ``STEPS_MAX`` a path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_agent.sources.netbox_shape import Item, id_of

STEPS_MAX = 200
POWER_HOPS_MAX = 16

Node = tuple[str, int]
"""An object by type and id: ``("dcim.interface", 7)``."""

Entered = list[list[int]]
"""The positions a path came in at, on each of the rear ports side by side."""

INTERFACE = "dcim.interface"
FRONT_PORT = "dcim.frontport"
REAR_PORT = "dcim.rearport"
CIRCUIT_END = "circuits.circuittermination"
POWER_PORT = "dcim.powerport"
POWER_OUTLET = "dcim.poweroutlet"
POWER_FEED = "dcim.powerfeed"
CABLE = "dcim.cable"
_PASSED = frozenset({FRONT_PORT, REAR_PORT, CIRCUIT_END})

Objects = Mapping[str, Mapping[int, Item]]
"""Objects of each kind (``front-ports``) by id, in one shape."""


@dataclass(frozen=True, slots=True)
class Path:
    """The way from an end point: nodes side by side where a cable has several ends.

    Cables are among the nodes; ``complete`` tells whether it leads to an end.
    """

    steps: tuple[tuple[Node, ...], ...]
    complete: bool

    @property
    def ends(self) -> tuple[Node, ...]:
        """Return where it leads."""
        return self.steps[-1]

    @property
    def cables(self) -> tuple[int, ...]:
        """Return the ids of its cables, in order."""
        return tuple(n for step in self.steps for kind, n in step if kind == CABLE)


@dataclass(slots=True)
class CablePlant:
    """All cables, ports and circuits, ready to be followed.

    ``labels`` are the objects as the cables show them, with device and name.
    """

    far: dict[Node, tuple[int, tuple[Node, ...]]] = field(default_factory=dict)
    labels: dict[Node, Item] = field(default_factory=dict)
    to_rear: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    to_front: dict[tuple[int, int], int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    peers: dict[int, int] = field(default_factory=dict)
    places: dict[int, Node] = field(default_factory=dict)

    @classmethod
    def of(cls, objects: Objects) -> CablePlant:
        """Gather what paths need from ``cables``, ports and ``circuit-terminations``."""
        plant = cls()
        for cable in objects.get("cables", {}).values():
            plant._add_cable(cable)
        for port in objects.get("rear-ports", {}).values():
            plant.positions[port["id"]] = port.get("positions") or 1
        for port in objects.get("front-ports", {}).values():
            for mapping in port["rear_ports"]:
                rear = id_of(mapping.get("rear_port"))
                position = mapping.get("rear_port_position") or 1
                if rear is not None:
                    plant.to_rear.setdefault(port["id"], []).append((rear, position))
                    plant.to_front[rear, position] = port["id"]
        plant._add_circuits(objects.get("circuit-terminations", {}).values())
        return plant

    def _add_cable(self, cable: Item) -> None:
        ends = [
            [(end["object_type"], end["object_id"]) for end in cable[side]]
            for side in ("a_terminations", "b_terminations")
        ]
        for side in ("a_terminations", "b_terminations"):
            for end in cable[side]:
                self.labels[end["object_type"], end["object_id"]] = end.get("object") or {}
        for here, there in (ends, ends[::-1]):
            for node in here:
                self.far[node] = (cable["id"], tuple(there))

    def _add_circuits(self, terminations: Iterable[Item]) -> None:
        of_circuit: dict[int, list[Item]] = defaultdict(list)
        for end in terminations:
            circuit = id_of(end.get("circuit"))
            if circuit is not None:
                of_circuit[circuit].append(end)
            if (site := id_of(end.get("site"))) is not None:
                self.places[end["id"]] = ("dcim.site", site)
            elif (network := id_of(end.get("provider_network"))) is not None:
                self.places[end["id"]] = ("circuits.providernetwork", network)
            elif (place := id_of(end.get("termination"))) is not None:
                self.places[end["id"]] = (str(end.get("termination_type")), place)
        for ends in of_circuit.values():
            if len(ends) == 2:
                one, two = ends
                self.peers[one["id"]], self.peers[two["id"]] = two["id"], one["id"]

    def path(self, origin: Node) -> Path | None:
        """Return the path from an end point, None when no cable is at it."""
        if origin not in self.far:
            return None
        steps: list[tuple[Node, ...]] = [(origin,)]
        here: tuple[Node, ...] = (origin,)
        stack: list[Entered] = []
        for _ in range(STEPS_MAX):
            cables, there = self._along(here)
            if not there:
                return Path(tuple(steps), complete=False)
            steps += [cables, there]
            kind = there[0][0]
            if any(other != kind for other, _ in there):
                return Path(tuple(steps), complete=False)
            if kind not in _PASSED:
                return Path(tuple(steps), complete=True)
            passed = self._through(there, stack, steps)
            if passed is None:
                return Path(tuple(steps), complete=steps[-1][0][0] not in _PASSED)
            here = passed
        return Path(tuple(steps), complete=False)

    def _along(self, here: tuple[Node, ...]) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
        """Return the cables at these nodes, and what is at their other ends."""
        found = dict(self.far[node] for node in here if node in self.far)
        cables = tuple((CABLE, cable) for cable in found)
        return cables, tuple(dict.fromkeys(node for there in found.values() for node in there))

    def _through(
        self, nodes: tuple[Node, ...], stack: list[Entered], steps: list[tuple[Node, ...]]
    ) -> tuple[Node, ...] | None:
        """Pass through panels and circuits; None where the way ends (its end is then a step)."""
        kind = nodes[0][0]
        if kind == FRONT_PORT:
            pairs = [pair for _, port in nodes for pair in self.to_rear.get(port, [])]
            rears = tuple(dict.fromkeys((REAR_PORT, rear) for rear, _ in pairs))
            if not rears:
                return None
            if any(self.positions.get(rear, 1) > 1 for _, rear in rears):
                stack.append([[at for of, at in pairs if of == rear] for _, rear in rears])
            steps.append(rears)
            return rears
        if kind == REAR_PORT:
            fronts = self._fronts(nodes, stack)
            if not fronts:
                return None
            steps.append(fronts)
            return fronts
        return self._other_end(nodes[0][1], steps) if len(nodes) == 1 else None

    def _fronts(self, nodes: tuple[Node, ...], stack: list[Entered]) -> tuple[Node, ...]:
        many = any(self.positions.get(rear, 1) > 1 for _, rear in nodes)
        if many and not stack:
            return ()  # it leads to several front ports, and nobody knows to which
        entered = stack.pop() if many else [[1]]
        if len(nodes) == len(entered):  # trunks side by side: each at its own positions
            places = [(rear, at) for (_, rear), of in zip(nodes, entered, strict=True) for at in of]
        else:
            places = [(rear, at) for _, rear in nodes for of in entered for at in of]
        found = map(self.to_front.get, places)
        return tuple((FRONT_PORT, port) for port in found if port is not None)

    def _other_end(self, end: int, steps: list[tuple[Node, ...]]) -> tuple[Node, ...] | None:
        peer = self.peers.get(end)
        if peer is None:
            return None
        steps.append(((CIRCUIT_END, peer),))
        if (CIRCUIT_END, peer) in self.far:
            return ((CIRCUIT_END, peer),)
        if peer in self.places:
            steps.append((self.places[peer],))
        return None

    def label(self, node: Node) -> Item:
        """Return an object as the cables show it."""
        return self.labels.get(node, {})


def cable_ends(objects: Objects) -> Iterator[dict[str, Any]]:
    """Yield a record for each end of each cable."""
    for cable in objects["cables"].values():
        for side, name in (("A", "a_terminations"), ("B", "b_terminations")):
            for end in cable[name]:
                kind, number = end["object_type"], end["object_id"]
                yield {
                    "id": f"{cable['id']}-{side}-{kind}-{number}",
                    "cable": cable["id"],
                    "side": side,
                    "object_type": kind,
                    "object_id": number,
                    "device": id_of((end.get("object") or {}).get("device")),
                    "circuit": id_of((end.get("object") or {}).get("circuit")),
                }


def links(objects: Objects) -> Iterator[dict[str, Any]]:
    """Yield a record for each pair of interfaces, or interface and site, that a path joins."""
    plant = CablePlant.of(objects)
    seen: set[tuple[Node, Node]] = set()
    for origin in sorted(node for node in plant.far if node[0] == INTERFACE):
        path = plant.path(origin)
        if path is None or not path.complete:
            continue
        for end in path.ends:
            pair = (min(origin, end), max(origin, end)) if end[0] == INTERFACE else (origin, end)
            if pair in seen or origin == end:
                continue
            seen.add(pair)
            yield _link(plant, pair, path)


def _link(plant: CablePlant, pair: tuple[Node, Node], path: Path) -> dict[str, Any]:
    circuits = [n for step in path.steps for kind, n in step if kind == CIRCUIT_END]
    record: dict[str, Any] = {
        "id": "--".join(f"{kind.rpartition('.')[2]}-{number}" for kind, number in pair),
        "cables": list(path.cables),
        "cable_count": len(path.cables),
        "panels": sum(kind == REAR_PORT for step in path.steps for kind, _ in step),
        "circuit": id_of(plant.label((CIRCUIT_END, circuits[0])).get("circuit"))
        if circuits
        else None,
    }
    for side, node in zip("az", pair, strict=True):
        label = plant.label(node)
        device = label.get("device") or {}
        record |= {
            f"{side}_type": node[0],
            f"{side}_id": node[1],
            f"{side}_name": label.get("name"),
            f"{side}_device": id_of(device),
            f"{side}_device_name": device.get("name") if isinstance(device, dict) else None,
        }
    return record


def power_paths(objects: Objects) -> Iterator[dict[str, Any]]:
    """Yield a record for each power port with something behind it.

    ``pdu`` is the device it plugs into, ``feed`` and ``panel`` where the current comes from,
    ``protection`` is redundant where its device has ports on more than one feed or outlet device.
    """
    plant = CablePlant.of(objects)
    ports = objects["power-ports"]
    found = []
    for number, port in sorted(ports.items()):
        upstream = _upstream(plant, objects, number)
        if upstream is not None:
            found.append((port, upstream))
    behind: dict[int | None, set[Any]] = defaultdict(set)
    for port, upstream in found:
        behind[id_of(port.get("device"))].add(upstream["feed"] or upstream["pdu"])
    for port, upstream in found:
        device = id_of(port.get("device"))
        protection = "redundant" if len(behind[device]) > 1 else "series"
        yield {
            "id": port["id"],
            "device": device,
            "port": port.get("name"),
            **upstream,
            "protection": protection,
        }


def _upstream(plant: CablePlant, objects: Objects, port: int) -> dict[str, Any] | None:
    """Return outlet device, feed and panel of a power port, None when nothing is behind it."""
    result: dict[str, Any] = {"outlet": None, "pdu": None, "feed": None, "panel": None, "hops": 0}
    for _ in range(POWER_HOPS_MAX):
        path = plant.path((POWER_PORT, port))
        if path is None or not path.complete:
            break
        kind, number = path.ends[0]
        result["hops"] += 1
        if kind == POWER_FEED:
            feed = objects["power-feeds"].get(number, {})
            result |= {"feed": number, "panel": id_of(feed.get("power_panel"))}
            break
        if kind != POWER_OUTLET:
            break
        outlet = objects["power-outlets"].get(number, {})
        if result["outlet"] is None:
            result |= {"outlet": number, "pdu": id_of(outlet.get("device"))}
        next_port = id_of(outlet.get("power_port"))
        if next_port is None:
            break
        port = next_port
    return result if result["hops"] else None


DERIVED: Mapping[str, tuple[Sequence[str], Any]] = {
    "cable-ends": (("cables",), cable_ends),
    "links": (("cables", "front-ports", "rear-ports", "circuit-terminations"), links),
    "power-paths": (("cables", "power-ports", "power-outlets", "power-feeds"), power_paths),
}
"""Scopes made from others: the kinds each needs, and how."""
