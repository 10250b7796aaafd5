"""The ``$cbs`` node: a client puts a token, the connection gains access to what it grants.

A shared access signature is checked against the keys. The token of a credential (Microsoft Entra
ID) cannot be checked without its issuer: where the public development key opens the stub, any will
do; where it has keys of its own, the token must be one of them, as on the stub's HTTP side.
"""

from __future__ import annotations

from sync_agent.stub.amqp.condition import AmqpError
from sync_agent.stub.amqp.message import Reply, Request
from sync_agent.stub.amqp.namespace import Namespace
from sync_agent.stub.amqp.token import Grant, entity_path, verify

NODE = "$cbs"
SAS_TYPES = frozenset(("servicebus.windows.net:sastoken", "amqp:sastoken"))
TOKEN_TYPES = frozenset(("jwt", "servicebus.windows.net:jwt"))
TOKEN_LIFE_S = 3_600.0
GRANTS_MAX = 256
"""Audiences one connection may hold tokens for."""


def put_token(namespace: Namespace, request: Request) -> tuple[Reply, Grant | None]:
    """Answer a request to ``$cbs``; return the reply and, when a token was good, what it grants."""
    if request.text("operation") != "put-token":
        operation = request.text("operation")
        return Reply(501, f"the operation '{operation}' of $cbs is not implemented"), None
    kind = request.text("type")
    if kind not in SAS_TYPES | TOKEN_TYPES:
        reason = f"the token type '{kind}' is not supported; use a key or a credential"
        return Reply(401, f"InvalidTokenType: {reason}"), None
    if not isinstance(request.body, str) or not request.text("name"):
        return Reply(400, "put-token needs a token as body and the audience as 'name'"), None
    if kind in TOKEN_TYPES:
        return _credential(namespace, request.body, request.text("name"))
    try:
        grant = verify(request.body, request.text("name"), namespace.keys, namespace.clock())
    except AmqpError as error:
        return Reply(401, error.message), None
    return Reply(202, "Accepted"), grant


def _credential(namespace: Namespace, token: str, audience: str) -> tuple[Reply, Grant | None]:
    if not namespace.takes_credential(token):
        return Reply(401, "InvalidToken: the stub does not know this token"), None
    return Reply(202, "Accepted"), Grant(entity_path(audience), namespace.clock() + TOKEN_LIFE_S)
