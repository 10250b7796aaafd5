"""Takes models out of an instance: what rests on others first, and only what no twin uses.

Azure Digital Twins deletes a model that twins still use and leaves them unusable; here that is
refused. A model is decommissioned first, so that no twin of it can appear between the look and the
deletion. Whether twins use it is asked by query, which may lag ten seconds behind writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import ModelError, NotFoundError
from sync_agent.lifecycle.deploy_models import read_deployed
from sync_agent.ports.twin_store import ModelStore, TwinReader

NAMED_MAX = 3
QUERY_LAG_S = 10.0


class Models(TwinReader, ModelStore, Protocol):
    """What is needed of a service: its models, and queries."""


@dataclass(frozen=True, slots=True)
class Use:
    """Twins of exactly one model: how many there are, and the ids of the first."""

    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retirement:
    """Models to take out, in order; which of them take no new twins already; what stands against.

    ``used`` are twins by model; ``needed_by`` are models that rest on one and are to stay.
    """

    order: tuple[str, ...]
    decommissioned: frozenset[str]
    used: Mapping[str, Use]
    needed_by: Mapping[str, tuple[str, ...]]

    @property
    def active(self) -> tuple[str, ...]:
        """Return the models that still take new twins, in order."""
        return tuple(model for model in self.order if model not in self.decommissioned)

    @property
    def blocked(self) -> tuple[str, ...]:
        """Return in words what stands against deleting; empty when nothing does."""
        twins = [
            f"{model} is the model of {use.count:,} twins ({_listed(use.examples, use.count)})"
            for model, use in self.used.items()
        ]
        models = [
            f"{model} is needed by {', '.join(others)}" for model, others in self.needed_by.items()
        ]
        return (*twins, *models)


async def plan_retirement(service: Models, models: Sequence[str]) -> Retirement:
    """Look whether models can go, and in which order.

    Raises:
        ModelError: one is not deployed.
        ServiceError: the service cannot be asked.
    """
    deployed = await read_deployed(service)
    missing = [model for model in models if model not in deployed.documents]
    if missing:
        raise ModelError(f"not deployed: {', '.join(missing)}", remedy="correct the id")
    going = set(models)
    needed: dict[str, list[str]] = {}
    for other in deployed.registry.ids:
        if other not in going:
            for model in going.intersection(deployed.registry.dependencies(other)):
                needed.setdefault(model, []).append(other)
    used = {}
    for model in models:
        use = await _use(service, model)
        if use.count:
            used[model] = use
    return Retirement(
        order=_order(deployed.registry, models),
        decommissioned=deployed.decommissioned & going,
        used=used,
        needed_by={model: tuple(sorted(others)) for model, others in sorted(needed.items())},
    )


async def decommission(service: ModelStore, plan: Retirement) -> None:
    """Forbid new twins of the models of a plan; those there are stay as they are.

    Raises:
        ServiceError: a model could not be decommissioned; the ones before it are.
    """
    for model in plan.active:
        await service.decommission_model(model)


async def delete(
    service: Models,
    plan: Retirement,
    on_deleted: Callable[[int], None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Decommission and delete the models of a plan.

    Raises:
        ModelError: twins use one, or other models need one; nothing was deleted.
        ServiceError: a model could not be deleted; the ones before it are gone.
    """
    refuse_blocked(plan)
    await decommission(service, plan)
    if plan.active:
        await sleep(QUERY_LAG_S)  # a twin made just before would not show in a query yet
        again = await plan_retirement(service, plan.order)
        refuse_blocked(again)
    for number, model in enumerate(plan.order, start=1):
        with suppress(NotFoundError):  # somebody was quicker
            await service.delete_model(model)
        on_deleted(number)


def refuse_blocked(plan: Retirement) -> None:
    """Raise when twins use a model of the plan, or other models need one.

    Raises:
        ModelError: saying which.
    """
    if plan.blocked:
        twins = "migrate those twins (`sync-agent models migrate`) or delete them"
        models = "name the other models too, or leave these"
        remedies = [twins] if plan.used else []
        remedies += [models] if plan.needed_by else []
        raise ModelError("; ".join(plan.blocked), remedy="; ".join(remedies))


def _order(registry: ModelRegistry, models: Sequence[str]) -> tuple[str, ...]:
    going = set(models)
    known = [model for model in reversed(registry.upload_order()) if model in going]
    return (*(model for model in models if model not in registry), *known)


async def _use(service: TwinReader, model: str) -> Use:
    # A model id holds no quote.
    where = f"FROM DIGITALTWINS T WHERE IS_OF_MODEL(T, '{model}', exact)"
    count = 0
    async for row in service.query(f"SELECT COUNT() {where}"):
        count = int(row["COUNT"])
    if not count:
        return Use(0, ())
    first = f"SELECT TOP({NAMED_MAX}) T.$dtId {where}"
    return Use(count, tuple([row["$dtId"] async for row in service.query(first)]))


def _listed(names: Sequence[str], count: int) -> str:
    return ", ".join(names) + (", ..." if count > len(names) else "")
