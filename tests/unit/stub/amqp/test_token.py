"""Shared access signatures: what is granted, and why one is refused."""

from __future__ import annotations

from typing import Any

import pytest
from azure.eventhub._pyamqp.utils import generate_sas_token

from sync_agent.stub.amqp.condition import AmqpError
from sync_agent.stub.amqp.token import entity_path, sign, verify

KEYS = {"send key/1": "secret+=="}
NOW_S = 1_000.0


def test_a_signature_made_here_is_the_one_the_sdk_makes() -> None:
    sdk_sign: Any = generate_sas_token
    resource = "sb://127.0.0.1:5672/Hub Name"
    ours = sign(resource, "RootManage", "k=", 5_000)
    theirs = sdk_sign(resource, "RootManage", "k=", 5_000)
    assert ours == theirs


def test_a_signature_grants_its_audience_until_it_expires() -> None:
    token = sign("sb://host/Hub", "send key/1", "secret+==", 2_000)
    grant = verify(token, "sb://other-name/hub/ConsumerGroups/g", KEYS, NOW_S)
    assert grant.expires_s == 2_000
    assert grant.covers(("hub", "consumergroups", "g", "partitions", "0"))
    assert not grant.covers(("hub",))


@pytest.mark.parametrize(
    ("token", "audience", "reason"),
    [
        (sign("sb://h/hub", "send key/1", "wrong", 2_000), "sb://h/hub", "InvalidSignature"),
        (sign("sb://h/hub", "nobody", "secret+==", 2_000), "sb://h/hub", "InvalidSignature"),
        (sign("sb://h/hub", "send key/1", "secret+==", 1_000), "sb://h/hub", "ExpiredToken"),
        (sign("sb://h/a", "send key/1", "secret+==", 2_000), "sb://h/hub", "InvalidAudience"),
        (sign("sb://h/hub", "send key/1", "secret+==", 2_000), "sb://h/hub2", "InvalidAudience"),
        ("SharedAccessSignature sr=x", "sb://h/hub", "MalformedToken"),
        ("nonsense", "sb://h/hub", "MalformedToken"),
        ("SharedAccessSignature " + "x" * 9_000, "sb://h/hub", "MalformedToken"),
    ],
)
def test_a_bad_signature_is_refused_with_its_reason(token: str, audience: str, reason: str) -> None:
    with pytest.raises(AmqpError, match=reason) as refused:
        verify(token, audience, KEYS, NOW_S)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("amqps://host:5671/Hub/Partitions/0", ("hub", "partitions", "0")),
        ("hub", ("hub",)),
        ("/hub/", ("hub",)),
        ("sb://host", ()),
    ],
)
def test_an_entity_path_leaves_the_host_out(address: str, path: tuple[str, ...]) -> None:
    assert entity_path(address) == path
