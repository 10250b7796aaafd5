"""What an adapter asks before each request: may it go now? The one who answers knows the quotas.

The adapter takes a turn around every single request, its own repetitions and the further pages of a
listing included, so that whoever gives the turns sees all there is to see: what went out, what was
refused, and how long a refusal asks to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

Charge = Callable[[float], None]
"""Called with the query units a request turned out to cost."""


class Operation(StrEnum):
    """The classes of requests that the service counts apart."""

    READ = "read"
    QUERY = "query"
    PATCH = "patch"
    CREATE_DELETE = "create-delete"
    MODEL = "model"


class Gate(Protocol):
    """Gives turns."""

    def turn(
        self, operation: Operation, twins: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Charge]:
        """Return a context to make one request in; entering it waits for the turn.

        ``twins`` are those the request counts against: the twin itself, or both ends of a
        relationship. An error that leaves the context is taken as the request's answer.
        """
        ...
