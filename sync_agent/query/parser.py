"""Query text to a tree: recursive descent, one token ahead, messages in the service's manner.

Keywords and collection names are case-insensitive; names, ids and texts are not. A reserved word
is a name only in ``[[ ]]``, behind a dot too: the service's grammar knows keywords before paths.
Depth of parentheses and NOT is bounded by ``DEPTH_MAX``, so nothing that walks a tree can exhaust
the stack; length is bounded by the tokenizer. What a well-formed query may still not do is in
``checks``. Source: Azure Digital Twins query language reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from sync_agent.query.cursor import Cursor
from sync_agent.query.tokens import RESERVED, Kind, Token, tokenize
from sync_agent.query.tree import (
    INTEGER_MAX,
    INTEGER_MIN,
    And,
    ArrayContains,
    Collection,
    Comparator,
    Comparison,
    Condition,
    Count,
    Direction,
    Everything,
    Join,
    Match,
    Membership,
    Not,
    OfModel,
    Or,
    Path,
    Projected,
    Projection,
    Query,
    Scalar,
    Segment,
    TextCheck,
    TextTest,
    TypeCheck,
    TypeTest,
)

DEPTH_MAX = 100
HOPS_MAX = 10
TOP_MAX = 2**31 - 1
INTEGER_DIGITS_MAX = 40


def parse(text: str) -> Query:
    """Parse a query.

    Raises:
        QueryError: it is not one; ``line`` and ``position`` say where.
    """
    return _Parser(tokenize(text)).query()


class _Parser(Cursor):
    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self._depth = 0
        self._functions: Mapping[str, Callable[[], Condition]] = {
            "IS_OF_MODEL": self._of_model,
            "ARRAY_CONTAINS": self._array_contains,
            **{test.value: partial(self._type_check, test) for test in TypeTest},
            **{test.value: partial(self._text_check, test) for test in TextTest},
        }

    # -- query ----------------------------------------------------------------------------------

    def query(self) -> Query:
        self._need_word("SELECT", _starts_projection)
        top = self._top()
        projection = self._projection(top)
        self._need_word("FROM", _is_collection)
        collection = self._collection()
        alias = self._optional_name("a collection name", before=("JOIN", "MATCH", "WHERE"))
        joins: list[Join] = []
        match = None
        if self._word("MATCH"):
            match = self._match()
        else:
            while self._word("JOIN"):
                joins.append(self._join())
        where = self._condition() if self._word("WHERE") else None
        if self._token.kind is not Kind.END:
            raise self._error(f"extraneous input '{self._token.text}' expecting <EOF>")
        return Query(projection, collection, alias, top, tuple(joins), match, where)

    def _top(self) -> int | None:
        if not self._token.is_word("TOP"):
            return None
        self._advance()
        self._need("(")
        token = self._token
        count = _whole(token)
        if not 1 <= count <= TOP_MAX:
            raise self._error(
                f"mismatched input '{token.text}' expecting a whole number from 1 to {TOP_MAX}"
            )
        self._advance()
        self._need(")")
        return count

    def _projection(self, top: int | None) -> Projection:
        if self._symbol("*") or (top is not None and self._token.is_word("FROM")):
            return Everything()
        if self._token.is_word("COUNT"):
            self._advance()
            self._need("(")
            self._need(")")
            return Count()
        items = [self._projected()]
        while self._symbol(","):
            items.append(self._projected())
        return tuple(items)

    def _projected(self) -> Projected:
        self._refuse_call("COUNT() stands alone, and there is no other function to select")
        path = self._path()
        return Projected(path, self._name("a name") if self._word("AS") else "")

    def _collection(self) -> Collection:
        token = self._token
        for collection in Collection:
            if self._word(collection.value):
                return collection
        raise self._error(
            f"mismatched input '{token.text}' expecting {{DIGITALTWINS, RELATIONSHIPS}}"
        )

    def _optional_name(self, what: str, *, before: tuple[str, ...]) -> str:
        """Return a name if one stands here; ``before`` are the keywords that may come instead."""
        token = self._token
        is_keyword = any(token.is_word(word) for word in before)
        return self._name(what) if _is_name(token) and not is_keyword else ""

    def _join(self) -> Join:
        target = self._name("a twin collection name")
        self._need_word("RELATED", _is_name)
        source = self._name("a twin collection name")
        self._need(".")
        relationship = self._name("a relationship name")
        alias = self._optional_name("a relationship name", before=("JOIN", "MATCH", "WHERE"))
        return Join(target, source, relationship, alias)

    # -- match ----------------------------------------------------------------------------------

    def _match(self) -> Match:
        nodes, segments = [self._node()], []
        while self._token.kind is Kind.SYMBOL and self._token.text in ("-", "<"):
            segments.append(self._segment())
            nodes.append(self._node())
        return Match(tuple(nodes), tuple(segments))

    def _node(self) -> str:
        self._need("(")
        name = "" if self._token.text == ")" else self._name("a twin name")
        self._need(")")
        return name

    def _segment(self) -> Segment:
        start = self._token
        incoming = self._symbol("<")
        self._need("-")
        self._need("[")
        alias = ""
        if self._token.kind in (Kind.WORD, Kind.QUOTED):
            alias = self._name("a relationship variable")
        names: list[str] = []
        if self._symbol(":"):
            names.append(self._name("a relationship name"))
            while self._symbol("|"):
                names.append(self._name("a relationship name"))
        low, high = self._hops() if self._symbol("*") else (1, 1)
        self._need("]")
        self._need("-")
        outgoing = self._symbol(">")
        if incoming and outgoing:
            raise self._error("a relationship cannot point both ways", start)
        direction = Direction.IN if incoming else Direction.OUT if outgoing else Direction.EITHER
        return Segment(direction, alias, tuple(names), low, high)

    def _hops(self) -> tuple[int, int]:
        start = self._token
        low = self._hop_count() if self._token.kind is Kind.NUMBER else None
        if self._symbol(".."):
            high = self._hop_count()
            # The lower bound of a range is exclusive: *1..3 is two or three hops.
            first = 1 if low is None else low + 1
        elif low is None:
            raise self._error(f"mismatched input '{start.text}' expecting a number of hops")
        else:
            first = high = low
        if not 1 <= first <= high <= HOPS_MAX:
            raise self._error(
                f"this asks for {first} to {high} hops (a lower bound is exclusive);"
                f" the least is 1, the most {HOPS_MAX}",
                start,
            )
        return first, high

    def _hop_count(self) -> int:
        token = self._token
        count = _whole(token)
        if count < 0:
            raise self._error(f"mismatched input '{token.text}' expecting a number of hops")
        self._advance()
        return count

    # -- conditions -----------------------------------------------------------------------------

    def _condition(self) -> Condition:
        operands = [self._conjunction()]
        while self._word("OR"):
            operands.append(self._conjunction())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _conjunction(self) -> Condition:
        operands = [self._negation()]
        while self._word("AND"):
            operands.append(self._negation())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _negation(self) -> Condition:
        if self._word("NOT"):
            with self._deeper():
                return Not(self._negation())
        if self._symbol("("):
            with self._deeper():
                operand = self._condition()
            self._need(")")
            return operand
        return self._predicate()

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._error(f"conditions nest deeper than {DEPTH_MAX}")
        yield
        self._depth -= 1

    def _predicate(self) -> Condition:
        function = self._functions.get(self._token.text.upper()) if self._is_call() else None
        if function is None:
            self._refuse_call("no function of the query language")
            return self._comparison()
        self._advance()
        self._need("(")
        condition = function()
        self._need(")")
        return condition

    def _type_check(self, test: TypeTest) -> Condition:
        return TypeCheck(test, self._path())

    def _text_check(self, test: TextTest) -> Condition:
        path = self._path()
        self._need(",")
        return TextCheck(test, path, self._text())

    def _array_contains(self) -> Condition:
        path = self._path()
        self._need(",")
        return ArrayContains(path, self._literal())

    def _of_model(self) -> Condition:
        alias = ""
        if self._token.kind is not Kind.TEXT:
            alias = self._name("a collection name")
            self._need(",")
        model = self._text()
        exact = False
        if self._symbol(","):
            if not self._token.is_word("EXACT"):
                raise self._error(f"mismatched input '{self._token.text}' expecting exact")
            self._advance()
            exact = True
        return OfModel(model, alias, exact)

    def _comparison(self) -> Condition:
        path = self._path()
        for word, negated in (("IN", False), ("NIN", True)):
            if self._word(word):
                return Membership(path, self._list(), negated)
        token = self._token
        if token.kind is Kind.SYMBOL and token.text in tuple(Comparator):
            self._advance()
            return Comparison(path, Comparator(token.text), self._literal())
        raise self._error(f"mismatched input '{token.text}' expecting a comparison")

    def _list(self) -> tuple[Scalar, ...]:
        self._need("[")
        values = [self._literal()]
        while self._symbol(","):
            values.append(self._literal())
        self._need("]")
        return tuple(values)

    def _path(self) -> Path:
        segments = [self._name("a property")]
        while self._symbol("."):
            segments.append(self._name("a property"))
        return Path(tuple(segments))

    def _text(self) -> str:
        if self._token.kind is not Kind.TEXT:
            raise self._error(
                f"mismatched input '{self._token.text}' expecting a text in single quotes"
            )
        return self._advance().value

    def _literal(self) -> Scalar:
        token = self._token
        if token.kind is Kind.TEXT:
            return self._advance().value
        if token.kind is Kind.NUMBER:
            number = _number(token.text)
            if math.isinf(number):
                raise self._error("this number is beyond the range of a double")
            self._advance()
            return number
        for word, value in (("TRUE", True), ("FALSE", False), ("NULL", None)):
            if self._word(word):
                return value
        raise self._error(f"mismatched input '{token.text}' expecting a literal")


def _is_name(token: Token) -> bool:
    is_plain = token.kind is Kind.WORD and token.text.upper() not in RESERVED
    return is_plain or token.kind is Kind.QUOTED


def _starts_projection(token: Token) -> bool:
    return token.text == "*" or token.is_word("TOP") or token.is_word("COUNT") or _is_name(token)


def _is_collection(token: Token) -> bool:
    return any(token.is_word(collection.value) for collection in Collection)


def _number(text: str) -> int | float:
    """Return an integer where 64 bits hold it, as the documents have it, otherwise a double."""
    if text.lstrip("-").isdigit() and len(text) <= INTEGER_DIGITS_MAX:
        value = int(text)
        if INTEGER_MIN <= value <= INTEGER_MAX:
            return value
    return float(text)


def _whole(token: Token) -> int:
    """Return the whole number a token is, -1 when it is none or absurdly long."""
    if token.kind is not Kind.NUMBER or not token.text.isdigit() or len(token.text) > 10:
        return -1
    return int(token.text)
