"""Named queries that flag elements, and what entered and left their answers."""

from __future__ import annotations

import msgspec

from sync_agent.errors import InputError, QueryError
from sync_agent.query.checks import check
from sync_agent.query.parser import parse
from sync_agent.toml_file.reader import read_toml


class FlagQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ADT query with a name; each row of its answer must be a twin."""

    name: str
    query: str
    description: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    flag: list[FlagQuery] = []


def parse_flags(text: str, *, place: str) -> tuple[FlagQuery, ...]:
    """Read named queries from TOML (``[[flag]] name = "degraded" query = "SELECT * FROM ..."``).

    Raises:
        InputError: it is no TOML, has an unknown key, a name twice, or a query that cannot run.
    """
    remedy = "docs/health.md shows the form of a flags file"
    flags = tuple(read_toml(text, _File, place=place, remedy=remedy).flag)
    seen: set[str] = set()
    for flag in flags:
        if flag.name in seen:
            raise InputError(f"flag {flag.name!r} stands there twice", place=place)
        seen.add(flag.name)
        try:
            check(parse(flag.query))
        except QueryError as error:
            raise InputError(f"flag {flag.name!r}: {error.message}", place=place) from error
    return flags


def changed(before: frozenset[str], now: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return which elements entered and which left between two answers."""
    return now - before, before - now
