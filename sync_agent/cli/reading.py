"""What the commands that only read twins share: a short patience, and how an element is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sync_agent.azure.twin_store import AzureTwinStore
    from sync_agent.settings.settings import Settings

READ_RETRY_S = 5.0
"""Somebody waits for the answer: give up soon, say why, and let them try again."""


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[AzureTwinStore]:
    """Connect to the twin service for reading, within its quotas."""
    from sync_agent.agent.twin_service import paced_twins

    retry_for_s = min(READ_RETRY_S, settings.limits.retry_for_s)
    async with paced_twins(settings, retry_for_s=retry_for_s) as store:
        yield store


async def read_rows(settings: Settings, text: str, limit: int) -> tuple[list[Any], bool]:
    """Return at most ``limit`` rows of a query, and whether there are more.

    Raises:
        ServiceError: the query is refused, or the service cannot be reached.
    """
    rows: list[Any] = []
    async with reading(settings) as store:
        async for row in store.query(text):
            if len(rows) == limit:
                return rows, True
            rows.append(row)
    return rows, False


def type_name(model: str) -> str:
    """Return the last word of a model's id.

    >>> type_name("dtmi:telecom:place:Site;1")
    'Site'
    """
    return model.partition(";")[0].rpartition(":")[2]
