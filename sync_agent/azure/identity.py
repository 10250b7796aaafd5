"""How the agent signs in to Azure, and to a stub on this machine.

``DefaultAzureCredential`` tries environment, workload identity, managed identity and developer
tools in turn; a deployment narrows it with ``AZURE_TOKEN_CREDENTIALS``. A fixed token, or none, is
for a stub.
"""

from __future__ import annotations

import time
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from sync_agent.azure.service_errors import translated

TOKEN_LIFE_S = 3600
ADT_SCOPE = "https://digitaltwins.azure.net/.default"


class FixedTokenCredential:
    """A credential that always gives the same token, for a stub."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return the token, whatever it is asked for."""
        return AccessToken(self._token, int(time.time()) + TOKEN_LIFE_S)

    async def close(self) -> None:
        """Nothing to release."""

    async def __aenter__(self) -> FixedTokenCredential:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def credential_for(auth: str, token: str | None = None) -> AsyncTokenCredential:
    """Return the credential of a setting ``auth``: default, managed-identity, token or none."""
    match auth:
        case "managed-identity":
            return ManagedIdentityCredential()
        case "token":
            return FixedTokenCredential(token or "")
        case "none":
            return FixedTokenCredential("none")
        case _:
            return DefaultAzureCredential()


async def adt_token(credential: AsyncTokenCredential, host: str) -> str:
    """Return a token for Azure Digital Twins; ``host`` names the instance in an error.

    Raises:
        ServiceError: the sign-in failed.
    """
    try:
        return (await credential.get_token(ADT_SCOPE)).token
    except AzureError as error:
        raise translated(error, host) from error
