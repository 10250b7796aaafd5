"""What the SDK says of an event hub is told by host and hub, and never with a key."""

from __future__ import annotations

import pytest
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    EventDataError,
    EventDataSendError,
)

from sync_agent.azure.hub_address import HubAddress, build_client, service_error
from sync_agent.errors import (
    NotFoundError,
    ServiceError,
    SettingsError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)

STRING = "Endpoint=sb://h.test/;SharedAccessKeyName=n;SharedAccessKey=s3cret;EntityPath=hub"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (HubAddress(STRING), "h.test/hub"),
        (HubAddress(STRING, name="other"), "h.test/other"),
        (HubAddress(namespace="n.test", name="hub"), "n.test/hub"),
    ],
)
def test_a_hub_is_named_by_host_and_name(address: HubAddress, place: str) -> None:
    assert address.place == place


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AuthenticationError("CBS token"), UnauthorizedError),
        (ConnectError("Unauthorized access. 's3cret'"), UnauthorizedError),
        (ConnectError("amqp:not-found s3cret"), NotFoundError),
        (ConnectionLostError("s3cret\nError condition: amqp:link:stolen"), UnavailableError),
        (
            ConnectionLostError("Exceeded the maximum number of allowed receivers per partition"),
            UnavailableError,
        ),
        (EventDataSendError("s3cret\ncom.microsoft:server-busy"), ThrottledError),
        (EventDataError("s3cret"), ServiceError),
        (EventDataSendError("s3cret"), UnreachableError),
        (TimeoutError(), UnreachableError),
        (OSError("s3cret"), UnreachableError),
    ],
)
def test_an_error_says_what_it_means_and_where(error: Exception, kind: type[ServiceError]) -> None:
    said = service_error(error, HubAddress(STRING))
    assert type(said) is kind
    assert "h.test/hub" in said.message
    assert "s3cret" not in said.message + said.remedy
    assert service_error(said, HubAddress(STRING)) is said


def test_a_connection_string_that_cannot_be_used_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match="cannot be used") as caught:
        build_client(EventHubProducerClient, HubAddress("SharedAccessKey=s3cret"))
    assert "s3cret" not in caught.value.message + caught.value.remedy
