"""The settings of import jobs: the container that a job's file passes through.

They are a section of the settings like the others; see ``settings_sections``.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator

from sync_agent.settings.sections import Section, checked_url


class ImportJobSettings(Section):
    """Where the file of a large first load lies while the service reads it; see plan."""

    container: str | None = None
    """Address of a blob container, `https://ACCOUNT.blob.core.windows.net/CONTAINER`, or Azurite's,
    `http://127.0.0.1:10000/devstoreaccount1/CONTAINER`; without it there are no import jobs."""

    auth: Literal["default", "managed-identity", "sas", "key"] = "default"
    """How the agent signs in there: `default` and `managed-identity` as for `adt.auth`, `sas` (a
    shared access signature) or `key` (the account's key). The instance signs in by its own
    identity."""

    secret: SecretStr | None = None
    """The signature for `auth = "sas"`, or the key for `auth = "key"`."""

    @field_validator("container")
    @classmethod
    def _is_a_container(cls, url: str | None) -> str | None:
        checked = checked_url(url)
        if checked is None:
            return None
        parts = urlsplit(checked)
        if parts.query or parts.fragment:
            raise ValueError(
                'it must end with the container\'s name; a signature goes to secret, auth = "sas"'
            )
        if not parts.path.strip("/"):
            raise ValueError("it must name a container, as in https://HOST/CONTAINER")
        return checked

    @model_validator(mode="after")
    def _secret_goes_with_its_auth(self) -> ImportJobSettings:
        secret = self.auth in ("sas", "key")
        if secret and self.secret is None:
            raise ValueError(f'auth is "{self.auth}", but import_job.secret is not set')
        if not secret and self.secret is not None:
            raise ValueError('import_job.secret is set: set auth = "sas" or auth = "key"')
        return self
