"""The one tree of errors people can meet, with what each means for a retry and for the exit code.

::

    SyncAgentError                 exit code 1, message for a person, optional remedy
    |-- SettingsError              a setting is unknown, missing or out of range
    |-- InputError                 a file, line or element that cannot be used
    |   |-- ModelError             DTDL that is invalid or not deployed
    |   `-- QueryError             ADT query text that cannot be parsed or is not allowed
    |-- StoreError                 a local store cannot be read or written (disk full, locked,
    damaged)
    |-- AddressInUseError          a port is taken
    |-- GuardError                 a plan exceeds its blast-radius limits, or its inputs are stale
    `-- ServiceError               Azure (or the stub) answered with an error
        |-- UnreachableError       no answer: name, network, TLS, timeout   (may be retried)
        |-- UnauthorizedError      401 or 403: credentials or role
        |-- NotFoundError          404
        |-- ConflictError          409
        |-- PreconditionError      412: somebody changed it since it was read
        |-- ThrottledError         429                                       (may be retried)
        `-- UnavailableError       5xx                                       (may be retried)

The core raises; the edge (``azure``, ``stub``, ``sources``) translates once; the agent or the
command line decides once. A message names the thing and a remedy says what to do; neither holds a
secret.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_CHANGES_PENDING = 2


class SyncAgentError(Exception):
    """Something a person can act on: ``message`` names the thing, ``remedy`` says what to do."""

    retryable: bool = False
    exit_code: int = EXIT_ERROR

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class SettingsError(SyncAgentError):
    """A setting is unknown, missing or out of range."""


class InputError(SyncAgentError):
    """Input that cannot be used; ``place`` is ``file``, ``file:line`` or an element id."""

    def __init__(self, message: str, *, place: str = "", remedy: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message, remedy=remedy)
        self.place = place


class ModelError(InputError):
    """A DTDL model is invalid, or is not there when something needs it."""


class QueryError(InputError):
    """ADT query text that cannot be parsed or asks for what the language does not allow.

    ``line`` is 1-based, ``position`` is the 0-based column, as the service reports them.
    """

    def __init__(self, message: str, *, line: int = 1, position: int = 0, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.line = line
        self.position = position


class StoreError(SyncAgentError):
    """A local store cannot be read or written."""


class AddressInUseError(SyncAgentError):
    """A port this process was told to listen on is taken."""


class GuardError(SyncAgentError):
    """A plan is refused: it exceeds its limits or what it was made from has changed."""


class ServiceError(SyncAgentError):
    """Azure, or the stub in its place, answered with an error.

    ``status`` is the HTTP status (0 when there was none), ``code`` the service's own error code,
    ``retry_after_s`` the wait the service asked for.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        retry_after_s: float | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class UnreachableError(ServiceError):
    """No answer came: name resolution, network, TLS or timeout."""

    retryable = True


class UnauthorizedError(ServiceError):
    """The credentials were refused (401) or lack a role (403)."""


class NotFoundError(ServiceError):
    """What was named does not exist (404)."""


class ConflictError(ServiceError):
    """What was to be created exists, or is still in use (409)."""


class PreconditionError(ServiceError):
    """The thing changed since it was read (412)."""


class ThrottledError(ServiceError):
    """The service's rate limit was reached (429)."""

    retryable = True


class UnavailableError(ServiceError):
    """The service failed for the moment (5xx)."""

    retryable = True
