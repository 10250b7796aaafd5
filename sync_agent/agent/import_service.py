"""The import jobs of the twin service the settings name, with the container they go through.

The storage SDK is imported when there is a container, so that others do not wait for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from sync_agent.agent.twin_service import twin_store
from sync_agent.azure.import_job import AzureImportJobs
from sync_agent.ports.import_job import ImportService
from sync_agent.settings.settings import Settings


@asynccontextmanager
async def import_service(settings: Settings) -> AsyncIterator[ImportService]:
    """Connect to the service's jobs, and to the container if one is set.

    Raises:
        SettingsError: an address is missing or not allowed.
    """
    storage = settings.import_job
    async with AsyncExitStack() as stack:
        container = None
        if storage.container is not None:
            from sync_agent.azure.blob_container import AzureBlobContainer, storage_credential

            secret = storage.secret.get_secret_value() if storage.secret else ""
            credential = storage_credential(storage.auth, storage.container, secret)
            container = await stack.enter_async_context(
                AzureBlobContainer(storage.container, credential)
            )
        store = await stack.enter_async_context(twin_store(settings))
        yield ImportService(AzureImportJobs(store), container)
