"""The sample network as the CSV files of an inventory export: one a kind, and two of edges.

``dependencies.csv`` holds who depends on whom, ``ring_members.csv`` the order of routers on a ring.
The rest of the edges are columns (``site``, ``a_end``, ...). Rows come in the order of creation, so
the same seed gives the same bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence

from sync_agent.sample.network import SampleNetwork
from sync_agent.twins.twin import JsonValue

DEPENDENCIES = "dependencies.csv"
RING_MEMBERS = "ring_members.csv"


def csv_files(network: SampleNetwork) -> Mapping[str, str]:
    """Return the text of every file by its name."""
    files = {}
    for kind, elements in network.by_kind.items():
        columns = ["id", *elements[0].attributes]
        rows = ([element.id, *element.attributes.values()] for element in elements)
        files[f"{kind.value}.csv"] = _text(columns, rows)
    files[DEPENDENCIES] = _text(
        ("source", "target", "protection", "group", "min_required"),
        (
            [
                edge.source,
                edge.target,
                edge.protection,
                edge.group,
                edge.min_required if edge.group else "",
            ]
            for edge in network.dependencies
        ),
    )
    files[RING_MEMBERS] = _text(("ring", "router", "order"), network.ring_members)
    return files


class _Lines(list[str]):
    """What ``csv`` writes to: the core has no files."""

    write = list.append


def _text(columns: Sequence[str], rows: Iterable[Sequence[JsonValue]]) -> str:
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return "".join(lines)


def _cell(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
