"""The graph that should be, read from the source the settings name and mapped against the models.

It is what a plan is made from, whatever the source: the graph, what of the source was really read,
a digest of what was read, and what could not be used. Files are read in a thread; nothing is kept
between two readings.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sync_agent.agent.settings import Settings, required
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.desired import DesiredGraph
from sync_agent.inventory.mapping import Mapping, check_columns, map_records, parse_mapping
from sync_agent.inventory.record import Coverage, RecordDiagnostic
from sync_agent.sources.folder import read_folder
from sync_agent.sources.text_file import read_text


@dataclass(frozen=True, slots=True)
class Desired:
    """What one reading of the inventory gave.

    ``coverage`` includes the gaps that unusable records left, ``digest`` is the same for the same
    content, ``records`` counts what was read.
    """

    graph: DesiredGraph
    coverage: tuple[Coverage, ...]
    digest: str
    records: int
    diagnostics: tuple[RecordDiagnostic, ...] = ()


async def read_desired(settings: Settings, registry: ModelRegistry) -> Desired:
    """Read and map the inventory.

    Raises:
        SettingsError: its source or its mapping is not set.
        InputError: the mapping or the source cannot be used at all.
    """
    source = required(settings.inventory.source, "inventory.source")
    path = required(settings.inventory.mapping, "inventory.mapping")
    mapping = await asyncio.to_thread(read_mapping, path)
    read = await asyncio.to_thread(read_folder, source, mapping.scopes)
    check_columns(mapping, read.columns)
    mapped = await asyncio.to_thread(map_records, mapping, read.records, registry)
    return Desired(
        graph=mapped.desired,
        coverage=(*read.coverage, *mapped.gaps),
        digest=read.digest,
        records=len(read.records),
        diagnostics=(*read.diagnostics, *mapped.diagnostics),
    )


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        InputError: it cannot be read or is no mapping.
    """
    return parse_mapping(read_text(path), place=str(path))
