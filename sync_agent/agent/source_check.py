"""Whether the inventory's sources answer, and what they have: without twins, before any plan.

Each source is looked at for itself, so that one that fails does not hide what is wrong with the
next. Nothing is kept and nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from sync_agent.agent.desired_graph import read_mapping
from sync_agent.agent.inventory_sources import NamedSource, sources_of
from sync_agent.errors import InputError, SyncAgentError
from sync_agent.inventory.mapping import check_columns
from sync_agent.inventory.record import Coverage
from sync_agent.inventory.rules import Mapping as Rules
from sync_agent.inventory.rules import one_owner
from sync_agent.settings.settings import Settings

PATIENCE_S = 5.0
"""Somebody waits for the answer: a service that fails is not tried again for longer."""

ONLY_SOURCE = "source"
"""What the only source is called where it has no name of its own."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope as it was read: its records, its columns, and whether that is all of it."""

    coverage: Coverage
    records: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """One source: what answered, the scopes its mapping names if they were read, what is wrong.

    ``unasked`` is what the source has beside those. The ``mapping`` is None where it is not sound.
    """

    name: str
    kind: str
    answer: str = ""
    scopes: tuple[Scope, ...] = ()
    unasked: Mapping[str, int | None] = field(default_factory=dict)
    mapping: Rules | None = None
    faults: tuple[SyncAgentError, ...] = ()


async def check_sources(settings: Settings, *, read: bool) -> tuple[SourceCheck, ...]:
    """Return what each source answers; with ``read`` also what it has of its mapping's scopes.

    Raises:
        SettingsError: there is no source, or one cannot be as it is set.
    """
    inventory = settings.inventory
    hasty = tuple(
        source.model_copy(update={"retry_for_s": min(source.retry_for_s, PATIENCE_S)})
        for source in inventory.sources
    )
    inventory = inventory.model_copy(update={"sources": hasty})
    kinds = [source.kind for source in inventory.sources] or ["files"]
    look = _read if read else _ask
    checked = [
        await _looked_at(named, kind, look)
        for named, kind in zip(sources_of(inventory), kinds, strict=True)
    ]
    if inventory.owner is None:
        _find_owners(checked)
    return tuple(checked)


def _find_owners(checked: list[SourceCheck]) -> None:
    """Note it as a fault of a source that its mapping has not the owner of the first."""
    for at, one in enumerate(checked):
        others = [other.mapping for other in checked[:at] if other.mapping is not None]
        if one.mapping is not None and others:
            try:
                one_owner([others[0], one.mapping])
            except InputError as error:
                checked[at] = replace(one, faults=(*one.faults, error))


_Look = Callable[[NamedSource, str], Awaitable[SourceCheck]]


async def _looked_at(named: NamedSource, kind: str, look: _Look) -> SourceCheck:
    try:
        return await look(named, kind)
    except SyncAgentError as error:
        return SourceCheck(named.name or ONLY_SOURCE, kind, faults=(error,))
    finally:
        await named.source.close()


async def _ask(named: NamedSource, kind: str) -> SourceCheck:
    mapping = await asyncio.to_thread(read_mapping, named.mapping)
    answer = await named.source.check()
    return SourceCheck(named.name or ONLY_SOURCE, kind, answer, mapping=mapping)


async def _read(named: NamedSource, kind: str) -> SourceCheck:
    mapping = await asyncio.to_thread(read_mapping, named.mapping)
    found = await named.source.read(mapping.scopes)
    counts = dict.fromkeys(mapping.scopes, 0)
    for record in found.records:
        counts[record.kind] += 1
    faults: list[SyncAgentError] = [
        InputError(fault.message, place=fault.place, remedy=fault.remedy)
        for fault in found.diagnostics
    ]
    try:
        check_columns(mapping, found.columns, found.open_kinds)
    except InputError as error:
        faults.append(error)
    return SourceCheck(
        name=named.name or ONLY_SOURCE,
        kind=kind,
        answer=f"{len(found.records):,} records",
        scopes=tuple(
            Scope(stated, counts[stated.scope], found.columns[stated.scope])
            for stated in found.coverage
        ),
        unasked=found.unasked,
        mapping=mapping,
        faults=tuple(faults),
    )
