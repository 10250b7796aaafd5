"""Filters of event routes: read once, then asked for every event.

Grammar: ``true`` and ``false``; comparisons (``= != < <= > >=``) of an attribute of the event
(``type``, ``source``, ``subject``, ``id``, ``dataschema``, ``datacontenttype``, ``specversion``,
``time``, ``$body.<path>``) with text, a number, a boolean or null; ``STARTS_WITH``, ``ENDS_WITH``
and ``CONTAINS``; ``AND``, ``OR``, ``NOT`` and parentheses. Keywords in any case, values as they
stand. The old form ``$eventType = 'DigitalTwinTelemetryMessages'`` is still taken, as is
``'DigitalTwinLifecycleNotification'`` for twins that come and go.

Source: Azure Digital Twins, "Filter events" of event routes; the wording of errors is recorded.
Bounds: ``TEXT_MAX`` characters, ``DEPTH_MAX`` parentheses.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from sync_agent.errors import QueryError

TEXT_MAX = 8_000
DEPTH_MAX = 32
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.|'')*')|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<word>\$?[A-Za-z_][\w$]*(?:\.[\w$\-]+)*)|(?P<sign><=|>=|!=|=|<|>|\(|\)|,))"
)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "STARTS_WITH": str.startswith,
    "ENDS_WITH": str.endswith,
    "CONTAINS": operator.contains,
}
_OLD_TYPES = {
    "microsoft.iot.telemetry": "DigitalTwinTelemetryMessages",
    "Microsoft.DigitalTwins.Twin.Create": "DigitalTwinLifecycleNotification",
    "Microsoft.DigitalTwins.Twin.Delete": "DigitalTwinLifecycleNotification",
}

Event = Mapping[str, Any]
"""The attributes of an event, and its body as ``$body``."""

Filter = Callable[[Event], bool]


def parse_filter(text: str) -> Filter:
    """Return a filter as a test of events.

    Raises:
        QueryError: it cannot be read; position is 1-based, as the service counts here.
    """
    if len(text) > TEXT_MAX:
        raise QueryError(f"The filter is longer than {TEXT_MAX} characters", line=1, position=1)
    return _Reader(text).whole()


class _Reader:
    """Reads one filter by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        self._at = 0
        self._end = len(text) + 1
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                bad = text[at:].lstrip()
                raise self._unexpected(bad.split()[0], at + len(text[at:]) - len(bad) + 1)
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind], found.start(kind) + 1))
            at = found.end()

    def whole(self) -> Filter:
        test = self._either(0)
        if self._at < len(self._tokens):
            raise self._unexpected(*self._tokens[self._at][1:])
        return test

    def _either(self, depth: int) -> Filter:
        tests = [self._both(depth)]
        while self._take_word("OR"):
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda event: any(test(event) for test in tests)

    def _both(self, depth: int) -> Filter:
        tests = [self._single(depth)]
        while self._take_word("AND"):
            tests.append(self._single(depth))
        return tests[0] if len(tests) == 1 else lambda event: all(test(event) for test in tests)

    def _single(self, depth: int) -> Filter:
        kind, text, position = self._next()
        if depth > DEPTH_MAX:
            raise self._error("The filter is nested too deep", position)
        upper = text.upper()
        if text == "(":
            test = self._either(depth + 1)
            self._expect(")")
            return test
        if kind == "word" and upper == "NOT":
            inner = self._single(depth + 1)
            return lambda event: not inner(event)
        if kind == "word" and upper in ("TRUE", "FALSE"):
            return lambda _: upper == "TRUE"
        if kind == "word" and upper in _TEXT_TESTS:
            return self._text_test(upper)
        if kind != "word":
            raise self._unexpected(text, position)
        return self._comparison(text)

    def _text_test(self, name: str) -> Filter:
        self._expect("(")
        value = self._operand()
        self._expect(",")
        part = self._operand()
        self._expect(")")
        test = _TEXT_TESTS[name]

        def holds(event: Event) -> bool:
            one, two = value(event), part(event)
            return isinstance(one, str) and isinstance(two, str) and test(one, two)

        return holds

    def _comparison(self, name: str) -> Filter:
        kind, sign, position = self._next()
        if kind != "sign" or sign not in _COMPARE:
            raise self._unexpected(sign, position)
        left, right, compare = _attribute(name), self._operand(), _COMPARE[sign]

        def holds(event: Event) -> bool:
            one, two = left(event), right(event)
            if one is _MISSING or two is _MISSING:
                return False
            if _kind(one) != _kind(two):
                return sign == "!="
            if not isinstance(one, str | int | float):  # null, objects and arrays have no order
                return (one == two) is (sign != "!=") and sign not in ("<", ">")
            return compare(one, two)

        return holds

    def _operand(self) -> Callable[[Event], Any]:
        kind, text, position = self._next()
        if kind == "text":
            value: Any = re.sub(r"\\(.)|''", lambda m: m[1] or "'", text[1:-1])
        elif kind == "number":
            value = float(text)
        elif kind == "word" and text.upper() in ("TRUE", "FALSE", "NULL"):
            value = {"TRUE": True, "FALSE": False, "NULL": None}[text.upper()]
        elif kind == "word":
            return _attribute(text)
        else:
            raise self._unexpected(text, position)
        return lambda _: value

    def _next(self) -> tuple[str, str, int]:
        if self._at >= len(self._tokens):
            raise self._unexpected("<EOF>", self._end)
        self._at += 1
        return self._tokens[self._at - 1]

    def _take_word(self, word: str) -> bool:
        if self._at < len(self._tokens):
            kind, text, _ = self._tokens[self._at]
            if kind == "word" and text.upper() == word:
                self._at += 1
                return True
        return False

    def _expect(self, sign: str) -> None:
        _, text, position = self._next()
        if text != sign:
            raise self._unexpected(text, position)

    def _unexpected(self, text: str, position: int) -> QueryError:
        return self._error(f"Unexpected input '{text}'", position)

    def _error(self, message: str, position: int) -> QueryError:
        """Return an error at a character of the whole text, told by line and place in it."""
        before = self._text[: position - 1]
        place = len(before) - (before.rfind("\n") + 1) + 1
        return QueryError(message, line=before.count("\n") + 1, position=place)


_MISSING = object()


def _attribute(name: str) -> Callable[[Event], Any]:
    if name == "$eventType":
        return lambda event: _OLD_TYPES.get(event.get("type", ""), _MISSING)
    parts = name.split(".")

    def value(event: Event) -> Any:
        found: Any = event
        for part in parts:
            if not isinstance(found, Mapping) or part not in found:
                return _MISSING
            found = found[part]
        return found

    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__
