"""The twin service the settings name.

It stands apart from ``compose`` so that a command that only reads does not import the rest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.ports.watch import Watch
from sync_agent.runs.pace import Pacer, Quotas
from sync_agent.settings.settings import Settings, required


def twin_store(
    settings: Settings, *, retry_for_s: float | None = None, watch: Watch | None = None
) -> AzureTwinStore:
    """Return the twin service the settings name, not yet connected.

    Raises:
        SettingsError: ``adt.url`` is missing or not allowed.
    """
    adt = settings.adt
    token = adt.token.get_secret_value() if adt.token else None
    return AzureTwinStore(
        required(adt.url, "adt.url"),
        credential_for(adt.auth, token),
        retry_for_s=settings.limits.retry_for_s if retry_for_s is None else retry_for_s,
        watch=watch,
    )


@asynccontextmanager
async def paced_twins(
    settings: Settings, *, retry_for_s: float | None = None, watch: Watch | None = None
) -> AsyncIterator[AzureTwinStore]:
    """Connect to the twin service and keep to its quotas, for a command."""
    async with twin_store(settings, retry_for_s=retry_for_s, watch=watch) as store:
        yield store.paced(Pacer(quotas_of(settings)).gate("inventory"))


def quotas_of(settings: Settings) -> Quotas:
    """Return the service's quotas as the settings have them."""
    limits = settings.limits
    return Quotas(
        twin_ops_per_s=limits.twin_ops_per_s,
        patches_per_s=limits.patches_per_s,
        create_delete_per_s=limits.create_delete_per_s,
        queries_per_s=limits.queries_per_s,
        query_units_per_s=limits.query_units_per_s,
        reads_per_s=limits.reads_per_s,
        model_ops_per_s=limits.model_ops_per_s,
        requests_in_flight=limits.requests_in_flight,
    )
