"""Which deployed models have twins and a newer version they could be taken to."""

from __future__ import annotations

from sync_agent.dtdl.dtmi import path_of, version_of
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.migration.rules import Pair
from sync_agent.ports.twin_store import TwinReader


async def pairs_to_migrate(service: TwinReader, registry: ModelRegistry) -> tuple[Pair, ...]:
    """Return each such model with the newest version deployed.

    Raises:
        ServiceError: twins cannot be counted.
    """
    newest: dict[str, str] = {}
    for model in registry.ids:
        path = path_of(model)
        if path not in newest or version_of(model) > version_of(newest[path]):
            newest[path] = model
    pairs = []
    for model in registry.ids:
        latest = newest[path_of(model)]
        if model != latest and await _has_twins(service, model):
            pairs.append(Pair(model, latest))
    return tuple(pairs)


async def _has_twins(service: TwinReader, model: str) -> bool:
    # A model id holds no quote.
    where = f"IS_OF_MODEL(T, '{model}', exact)"
    text = f"SELECT TOP(1) T.$dtId FROM DIGITALTWINS T WHERE {where}"  # noqa: S608
    async for _ in service.query(text):
        return True
    return False
