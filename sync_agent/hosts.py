"""Whose a host name is: this machine's alone, or anybody's.

What holds no secret on loopback (a stub's public key, a token sent without TLS) must not leave it,
and a page of another site must not reach it. This is the one place that says what loopback is.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Tell whether a name or address is this machine's alone.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "10.0.0.1", "lab")]
    [True, True, True, False, False]
    """
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3


def host_of(url: str) -> str:
    """Return the host a URL names, "" if none can be found.

    >>> host_of("https://[::1]:8080/x"), host_of("//localhost:80"), host_of("http://[")
    ('::1', 'localhost', '')
    """
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=256)
def is_foreign(host: str, origin: str | None) -> bool:
    """Tell whether a page of another site asks, or a name that could be made to mean us.

    ``host`` and ``origin`` are the headers; browsers send ``Origin`` with all that can change
    something. A name other than localhost could be anybody's that resolves to loopback, which would
    make his page one of ours (DNS rebinding).
    """
    name = host_of(f"//{host}")
    if not is_loopback(name) and _address(name) is None:
        return True
    return origin is not None and host_of(origin) != name and not is_loopback(host_of(origin))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
