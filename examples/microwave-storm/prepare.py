"""Makes an inventory of the recording: its links with their dry references, and their sites.

The recording's ``links.csv`` has one row per direction. A link's id is ``SITE_n_SITE_m``: the sites
are its first and third part, and their coordinates agree wherever a site occurs. A direction's dry
reference is the median of its valid levels over the whole recording: it rains for a small part of
the two days, so the median is a dry level.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections import defaultdict
from pathlib import Path
from statistics import median

NO_READING = {"", "-99.0", "-99.9"}
EARTH_RADIUS_KM = 6371.0


def write_inventory(data: Path, folder: Path) -> int:
    """Write ``links.csv`` and ``sites.csv`` for the recording in ``data`` into ``folder``.

    Returns the number of rows of the recording.
    """
    references, recorded = dry_references(data / "rsl_tsl.csv.gz")
    sites: dict[str, tuple[str, str]] = {}
    links = []
    with (data / "links.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            a_site, _, b_site, _ = row["link_id"].split("_")
            sites[a_site] = (row["a_lat"], row["a_lon"])
            sites[b_site] = (row["b_lat"], row["b_lon"])
            links.append(
                {
                    **row,
                    "a_site": a_site,
                    "b_site": b_site,
                    "hop_km": hop_km(row),
                    "nominal_rsl_dbm": references[row["link_id"], row["channel"]],
                }
            )
    _write(folder / "links.csv", links)
    _write(
        folder / "sites.csv",
        [{"site": site, "lat": at[0], "lon": at[1]} for site, at in sorted(sites.items())],
    )
    return recorded


def dry_references(recording: Path) -> tuple[dict[tuple[str, str], float], int]:
    """Return the median valid level of every (link, channel), and the number of rows read."""
    levels = defaultdict(list)
    rows = 0
    with gzip.open(recording, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows += 1
            if row["rsl_dbm"] not in NO_READING:
                levels[row["link_id"], row["channel"]].append(float(row["rsl_dbm"]))
    return {channel: round(median(values), 2) for channel, values in levels.items()}, rows


def hop_km(row: dict[str, str]) -> float:
    """Return the length of a hop from its ends' coordinates."""
    a_lat, a_lon, b_lat, b_lon = (
        math.radians(float(row[name])) for name in ("a_lat", "a_lon", "b_lat", "b_lon")
    )
    root = (
        math.sin((b_lat - a_lat) / 2) ** 2
        + math.cos(a_lat) * math.cos(b_lat) * math.sin((b_lon - a_lon) / 2) ** 2
    )
    return round(2 * EARTH_RADIUS_KM * math.asin(math.sqrt(root)), 3)


def _write(path: Path, rows: list[dict[str, str | float]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
