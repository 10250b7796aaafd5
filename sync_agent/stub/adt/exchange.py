"""What a request asks besides its body, and what an operation answers.

Here are the rules all resources share: conditional requests, ids, pages, stamps. An operation takes
an ``Asked`` and returns an ``Answer``, or raises a ``Refusal``; it knows nothing of HTTP.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import bad_request
from sync_agent.stub.adt.random_ids import new_uuid
from sync_agent.twins.twin import Document

PAGE_MAX = 1_000
ID_MAX = 128
"""The service publishes no rule for ids; this bound and no control characters are the stub's."""

_ETAG = re.compile(r'(?:W/)?"[^"]*"')
_ETAGS = re.compile(rf"{_ETAG.pattern}(?:[ \t]*,[ \t]*{_ETAG.pattern})*")
_DIGITS_MAX = 18

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True):
    """What a request says besides its body: version, conditions, paging."""

    api_version: str
    if_match: str | None = None
    if_none_match: str | None = None
    page_size: int | None = None
    continuation: str = ""

    @property
    def knows_times(self) -> bool:
        """Tell whether documents show ``$lastUpdateTime``, and source times are read and shown.

        So from 2021-06-30-preview on, which source times were introduced with; recorded are
        2020-10-31 and 2022-05-31, which by its review behaves as that preview does.
        Source: azure-rest-api-specs, issues 16964 and 18792.
        """
        return self.api_version >= "2021-06-30"

    def page_of(self, default: int) -> int:
        """Return how many items a page has: what was asked for, within the service's bound."""
        return max(1, min(self.page_size or default, PAGE_MAX))

    def after(self) -> int:
        """Return the key to go on behind, 0 for the first page.

        Raises:
            Refusal: the continuation token is not one of ours.
        """
        token = self.continuation
        if not token:
            return 0
        position = whole_number(token)
        if position is None:
            raise answers.bad_token()
        return position


class Answer(msgspec.Struct, frozen=True):
    """What an operation answers: HTTP status, JSON body (None: none) and ETag ("": none)."""

    status: int
    body: Any = None
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list and the continuation token of the next ("" for none)."""

    items: list[T]
    following: str = ""

    @classmethod
    def cut(cls, rows: Sequence[tuple[int, T]], size: int) -> Page[T]:
        """Make a page of ``(key, item)`` rows of which one more than ``size`` was read."""
        following = str(rows[size - 1][0]) if len(rows) > size else ""
        return cls([item for _, item in rows[:size]], following)


def whole_number(text: str) -> int | None:
    """Return a number that a client wrote in digits, None when it is none, or out of all bounds."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    return int(text) if is_number else None


def check_if_none_match(asked: Asked) -> None:
    """Refuse a condition a PUT cannot have."""
    if asked.if_none_match not in (None, "*"):
        raise bad_request("Invalid If-None-Match header value. Allowed value(s): If-None-Match: *")


def check_if_match_form(asked: Asked) -> None:
    """Refuse a condition that is neither ``*`` nor ETags, before anything is looked up."""
    value = asked.if_match
    if value is not None and value != "*" and not _ETAGS.fullmatch(value):
        raise bad_request(
            "Invalid If-Match header value. Allowed value(s): If-Match: {etag} or If-Match: *"
        )


def check_if_match(asked: Asked, document: Document) -> None:
    """Refuse a write whose condition names only other states of the resource."""
    value = asked.if_match
    if value not in (None, "*") and document["$etag"] not in _ETAG.findall(value):
        raise answers.etag_differs(value)


def check_id(identifier: str, code: str = "InvalidArgument") -> None:
    """Refuse an id that nothing can be created with."""
    if not 1 <= len(identifier) <= ID_MAX or any(ord(c) < 32 or ord(c) == 127 for c in identifier):
        message = f"An id must have 1 to {ID_MAX} characters and no control characters."
        raise bad_request(message, code)


def update_time() -> str:
    """Return now as the service stamps properties: seven digits of a second and ``Z``."""
    seconds, fraction = divmod(time.time_ns() // 100, 10_000_000)
    return f"{_second(seconds)}.{fraction:07d}Z"


def upload_time() -> str:
    """Return now as the service stamps models: an offset, and no zeros at the end."""
    whole, fraction = update_time()[:-1].split(".")
    digits = fraction.rstrip("0")
    return f"{whole}.{digits}+00:00" if digits else f"{whole}+00:00"


def new_etag() -> str:
    """Return an ETag no document had before."""
    return f'W/"{new_uuid()}"'


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
