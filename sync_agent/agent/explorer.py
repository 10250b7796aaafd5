"""Explorer put together with the twins and the sign-in the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sync_agent.azure.identity import adt_token, credential_for
from sync_agent.errors import SettingsError
from sync_agent.explorer.server import ExplorerOptions, ExplorerServer
from sync_agent.hosts import is_loopback
from sync_agent.settings.settings import Settings, required


@asynccontextmanager
async def serving_explorer(
    settings: Settings, *, folder: Path | None, upstream: str | None, port: int
) -> AsyncIterator[ExplorerServer]:
    """Serve Explorer for the time of the context.

    Raises:
        SettingsError: ``adt.url`` is missing, or no address a token may go to.
        InputError: there is no Explorer in the folder.
        AddressInUseError: the port is taken.
    """
    adt = settings.adt
    instance = required(adt.url, "adt.url")
    signs_in = _is_encrypted(instance) or adt.auth == "token"
    secret = adt.token.get_secret_value() if adt.token else None
    async with credential_for(adt.auth, secret) as credential:

        async def token() -> str | None:
            # As with the agent's own calls: in the clear only a token made for a stub.
            if adt.auth == "none" or not signs_in:
                return None
            return await adt_token(credential, urlsplit(instance).netloc)

        options = ExplorerOptions(instance, folder, upstream, port)
        async with ExplorerServer(options, token) as server:
            yield server


def _is_encrypted(instance: str) -> bool:
    """Tell whether calls go over TLS; in the clear they may go to this machine only."""
    parts = urlsplit(instance)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise SettingsError(
            f"adt.url {instance} is not https",
            remedy="use https; plain http is for a stub on this machine only",
        )
    return parts.scheme == "https"
