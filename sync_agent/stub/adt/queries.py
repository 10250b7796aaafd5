"""The query operation: parse, check, lower, page.

A continuation token is a text of JSON that holds the query, as the service's does, so a later page
needs nothing else. A page of one collection goes on behind a row's key and costs what it returns.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from sync_agent.errors import QueryError
from sync_agent.query.checks import check
from sync_agent.query.parser import parse
from sync_agent.query.tree import Query
from sync_agent.stub.adt.answers import bad_request, query_failed
from sync_agent.stub.adt.instance import PAGE_MAX, Asked
from sync_agent.stub.adt.lowering import Lowered, lower
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.adt.twin_documents import without_update_times
from sync_agent.twins.twin import Document

PAGE_DEFAULT = 100
CHARGE_BASE = 2.79  # recorded: about 2.8 for an empty answer and 0.1 a row
CHARGE_ROW = 0.1


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """A page of rows, the token of the next page (None: the last), and the query units charged."""

    rows: list[Document]
    continuation: str | None
    charge: float


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page starts: the query, rows returned before, the key or offset, the page number."""

    text: str
    returned: int = 0
    mark: int = 0
    page: int = 1


def run_query(db: TwinDb, body: Any, asked: Asked) -> QueryAnswer:
    """Answer one page of a query; a continuation token wins over a query text.

    Raises:
        Refusal: the query cannot be parsed or is not allowed, or the token is not one of ours.
    """
    place = _place(body)
    try:
        query = parse(place.text)
        check(query)
        lowered = lower(query, db.models_of)
    except QueryError as error:
        raise query_failed(error.message, error.line, error.position) from error
    if lowered.is_count:
        row = lowered.row(db.select(lowered.sql, lowered.parameters)[0])
        return QueryAnswer([row], None, CHARGE_BASE + CHARGE_ROW)
    return _page(db, query, lowered, place, asked)


def _page(db: TwinDb, query: Query, lowered: Lowered, place: _Place, asked: Asked) -> QueryAnswer:
    size = max(1, min(asked.page_size or PAGE_DEFAULT, PAGE_MAX))
    if query.top is not None:
        size = min(size, query.top - place.returned)
    rows = _rows(db, lowered, place.mark, size + 1)
    page = rows[:size]
    returned = place.returned + len(page)
    more = len(rows) > size and (query.top is None or returned < query.top)
    token = None
    if more:
        mark = page[-1][-1] if lowered.keyset else place.mark + len(page)
        token = _token(_Place(place.text, returned, mark, place.page + 1))
    shaped = [lowered.row(row) for row in page]
    if not asked.shows_update_times:
        shaped = [without_update_times(row) for row in shaped]
    return QueryAnswer(shaped, token, CHARGE_BASE + CHARGE_ROW * len(page))


def _rows(db: TwinDb, lowered: Lowered, mark: int, limit: int) -> list[tuple[Any, ...]]:
    if lowered.keyset:
        parameters = (mark, *lowered.parameters[1:], limit)
        return db.select(f"{lowered.sql} LIMIT ?", parameters)
    return db.select(f"{lowered.sql} LIMIT ? OFFSET ?", (*lowered.parameters, limit, mark))


def _place(body: Any) -> _Place:
    if not isinstance(body, dict):
        raise bad_request("A non-empty request body is required.", "BadRequest")
    token = body.get("continuationToken")
    if token:
        return _read_token(token)
    text = body.get("query")
    if not isinstance(text, str) or not text:
        raise bad_request("The query must not be empty.", "MissingArgument")
    return _Place(text)


def _token(place: _Place) -> str:
    return json.dumps(
        {
            "_t": 2,
            "_s": None,
            "_rc": str(place.mark),
            "_q": place.text,
            "_id": str(uuid.uuid4()),
            "_tr": place.returned,
            "_pn": place.page,
        }
    )


def _read_token(token: Any) -> _Place:
    try:
        given = json.loads(token)
        text: Any = given["_q"]
        place = _Place(str(text), int(given["_tr"]), int(given["_rc"]), int(given["_pn"]))
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise bad_request("The continuation token is not valid.", "BadRequest") from error
    if not isinstance(text, str) or min(place.returned, place.mark) < 0:
        raise bad_request("The continuation token is not valid.", "BadRequest")
    return place
