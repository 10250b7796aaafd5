"""Errors of the Azure SDKs in the house's own words, with what to do about them."""

from __future__ import annotations

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from sync_agent.errors import (
    ConflictError,
    NotFoundError,
    PreconditionError,
    ServiceError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)

_BY_STATUS: dict[int, type[ServiceError]] = {
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionError,
    429: ThrottledError,
}


def translated(error: Exception, host: str) -> ServiceError:
    """Return the house's error for one of azure-core; ``host`` names the service."""
    if isinstance(error, ClientAuthenticationError) or getattr(error, "status_code", 0) == 403:
        return UnauthorizedError(
            f"{host} refuses the credentials",
            status=getattr(error, "status_code", None) or 401,
            remedy="sign in, or give the identity the role Azure Digital Twins Data Owner"
            " (a token: adt.auth and adt.token)",
        )
    if isinstance(error, HttpResponseError) and error.status_code:
        return _answered(error, host)
    if isinstance(error, (ServiceRequestError, ServiceResponseError, TimeoutError, OSError)):
        return UnreachableError(
            f"{host} cannot be reached ({_reason(error)})",
            remedy="check adt.url, the network, and that the service or stub is up",
        )
    return ServiceError(f"{host}: {_reason(error)}")


def _answered(error: HttpResponseError, host: str) -> ServiceError:
    status = int(error.status_code or 0)
    kind = _BY_STATUS.get(status, UnavailableError if status >= 500 else ServiceError)
    code, message = _body(error)
    return kind(
        f"{host} answered {status} {code}: {message}".replace("  ", " "),
        status=status,
        code=code,
        retry_after_s=_retry_after(error),
    )


def _body(error: HttpResponseError) -> tuple[str, str]:
    """Return code and message; details, where there are any, say more than the message."""
    inner = error.error
    if inner is None:
        return "", (error.message or "").splitlines()[0] if error.message else ""
    details = [d.message for d in (inner.details or []) if d.message]
    message = inner.message or ""
    return inner.code or "", f"{message}: {'; '.join(details)}" if details else message


def _retry_after(error: HttpResponseError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    try:
        return float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, AzureError) and error.inner_exception is not None:
        return str(error.inner_exception) or type(error.inner_exception).__name__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
