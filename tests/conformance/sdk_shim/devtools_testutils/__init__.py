"""What the SDK's own tests import of Azure's test tools, with the stub in the place of the service.

Ours, written for what those tests call. Nothing is recorded or played back: every call goes to the
stub that ``AZURE_DIGITALTWINS_URL`` names.
"""

from __future__ import annotations

import uuid
from typing import Any

from azure.core.pipeline.policies import SansIOHTTPPolicy


class NoCredential:
    """A credential nobody asks."""

    def get_token(self, *_: str, **__: Any) -> Any:
        raise NotImplementedError


class AzureRecordedTestCase:
    """The base class of the SDK's tests."""

    is_live = False  # what is live sleeps; the stub's queries see a write at once

    def get_credential(self, _: type, **__: Any) -> NoCredential:
        return NoCredential()

    def create_client_from_credential(
        self, client: type, credential: Any, endpoint: str, **options: Any
    ) -> Any:
        options.setdefault("authentication_policy", SansIOHTTPPolicy())
        return client(endpoint, credential, **options)

    def create_random_name(self, prefix: str) -> str:
        return f"{prefix}{uuid.uuid4().hex[:8]}"
