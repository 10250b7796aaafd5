"""A place among a query's tokens, and what is said when something else stands there.

The service's parser is made by ANTLR, whose words are kept where it has any: what is expected and
stands one further is behind something *extraneous*, what could stand before this token is
*missing*, and else the token is *mismatched*. What helps a person follows in parentheses.
"""

from __future__ import annotations

from collections.abc import Callable

from sync_agent.errors import QueryError
from sync_agent.query.tokens import RESERVED, Kind, Token

_CLOSING = frozenset(")]")  # what the end of a query may stand behind


class Cursor:
    """Takes tokens one after the other; whoever reads a grammar builds on it."""

    def __init__(self, tokens: list[Token]) -> None:
        """Begin at the first token; the last is of kind END."""
        self._tokens = tokens
        self._next = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _peek(self, ahead: int) -> Token:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def _advance(self) -> Token:
        token = self._token
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _error(self, message: str, token: Token | None = None) -> QueryError:
        token = token or self._token
        return QueryError(message, line=token.line, position=token.position)

    def _symbol(self, text: str) -> bool:
        if self._token.kind is Kind.SYMBOL and self._token.text == text:
            self._advance()
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._symbol(text):
            is_next = (self._peek(1).kind, self._peek(1).text) == (Kind.SYMBOL, text)
            may_follow = self._token.kind is not Kind.END or text in _CLOSING
            raise self._lacking(f"'{text}'", is_next=is_next, may_follow=may_follow)

    def _word(self, word: str) -> bool:
        if self._token.is_word(word):
            self._advance()
            return True
        return False

    def _need_word(self, word: str, then: Callable[[Token], bool]) -> None:
        """Take a keyword; ``then`` tells what can stand behind it."""
        if not self._word(word):
            is_next = self._peek(1).is_word(word)
            raise self._lacking(word, is_next=is_next, may_follow=then(self._token))

    def _lacking(self, expected: str, *, is_next: bool, may_follow: bool) -> QueryError:
        text = self._token.text
        if is_next:
            return self._error(f"extraneous input '{text}' expecting {expected}")
        if may_follow:
            return self._error(f"missing {expected} at '{text}'")
        return self._error(f"mismatched input '{text}' expecting {expected}")

    def _name(self, what: str) -> str:
        token = self._token
        if token.kind is Kind.QUOTED:
            return self._advance().value
        if token.kind is not Kind.WORD:
            raise self._error(f"mismatched input '{token.text}' expecting {what}")
        if token.text.upper() in RESERVED:
            raise self._error(
                f"mismatched input '{token.text}' expecting {what}"
                f" (a reserved word: as a name it is written [[{token.text}]])"
            )
        return self._advance().value

    def _is_call(self) -> bool:
        opening = self._peek(1)
        return self._token.kind is Kind.WORD and (opening.kind, opening.text) == (Kind.SYMBOL, "(")

    def _refuse_call(self, why: str) -> None:
        if self._is_call():
            raise self._error(f"no viable alternative at input '{self._token.text}(' ({why})")
