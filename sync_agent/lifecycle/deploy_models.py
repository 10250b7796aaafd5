"""Brings the deployed models up to a folder's: what is missing is created, bases first.

A deployed model is never changed: the same id with other content is a conflict, since twins rely on
it; new content needs a new version. A folder may build on models that are deployed and not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sync_agent.dtdl.adt_profile import ADT, check_adt, check_adt_count
from sync_agent.dtdl.compatibility import Comparison, compare
from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.dtmi import path_of, version_of
from sync_agent.dtdl.elements import Interface
from sync_agent.dtdl.parse import parse_documents
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import ConflictError, ModelError
from sync_agent.ports.twin_store import ModelStore
from sync_agent.sources.model_folder import read_models, refuse_faulty
from sync_agent.twins.twin import Document


@dataclass(frozen=True, slots=True)
class Deployed:
    """The models of an instance: their documents by id, what they mean, which take no new twins."""

    documents: Mapping[str, Document]
    registry: ModelRegistry
    decommissioned: frozenset[str]


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A folder against an instance.

    ``create`` are sets of models in an order that works, each set one call; ``versions`` compares
    those that are a new version of a deployed model with it; ``conflicts`` those that are deployed
    with other content; ``elsewhere`` are deployed and not in the folder; ``decommissioned`` are in
    both and take no new twins.
    """

    create: tuple[tuple[Interface, ...], ...]
    unchanged: int
    versions: Mapping[str, Comparison]
    conflicts: tuple[Comparison, ...]
    elsewhere: tuple[str, ...]
    decommissioned: tuple[str, ...]

    @property
    def models(self) -> tuple[Interface, ...]:
        """Return all models to be created, in order."""
        return tuple(model for batch in self.create for model in batch)


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
    findings = [*folder.diagnostics, *check_adt_count(registry)]
    faulty = {finding.model for finding in findings}
    for interface in folder.interfaces:
        found = [*check_adt(registry, interface)]
        if folder.whole:  # what is missed may stand in a file that could not be read
            found += [
                Diagnostic(
                    "unresolvedReference",
                    f"{dependency} is nowhere",
                    interface.id,
                    _pointer_to(interface, dependency),
                    remedy="add that model, or correct the reference",
                )
                for dependency in registry.dependencies(interface.id)
                if dependency not in registry and dependency not in faulty
            ]
        findings += [folder.placed(finding) for finding in found]
    findings.sort(key=lambda finding: (finding.source, finding.line, finding.column))
    return folder.interfaces, tuple(findings)


def _pointer_to(interface: Interface, dependency: str) -> str:
    """Return where an interface names a model it depends on, "" when it is not seen."""
    document = interface.document
    bases = document.get("extends")
    if bases == dependency:
        return "/extends"
    if isinstance(bases, list) and dependency in bases:
        return f"/extends/{bases.index(dependency)}"
    contents = document.get("contents")
    for number, content in enumerate(contents if isinstance(contents, list) else ()):
        if isinstance(content, dict) and content.get("schema") == dependency:
            return f"/contents/{number}/schema"
    return ""


async def read_deployed(store: ModelStore) -> Deployed:
    """Read the models of an instance.

    Raises:
        ServiceError: they cannot be read.
    """
    documents: dict[str, Document] = {}
    decommissioned = set()
    async for model in store.list_models():
        documents[model["id"]] = model.get("model") or {}
        if model.get("decommissioned"):
            decommissioned.add(model["id"])
    parsed = parse_documents(documents.items(), undefined_extensions=True)
    return Deployed(documents, ModelRegistry(parsed.interfaces), frozenset(decommissioned))


