"""The query operation: parse, check, lower, page.

A continuation token is a text of JSON that holds the query, as the service's does, so a later page
needs nothing else. A page of one collection goes on behind a row's key and costs what it returns. A
query is bounded in time as a whole page, whatever it searches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import QueryError
from sync_agent.query.charge import charge_of_count, charge_of_rows
from sync_agent.query.checks import check
from sync_agent.query.parser import parse
from sync_agent.query.tree import Query
from sync_agent.stub.adt import answers
from sync_agent.stub.adt.answers import bad_request
from sync_agent.stub.adt.exchange import Asked
from sync_agent.stub.adt.lowering import Lowered, lower
from sync_agent.stub.adt.random_ids import new_uuid
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.adt.twin_documents import without_times

PAGE_DEFAULT = 100
QUERY_MAX_S = 60.0
STATEMENTS_MAX = 256
_MARK_MAX = 2**62


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """A page of rows, the token of the next page (None: the last), and the query units charged.

    Rows are values, or JSON text where they need not be read.
    """

    rows: list[Any]
    continuation: str | None
    charge: float


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page starts: the query, rows returned before, the key or count, the page's number.

    ``skip`` rows are left out behind the key, where a token names none of ours.
    """

    text: str
    returned: int = 0
    mark: int = 0
    page: int = 1
    skip: int = 0


class Statements:
    """The latest queries of one store as statements, so that pages and repeats are not read anew.

    They hold as long as the models do. Bound: ``STATEMENTS_MAX``.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[str, tuple[Query, Lowered]] = {}
        self._registry: ModelRegistry | None = None

    def of(self, text: str, db: TwinDb) -> tuple[Query, Lowered]:
        """Return a query as it was read, and its statement.

        Raises:
            QueryError: it cannot be parsed, or is not allowed.
        """
        if self._registry is not db.registry:
            self._registry = db.registry
            self._known.clear()
        if text not in self._known:
            query = parse(text)
            check(query)
            if len(self._known) >= STATEMENTS_MAX:
                del self._known[next(iter(self._known))]
            self._known[text] = (query, lower(query, db.models_of))
        return self._known[text]


def run_query(db: TwinDb, statements: Statements, body: Any, asked: Asked) -> QueryAnswer:
    """Answer one page of a query; a continuation token wins over a query text.

    Raises:
        Refusal: the query cannot be parsed, is not allowed or takes too long, or the token is not
            one of ours.
    """
    place = _place(body)
    try:
        query, lowered = statements.of(place.text, db)
    except QueryError as error:
        message = f"{error.message}; {error.remedy}" if error.remedy else error.message
        raise answers.query_failed(message, error.line, error.position) from error
    try:
        if lowered.is_count:
            (row,) = db.select(lowered.sql, lowered.parameters, limit_s=QUERY_MAX_S)
            return QueryAnswer([lowered.encoded(row)], None, charge_of_count(row[0]))
        return _page(db, query, lowered, place, asked)
    except TimeoutError:
        raise answers.query_timed_out(QUERY_MAX_S) from None


def _page(db: TwinDb, query: Query, lowered: Lowered, place: _Place, asked: Asked) -> QueryAnswer:
    size = asked.page_of(PAGE_DEFAULT)
    if query.top is not None:
        size = max(0, min(size, query.top - place.returned))
    sql, parameters = lowered.page(size + 1, place.mark, skip=place.skip)
    rows = db.select(sql, parameters, limit_s=QUERY_MAX_S)
    page = rows[:size]
    returned = place.returned + len(page)
    token = None
    if len(rows) > size and (query.top is None or returned < query.top):
        mark = page[-1][-1] if lowered.keyset else place.mark + place.skip + len(page)
        token = _token(_Place(place.text, returned, mark, place.page + 1))
    if asked.knows_times:
        shaped = [lowered.encoded(row) for row in page]
    else:
        shaped = [without_times(lowered.row(row)) for row in page]
    return QueryAnswer(shaped, token, charge_of_rows(len(page)))


def _place(body: Any) -> _Place:
    if not isinstance(body, dict):
        raise answers.payload_invalid()
    token = body.get("continuationToken")
    if token:
        return _read_token(token)
    text = body.get("query")
    if not isinstance(text, str) or not text:
        raise bad_request("The query must be a text and not empty.", "MissingArgument")
    return _Place(text)


def _token(place: _Place) -> str:
    token = {
        "_t": 2,
        "_s": None,
        "_rc": str(place.mark),
        "_q": place.text,
        "_id": new_uuid(),
        "_tr": place.returned,
        "_pn": place.page,
    }
    return msgspec.json.encode(token).decode()


def _read_token(token: Any) -> _Place:
    """Read a token of ours, or of the service itself, which says how many rows were before it."""
    try:
        given = msgspec.json.decode(token)
        text, key = str(given["_q"]), str(given["_rc"])
        returned, page = int(given["_tr"]), int(given["_pn"])
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise answers.bad_token() from error
    try:
        place = _Place(text, returned, int(key), page)
    except ValueError:
        place = _Place(text, returned, page=page, skip=returned)
    numbers = (place.returned, place.mark, place.page)
    if not all(0 <= number <= _MARK_MAX for number in numbers):
        raise answers.bad_token()
    return place
