"""Explorer put together with the twins and the sign-in the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sync_agent.agent.settings import Settings, required
from sync_agent.azure.identity import ADT_SCOPE, credential_for
from sync_agent.explorer.server import ExplorerOptions, ExplorerServer


@asynccontextmanager
async def serving_explorer(
    settings: Settings, *, folder: Path | None, upstream: str | None, port: int
) -> AsyncIterator[ExplorerServer]:
    """Serve Explorer for the time of the context.

    Raises:
        SettingsError: ``adt.url`` is missing.
        InputError: there is no Explorer in the folder.
        AddressInUseError: the port is taken.
    """
    adt = settings.adt
    options = ExplorerOptions(required(adt.url, "adt.url"), folder, upstream, port)
    secret = adt.token.get_secret_value() if adt.token else None
    async with credential_for(adt.auth, secret) as credential:

        async def token() -> str | None:
            if adt.auth == "none":
                return None
            return (await credential.get_token(ADT_SCOPE)).token

        async with ExplorerServer(options, token) as server:
            yield server