async def plan_models(store: ModelStore, path: Path) -> ModelPlan:
    """Compare a folder with what is deployed.

    Raises:
        InputError: the folder cannot be read.
        ModelError: the folder has a faulty model.
        ServiceError: the deployed models cannot be read.
    """
    deployed = await read_deployed(store)
    known = [deployed.registry.interface(i) for i in deployed.registry.ids]
    interfaces, findings = check_models(path, known)
    refuse_faulty(findings, path)
    new = ModelRegistry((*known, *interfaces))
    here = ModelRegistry(interfaces)
    versions = {
        model.id: compare(deployed.registry, before, new, model.id)
        for model in interfaces
        if model.id not in deployed.documents and (before := previous(model.id, deployed.registry))
    }
    conflicts = [
        compare(deployed.registry, model.id, new, model.id)
        if model.id in deployed.registry
        else Comparison(model.id, model.id, ())
        for model in interfaces
        if deployed.documents.get(model.id, model.document) != model.document
    ]
    return ModelPlan(
        create=tuple(_batches(here, deployed.documents)),
        unchanged=sum(model.id in deployed.documents for model in interfaces) - len(conflicts),
        versions=versions,
        conflicts=tuple(conflicts),
        elsewhere=tuple(model for model in deployed.documents if model not in here),
        decommissioned=tuple(model for model in here.ids if model in deployed.decommissioned),
    )


async def compare_with_deployed(store: ModelStore, path: Path) -> tuple[Comparison, ...]:
    """Compare each model of a folder with the deployed one, or its newest earlier version.

    Raises:
        InputError: the folder cannot be read.
        ModelError: the folder has a faulty model.
        ServiceError: the deployed models cannot be read.
    """
    deployed = (await read_deployed(store)).registry
    return _compared(_sound(path, deployed), deployed)


def compare_models(path: Path, other: Path) -> tuple[Comparison, ...]:
    """Compare each model of a folder with that of another, or its newest earlier version there.

    Raises:
        InputError: a folder cannot be read.
        ModelError: a folder has a faulty model.
    """
    base = _sound(other, ModelRegistry())
    return _compared(_sound(path, base), base)


def _sound(path: Path, known: ModelRegistry) -> ModelRegistry:
    interfaces, findings = check_models(path, [known.interface(i) for i in known.ids])
    refuse_faulty(findings, path)
    return ModelRegistry(interfaces)


def _compared(models: ModelRegistry, base: ModelRegistry) -> tuple[Comparison, ...]:
    everything = base.with_interfaces(models.interface(i) for i in models.ids)
    pairs = ((i if i in base else previous(i, base), i) for i in models.ids)
    return tuple(compare(base, old, everything, new) for old, new in pairs if old)


def previous(model_id: str, registry: ModelRegistry) -> str:
    """Return the newest deployed version of a model before this one; "" when there is none."""
    earlier = [
        other
        for other in registry.ids
        if path_of(other) == path_of(model_id) and version_of(other) < version_of(model_id)
    ]
    return max(earlier, key=version_of, default="")


def refuse_conflicts(plan: ModelPlan, path: Path) -> None:
    """Raise when a model of the folder is deployed with other content.

    Raises:
        ModelError: naming those models.
    """
    if plan.conflicts:
        names = ", ".join(comparison.new for comparison in plan.conflicts)
        raise ModelError(
            f"deployed with other content: {names}",
            place=str(path),
            remedy="give the changed model a new version; a deployed model does not change"
            " (`sync-agent models diff` shows the differences)",
        )


async def apply_models(
    store: ModelStore, plan: ModelPlan, on_created: Callable[[int], None]
) -> None:
    """Create the models of a plan; ``on_created`` is told how many are there after each call.

    Raises:
        ServiceError: a call was refused whole; the ones before it stand.
    """
    created = 0
    for batch in plan.create:
        documents = [dict(model.document) for model in batch]
        try:
            await store.create_models(documents)
        except ConflictError:
            # A call that was repeated after a lost answer, or another deployment beside this one.
            deployed = await read_deployed(store)
            if any(deployed.documents.get(d["@id"]) != d for d in documents):
                raise
        created += len(batch)
        on_created(created)


def _batches(
    here: ModelRegistry, deployed: Mapping[str, Document]
) -> Iterator[tuple[Interface, ...]]:
    """Yield what is missing in sets of one call; models that need each other stay together."""
    batch: list[Interface] = []
    for group in here.upload_groups():
        fresh = [here.interface(model) for model in group if model not in deployed]
        if batch and len(batch) + len(fresh) > ADT.models_per_call_max:
            yield tuple(batch)
            batch = []
        batch += fresh
    if batch:
        yield tuple(batch)
