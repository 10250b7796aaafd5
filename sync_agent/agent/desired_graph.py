"""The graph that should be, read from the sources the settings name and mapped against the models.

It is what a plan is made from, whatever the sources: the graph, what of them was really read, a
digest of what was read and how it was mapped, and what could not be used. Sources are read side by
side, mapped in a thread. One of several sources that does not answer leaves its scopes unread; the
others go on.

A reader that is kept lets its sources fetch only what changed since the last reading, and maps
nothing anew where they gave what they gave then: the result is the same object.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from sync_agent.agent.inventory_sources import NamedSource, Watching, sources_of, unwatched
from sync_agent.dependency.derive import with_derived
from sync_agent.dependency.rules import DependencyRules
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import InputError, ServiceError, SyncAgentError
from sync_agent.inventory.desired import Desired
from sync_agent.inventory.mapping import (
    MappedGraph,
    Mapping,
    Reading,
    check_columns,
    map_sources,
    parse_mapping,
)
from sync_agent.inventory.record import Coverage, RecordDiagnostic, SourceRead
from sync_agent.settings.settings import Settings
from sync_agent.sources.text_file import read_text
from sync_agent.twins.collector import collector_resting


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a desired graph follows from: models, mappings and rules, and what each source gave."""

    registry: ModelRegistry
    texts: tuple[str, ...]
    reads: tuple[tuple[object, ...], ...]


class InventoryReader:
    """All sources of an inventory, from one reading to the next.

    Use as an async context manager.
    """

    def __init__(
        self,
        sources: Sequence[NamedSource],
        dependency_rules: Path | None = None,
        owner: str | None = None,
    ) -> None:
        """Prepare; nothing is read yet. With rules, what they imply is part of the graph.

        An ``owner`` takes the place of those the mappings name.
        """
        self._sources = tuple(sources)
        self._seen: _Seen | None = None
        self._desired: Desired | None = None
        self._dependency_rules = dependency_rules
        self._owner = owner

    @classmethod
    def of(cls, settings: Settings, watching: Watching = unwatched) -> Self:
        """Return a reader of the sources the settings name.

        Raises:
            SettingsError: there is none, or one cannot be as it is set.
        """
        inventory = settings.inventory
        rules = inventory.dependency_rules if inventory.derive_dependencies else None
        return cls(sources_of(inventory, watching), rules, inventory.owner)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for named in self._sources:
            await named.source.close()

    async def read(self, registry: ModelRegistry) -> Desired:
        """Read and map the inventory.

        Raises:
            InputError: a mapping or a source cannot be used at all.
            ServiceError: no source answers.
        """
        texts = [await asyncio.to_thread(read_text, named.mapping) for named in self._sources]
        mappings = [
            self._owned(parse_mapping(text, place=str(named.mapping)))
            for text, named in zip(texts, self._sources, strict=True)
        ]
        if self._owner is not None:
            texts.append(self._owner)
        if self._dependency_rules is not None:
            texts.append(await asyncio.to_thread(read_text, self._dependency_rules))
        reads = await self._read_all(mappings)
        seen = _Seen(
            registry,
            tuple(texts),
            tuple(
                (r.digest, r.coverage, r.diagnostics, r.partial_kinds, r.gone, r.gone_records)
                for r in reads
            ),
        )
        if self._desired is None or seen != self._seen:
            self._desired = await self._mapped(reads, mappings, texts, registry)
            self._seen = seen
        return self._desired

    def _owned(self, mapping: Mapping) -> Mapping:
        if self._owner is None:
            return mapping
        return replace(mapping, owner=replace(mapping.owner, name=self._owner))

    async def _mapped(
        self,
        reads: Sequence[SourceRead],
        mappings: Sequence[Mapping],
        texts: Sequence[str],
        registry: ModelRegistry,
    ) -> Desired:
        for mapping, read in zip(mappings, reads, strict=True):
            check_columns(mapping, read.columns, read.open_kinds)
        readings = [
            Reading(
                mapping,
                read.records,
                named.name,
                read.coverage,
                gone=read.gone,
                gone_records=read.gone_records,
                partial_kinds=read.partial_kinds,
            )
            for named, mapping, read in zip(self._sources, mappings, reads, strict=True)
        ]
        mapped = await asyncio.to_thread(_mapped, readings, registry)
        graph = mapped.desired
        idle: tuple[RecordDiagnostic, ...] = ()
        if (path := self._dependency_rules) is not None:
            rules, idle = parse_dependency_rules(texts[-1], path, registry)
            graph = await asyncio.to_thread(with_derived, graph, rules, registry)
        coverage = [
            Coverage(reading.scope(stated.scope), stated.complete, stated.reason)
            for reading in readings
            for stated in reading.coverage or ()
        ]
        return Desired(
            graph=graph,
            coverage=(*coverage, *mapped.gaps),
            digest=_digest(self._sources, reads, texts),
            records=sum(len(read.records) for read in reads),
            diagnostics=(
                *(fault for read in reads for fault in read.diagnostics),
                *mapped.diagnostics,
                *idle,
            ),
        )

    async def _read_all(self, mappings: Sequence[Mapping]) -> list[SourceRead]:
        """Read all sources side by side; one of several that does not answer gave nothing."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_read(named, mapping))
                for named, mapping in zip(self._sources, mappings, strict=True)
            ]
        results = [task.result() for task in tasks]
        for result in results:
            if isinstance(result, SyncAgentError) and not isinstance(result, ServiceError):
                raise result
        failures = [result for result in results if isinstance(result, ServiceError)]
        if len(failures) == len(results):
            raise failures[0]
        return [
            _unread(named, mapping, result) if isinstance(result, SyncAgentError) else result
            for named, mapping, result in zip(self._sources, mappings, results, strict=True)
        ]


async def read_desired(
    settings: Settings, registry: ModelRegistry, watching: Watching = unwatched
) -> Desired:
    """Read and map the inventory once.

    Raises:
        SettingsError: its source or its mapping is not set.
        InputError: a mapping or a source cannot be used at all.
        ServiceError: no source answers.
    """
    async with InventoryReader.of(settings, watching) as reader:
        return await reader.read(registry)


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        InputError: it cannot be read or is no mapping.
    """
    return parse_mapping(read_text(path), place=str(path))


