"""The error conditions an AMQP peer is told, and the exception that carries one.

A condition is a symbol fixed by AMQP 1.0 part 2.8 or by Event Hubs; clients decide by it whether to
retry. ``AmqpError`` travels inside the stub only: whoever catches it decides whether a delivery, a
link, a session or the connection is refused with it.
"""

from __future__ import annotations

from enum import StrEnum

from sync_agent.errors import SyncAgentError


class Condition(StrEnum):
    """A symbol that names what went wrong, as the wire carries it."""

    INTERNAL_ERROR = "amqp:internal-error"
    NOT_FOUND = "amqp:not-found"
    UNAUTHORIZED = "amqp:unauthorized-access"
    DECODE_ERROR = "amqp:decode-error"
    LIMIT_EXCEEDED = "amqp:resource-limit-exceeded"
    NOT_ALLOWED = "amqp:not-allowed"
    NOT_IMPLEMENTED = "amqp:not-implemented"
    INVALID_FIELD = "amqp:invalid-field"
    ILLEGAL_STATE = "amqp:illegal-state"
    CONNECTION_FORCED = "amqp:connection:forced"
    FRAMING_ERROR = "amqp:connection:framing-error"
    UNATTACHED_HANDLE = "amqp:session:unattached-handle"
    HANDLE_IN_USE = "amqp:session:handle-in-use"
    MESSAGE_TOO_LARGE = "amqp:link:message-size-exceeded"
    STOLEN = "amqp:link:stolen"
    DETACH_FORCED = "amqp:link:detach-forced"
    SERVER_BUSY = "com.microsoft:server-busy"
    ARGUMENT_ERROR = "com.microsoft:argument-error"
    ARGUMENT_OUT_OF_RANGE = "com.microsoft:argument-out-of-range"


class AmqpError(SyncAgentError):
    """Something the peer did, or asked for, is refused; ``condition`` says how."""

    def __init__(self, condition: Condition, description: str) -> None:
        super().__init__(description)
        self.condition = condition
