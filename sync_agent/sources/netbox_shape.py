"""NetBox objects in one shape, whatever the version between 3.6 and 4.5 they come from.

What changed on the way and is evened out here:

- devices: ``device_role`` became ``role`` (3.6), and went (4.0); both are there now;
- circuit terminations: ``site`` and ``provider_network`` became ``termination`` (4.2);
- prefixes, clusters and wireless LANs: ``site`` became ``scope`` (4.2);
- front ports: ``rear_port`` and ``rear_port_position`` became a list, ``rear_ports`` (4.5);
- lengths have units; ``length_metres`` is added to cables, whose ``type`` is bare text, and
  ``distance_metres`` to wireless links (4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

Item = dict[str, Any]

_METRES: Mapping[str, float] = MappingProxyType(
    {"km": 1000.0, "m": 1.0, "cm": 0.01, "mi": 1609.344, "ft": 0.3048, "in": 0.0254}
)


def in_one_shape(kind: str, item: Item) -> Item:
    """Return an object of a kind (``front-ports``) as the newest version would have it.

    Raises:
        ValueError: paths cannot be followed through it, because it is of no known shape.
    """
    change = _CHANGES.get(kind)
    return change(dict(item)) if change is not None else item


def word(value: Any) -> str:
    """Return the value of a choice field, which is ``{value, label}`` or bare text."""
    if isinstance(value, dict):
        value = value.get("value")
    return value if isinstance(value, str) else ""


def id_of(value: Any) -> int | None:
    """Return the id of an object that stands in another, or of one that is only an id."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _device(item: Item) -> Item:
    role = item.get("role") or item.get("device_role")
    item["role"] = item["device_role"] = role
    return item


def _front_port(item: Item) -> Item:
    if "rear_ports" not in item:
        rear = id_of(item.get("rear_port"))
        position = item.get("rear_port_position") or 1
        mapping = {"position": 1, "rear_port": rear, "rear_port_position": position}
        item["rear_ports"] = [mapping] if rear is not None else []
    for mapping in _objects(item, "rear_ports"):
        _whole(mapping, "rear_port_position")
    return item


def _rear_port(item: Item) -> Item:
    _whole(item, "positions")
    return item


def _circuit_termination(item: Item) -> Item:
    if "termination_type" in item:
        kind = item.get("termination_type") or ""
        item["site"] = item.get("termination") if kind == "dcim.site" else None
        network = item.get("termination") if kind == "circuits.providernetwork" else None
        item["provider_network"] = network
    return item


def _scoped(item: Item) -> Item:
    if "scope_type" in item:
        item["site"] = item.get("scope") if item.get("scope_type") == "dcim.site" else None
    return item


def _wireless_link(item: Item) -> Item:
    item["distance_metres"] = _metres(item.get("distance"), item.get("distance_unit"))
    return item


def _metres(length: Any, unit: Any) -> float | None:
    factor = _METRES.get(word(unit))
    if factor is None or not isinstance(length, int | float):
        return None
    return float(f"{length * factor:.12g}")


def _cable(item: Item) -> Item:
    item["length_metres"] = _metres(item.get("length"), item.get("length_unit"))
    item["type"] = word(item.get("type"))
    for side in ("a_terminations", "b_terminations"):
        item[side] = list(_objects(item, side))
        for end in item[side]:
            if not isinstance(end.get("object_type"), str) or id_of(end.get("object_id")) is None:
                raise ValueError(f"one of its {side} has no object_type and object_id")
            if not isinstance(end.get("object"), dict | None):
                raise ValueError(f"the object of one of its {side} is no object")
    return item


def _objects(item: Item, name: str) -> Iterator[Item]:
    """Yield the objects of a list inside an object; none where the list is missing."""
    listed = item.get(name)
    if not isinstance(listed, list | None):
        raise ValueError(f"its {name} are no list")
    for inner in listed or ():
        if not isinstance(inner, dict):
            raise ValueError(f"one of its {name} is no object")
        yield inner


def _whole(item: Item, name: str) -> None:
    if not isinstance(item.get(name), int | None):
        raise ValueError(f"its {name} is no whole number")


_CHANGES: Mapping[str, Callable[[Item], Item]] = MappingProxyType(
    {
        "devices": _device,
        "front-ports": _front_port,
        "rear-ports": _rear_port,
        "circuit-terminations": _circuit_termination,
        "prefixes": _scoped,
        "clusters": _scoped,
        "wireless-lans": _scoped,
        "wireless-links": _wireless_link,
        "cables": _cable,
    }
)
