"""Brings the deployed models up to a folder's: what is missing is created, bases first.

A deployed model is never changed: the same id with other content is an error, since twins rely on
it. A new content needs a new version. A folder may build on models that are deployed and not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sync_agent.dtdl.adt_profile import check_adt
from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Interface
from sync_agent.dtdl.parse import parse_documents
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import ModelError
from sync_agent.ports.twin_store import ModelStore
from sync_agent.sources.model_folder import read_models, refuse_faulty

MODELS_PER_CALL = 250


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """Which models are to be created, in an order that works, and how many are there already."""

    create: tuple[Interface, ...]
    unchanged: int


def check_models(
    path: Path, deployed: Sequence[Interface] = ()
) -> tuple[tuple[Interface, ...], tuple[Diagnostic, ...]]:
    """Read a folder and return its interfaces and everything wrong with them, ADT's rules included.

    ``deployed`` are models that those of the folder may build on.

    Raises:
        InputError: the folder cannot be read.
    """
    folder = read_models(path)
    registry = ModelRegistry((*deployed, *folder.interfaces))
    findings = list(folder.diagnostics)
    faulty = {finding.model for finding in findings}
    for interface in folder.interfaces:
        findings += check_adt(registry, interface)
        findings += [
            Diagnostic(
                "unresolvedReference",
                f"{dependency} is nowhere",
                interface.id,
                remedy="add that model, or correct the reference",
            )
            for dependency in registry.dependencies(interface.id)
            if dependency not in registry and dependency not in faulty
        ]
    return folder.interfaces, tuple(findings)


async def plan_models(store: ModelStore, path: Path) -> ModelPlan:
    """Compare a folder with what is deployed.

    Raises:
        InputError: the folder cannot be read.
        ModelError: the folder has a faulty model, or a deployed one has other content.
        ServiceError: the deployed models cannot be read.
    """
    deployed = {model["id"]: model.get("model") async for model in store.list_models()}
    known = parse_documents(deployed.items(), undefined_extensions=True).interfaces
    interfaces, findings = check_models(path, known)
    refuse_faulty(findings, path)
    for interface in interfaces:
        if interface.id in deployed and deployed[interface.id] != interface.document:
            raise ModelError(
                f"{interface.id} is deployed with other content",
                place=str(path),
                remedy="give the changed model a new version; a deployed model does not change",
            )
    by_id = {interface.id: interface for interface in interfaces}
    missing = [i for i in ModelRegistry(interfaces).upload_order() if i not in deployed]
    return ModelPlan(tuple(by_id[i] for i in missing), len(interfaces) - len(missing))


async def apply_models(
    store: ModelStore, models: Sequence[Interface], on_created: Callable[[int], None]
) -> None:
    """Create models in batches; ``on_created`` is told how many are there after each.

    Raises:
        ServiceError: a batch was refused whole; the ones before it stand.
    """
    for first in range(0, len(models), MODELS_PER_CALL):
        batch = models[first : first + MODELS_PER_CALL]
        await store.create_models([dict(model.document) for model in batch])
        on_created(first + len(batch))
