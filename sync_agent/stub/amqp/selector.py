"""Where a receiver starts reading: the selector filter that Event Hubs understands.

The whole language is one comparison, ``amqp.annotation.NAME > 'VALUE'`` or ``>=``, where NAME is
``x-opt-offset``, ``x-opt-sequence-number`` or ``x-opt-enqueued-time`` (epoch milliseconds). Offset
``-1`` is the beginning and ``@latest`` the end. Without a filter reading starts at the beginning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from sync_agent.stub.amqp.condition import AmqpError, Condition

SELECTOR_FILTER = "apache.org:selector-filter:string"
LATEST = "@latest"
SELECTOR_LENGTH_MAX = 256


class PositionKind(Enum):
    """What a position is measured in."""

    OFFSET = "x-opt-offset"
    SEQUENCE_NUMBER = "x-opt-sequence-number"
    ENQUEUED_MS = "x-opt-enqueued-time"
    LATEST = LATEST


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a partition; the first event read is behind ``value``, or at it when inclusive."""

    kind: PositionKind
    value: int = -1
    inclusive: bool = False


BEGINNING = Position(PositionKind.OFFSET)

_SELECTOR = re.compile(
    r"\s*amqp\.annotation\.(?P<name>[\w-]+)\s*(?P<operator>>=?)\s*'?(?P<value>[^'\s]*)'?\s*",
    re.ASCII,
)
_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def parse_selector(text: str) -> Position:
    """Parse a selector expression.

    Raises:
        AmqpError: the expression is not one of those Event Hubs understands.
    """
    match = _SELECTOR.fullmatch(text) if len(text) <= SELECTOR_LENGTH_MAX else None
    if match is None:
        raise _not_understood(text)
    try:
        kind = PositionKind(match["name"])
    except ValueError:
        raise _not_understood(text) from None
    value = match["value"]
    if value == LATEST:
        return Position(PositionKind.LATEST)
    if not _NUMBER.fullmatch(value):
        raise AmqpError(
            Condition.ARGUMENT_ERROR, f"the supplied {kind.value} '{value}' is not a number"
        )
    return Position(kind, int(value), match["operator"] == ">=")


def _not_understood(text: str) -> AmqpError:
    shown = text[:SELECTOR_LENGTH_MAX]
    return AmqpError(Condition.ARGUMENT_ERROR, f"the filter expression '{shown}' is not understood")
