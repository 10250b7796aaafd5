r"""Query text to tokens: the first step of reading a query.

Positions are 0-based columns and lines 1-based, as the service reports them. One regular expression
without nested repetition does the splitting, so its time is linear in the text, which has at most
``TEXT_MAX`` characters.

A backslash escapes a quote or a backslash; before anything else it stands for itself, so an id such
as ``a\b`` that a client quotes without escaping still means itself. ``[[name]]`` is a name as it
stands; it cannot start with ``[`` or hold ``]]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sync_agent.errors import QueryError

TEXT_MAX = 8_000

# Words that are names only in [[ ]].
# fmt: off
RESERVED = frozenset((
    "ALL", "AND", "AS", "ASC", "AVG", "BY", "COUNT", "DESC", "DEVICES", "DEVICES_JOBS",
    "DEVICES_MODULES", "ENDS_WITH", "FALSE", "FROM", "GROUP", "IN", "IS_BOOL", "IS_DEFINED",
    "IS_NULL", "IS_NUMBER", "IS_OBJECT", "IS_OF_MODEL", "IS_PRIMITIVE", "IS_STRING", "MAX",
    "MIN", "NOT", "NOT_IN", "NULL", "OR", "ORDER", "SELECT", "STARTS_WITH", "SUM", "TOP",
    "TRUE", "WHERE",
))
# fmt: on


class Kind(StrEnum):
    """Kinds of token."""

    WORD = "word"
    QUOTED = "quoted"  # [[any]]
    TEXT = "text"
    NUMBER = "number"
    SYMBOL = "symbol"
    END = "<EOF>"


@dataclass(frozen=True, slots=True)
class Token:
    """A token: ``text`` as it stands, ``value`` what it means (unescaped)."""

    kind: Kind
    text: str
    value: str
    line: int
    position: int

    def is_word(self, word: str) -> bool:
        """Tell whether this is a keyword, in whatever case it is written."""
        return self.kind is Kind.WORD and self.text.upper() == word


_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<quoted>\[\[(?!\[)(?:[^\]]|\](?!\]))+\]\])
      | (?P<text>'(?:[^'\\]|\\.)*')
      | (?P<number>-?(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)  # 1..3 is a range of hops
      | (?P<word>[$A-Za-z_][$A-Za-z0-9_]*)
      | (?P<symbol><=|>=|!=|\.\.|[=<>(),.\[\]:|*-])""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([\\'])")
_SURROGATE = re.compile("[\ud800-\udfff]")


def tokenize(text: str) -> list[Token]:
    """Split query text; the last token is always of kind END.

    Raises:
        QueryError: the text is too long, is no Unicode, or has a character no token starts with.
    """
    if len(text) > TEXT_MAX:
        raise QueryError(
            f"the query has {len(text)} characters, the most is {TEXT_MAX}",
            remedy="split a long IN list over several queries",
        )
    if lone := _SURROGATE.search(text):
        line_start = text.rfind("\n", 0, lone.start()) + 1
        raise QueryError(
            "half of a surrogate pair is no character",
            line=text.count("\n", 0, lone.start()) + 1,
            position=lone.start() - line_start,
        )
    tokens: list[Token] = []
    at, line, line_start = 0, 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        column = at - line_start
        if match is None or match.lastgroup is None:
            # a text without its end is looked for up to the end of the query
            found = text[at:] if text[at] == "'" else text[at]
            raise QueryError(f"token recognition error at: '{found}'", line=line, position=column)
        raw, group = match.group(), match.lastgroup
        if group != "space":
            kind = Kind(group)
            tokens.append(Token(kind, raw, _value(kind, raw), line, column))
        newlines = raw.count("\n")
        if newlines:
            line += newlines
            line_start = at + raw.rindex("\n") + 1
        at = match.end()
    tokens.append(Token(Kind.END, "<EOF>", "", line, at - line_start))
    return tokens


def _value(kind: Kind, raw: str) -> str:
    if kind is Kind.TEXT:
        return _ESCAPE.sub(r"\1", raw[1:-1])
    return raw[2:-2] if kind is Kind.QUOTED else raw
