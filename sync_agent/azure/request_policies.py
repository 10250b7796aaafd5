"""What the SDK's pipeline does to each request: as little as there has to be.

Its own retries, redirects, traces and logs are a third of what a request costs, and each policy a
few hundredths more. At a thousand patches a second that decides whether one core can use the
service's quota; so what remains of them is one policy, beside the one that signs.
"""

from __future__ import annotations

from itertools import count
from typing import Any
from uuid import uuid4

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    AsyncHTTPPolicy,
    ContentDecodePolicy,
    UserAgentPolicy,
)

from sync_agent.azure.identity import ADT_SCOPE, FixedTokenCredential

ERROR = 400


def request_policies(
    credential: AsyncTokenCredential, *, plain: bool
) -> list[AsyncHTTPPolicy[Any, Any]]:
    """Return the policies of a client; with ``plain`` it speaks http, which is for loopback."""
    if not plain:
        return [_Basics(), AsyncBearerTokenCredentialPolicy(credential, ADT_SCOPE)]
    if isinstance(credential, FixedTokenCredential):
        return [_Basics(), _PlainBearer(credential)]
    return [_Basics()]


class _Basics(AsyncHTTPPolicy[Any, Any]):
    """Says who asks and under which id, and reads the bodies of lists and errors.

    All others the SDK reads a second time from the response, pages of queries too. Ids look like
    UUIDs, and count on from a random one: the service's logs name them.
    """

    def __init__(self) -> None:
        self._user_agent = UserAgentPolicy(user_agent="sync-agent").user_agent
        self._first = str(uuid4())[:24]
        self._numbers = count(1)
        self._content = ContentDecodePolicy()

    async def send(self, request: Any) -> Any:
        """Send a request on."""
        headers = request.http_request.headers
        headers["User-Agent"] = self._user_agent
        headers["x-ms-client-request-id"] = f"{self._first}{next(self._numbers):012x}"
        response = await self.next.send(request)
        if request.http_request.method == "GET" or response.http_response.status_code >= ERROR:
            self._content.on_response(request, response)
        return response


class _PlainBearer(AsyncHTTPPolicy[Any, Any]):
    """Sends a fixed token over http, which the SDK's own policy refuses."""

    def __init__(self, credential: FixedTokenCredential) -> None:
        self._credential = credential

    async def send(self, request: Any) -> Any:
        """Send a request on with the token."""
        token = await self._credential.get_token()
        request.http_request.headers["Authorization"] = f"Bearer {token.token}"
        return await self.next.send(request)