def parse_dependency_rules(
    text: str, path: Path, registry: ModelRegistry
) -> tuple[DependencyRules, tuple[RecordDiagnostic, ...]]:
    """Read rules for the models that are there, and say which can do nothing.

    Raises:
        InputError: it is no file of rules, or names what a model does not have.
    """
    rules = DependencyRules.parse(text, place=str(path))
    for fault in rules.check(registry):
        raise InputError(fault, place=str(path), remedy="name what the model has")
    remedy = "deploy the model, or take the rule out"
    return rules, tuple(RecordDiagnostic(str(path), idle, remedy) for idle in rules.idle(registry))


async def _read(named: NamedSource, mapping: Mapping) -> SourceRead | SyncAgentError:
    try:
        return await named.source.read(mapping.scopes)
    except SyncAgentError as error:  # a task group would wrap it
        return error


def _unread(named: NamedSource, mapping: Mapping, error: SyncAgentError) -> SourceRead:
    """Return a reading that gave nothing and says why."""
    remedy = error.remedy or "try again; nothing that comes from it is deleted"
    return SourceRead(
        coverage=tuple(Coverage(scope, False, error.message) for scope in mapping.scopes),
        columns=dict.fromkeys(mapping.scopes, ()),
        diagnostics=(
            RecordDiagnostic(f"source {named.name}", f"was not read: {error.message}", remedy),
        ),
        open_kinds=frozenset(mapping.scopes),
    )


def _mapped(readings: Sequence[Reading], registry: ModelRegistry) -> MappedGraph:
    with collector_resting():
        return map_sources(readings, registry)


def _digest(
    sources: Sequence[NamedSource], reads: Sequence[SourceRead], texts: Sequence[str]
) -> str:
    digest = hashlib.sha256()
    for named, read in zip(sources, reads, strict=True):
        digest.update(f"{named.name}\n{read.digest}\n".encode())
    for text in texts:
        digest.update(f"{text}\n".encode())
    return digest.hexdigest()
