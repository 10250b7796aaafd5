"""The ``$cbs`` node: a client puts a token, the connection gains access to what it grants.

Shared access signatures only. A JWT of Microsoft Entra ID cannot be checked without its issuer, so
it is refused by name rather than believed.
"""

from __future__ import annotations

from sync_agent.stub.amqp.condition import AmqpError
from sync_agent.stub.amqp.message import Reply, Request
from sync_agent.stub.amqp.namespace import Namespace
from sync_agent.stub.amqp.token import Grant, verify

NODE = "$cbs"
SAS_TYPES = frozenset(("servicebus.windows.net:sastoken", "amqp:sastoken"))
GRANTS_MAX = 256
"""Audiences one connection may hold tokens for."""


def put_token(namespace: Namespace, request: Request) -> tuple[Reply, Grant | None]:
    """Answer a request to ``$cbs``; return the reply and, when a token was good, what it grants."""
    if request.text("operation") != "put-token":
        operation = request.text("operation")
        return Reply(501, f"the operation '{operation}' of $cbs is not implemented"), None
    kind = request.text("type")
    if kind not in SAS_TYPES:
        reason = f"the token type '{kind}' is not supported; use a shared access key"
        return Reply(401, f"InvalidTokenType: {reason}"), None
    if not isinstance(request.body, str) or not request.text("name"):
        return Reply(400, "put-token needs a token as body and the audience as 'name'"), None
    try:
        grant = verify(request.body, request.text("name"), namespace.keys, namespace.clock())
    except AmqpError as error:
        return Reply(401, error.message), None
    return Reply(202, "Accepted"), grant
