"""The twin service the settings name.

It stands apart from ``compose`` so that a command that only reads does not import the rest.
"""

from __future__ import annotations

from sync_agent.agent.settings import Settings, required
from sync_agent.azure.identity import credential_for
from sync_agent.azure.twin_store import AzureTwinStore


def twin_store(settings: Settings, *, retry_for_s: float | None = None) -> AzureTwinStore:
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
    )
