"""Clients of azure-digitaltwins-core for tests: unmodified, and closed when a test is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, SansIOHTTPPolicy
from azure.digitaltwins.core import DigitalTwinsClient


class NoCredential:
    """A credential nobody asks."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("none", 2**40)


class FixedCredential(NoCredential):
    def __init__(self, token: str) -> None:
        self.token = token

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self.token, 2**40)


class OverHttp(BearerTokenCredentialPolicy[Any, Any]):
    """Sends the token over loopback, where there is no TLS."""

    def on_request(self, request: Any) -> None:
        request.context.options["enforce_https"] = False
        super().on_request(request)


@contextmanager
def client_at(url: str, policy: Any = None, **options: Any) -> Iterator[DigitalTwinsClient]:
    client = DigitalTwinsClient(
        url, NoCredential(), authentication_policy=policy or SansIOHTTPPolicy(), **options
    )
    try:
        yield client
    finally:
        client._client.close()  # the client has no close of its own
