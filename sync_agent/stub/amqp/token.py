"""Shared access signatures: checking what a client puts to ``$cbs``, and making them.

A signature is ``SharedAccessSignature sr=RESOURCE&sig=HMAC&se=EXPIRY&skn=KEY_NAME``. The
HMAC-SHA256 is over the resource as it stands in the token, still percent-encoded, a line feed and
the expiry: clients differ in the case of their escapes, so it must not be decoded first. What is
granted is a path inside the namespace; the host in a resource is not compared, because one server
answers to several names on loopback. What may be done there hangs on the key's name, as a policy's
claims do on the service.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from urllib.parse import quote_plus, unquote_plus

from sync_agent.stub.amqp.condition import AmqpError, Condition

PREFIX = "SharedAccessSignature "
TOKEN_LENGTH_MAX = 8_192


class Right(StrEnum):
    """What a policy allows; each is what the service calls it."""

    LISTEN = "Listen"
    SEND = "Send"
    MANAGE = "Manage"


ALL_RIGHTS = frozenset(Right)
LIMITED_KEYS: Mapping[str, frozenset[Right]] = MappingProxyType(
    {"ListenOnly": frozenset((Right.LISTEN,)), "SendOnly": frozenset((Right.SEND,))}
)
"""Names of keys that do not open everything; any other does."""


def rights_of(key_name: str) -> frozenset[Right]:
    """Return what the key of a name allows."""
    return LIMITED_KEYS.get(key_name, ALL_RIGHTS)


@dataclass(frozen=True, slots=True)
class Grant:
    """``rights`` to everything at or below ``path`` (lower case) until ``expires_s``."""

    path: tuple[str, ...]
    expires_s: float
    rights: frozenset[Right] = ALL_RIGHTS

    def allows(self, path: tuple[str, ...], right: Right | None) -> bool:
        """Tell whether a right to a path is granted, or any right at all."""
        return self.covers(path) and (right is None or right in self.rights)

    def covers(self, path: tuple[str, ...]) -> bool:
        """Tell whether a path lies at or below the granted one."""
        return path[: len(self.path)] == self.path


def entity_path(address: str) -> tuple[str, ...]:
    """Return the lower-case segments of an entity's path; the address may carry a host."""
    _, separator, rest = address.partition("://")
    if separator:
        address = rest.partition("/")[2]
    return tuple(segment.lower() for segment in address.split("/") if segment)


def sign(resource: str, key_name: str, key: str, expires_s: int) -> str:
    """Make a shared access signature for a resource such as ``sb://host/hub``."""
    encoded = quote_plus(resource)
    signature = quote_plus(_signature(encoded, str(expires_s), key))
    return f"{PREFIX}sr={encoded}&sig={signature}&se={expires_s}&skn={quote_plus(key_name)}"


def verify(token: str, audience: str, keys: Mapping[str, str], now_s: float) -> Grant:
    """Check a signature and return what it grants: the audience, if the token's resource covers it.

    Raises:
        AmqpError: ``amqp:unauthorized-access``; the description says why and holds no key.
    """
    if len(token) > TOKEN_LENGTH_MAX or not token.startswith(PREFIX):
        raise _refused("MalformedToken: the token is no shared access signature")
    parts = dict(part.partition("=")[::2] for part in token[len(PREFIX) :].split("&"))
    if not {"sr", "sig", "se", "skn"} <= parts.keys():
        raise _refused("MalformedToken: the token needs sr, sig, se and skn")
    key_name = unquote_plus(parts["skn"])
    key = keys.get(key_name)
    if key is None:
        raise _refused(f"InvalidSignature: there is no key named '{key_name}'")
    expected = _signature(parts["sr"], parts["se"], key)
    if not hmac.compare_digest(expected.encode(), unquote_plus(parts["sig"]).encode()):
        raise _refused("InvalidSignature: the token has an invalid signature")
    if not (parts["se"].isascii() and parts["se"].isdigit()):
        raise _refused("MalformedToken: the token's expiry is no number of seconds")
    expires_s = float(parts["se"])
    if expires_s <= now_s:
        raise _refused("ExpiredToken: the token is expired")
    wanted = entity_path(audience)
    if not Grant(entity_path(unquote_plus(parts["sr"])), expires_s).covers(wanted):
        raise _refused(f"InvalidAudience: the token is not for '{audience}'")
    return Grant(wanted, expires_s, rights_of(key_name))


def _signature(encoded_resource: str, expiry: str, key: str) -> str:
    signed = f"{encoded_resource}\n{expiry}".encode()
    return b64encode(hmac.new(key.encode(), signed, sha256).digest()).decode()


def _refused(reason: str) -> AmqpError:
    return AmqpError(Condition.UNAUTHORIZED, reason)
