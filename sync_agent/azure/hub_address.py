"""Where an event hub is, how the SDK's clients for it are built, and what their errors mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.eventhub import TransportType
from azure.eventhub.exceptions import AuthenticationError, EventDataError, EventDataSendError

from sync_agent.errors import (
    NotFoundError,
    ServiceError,
    SettingsError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)

AUTH_TIMEOUT_S = 10
_TAKEN = ("link:stolen", "maximum number of allowed receivers")
_NOT_FOUND = ("not-found", "NotFound", "could not be found", "Status code: 404")


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where a hub is and how to sign in: a connection string, or a namespace with a credential."""

    connection_string: str = ""
    namespace: str = ""
    name: str | None = None
    credential: AsyncTokenCredential | None = None

    @property
    def place(self) -> str:
        """Return host and hub name, without any secret."""
        parts = dict(
            part.split("=", 1) for part in self.connection_string.split(";") if "=" in part
        )
        host = self.namespace or parts.get("Endpoint", "").removeprefix("sb://").rstrip("/")
        return f"{host}/{self.name or parts.get('EntityPath', '')}"

    def arguments(self) -> dict[str, Any]:
        """Return what both SDK clients are built with."""
        shared = {
            "transport_type": TransportType.Amqp,
            "retry_total": 1,
            "retry_backoff_factor": 0.3,
            "auth_timeout": AUTH_TIMEOUT_S,
        }
        if self.connection_string:
            return {**shared, "conn_str": self.connection_string, "eventhub_name": self.name}
        return {
            **shared,
            "fully_qualified_namespace": self.namespace,
            "eventhub_name": self.name or "",
            "credential": self.credential,
        }


def build_client(kind: Any, address: HubAddress, **more: Any) -> Any:
    """Make a client of a kind the SDK has, for a hub.

    Raises:
        SettingsError: the connection string cannot be used.
    """
    make = kind.from_connection_string if address.connection_string else kind
    try:
        return make(**address.arguments(), **more)
    except ValueError as error:
        # The SDK's message may repeat the string it was given, which holds a key.
        raise SettingsError(
            "the Event Hubs connection string cannot be used",
            remedy="it looks like Endpoint=sb://HOST/;SharedAccessKeyName=..;SharedAccessKey=.."
            ";EntityPath=HUB; without EntityPath set event_hub.name",
        ) from error


def service_error(error: BaseException, address: HubAddress) -> ServiceError:
    """Say what an SDK error means and what to do; messages name host and hub, never a key."""
    if isinstance(error, ServiceError):
        return error
    condition = str(error)
    if isinstance(error, AuthenticationError) or "unauthorized" in condition.lower():
        return UnauthorizedError(
            f"event hub {address.place} refuses the credentials",
            status=401,
            remedy="check the key, or give the identity the role Azure Event Hubs Data Receiver",
        )
    if any(sign in condition for sign in _NOT_FOUND):
        return NotFoundError(
            f"there is no event hub or consumer group at {address.place}",
            status=404,
            remedy="check event_hub.name and event_hub.consumer_group",
        )
    if "server-busy" in condition:
        return ThrottledError(
            f"event hub {address.place} is throttled",
            remedy="send less, or give its namespace more throughput units",
        )
    if any(sign in condition for sign in _TAKEN):
        return UnavailableError(
            f"other readers of the same consumer group hold event hub {address.place}",
            remedy="give the agent a consumer group of its own: event_hub.consumer_group",
        )
    if isinstance(error, EventDataError) and not isinstance(error, EventDataSendError):
        return ServiceError(f"event hub {address.place} refused an event: {type(error).__name__}")
    return UnreachableError(
        f"event hub {address.place} cannot be reached ({type(error).__name__})",
        remedy="check the address, the network and that the hub is up",
    )
